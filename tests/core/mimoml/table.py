"""The golden tables of tests/golden/sieve: how they are written, read and run.

    == the case's name
    @end length                     how the upstream ended; left out where it said "stop"
    @policy native_calls            a word is True, `name=3` a number
    | one line of the input
    | the next line; line ends stand between the lines, none behind the last one
    @reasoning                      what follows comes by the reasoning channel …
    @text                           … or by the text channel again
    @native exec {"command":"ls"}   a call of the upstream's own
    > text "so many characters"     the parts that come out, in order, strings as JSON
    > call exec {"command": "ls"}   a complete call; `cut` instead is one that was not
    > end tool_calls

`\\u{200b}` stands for a character that does not show. Regenerate with `python -m tests.core.mimoml.table`
after a change of behaviour that is meant, and read the difference like code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from service.core.events import (
    Event,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from service.core.mimoml import SievePolicy
from tests.core.mimoml.sieving import GOLDEN, shape_of

_HIDDEN = re.compile("[\0\r\t\x01\u0085\u200b\u2028\u2029\ufeff]|(?<= )$", re.MULTILINE)
_WRITTEN = re.compile(r"\\u\{([0-9a-f]*)\}")


@dataclass(frozen=True)
class Case:
    """One row. `segments` are (channel, text): "text", "reasoning", or "native" with name and arguments."""

    name: str
    segments: tuple[tuple[str, str], ...]
    policy: str
    end: str
    expected: tuple[str, ...]

    @property
    def size(self) -> int:
        return sum(len(text) for channel, text in self.segments if channel != "native")


def parse(table: str) -> list[Case]:
    """The cases of one file, in order."""
    cases = []
    for block in re.split(r"^== ", table, flags=re.MULTILINE)[1:]:
        name, *lines = block.rstrip("\n").split("\n")
        cases.append(_case(name, lines))
    return cases


def _case(name: str, lines: list[str]) -> Case:
    segments: list[tuple[str, list[str]]] = [("text", [])]
    settings = {"@policy": "", "@end": "stop"}
    expected = []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word in settings:
            settings[word] = rest
        elif word == "@native":
            segments.append(("native", [rest]))
        elif word in ("@text", "@reasoning"):
            segments.append((word[1:], []))
        elif word == "|":
            segments[-1][1].append(_shown(rest))
        elif word == ">":
            expected.append(rest)
    kept = tuple((channel, "\n".join(text)) for channel, text in segments if text)
    return Case(name, kept, settings["@policy"], settings["@end"], tuple(expected))


def _shown(text: str) -> str:
    return _WRITTEN.sub(lambda match: chr(int(match[1], 16)) if match[1] else "", text)


def write_case(case: Case, expected: Iterable[str]) -> str:
    """The case as it stands in its file."""
    lines = [f"== {case.name}"]
    if case.end != "stop":
        lines.append(f"@end {case.end}")
    if case.policy:
        lines.append(f"@policy {case.policy}")
    for index, (channel, text) in enumerate(case.segments):
        if channel == "native":
            lines.append(f"@native {text}")
            continue
        if index or channel != "text":
            lines.append(f"@{channel}")
        hidden = _HIDDEN.sub(lambda match: f"\\u{{{ord(match[0]):x}}}" if match[0] else "\\u{}", text)
        lines += [f"| {line}" for line in hidden.split("\n")]
    return "\n".join([*lines, *(f"> {line}" for line in expected), ""])


def policy_of(case: Case) -> SievePolicy:
    """The policy that the case names."""
    options: dict[str, Any] = {}
    for word in case.policy.split():
        name, _, number = word.partition("=")
        options[name] = int(number) if number else True
    return SievePolicy(**options)


def pieces_of(case: Case, cut: Callable[[str], Iterable[str]]) -> list[Event]:
    """The case's input as events, each text cut by `cut`."""
    events: list[Event] = []
    for number, (channel, text) in enumerate(case.segments):
        if channel == "native":
            name, _, arguments = text.partition(" ")
            events += [
                ToolCallStart(number + 5, f"native_{number}", name),
                *(ToolCallDelta(number + 5, piece) for piece in cut(arguments) if piece),
                ToolCallEnd(number + 5),
            ]
        else:
            kind = ReasoningDelta if channel == "reasoning" else TextDelta
            events += [kind(piece) for piece in cut(text)]
    return events


def outcome(case: Case, cut: Callable[[str], Iterable[str]] = lambda text: [text]) -> list[str]:
    """What comes out, as lines."""
    return shape_of(pieces_of(case, cut), policy=policy_of(case), end=FinishReason(case.end))


def tables() -> dict[str, list[Case]]:
    """Every table by its file's name."""
    return {path.stem: parse(path.read_text(encoding="utf-8")) for path in sorted(GOLDEN.glob("*.txt"))}


def regenerate() -> None:
    """Write what the sieve does now into every table."""
    for name, cases in tables().items():
        path = GOLDEN / f"{name}.txt"
        head = path.read_text(encoding="utf-8").partition("\n== ")[0]
        path.write_text(
            "\n".join([head, *(write_case(case, outcome(case)) for case in cases)]), encoding="utf-8"
        )


if __name__ == "__main__":
    regenerate()
