"""What the sieve's tests share: the declared tools, feeding in pieces, and an answer's readable shape."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

import orjson

from service.core.completion import AnswerReasoning, AnswerText, Completion, collect
from service.core.conversation import ToolKind, ToolSpec
from service.core.events import Event, Failed, Finish, FinishReason, TextDelta
from service.core.mimoml import Sieve, SievePolicy

GOLDEN = Path(__file__).parents[2] / "golden" / "sieve"


def declared_tools() -> list[ToolSpec]:
    """The tools of tests/golden/sieve/tools.json."""
    return [
        ToolSpec(
            name=tool["name"],
            parameters=tool.get("parameters", {}),
            kind=ToolKind(tool.get("kind", "function")),
        )
        for tool in orjson.loads((GOLDEN / "tools.json").read_bytes())
    ]


TOOLS = declared_tools()


def sieve(tools: Sequence[ToolSpec] = TOOLS, policy: SievePolicy | None = None) -> Sieve:
    """A fresh sieve with ids call_0, call_1, …"""
    ids = itertools.count()
    return Sieve(tools, new_call_id=lambda: f"call_{next(ids)}", policy=policy or SievePolicy())


def sieved(
    pieces: Iterable[str | Event],
    *,
    tools: Sequence[ToolSpec] = TOOLS,
    policy: SievePolicy | None = None,
    end: FinishReason = FinishReason.STOP,
) -> list[Event]:
    """Everything the sieve gives out for these pieces (text, or events) and an end."""
    stage = sieve(tools, policy)
    events: list[Event] = []
    for piece in pieces:
        events += stage.feed(TextDelta(piece) if isinstance(piece, str) else piece)
    if not (events and isinstance(events[-1], Finish | Failed)):
        events += stage.feed(Finish(end))
    return events


def shape(completion: Completion) -> list[str]:
    """One line a part, then the end: what the golden tables state."""
    lines = []
    for part in completion.parts:
        if isinstance(part, AnswerText):
            lines.append(f"text {_quoted(part.text)}")
        elif isinstance(part, AnswerReasoning):
            lines.append(f"reasoning {_quoted(part.text)}")
        else:
            lines.append(f"{'call' if part.is_complete else 'cut'} {part.name} {part.arguments}".rstrip())
    return [*lines, f"end {completion.finish.reason}"]


def shape_of(pieces: Iterable[str | Event], **options: object) -> list[str]:
    """`shape` of what the sieve gives out."""
    return shape(collect(sieved(pieces, **options)))  # type: ignore[arg-type]


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


def every_cut(text: str) -> Iterable[list[str]]:
    """The text cut in two, everywhere."""
    return ([text[:index], text[index:]] for index in range(len(text) + 1))
