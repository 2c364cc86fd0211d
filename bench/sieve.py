"""What the sieve costs: `python -m bench.sieve`. CPU time on one core, megabytes of input per second.

Each kind of text is fed in pieces of 4 characters, of 40, and whole; the pieces are cut and the events made
before the clock starts. Figures of one machine mean nothing by themselves: compare rows, and sizes within a
row."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

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
    "CDATA string": _mimoml,
    "JSON string": _hermes,
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


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or (10_000, 100_000, 1_000_000))
