"""Answers held against what was demanded of them: what is shown when, and what is told when they fail."""

from __future__ import annotations

from itertools import pairwise

import jiter
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
    UsageReport,
)
from service.core.json_text import is_json
from tests.strategies import json_objects

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


def with_arguments(arguments: str, name: str = "look") -> list[Event]:
    middle = len(arguments) // 2
    pieces: list[Event] = [
        ToolCallDelta(0, piece) for piece in (arguments[:middle], arguments[middle:]) if piece
    ]
    return [ToolCallStart(0, "call_1", name), *pieces, ToolCallEnd(0), USED, Finish(FinishReason.TOOL_CALLS)]


def no_seven(name: str, arguments: str) -> str | None:
    return "$.a: 7 will not do" if "7" in arguments else None


def test_judged_call_is_held_until_the_whole_answer_was_found_good() -> None:
    demand = CallDemand(NAMED, no_seven)
    *events, end = with_arguments('{"a": 1}')
    for event in [TextDelta("Well."), *events]:
        assert demand.feed([event]) == []
    assert demand.feed([end]) == [TextDelta("Well."), *events, end]
    assert demand.feed([end]) == [end]


def test_call_that_does_not_fit_is_told_with_its_place() -> None:
    with pytest.raises(AnswerUnmet, match=r"call of 'look' does not fit .* \$\.a: 7 will not do") as caught:
        CallDemand(NAMED, no_seven).feed(with_arguments('{"a": 7}'))
    assert (caught.value.param, caught.value.demand) == ("tool_choice", "tool_choice")
    assert caught.value.answer == '{"a": 7}'
    assert "Call it again" in caught.value.remedy


def test_each_of_several_calls_is_judged() -> None:
    good, bad = with_arguments('{"a": 1}')[:-2], with_arguments('{"a": 7}')
    with pytest.raises(AnswerUnmet):
        CallDemand(REQUIRED, no_seven).feed([*good, *bad])


@pytest.mark.parametrize("finish", [LENGTH, FILTERED])
def test_judged_call_that_was_cut_is_passed_on(finish: Finish) -> None:
    events: list[Event] = [ToolCallStart(0, "c", "look"), ToolCallDelta(0, '{"a": 7'), finish]
    assert CallDemand(NAMED, no_seven).feed(events) == events


def test_judged_call_that_grows_too_large_passes_as_it_is() -> None:
    demand = CallDemand(NAMED, no_seven)
    start, delta = ToolCallStart(0, "c", "look"), ToolCallDelta(0, "7" * (MAX_JSON_CHARS // 2 + 1))
    assert demand.feed([start, delta]) == []
    assert demand.is_heavy
    assert demand.feed([delta]) == [start, delta, delta]
    assert not demand.is_heavy


def test_text_after_a_judged_call_is_no_answer_without_one() -> None:
    demand = CallDemand(NAMED, no_seven)
    assert demand.feed([*with_arguments("{}")[:-1], TextDelta("x" * (MAX_PROSE_CHARS + 1))]) == []


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


def test_prose_before_a_cut_is_no_beginning_of_json() -> None:
    assert fed(demand(is_live=True), TextDelta("Well, "), LENGTH) == [LENGTH]
    assert fed(demand(), TextDelta("Well, "), LENGTH) == [TextDelta("Well, "), LENGTH]
    for is_live in (True, False):
        refusal = TextDelta("I cannot say that.")
        assert fed(demand(is_live=is_live), refusal, FILTERED) == [refusal, FILTERED]


def test_stream_that_stops_to_be_json_ends_there() -> None:
    one = demand(is_live=True)
    assert fed(one, TextDelta('{"a": 1,')) == [TextDelta('{"a": 1,')]
    *shown, last = one.feed([TextDelta(" }"), USED, STOP])
    assert shown == [TextDelta(" ")]
    assert isinstance(last, Failed)
    assert "json_object" in last.error.message


@pytest.mark.parametrize("text", ["{not JSON}", "x" * (MAX_PROSE_CHARS + 1)])
def test_stream_that_never_was_json_is_raised_at_once(text: str) -> None:
    one = FormatDemand(OBJECT, lambda text: "it is not JSON", is_live=True)
    with pytest.raises(AnswerUnmet, match="it is not JSON"):
        one.feed([TextDelta(text)])


@st.composite
def answers(draw: st.DrawFn) -> str:
    """What a model may write where JSON was asked for: in a fence, between sentences, broken, cut."""
    text = orjson.dumps(draw(json_objects()), option=orjson.OPT_INDENT_2).decode()
    at, sign = draw(st.integers(0, len(text))), draw(st.sampled_from('{}[],:"\\-.e0tn \x01'))
    text = draw(st.sampled_from([text, text, text[:at] + sign + text[at:], text[:at], text[at:]]))
    before = draw(st.sampled_from(["", " ", "Sure! ", "```json\n", "As in [1]: "]))
    return before + text + draw(st.sampled_from(["", "\n```", " Done. {}"]))


@given(answers(), st.lists(st.integers(0, 200)), st.sampled_from([STOP, LENGTH, CUT]))
def test_streamed_answer_is_a_beginning_of_json_at_every_moment(
    text: str, cuts: list[int], end: Event
) -> None:
    one = FormatDemand(
        ResponseFormat(kind=ResponseFormatKind.JSON_SCHEMA, schema={}),
        lambda text: None if is_json(text) else "it is not JSON",
        is_live=True,
    )
    bounds = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    reads: list[list[Event]] = [[TextDelta(text[a:b])] for a, b in pairwise(bounds) if a < b]
    shown = ""
    for read in [*reads, [end]]:
        try:
            events = one.feed(read)
        except AnswerUnmet:
            assert shown == "", "the model can be asked once more only while nothing was shown"
            return
        for event in events:
            if isinstance(event, TextDelta):
                shown += event.text
                jiter.from_json(shown.encode(), partial_mode="trailing-strings")
            elif isinstance(event, Finish) and event.reason is FinishReason.STOP:
                orjson.loads(shown)
        if events and isinstance(events[-1], Failed):
            return


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
