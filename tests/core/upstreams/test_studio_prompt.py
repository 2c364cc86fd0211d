"""A conversation as the one string that the studio wire has."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from service.core.conversation import (
    Conversation,
    Media,
    MediaKind,
    Part,
    Reasoning,
    ResponseFormat,
    ResponseFormatKind,
    Role,
    Text,
    ToolCall,
    ToolChoice,
    ToolChoiceMode,
    ToolResult,
    ToolSpec,
    Turn,
)
from service.core.mimoml.render import defuse_urls, render_calls, render_results, render_tools
from service.core.upstreams.studio_prompt import render_query
from tests.strategies import Wire, conversations

AUTO, NONE, REQUIRED, NAMED = ToolChoiceMode
LOOK = ToolSpec(name="look", description="Looks.", parameters={"type": "object", "properties": {}})
CALL = ToolCall(call_id="c1", name="look", arguments='{"at": "it"}')
RESULT = ToolResult(call_id="c1", parts=(Text(text="a cat"),))
IMAGE = Media(kind=MediaKind.IMAGE, data="aGk=", mime_type="image/png")
ANSWER = "Write the assistant's next message, without any tag around it."


def turn(role: Role, *parts: Part | str) -> Turn:
    return Turn(role=role, parts=tuple(Text(text=p) if isinstance(p, str) else p for p in parts))


def user(*parts: Part | str) -> Turn:
    return turn(Role.USER, *parts)


def query(*turns: Turn, offers_tools: bool = True, **fields: object) -> str:
    conversation = replace(Conversation(model="m", turns=turns), **fields)  # type: ignore[arg-type]
    return render_query(conversation, offers_tools=offers_tools)


@pytest.mark.parametrize(
    ("turns", "prompt"),
    [
        pytest.param((user("hello"),), "hello", id="a lone user turn is sent as it is"),
        pytest.param((user("a", "b"),), "a\n\nb", id="parts are paragraphs"),
        pytest.param((user("see", IMAGE),), "see\n\n[attached image]", id="media has a mark"),
        pytest.param(
            (user(Media(kind=MediaKind.AUDIO, data="aGk=", filename="a.wav")),),
            "[attached audio: a.wav]",
            id="media with a name",
        ),
        pytest.param((user(Reasoning(text="r"), "a"),), "a", id="no other part has a place in a user turn"),
        pytest.param(
            (turn(Role.SYSTEM, "be kind"), turn(Role.SYSTEM, "be brief"), user("hello")),
            "<system>\nbe kind\n\nbe brief\n</system>\n<conversation>\n<user>\nhello\n</user>\n"
            f"</conversation>\n{ANSWER}",
            id="system text comes first",
        ),
        pytest.param(
            (user("hello"), turn(Role.ASSISTANT, "hi"), turn(Role.SYSTEM, "be brief"), user("bye")),
            "<conversation>\n<user>\nhello\n</user>\n<assistant>\nhi\n</assistant>\n<system>\nbe brief\n"
            f"</system>\n<user>\nbye\n</user>\n</conversation>\n{ANSWER}",
            id="late system text keeps its place",
        ),
        pytest.param(
            (user("hello"), turn(Role.ASSISTANT, Reasoning(text="hm"), "hi"), user("bye")),
            "<conversation>\n<user>\nhello\n</user>\n<assistant>\nhi\n</assistant>\n<user>\nbye\n</user>\n"
            f"</conversation>\n{ANSWER}",
            id="earlier thinking is not shown",
        ),
        pytest.param(
            (turn(Role.SYSTEM, "be kind"),),
            f"<system>\nbe kind\n</system>\n<conversation>\n</conversation>\n{ANSWER}",
            id="system text alone",
        ),
        pytest.param((), f"<conversation>\n</conversation>\n{ANSWER}", id="nothing at all"),
    ],
)
def test_the_form(turns: tuple[Turn, ...], prompt: str) -> None:
    assert query(*turns) == prompt


def test_calls_and_results_are_written_as_the_model_would_have() -> None:
    made = turn(Role.ASSISTANT, "I look.", CALL)
    prompt = query(user("what?"), made, turn(Role.TOOL, RESULT), tools=(LOOK,))
    assert f"<assistant>\nI look.\n{render_calls([CALL], (LOOK,))}\n</assistant>" in prompt
    assert f"<tool_results>\n{render_results([RESULT])}\n</tool_results>" in prompt
    assert prompt.endswith("The tool results above answer your calls. Go on as the assistant.")


def test_a_call_without_text() -> None:
    prompt = query(user("what?"), turn(Role.ASSISTANT, CALL), turn(Role.TOOL, RESULT), tools=(LOOK,))
    assert f"<assistant>\n{render_calls([CALL], (LOOK,))}\n</assistant>" in prompt


@pytest.mark.parametrize(
    "choice", [ToolChoice(), ToolChoice(mode=REQUIRED), ToolChoice(mode=NAMED, name="look")]
)
def test_tools_are_offered_in_the_system_text(choice: ToolChoice) -> None:
    prompt = query(turn(Role.SYSTEM, "be kind"), user("what?"), tools=(LOOK,), tool_choice=choice)
    assert prompt.startswith(f"<system>\nbe kind\n\n{defuse_urls(render_tools((LOOK,), choice))}")


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (ToolChoice(), ""),
        (ToolChoice(mode=REQUIRED), "You must call at least one of the tools now"),
        (ToolChoice(mode=NAMED, name="look"), "You must call the tool `look` now"),
        (ToolChoice(allows_parallel=False), "Call at most one tool in this answer."),
    ],
)
def test_the_choice_is_the_last_word(choice: ToolChoice, words: str) -> None:
    closing = query(user("what?"), tools=(LOOK,), tool_choice=choice).splitlines()[-1]
    assert closing.startswith(f"{ANSWER} {words}".rstrip())
    assert closing == closing.rstrip()


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"tools": (LOOK,), "offers_tools": False}, id="tools.mode: off"),
        pytest.param({"tools": (LOOK,), "tool_choice": ToolChoice(mode=NONE)}, id="tool_choice none"),
        pytest.param({}, id="none declared"),
    ],
)
def test_without_tools_on_offer_the_prompt_knows_none(fields: dict[str, object]) -> None:
    assert query(user("see https://h/page"), **fields) == "see https://h/page"  # type: ignore[arg-type]


def test_urls_are_broken_up_when_tools_are_on_offer() -> None:
    """The studio would fetch the page, and the model answer from it instead of calling a tool."""
    prompt = query(turn(Role.SYSTEM, "http://s/x"), user("see https://h/page"), tools=(LOOK,))
    assert "https://h/page" not in prompt
    assert "http://s/x" not in prompt


def test_a_response_format_is_asked_for_in_words() -> None:
    asked = ResponseFormat(kind=ResponseFormatKind.JSON_OBJECT)
    assert query(user("hello"), response_format=asked).startswith("<system>\nAnswer with one JSON object")


@pytest.mark.slow
@settings(max_examples=30)
@given(conversations(Wire(media_kinds=(MediaKind.IMAGE,), has_custom_tools=True)))
def test_what_users_said_stands_in_the_prompt(conversation: Conversation) -> None:
    """Slow: random conversations take a while to draw."""
    prompt = render_query(conversation, offers_tools=False)
    assert render_query(conversation, offers_tools=False) == prompt
    for said in (one for one in conversation.turns if one.role is Role.USER):
        for part in said.parts:
            assert not isinstance(part, Text) or part.text in prompt
    assert "://" not in render_query(conversation, offers_tools=True) or not conversation.tools


# --- going on from what the studio holds --------------------------------------------------------------------


def follow_up(*turns: Turn, **fields: object) -> str:
    conversation = replace(Conversation(model="m", turns=turns), **fields)  # type: ignore[arg-type]
    return render_query(conversation, offers_tools=True, goes_on=True)


def test_a_lone_question_that_goes_on_is_sent_as_it_is() -> None:
    assert follow_up(user("and then?")) == "and then?"


def test_what_goes_on_repeats_no_instructions() -> None:
    """Nor does a late system message become one: it stands where it was said."""
    results = turn(Role.TOOL, RESULT)
    asked = follow_up(turn(Role.SYSTEM, "be brief"), results, user("why?"), tools=(LOOK,))
    assert "# Tools" not in asked
    assert asked.startswith("<conversation>\n<system>\nbe brief\n</system>\n<tool_results>\n")
    assert asked.endswith(f"<user>\nwhy?\n</user>\n</conversation>\n{ANSWER}")


def test_what_goes_on_is_how_the_whole_prompt_ends() -> None:
    before = (turn(Role.SYSTEM, "be kind"), user("look"), turn(Role.ASSISTANT, CALL))
    after = (turn(Role.TOOL, RESULT), user("https://h/page"))
    new = follow_up(*after, tools=(LOOK,))
    assert query(*before, *after, tools=(LOOK,)).endswith(new.removeprefix("<conversation>\n"))
    assert "://" not in new
