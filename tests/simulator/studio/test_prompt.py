"""What the model reads out of the one prompt string."""

import orjson

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
    assert read_prompt(prompt("x", *with_results)).results == (("g", "new"),)


def test_tools_are_found_by_schema_in_several_forms():
    for system in (
        f"Tools:\n- name: get_weather\n  schema: {JSON}",
        f"### `get_weather`\nGets it.\nParameters: {JSON}",
        f'<tool name="get_weather">\nparameters: {JSON}\n</tool>',
        orjson.dumps({"name": "get_weather", "parameters": SCHEMA}).decode(),
        orjson.dumps(
            {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}
        ).decode(),
    ):
        tools = read_prompt(prompt(system, "<user>\nHi\n</user>")).tools
        assert [(tool.name, tool.parameters) for tool in tools] == [("get_weather", SCHEMA)], system


def test_wished_json_schema_is_no_tool():
    system = (
        f"Answer with one JSON object and nothing else. It must be valid against this JSON Schema:\n{JSON}"
    )
    reading = read_prompt(prompt(system, "<user>\nHi\n</user>"))
    assert reading.wants_json
    assert reading.json_schema == SCHEMA
    assert reading.tools == ()


def test_closing_line_forces_a_tool_and_single_calls():
    closing = "Write it. You must call the tool `g` now; no text. Call at most one tool in this answer."
    reading = read_prompt(prompt("x", "<user>\nHi\n</user>", closing=closing))
    assert reading.forced == "g"
    assert not reading.allows_parallel
