"""What the model reads out of the one prompt string."""

import orjson
import pytest

from service.core.conversation import (
    Conversation,
    ResponseFormat,
    ResponseFormatKind,
    Role,
    Text,
    ToolCall,
    ToolChoice,
    ToolChoiceMode,
    ToolKind,
    ToolResult,
    ToolSpec,
    Turn,
)
from service.core.upstreams.studio_prompt import render_query
from service.simulator.studio.prompt import read_prompt

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
JSON = orjson.dumps(SCHEMA).decode()


def prompt(system: str, *sections: str, closing: str = "Write the assistant's next message.") -> str:
    return (
        f"<system>\n{system}\n</system>\n<conversation>\n"
        + "\n".join(sections)
        + f"\n</conversation>\n{closing}"
    )


def test_bare_prompt_is_one_user_text():
    assert read_prompt("Hello <user> there").text == "Hello <user> there"


def test_last_user_section_counts_and_results_end_with_the_next_answer():
    sections = (
        "<user>\nfirst\n</user>",
        "<assistant>\ncalls\n</assistant>",
        '<tool_results>\n<result name="f">old</result>\n</tool_results>',
        "<assistant>\nsaid\n</assistant>",
        "<user>\nsecond\nline\n</user>",
    )
    reading = read_prompt(prompt("x", *sections))
    assert reading.text == "second\nline"
    assert reading.results == ()
    with_results = (
        *sections,
        "<assistant>\nc\n</assistant>",
        '<tool_results>\n<r name="g">new</r>\n</tool_results>',
    )
    assert read_prompt(prompt("x", *with_results)).results == (("tool", "new"),)


@pytest.mark.parametrize(
    "system",
    [
        orjson.dumps({"name": "get_weather", "parameters": SCHEMA}).decode(),
        orjson.dumps(
            [{"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}]
        ).decode(),
        "Tools: " + orjson.dumps({"name": "get_weather", "input_schema": SCHEMA}).decode(),
    ],
)
def test_tools_are_found_as_json_too(system):
    tools = read_prompt(prompt(system, "<user>\nHi\n</user>")).tools
    assert [(tool.name, tool.parameters) for tool in tools] == [("get_weather", SCHEMA)]


# --- what the gateway's renderer writes ---------------------------------------------------------------------

TOOLS = (
    ToolSpec(
        name="get_weather",
        description='Gets {it}.\n\n## When\n\nAlways, e.g. {"city": "Rome"}, see https://example.com',
        parameters=SCHEMA,
    ),
    ToolSpec(name="no_arguments"),
    ToolSpec(name="patch", kind=ToolKind.CUSTOM, description="Takes a patch."),
)
ASKED = Turn(role=Role.USER, parts=(Text(text="In Paris? [[sim: pieces=3]]"),))
CALLED = Turn(
    role=Role.ASSISTANT, parts=(ToolCall(call_id="c", name="get_weather", arguments='{"city":"Paris"}'),)
)
TOLD = Turn(
    role=Role.TOOL,
    parts=(
        ToolResult(call_id="c", name="get_weather", parts=(Text(text="21 <deg> ]]> x"),)),
        ToolResult(call_id="d", parts=(Text(text="no name"),)),
    ),
)


def rendered(*turns, **more):
    return read_prompt(render_query(Conversation(model="m", turns=turns, **more), offers_tools=True))


def test_lone_user_turn():
    assert rendered(ASKED).text == ASKED.text


def test_rendered_tools_are_all_found():
    reading = rendered(ASKED, tools=TOOLS)
    assert reading.text == ASKED.text
    assert [tool.name for tool in reading.tools] == ["get_weather", "no_arguments", "patch"]
    assert reading.tools[0].parameters == SCHEMA
    assert reading.forced is None
    assert reading.allows_parallel


def test_rendered_choice_is_obeyed():
    choice = ToolChoice(mode=ToolChoiceMode.NAMED, name="patch", allows_parallel=False)
    reading = rendered(ASKED, tools=TOOLS, tool_choice=choice)
    assert reading.forced == "patch"
    assert not reading.allows_parallel
    assert rendered(ASKED, tools=TOOLS, tool_choice=ToolChoice(mode=ToolChoiceMode.NONE)).tools == ()


def test_rendered_results_are_found_until_the_next_answer():
    reading = rendered(ASKED, CALLED, TOLD, tools=TOOLS)
    assert reading.text == ASKED.text
    assert reading.results == (("get_weather", "21 <deg> ]]> x"), ("tool", "no name"))
    said = Turn(role=Role.ASSISTANT, parts=(Text(text="21 degrees"),))
    assert rendered(ASKED, CALLED, TOLD, said, ASKED, tools=TOOLS).results == ()


def test_rendered_response_format_is_no_tool():
    form = ResponseFormat(kind=ResponseFormatKind.JSON_SCHEMA, schema=SCHEMA)
    reading = rendered(ASKED, response_format=form)
    assert reading.wants_json
    assert reading.json_schema == SCHEMA
    assert reading.tools == ()
    assert len(rendered(ASKED, response_format=form, tools=TOOLS).tools) == 3
