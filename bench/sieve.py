"""What the sieve costs: `python -m bench.sieve [size ...]`. CPU time on one core, as MB of input a second.

Each kind of text is fed in pieces of 4 characters, of 40, and whole; the pieces are cut and the events made
before the clock starts. Figures of one machine mean nothing by themselves: compare rows, and sizes within a
row.

`python -m bench.sieve hurt` looks for the dearest text instead: each token of the grammar, and two thousand
strings of two or three of them drawn at random, repeated in every place where the sieve can stand. It prints
the CPU seconds of a megabyte in 4-character pieces, and what grew faster than its length."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator

from service.core.conversation import ToolSpec
from service.core.events import Finish, FinishReason, TextDelta
from service.core.mimoml import Sieve

_TOOLS = [
    ToolSpec(
        name="write_file",
        parameters={
            "type": "object",
            "properties": {
                "path": {"type": "string"},
                "content": {"type": "string"},
                "mode": {"type": "integer"},
                "edits": {"type": "array"},
            },
            "required": ["path", "content"],
        },
    )
]
_PROSE = "The quick brown fox jumps over the lazy dog, and nobody minds at all.\n"
_CODE = "    if a < b and c[d[0]] > e:  # compare & go on\n        return '<b>' + x\n"


def _repeat(text: str, size: int) -> str:
    return (text * (size // len(text) + 1))[:size]


def _native(size: int) -> str:
    return (
        "<tool_call>\n<function=write_file>\n<parameter=path>a.py</parameter>\n<parameter=content>\n"
        f"{_repeat(_CODE, size)}\n</parameter>\n</function>\n</tool_call>"
    )


def _mimoml(size: int) -> str:
    return (
        '<|MiMoML|tool_calls><|MiMoML|invoke name="write_file"><|MiMoML|parameter name="path"><![CDATA[a]]>'
        '</|MiMoML|parameter><|MiMoML|parameter name="content"><![CDATA['
        f"{_repeat(_CODE, size)}]]></|MiMoML|parameter></|MiMoML|invoke></|MiMoML|tool_calls>"
    )


def _hermes(size: int) -> str:
    content = _repeat('line one\\n\\tprint(\\"x\\")\\n', size).rstrip("\\")
    return f'<tool_call>{{"name":"write_file","arguments":{{"path":"a","content":"{content}"}}}}</tool_call>'


def _hermes_as_string(size: int) -> str:
    content = _repeat("line one\\\\n\\\\tprint(1) ", size).rstrip("\\")
    arguments = f'{{\\"path\\":\\"a\\",\\"content\\":\\"{content}\\"}}'
    return f'<tool_call>{{"name":"write_file","arguments":"{arguments}"}}</tool_call>'


def _typed(size: int) -> str:
    edit = '{"old": "a = 1", "new": "b = 2"}, '
    edits = edit * (size // len(edit))
    return f"<tool_call><function=write_file><parameter=edits>[{edits}1]</parameter></function></tool_call>"


def _json_array(size: int) -> str:
    edit = '{"old": "a = 1", "new": 1.5}, '
    edits = edit * (size // len(edit))
    return f'<tool_call>{{"name":"write_file","arguments":{{"edits":[{edits}1]}}}}</tool_call>'


def _small_calls(size: int) -> str:
    call = (
        '<|MiMoML|tool_calls>\n  <|MiMoML|invoke name="write_file">\n    <|MiMoML|parameter name="path">'
        '<![CDATA[src/a.py]]></|MiMoML|parameter>\n    <|MiMoML|parameter name="content"><![CDATA[print(1)]]>'
        '</|MiMoML|parameter>\n    <|MiMoML|parameter name="mode">3</|MiMoML|parameter>\n'
        "  </|MiMoML|invoke>\n</|MiMoML|tool_calls>\n"
    )
    return call * (size // len(call) + 1)


KINDS: dict[str, Callable[[int], str]] = {
    "prose": lambda size: _repeat(_PROSE, size),
    "one line": lambda size: _repeat(_PROSE.replace("\n", " "), size),
    "code as text": lambda size: _repeat(_CODE, size),
    "html as text": lambda size: _repeat('<div class="x"><p>text</p></div>', size),
    "native string": _native,
    "plain string": lambda size: _mimoml(0).replace(
        "<![CDATA[]]>", _repeat(_CODE.replace("&", "&amp;").replace("<", "&lt;"), size)
    ),
    "CDATA string": _mimoml,
    "JSON string": _hermes,
    "JSON in a string": _hermes_as_string,
    "JSON array": _json_array,
    "typed value": _typed,
    "small calls": _small_calls,
    "]": lambda size: _mimoml(0).replace("<![CDATA[]]>", "<![CDATA[" + "]" * size + "]]>"),
    "<": lambda size: "<" * size,
    "`": lambda size: "`" * size,
}


def seconds(text: str, piece: int) -> float:
    """CPU seconds to sieve `text` in pieces of that many characters."""
    events = [TextDelta(text[start : start + piece]) for start in range(0, len(text), piece)]
    ids = iter(range(len(text) + 1))
    sieve = Sieve(_TOOLS, new_call_id=lambda: f"call_{next(ids)}")
    feed = sieve.feed
    started = time.process_time()
    for event in events:
        feed(event)
    feed(Finish(FinishReason.STOP))
    return time.process_time() - started


def main(sizes: tuple[int, ...]) -> None:
    """Print a table: MB/s by kind, size and piece."""
    print(
        f"{'MB/s':16}"
        + "".join(f"{size // 1000:>7} KB x{piece:<7}" for piece in (4, 40) for size in sizes)
        + "   whole"
    )
    for kind, make in KINDS.items():
        row = []
        for piece in (4, 40):
            for size in sizes:
                text = make(size)
                row.append(len(text) / min(seconds(text, piece) for _ in range(3)) / 1e6)
        text = make(sizes[-1])
        row.append(len(text) / seconds(text, len(text)) / 1e6)
        print(f"{kind:16}" + "".join(f"{value:>15.2f}   " for value in row))


# --- what is made to hurt -----------------------------------------------------------------------------------

_OPEN = '<|MiMoML|tool_calls><|MiMoML|invoke name="write_file">'
PLACES = {
    "text": "",
    "a line": "Well, ",
    "a fence": "```\n",
    "a wrapper": "<tool_calls>",
    "a bare call": "<function=write_file>",
    "a call": _OPEN,
    "a string": _OPEN + '<|MiMoML|parameter name="content">',
    "CDATA": _OPEN + '<|MiMoML|parameter name="content"><![CDATA[',
    "a native string": "<tool_call><function=write_file><parameter=content>",
    "a typed value": _OPEN + '<|MiMoML|parameter name="edits">',
    "an untyped value": _OPEN + '<|MiMoML|parameter name="other">',
    "a refused call": '<tool_calls><invoke name="nope"><parameter name="a">',
    "JSON": '<tool_call>{"name": "write_file", "arguments": {',
    "a JSON string": '<tool_call>{"name": "write_file", "arguments": {"content": "',
    "JSON in a string": '<tool_call>{"name": "write_file", "arguments": "{',
    "JSON that is held": '<tool_call>{"arguments": {',
    "refused JSON": '<tool_call>{"name": "nope", "arguments": {',
    "a line call": "TOOL_CALL: write_file(",
    "a JSON answer": '{"name": "write_file", "arguments": {',
    "thinking": "<think>",
}
TOKENS = [
    "<|MiMoML|tool_calls>", "</|MiMoML|tool_calls>", '<invoke name="write_file">',
    '<invoke name="nope">', "</|MiMoML|invoke>", '<|MiMoML|parameter name="path">',
    "</|MiMoML|parameter>", "<![CDATA[", "]]>", "]", "[", "<", ">", "/", "&", "&lt;", "&#", "`", "```",
    "\n", "~~~\n", "<tool_call>", "</tool_call>", "<function=nope>", "<function=write_file>",
    "</function>", "<parameter=path>", "{", "}", '"', "'", ",", ":", "\\", "\\u0041",
    '{"name":"write_file","arguments":{"path":"', '"}}', '"a":1,', "3,", "[1,",
    "\nTOOL_CALL: write_file(", "\nT", "<think>", "</think>", "a", "true", " ", "\t", "\r", "｜", "＜",
    "〈", "\u200b", "\x00", "漢", "- ", "1. ", "<<", "<item>", "</item>", "<b>", "</b>", "</", "<p", "<t",
    "<i", "<|", "<!", "<f", "=", "<tool_call_none/>",
]  # fmt: skip


def _hurting() -> Iterator[tuple[str, str]]:
    for place in PLACES:
        for token in TOKENS:
            yield place, token
    rng = random.Random(1)
    for _ in range(2_000):
        yield rng.choice(list(PLACES)), "".join(rng.choices(TOKENS, k=rng.randint(2, 3)))


def hurt(size: int = 24_000) -> None:
    """Print the dearest texts, and those whose cost grew by more than half per character over eight times the
    length."""
    found = []
    for place, token in _hurting():
        small, large = (PLACES[place] + token * (length // len(token) + 1) for length in (size // 8, size))
        cost = min(seconds(large, 4) for _ in range(2)) / len(large)
        growth = cost / (min(seconds(small, 4) for _ in range(2)) / len(small))
        found.append((cost * 1e6, growth, place, token))
    found.sort(reverse=True)
    above = sum(cost > 2 for cost, *_ in found)
    print(f"{len(found)} texts, {above} above 2 s of CPU for a megabyte in pieces of four; the dearest:")
    for cost, growth, place, token in found[:20]:
        print(f"{cost:8.2f} s  x{growth:4.2f}  {token!r} in {place}")
    print("grown:", [(place, token) for _, growth, place, token in found if growth > 1.5] or "none")


if __name__ == "__main__":
    if sys.argv[1:] == ["hurt"]:
        hurt()
    else:
        main(tuple(map(int, sys.argv[1:])) or (10_000, 100_000, 1_000_000))
