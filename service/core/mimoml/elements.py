"""Objects and arrays written as nested elements: `<city>Paris</city>`, `<item>1</item><item>2</item>`.

One pass finds the elements and where their content stands; what a content means is decided afterwards by the
schema, so a member declared a string keeps `<b>x</b>` as characters. An element without its closer is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from service.core.mimoml.entities import decode_entities
from service.core.mimoml.jsontext import MAX_DEPTH, JSONValue
from service.core.mimoml.names import Names
from service.core.mimoml.schema import ANYTHING, Schema, value_of_text

_TAG = (
    r"""<(?P<close>/?)(?:[|｜]*mimoml[|｜:_\- ]*)?(?P<close2>/?)(?P<name>[A-Za-z_][\w.\-]*)"""
    r"""(?P<rest>(?:[ =][^<>]{0,256})?)(?P<empty>/?)>"""
)
_TOKEN = re.compile(r"<!\[CDATA\[(?P<data>.*?)\]\]>|" + _TAG, re.IGNORECASE | re.DOTALL)
_TOKEN_WITHOUT_CDATA = re.compile(_TAG + "(?P<data>(?!))?", re.IGNORECASE)
_NAMED = re.compile(r"""(?:^=|[ ]name=)["']?([^"'<>]*?)["']?\s*\Z""", re.IGNORECASE)


@dataclass(slots=True)
class _Element:
    """`start` to `end` is the content, `outer_start` to `outer_end` the tags too. `tag` closes it."""

    name: str
    tag: str
    outer_start: int
    start: int
    end: int = 0
    outer_end: int = 0
    children: list[_Element] = field(default_factory=list)


def value_of_elements(text: str, schema: Schema) -> JSONValue:
    """The object or array that `text` writes as elements. Raises ValueError when it is not made of them."""
    root = _tree(text)
    if not root.children or _has_text(text, root):
        raise ValueError("not made of elements")
    return _value(text, root, schema)


def plain_text(raw: str) -> tuple[str, bool]:
    """Characters of a content: CDATA sections joined, entities outside them decoded. Blanks round CDATA are
    layout. The flag says whether it was CDATA."""
    if "<![CDATA[" not in raw:
        return decode_entities(raw), False
    pieces: list[str] = []
    position, is_cdata = 0, False
    for match in _tokens(raw):
        if match["data"] is None:
            continue
        between = raw[position : match.start()]
        pieces.append(decode_entities(between) if between.strip() else "")
        pieces.append(match["data"])
        position, is_cdata = match.end(), True
    rest = raw[position:]
    pieces.append(decode_entities(rest) if rest.strip() else "")
    return "".join(pieces), is_cdata


def _tokens(text: str) -> Iterator[re.Match[str]]:
    """Tags and CDATA sections. Behind the last "]]>" no section is looked for: each would search to the
    end."""
    last = text.rfind("]]>") + 3 if "]]>" in text else 0
    yield from _TOKEN.finditer(text, 0, last)
    yield from _TOKEN_WITHOUT_CDATA.finditer(text, last)


def _tree(text: str) -> _Element:
    root = _Element("", "", 0, 0, len(text), len(text))
    stack = [root]
    open_by_tag: dict[str, int] = {}
    for match in _tokens(text):
        if match["data"] is not None:
            continue
        tag = match["name"]
        if match["close"] or match["close2"]:
            if open_by_tag.get(tag):
                _close(stack, open_by_tag, tag, match)
            continue
        if len(stack) > MAX_DEPTH:
            raise ValueError("too deep")
        element = _Element(_name(match), tag, match.start(), match.end())
        stack.append(element)
        open_by_tag[tag] = open_by_tag.get(tag, 0) + 1
        if match["empty"]:
            _close(stack, open_by_tag, tag, match)
    return root


def _name(match: re.Match[str]) -> str:
    if match["name"].lower() in ("parameter", "param"):
        named = _NAMED.search(match["rest"])
        if named is not None:
            return decode_entities(named[1])
    return str(match["name"])


def _close(stack: list[_Element], open_by_tag: dict[str, int], tag: str, match: re.Match[str]) -> None:
    """End the innermost element of that tag; what is open inside it was text."""
    while True:
        element = stack.pop()
        open_by_tag[element.tag] -= 1
        if element.tag == tag:
            break
    element.end = element.start if match["empty"] else match.start()
    element.outer_end = match.end()
    stack[-1].children.append(element)


def _has_text(text: str, element: _Element) -> bool:
    """Characters beside the children: then they are not members but part of a text."""
    position = element.start
    for child in element.children:
        if text[position : child.outer_start].strip(" \t\r\n"):
            return True
        position = child.outer_end
    return bool(text[position : element.end].strip(" \t\r\n"))


def _value(text: str, element: _Element, schema: Schema) -> JSONValue:
    is_structured = bool(element.children) and not _has_text(text, element)
    if is_structured and schema.types is None:
        if all(child.name.lower() == "item" for child in element.children):
            return [_value(text, child, ANYTHING) for child in element.children]
        return _object(text, element, schema)
    if is_structured and schema.allows("array"):
        schema = schema.branch([])
        return [_value(text, child, schema.at(index)) for index, child in enumerate(element.children)]
    if is_structured and schema.allows("object"):
        names: dict[str, JSONValue] = dict.fromkeys(child.name for child in element.children)
        return _object(text, element, schema.branch(names))
    plain, is_cdata = plain_text(text[element.start : element.end])
    return value_of_text(plain, schema, is_cdata=is_cdata)


def _object(text: str, element: _Element, schema: Schema) -> JSONValue:
    names = Names(schema.property_names)
    children_by_name: dict[str, list[_Element]] = {}
    for child in element.children:
        children_by_name.setdefault(names.resolved(child.name) or child.name, []).append(child)
    return {name: _member(text, children, schema.member(name)) for name, children in children_by_name.items()}


def _member(text: str, children: list[_Element], schema: Schema) -> JSONValue:
    """One element is the value; several of one name are an array's items, if an array may stand here."""
    value = _value(text, children[0], schema)
    if schema.types is None and len(children) > 1:
        return [_value(text, child, ANYTHING) for child in children]
    if schema.allows("array") and not schema.allows("string"):
        if len(children) > 1 and not isinstance(value, list):
            return [_value(text, child, schema.at(index)) for index, child in enumerate(children)]
        if isinstance(value, str):
            return [_value(text, children[0], schema.at(0))]
    return value
