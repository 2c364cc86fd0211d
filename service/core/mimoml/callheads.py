"""How a call begins that is not written as tags: in JSON, and as a `TOOL_CALL:` line."""

from __future__ import annotations

import re

from service.core.mimoml.patterns import Pattern, alt, one, opt, seq, some, up_to, word

_BLANK = some(r"[ \t\r\n]", 0, 64)
_QUOTE = one("[\"'“”]")
_KEYS = alt(
    *map(word, ("name", "arguments", "parameters", "function", "type", "id", "tool", "input", "args"))
)
_COLON = seq(_BLANK, one(":"), _BLANK)
_NAME_MEMBER = seq(
    _QUOTE, alt(word("name"), word("tool")), _QUOTE, _COLON, _QUOTE, some("[^\"'“”\n]", 1, 256), _QUOTE
)
_SMALL_MEMBER = seq(
    _QUOTE, alt(word("type"), word("id")), _QUOTE, _COLON, _QUOTE, some("[^\"'\n]", 0, 64), _QUOTE
)
_COMMA = seq(_BLANK, one(","), _BLANK)
_ARGUMENTS_KEY = seq(
    _QUOTE,
    alt(*map(word, ("arguments", "parameters", "input", "args"))),
    _QUOTE,
    _COLON,
)
_JSON_OPEN = seq(one(r"\{"), _BLANK)
_FENCE_LINE = seq(
    alt(some("`", 3, 8), some("~", 3, 8)),
    some(r"[ \t]", 0, 4),
    opt(alt(*map(word, ("json", "tool_call", "tool_calls", "tool_code")))),
    some(r"[ \t\r]", 0, 4),
    one(r"\n"),
    _BLANK,
)


# `{"name": "x", "arguments": `: what announces a call in JSON.
JSON_HEAD = Pattern(
    seq(_JSON_OPEN, up_to(seq(_SMALL_MEMBER, _COMMA), 2), _NAME_MEMBER, _COMMA, _ARGUMENTS_KEY)
)
# Any first key that a call's JSON may begin with.
JSON_BEGINNING = Pattern(seq(_JSON_OPEN, _QUOTE, _KEYS, _QUOTE, _COLON))
# The same at the beginning of an answer, fenced or not; a name must be read whole.
WHOLE_BEGINNING = Pattern(
    seq(
        opt(_FENCE_LINE),
        _JSON_OPEN,
        alt(
            _NAME_MEMBER,
            seq(_QUOTE, alt(*map(word, ("arguments", "parameters", "type", "id", "function"))), _QUOTE),
        ),
    )
)
LINE_HEAD = Pattern(
    seq(
        word("TOOL_CALL"),
        some(r"[ \t]", 0, 4),
        one(":"),
        some(r"[ \t]", 0, 16),
        some(r"[\w.\-]", 1, 256),
        one(r"\("),
    )
)
JSON_NAME = re.compile("[\"'“”](?:name|tool)[\"'“”][ \t\r\n]*:[ \t\r\n]*[\"'“”]([^\"'“”\n]{1,256})")
