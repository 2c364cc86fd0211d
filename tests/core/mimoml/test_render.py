"""The prompt side: what is offered, and how earlier calls and results are told."""

from __future__ import annotations

import pytest

from service.core.completion import collect
from service.core.conversation import (
    Media,
    MediaKind,
    Text,
    ToolCall,
    ToolChoice,
    ToolChoiceMode,
    ToolKind,
    ToolResult,
    ToolSpec,
)
from service.core.mimoml import (
    defuse_urls,
    disarmed,
    render_calls,
    render_results,
    render_tools,
    restore_urls,
)
from tests.core.mimoml.sieving import TOOLS, shape_of, sieved

WEATHER = ToolSpec(
    name="get_weather",
    description="  Today's weather.\n",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "units": {"enum": ["metric", 1]},
            "ratio": {"type": "number"},
            "flag": {"type": "boolean"},
            "tags": {"type": "array"},
            "place": {"type": "object"},
            "none": {"type": "null"},
            "any": {},
        },
        "required": ["city", "days", "units", "ratio", "flag", "tags", "place", "none", "any"],
    },
)


def test_tools_are_described_with_their_whole_schema() -> None:
    text = render_tools([WEATHER])
    assert "## get_weather\n\nToday's weather.\n" in text
    assert '"units":{"enum":["metric",1]}' in text
    assert "]]]]><![CDATA[>" in text
    assert "https://" not in text


def test_the_example_is_a_call_of_a_declared_tool() -> None:
    text = render_tools([WEATHER])
    (call,) = collect(sieved([text], tools=[WEATHER])).tool_calls
    assert call.name == "get_weather"
    assert (
        '"units": "metric", "ratio": 1.5, "flag": true, "tags": [], "place": {}, "none": null'
        in call.arguments
    )


def test_a_tool_without_parameters_and_a_custom_one() -> None:
    patch = ToolSpec(name="patch", kind=ToolKind.CUSTOM, extra={"format": {"type": "grammar"}})
    text = render_tools([ToolSpec(name="ping"), patch])
    assert 'Parameters: {"type":"object","properties":{}}' in text
    assert 'Its format: {"type":"grammar"}' in text
    assert '"input":{"type":"string"}' in text
    assert "Its format" not in render_tools([ToolSpec(name="patch", kind=ToolKind.CUSTOM)])


def test_what_the_choice_says() -> None:
    assert render_tools([WEATHER], ToolChoice(mode=ToolChoiceMode.NONE)) == ""
    assert render_tools([]) == ""
    assert "must call at least one" in render_tools([WEATHER], ToolChoice(mode=ToolChoiceMode.REQUIRED))
    named = render_tools([*TOOLS, WEATHER], ToolChoice(mode=ToolChoiceMode.NAMED, name="exec"))
    assert "must call the tool `exec`" in named
    assert '<|MiMoML|invoke name="exec">' in named
    assert "at most one call" in render_tools([WEATHER], ToolChoice(allows_parallel=False))
    assert "several tools at once" in render_tools([WEATHER])


def test_the_same_input_gives_the_same_bytes() -> None:
    assert render_tools(TOOLS) == render_tools(list(TOOLS))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ('{"city": "x"}', 'call get_weather {"city": "x"}'),
        ("", "call get_weather {}"),
        ("no JSON", 'call get_weather {"arguments": "no JSON"}'),
        ("[1]", 'call get_weather {"arguments": "[1]"}'),
        ('{"city": 5}', 'call get_weather {"city": 5}'),
        ('{"days": "5"}', 'call get_weather {"days": "5"}'),
        ('{"City": "x", "city": "y"}', 'call get_weather {"City": "x", "city": "y"}'),
        ('{"city": "a\\u0000b", "x\\u0000": 1}', 'call get_weather {"city": "a\\u0000b", "x\\u0000": 1}'),
        ('{"\\ud800": "\\ud83d\\ude00"}', 'call get_weather {"�": "😀"}'),
    ],
)
def test_calls_read_back(arguments: str, line: str) -> None:
    call = ToolCall(call_id="c", name="get_weather", arguments=arguments)
    assert shape_of([render_calls([call], [WEATHER])], tools=[WEATHER])[0] == line


def test_no_calls_and_a_custom_call() -> None:
    assert render_calls([]) == ""
    call = ToolCall(call_id="c", name="patch", arguments="a ]]> <b>", is_custom=True)
    assert shape_of([render_calls([call], TOOLS)])[0] == 'call patch {"input": "a ]]> <b>"}'


def test_a_call_of_an_unknown_tool_is_rendered_too() -> None:
    call = ToolCall(call_id="c", name='a"b', arguments='{"x": "\\u0000"}')
    assert 'name="a&#34;b" form="json"' in render_calls([call])


def test_results() -> None:
    results = [
        ToolResult(
            call_id='c"1',
            name="exec",
            parts=(Text(text="out ]]> <tool_call>"), Text(text="b")),
            is_error=True,
        ),
        ToolResult(
            call_id="c2",
            parts=(
                Media(kind=MediaKind.IMAGE, url="https://a/b.png", mime_type="image/png", filename="b.png"),
                Media(kind=MediaKind.AUDIO, data="AAAA"),
            ),
        ),
    ]
    text = render_results(results)
    assert '<|MiMoML|result call_id="c&#34;1" name="exec" is_error="true">' in text
    assert "[image b.png (image/png) attached]\n[audio attached]" in text
    assert "out ]]]]><![CDATA[> <\u2060tool_call>\nb" in text
    assert render_results([]) == ""
    assert shape_of([text])[-1] == "end stop"


def test_markup_in_results_is_broken_up() -> None:
    assert disarmed("a < b <div> <|MiMoML|x </|MiMoML|result> <function=x>") == (
        "a < b <div> <\u2060|MiMoML|x <\u2060/|MiMoML|result> <\u2060function=x>"
    )


def test_addresses() -> None:
    text = "See https://a.b/c?d=e, http://x and ftp://y; not a:// b, nor //z"
    defused = defuse_urls(text)
    assert "://" not in defused.replace("a:// b", "")
    assert restore_urls(defused) == text
    assert defuse_urls("nothing here") == "nothing here"
