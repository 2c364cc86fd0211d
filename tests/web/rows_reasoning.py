"""mimo-api.md 2.2: what clients do to the reasoning that MiMo wants to see again. An agent has a turn with
two calls and goes on from it; the upstream takes no turn with calls whose reasoning is not there."""

from __future__ import annotations

from collections.abc import Iterator

from service.simulator import SimulatorOptions
from tests.web.agents import Agent, Change, ChatAgent, MessagesAgent, ResponsesAgent
from tests.web.forgetting import (
    called_elsewhere,
    compacted,
    emptied,
    foreign_signature,
    redacted,
    renamed,
    sealed_elsewhere,
    without_reasoning,
)
from tests.web.mimo_rows import Case
from tests.web.rig import Rig

STRICT = SimulatorOptions(accepts_empty_reasoning=False)
AGENTS: tuple[type[Agent], ...] = (ChatAgent, MessagesAgent, ResponsesAgent)

CHANGES: list[tuple[str, type[Agent], Change, str]] = [
    ("2.2.1", ChatAgent, without_reasoning, ""),
    ("2.2.1", ChatAgent, renamed("reasoning_content", lambda _: ""), "sent empty"),
    ("2.2.1", ChatAgent, renamed("reasoning_content", lambda _: None), "sent as null"),
    ("2.2.2", ChatAgent, renamed("reasoning", str), "reasoning"),
    (
        "2.2.2",
        ChatAgent,
        renamed("reasoning_details", lambda text: [{"type": "reasoning.text", "text": text}]),
        "reasoning_details",
    ),
    ("2.2.2", ChatAgent, renamed("thinking", str), "thinking"),
    ("2.2.3", MessagesAgent, without_reasoning, ""),
    ("2.2.4", MessagesAgent, redacted, "redacted"),
    ("2.2.4", MessagesAgent, foreign_signature, "foreign signature"),
    ("2.2.4", ResponsesAgent, sealed_elsewhere, "sealed elsewhere"),
    *(("2.2.5", agent, compacted, "") for agent in AGENTS),
    ("2.2.7", ResponsesAgent, without_reasoning, "dropped"),
    ("2.2.7", ResponsesAgent, emptied, "emptied"),
]


def cases() -> Iterator[Case]:
    for row, agent, change, name in CHANGES:
        yield _goes_on(row, agent, change, name)
    for agent in AGENTS:
        yield _resumes(agent, options=None)
        yield _resumes(agent, options=STRICT)


def _passed_back(rig: Rig) -> list[str | None]:
    """The reasoning of each turn with calls in the last request that the platform took."""
    entry = rig.simulator.record.of("chat_completions")[-1]
    assert entry.status == 200
    turns = [message for message in entry.body["messages"] if message.get("tool_calls")]
    return [turn.get("reasoning_content") for turn in turns]


def _goes_on(row: str, dialect: type[Agent], change: Change, name: str) -> Case:
    async def run(rig: Rig) -> None:
        agent = dialect(rig.http, change)
        await agent.turn('Weather in Paris and Rome? [[sim: reasoning="Two cities."]]', rig.gateway.base_url)
        assert _passed_back(rig) == ["Two cities."]

    return Case(row, dialect.path, run, name, STRICT)


def _resumes(dialect: type[Agent], *, options: SimulatorOptions | None) -> Case:
    """An upstream that takes an empty text gets one; one that does not is asked without thinking."""

    async def run(rig: Rig) -> None:
        agent = dialect(rig.http)
        agent.say("Weather in Paris?")
        agent.history += called_elsewhere(dialect, "toolu_of_another_model")
        agent.history += agent.results(["toolu_of_another_model"])
        await agent.step(rig.gateway.base_url)
        assert _passed_back(rig) == ([""] if options is None else [None])

    name = "an empty text will do" if options is None else "an empty text is refused"
    return Case("2.2.6", dialect.path, run, name, options)
