"""XML's entities in values and names."""

from __future__ import annotations

import re

_ENTITIES = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
ENTITY = re.compile(r"&(?:(lt|gt|amp|quot|apos)|#([0-9]{1,7})|#[xX]([0-9a-fA-F]{1,6}));")
_ENTITY_BEGINNING = re.compile(r"&[#a-zA-Z0-9]{0,9}\Z")


def decode_entities(text: str) -> str:
    """XML's five entities and character references, once. Anything else after "&" is itself."""
    return ENTITY.sub(_decoded, text) if "&" in text else text


def _decoded(match: re.Match[str]) -> str:
    name, decimal, hexadecimal = match.groups()
    if name is not None:
        return _ENTITIES[name]
    code = int(decimal) if decimal is not None else int(hexadecimal, 16)
    is_character = 0 < code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF
    return chr(code) if is_character else match.group()


def entity_beginning(text: str) -> int:
    """Where an entity begins that the end of the text cuts; the text's length when none does."""
    match = _ENTITY_BEGINNING.search(text, max(0, len(text) - 10))
    return match.start() if match else len(text)
