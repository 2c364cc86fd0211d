"""The simulated model's rules."""

import orjson
import pytest

from service.simulator.brain import Answer, Ask, SeenMedia, Tool, answer, count_usage, found_json_schema
from service.simulator.directives import NO_DIRECTIVE, Directive

WEATHER = Tool("get_weather", {"properties": {"city": {"type": "string"}}, "required": ["city"]})
TIME = Tool("get_time", {"properties": {"zone": {"type": "string"}}, "required": ["zone"]})


def ask(text, **more):
    return Ask(model="m", text=text, prompt=text.encode(), **more)


def calls(text, **more):
    made = answer(ask(text, **more), NO_DIRECTIVE)
    return [(call.name, call.values) for call in made.calls]


def test_plain_answer_quotes_the_text_and_has_no_reasoning_unless_asked():
    made = answer(ask("Good day"), NO_DIRECTIVE)
    assert "Good day" in made.text
    assert made.reasoning == ""
    assert answer(ask("Good day", thinks=True), NO_DIRECTIVE).reasoning


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How is it in Beijing?", [("get_weather", {"city": "Beijing"})]),
        ("In New York, please", [("get_weather", {"city": "New York"})]),
        (
            "Compare it in Paris and New York",
            [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "New York"})],
        ),
        ("In Paris and Rome?", [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})]),
        ("Use get_time for Rome", [("get_time", {"zone": "Rome"})]),
        ("get time for Rome", [("get_time", {"zone": "Rome"})]),
        ("Do both for Rome", [("get_weather", {"city": "Rome"}), ("get_time", {"zone": "Rome"})]),
        (
            "Call them in parallel",
            [("get_weather", {"city": "sample city"}), ("get_time", {"zone": "sample zone"})],
        ),
        ('Ask for "Bad Homburg"', [("get_weather", {"city": "Bad Homburg"})]),
    ],
)
def test_tool_rule(text, expected):
    assert calls(text, tools=(WEATHER, TIME)) == expected


def test_forced_tool_comes_first_and_single_calls_stay_single():
    assert calls("Use get_weather", tools=(WEATHER, TIME), forced="get_time")[0][0] == "get_time"
    assert len(calls("In Paris and Rome, both", tools=(WEATHER, TIME), allows_parallel=False)) == 1


def test_results_end_the_calling():
    made = answer(
        ask("In Rome?", tools=(WEATHER,), results=(("get_weather", "21"),), thinks=True), NO_DIRECTIVE
    )
    assert made.calls == ()
    assert "get_weather says: 21" in made.text


def test_media_of_each_kind_are_counted():
    media = (
        SeenMedia("image", "image/png", 5),
        SeenMedia("audio", "audio/wav", None),
        SeenMedia("image", "image/gif", 6),
    )
    text = answer(ask("See", media=media), NO_DIRECTIVE).text
    assert (
        "I see 2 images (image/png, 5 bytes; image/gif, 6 bytes). I see 1 audio (audio/wav, by URL)." in text
    )


def test_limit_counts_reasoning_first_then_text_then_arguments():
    made = answer(ask("In Rome?", tools=(WEATHER,), max_tokens=6), NO_DIRECTIVE)
    assert made.finish == "length"
    assert made.output_tokens <= 6
    assert made.calls[0].arguments == '{"city":"Rom'
    cut = answer(ask("x", max_tokens=2), Directive({"say": "答えは四十二"}))
    assert cut == Answer(text="答え", finish="length")
    none = answer(ask("In Rome?", tools=(WEATHER,), max_tokens=2), NO_DIRECTIVE)
    assert none.calls == ()


def test_usage_adds_pictures_and_never_caches_more_than_there_is():
    made = answer(ask("x"), NO_DIRECTIVE)
    usage = count_usage(ask("x" * 8, media=(SeenMedia("image", "image/png", 9),)), made, cached_tokens=99)
    assert (usage.input_tokens, usage.cached_tokens) == (2 + 64, 2)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("none here", None),
        ('broken {"properties": ', None),
        (
            'first {"properties":{"a":{}}} then {"type":"object","properties":{"b":{"properties":{}}}}!',
            "b",
        ),
        ('a string {"x":"}\\"{", "properties":{"d":{}}}', "d"),
    ],
)
def test_last_schema_of_a_prompt_is_found(prompt, expected):
    schema = found_json_schema(prompt)
    if expected is None:
        assert schema is None
    else:
        assert list(schema["properties"]) == [expected]


def test_json_answer_fits_the_schema():
    schema = {"properties": {"n": {"type": "integer"}}, "required": ["n"]}
    text = answer(ask("I have 7 cats", wants_json=True, json_schema=schema), NO_DIRECTIVE).text
    assert orjson.loads(text) == {"n": 7}
