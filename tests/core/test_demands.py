"""Answers held against what was demanded of them: what is shown when, and what is told when they fail."""

from __future__ import annotations

import pytest

from service.core.conversation import (
    Conversation,
    ResponseFormat,
    ResponseFormatKind,
    Role,
    Text,
    ToolChoice,
    ToolChoiceMode,
    Turn,
)
from service.core.demands import MAX_JSON_CHARS, MAX_PROSE_CHARS, CallDemand, FormatDemand, asked_again
from service.core.errors import AnswerUnmet, UpstreamUnavailable
from service.core.events import (
    Citation,
    Event,
    Failed,
    Finish,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
    UsageReport,
)

REQUIRED = ToolChoice(mode=ToolChoiceMode.REQUIRED)
NAMED = ToolChoice(mode=ToolChoiceMode.NAMED, name="look")
STOP, LENGTH = Finish(FinishReason.STOP), Finish(FinishReason.LENGTH)
FILTERED = Finish(FinishReason.CONTENT_FILTER)
USED = UsageReport(Usage(input_tokens=1))
CUT = Failed(UpstreamUnavailable("cut"))
OBJECT = ResponseFormat(kind=ResponseFormatKind.JSON_OBJECT)
SCHEMA = ResponseFormat(kind=ResponseFormatKind.JSON_SCHEMA, schema={"type": "array"})


def called(name: str = "look") -> list[Event]:
    return [ToolCallStart(0, "call_1", name), ToolCallEnd(0), Finish(FinishReason.TOOL_CALLS)]


# --- calls --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("choice", [REQUIRED, NAMED])
def test_all_is_held_until_the_call_starts(choice: ToolChoice) -> None:
    demand = CallDemand(choice)
    assert demand.feed([ReasoningDelta("hm"), TextDelta("Let me look.")]) == []
    assert demand.feed(called()[:1]) == [ReasoningDelta("hm"), TextDelta("Let me look."), called()[0]]
    assert demand.feed(called()[1:]) == called()[1:]
    assert not demand.is_heavy


@pytest.mark.parametrize(
    ("choice", "events", "told"),
    [
        pytest.param(REQUIRED, [TextDelta("No."), STOP], "answered without a call", id="text alone"),
        pytest.param(REQUIRED, [USED, STOP], "answered without a call", id="nothing at all"),
        pytest.param(NAMED, called("other"), "'look', but the model called another tool", id="another tool"),
        pytest.param(REQUIRED, [TextDelta("x" * (MAX_PROSE_CHARS + 1))], "text alone", id="endless text"),
    ],
)
def test_answer_without_the_call(choice: ToolChoice, events: list[Event], told: str) -> None:
    with pytest.raises(AnswerUnmet, match=told) as caught:
        CallDemand(choice).feed(events)
    assert caught.value.param == "tool_choice"
    assert caught.value.code == "tool_choice_unmet"
    assert "You must call" in caught.value.remedy


@pytest.mark.parametrize("finish", [LENGTH, FILTERED])
def test_answer_that_was_cut_before_its_call_says_so_itself(finish: Finish) -> None:
    demand = CallDemand(REQUIRED)
    assert demand.feed([TextDelta("Let me")]) == []
    assert demand.feed([finish]) == [TextDelta("Let me"), finish]


def test_failure_before_the_call_is_told_alone() -> None:
    assert CallDemand(REQUIRED).feed([TextDelta("Let me"), CUT]) == [CUT]


# --- JSON ---------------------------------------------------------------------------------------------------


def demand(response_format: ResponseFormat = OBJECT, *, is_live: bool = False) -> FormatDemand:
    return FormatDemand(
        response_format,
        lambda text: None if text in ("{}", "[]", "7") else "$: it is wrong",
        is_live=is_live,
    )


def fed(one: FormatDemand, *events: Event) -> list[Event]:
    return [shown for event in events for shown in one.feed([event])]


def test_json_is_held_until_it_was_found_good() -> None:
    one = demand()
    assert fed(one, ReasoningDelta("hm"), TextDelta("```json\n{"), TextDelta("}\n```"), USED) == []
    assert fed(one, STOP) == [ReasoningDelta("hm"), TextDelta("{}"), USED, STOP]


def test_json_streams_without_what_stands_round_it() -> None:
    one = demand(is_live=True)
    assert fed(one, ReasoningDelta("hm")) == [ReasoningDelta("hm")]
    assert fed(one, TextDelta("```json\n{")) == [TextDelta("{")]
    assert fed(one, TextDelta("}\n```")) == [TextDelta("}")]
    assert fed(one, Citation("u"), USED, STOP) == [Citation("u"), USED, STOP]


def test_value_that_is_no_object_streams_at_its_end() -> None:
    one = demand(SCHEMA, is_live=True)
    assert fed(one, TextDelta("7")) == []
    assert fed(one, STOP) == [TextDelta("7"), STOP]


@pytest.mark.parametrize("is_live", [True, False])
@pytest.mark.parametrize("text", ["", "No.", "[]"])
def test_wrong_answer_of_which_nothing_was_shown_is_raised(text: str, is_live: bool) -> None:
    one = FormatDemand(OBJECT, lambda text: f"$: {text!r} is wrong", is_live=is_live)
    events = [TextDelta(text), STOP] if text else [STOP]
    with pytest.raises(AnswerUnmet, match="json_object that was asked for") as caught:
        one.feed(events)
    assert caught.value.answer == text
    assert caught.value.param == "response_format"
    assert "is wrong" in caught.value.remedy


def test_wrong_answer_that_was_shown_ends_in_a_failure() -> None:
    one = demand(SCHEMA, is_live=True)
    *shown, last = fed(one, TextDelta("[1]"), USED, STOP)
    assert shown == [TextDelta("[1]"), USED]
    assert isinstance(last, Failed)
    assert "json_schema" in last.error.message


@pytest.mark.parametrize("is_live", [True, False])
@pytest.mark.parametrize("finish", [LENGTH, FILTERED])
def test_answer_that_was_cut_is_a_beginning_of_json(finish: Finish, is_live: bool) -> None:
    assert fed(demand(is_live=is_live), TextDelta('```json\n{"a": 1'), finish) == [
        TextDelta('{"a": 1'),
        finish,
    ]


@pytest.mark.parametrize("is_live", [True, False])
def test_answer_with_calls_is_left_alone(is_live: bool) -> None:
    one = demand(is_live=is_live)
    assert fed(one, TextDelta("Let me look."), *called()) == [TextDelta("Let me look."), *called()]
    assert not one.is_heavy


def test_failure_is_passed_on() -> None:
    assert fed(demand(), TextDelta("{"), CUT) == [CUT]


def test_endless_answer_is_given_up() -> None:
    with pytest.raises(AnswerUnmet, match="too long"):
        fed(demand(), TextDelta("x" * (MAX_JSON_CHARS + 1)))


def test_long_answers_are_heavy_until_they_are_judged() -> None:
    one = demand()
    assert not one.is_heavy
    fed(one, TextDelta("{}" + " " * 20_000))
    assert one.is_heavy
    fed(one, LENGTH)
    assert not one.is_heavy


# --- once more ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["", "No."])
def test_the_model_is_shown_its_answer_and_told_what_is_wrong(answer: str) -> None:
    asked = Conversation(model="m", turns=(Turn(role=Role.USER, parts=(Text(text="Hello"),)),))
    unmet = AnswerUnmet("m", param="p", code="c", answer=answer, remedy="Do it.")
    again = asked_again(asked, unmet)
    assert again.turns[:1] == asked.turns
    assert [(turn.role, turn.text) for turn in again.turns[1:]] == [
        *([(Role.ASSISTANT, answer)] if answer else []),
        (Role.USER, "Do it."),
    ]
