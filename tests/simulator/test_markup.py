"""Calls as text. What MiMoML looks like is in the sieve's specification, section 1."""

import pytest

from service.simulator.markup import bare_function, hermes_json, mimoml, native_xml, prefixed_invoke

ARGUMENTS = {"city": "Rome", "days": 3, "tags": ["a"], "deep": {"x": None}}


def test_mimoml_has_strings_in_cdata_and_the_rest_plain():
    assert mimoml([("f", ARGUMENTS)]) == (
        "<|MiMoML|tool_calls>\n"
        '  <|MiMoML|invoke name="f">\n'
        '    <|MiMoML|parameter name="city"><![CDATA[Rome]]></|MiMoML|parameter>\n'
        '    <|MiMoML|parameter name="days">3</|MiMoML|parameter>\n'
        '    <|MiMoML|parameter name="tags">["a"]</|MiMoML|parameter>\n'
        '    <|MiMoML|parameter name="deep">{"x":null}</|MiMoML|parameter>\n'
        "  </|MiMoML|invoke>\n"
        "</|MiMoML|tool_calls>"
    )


def test_several_calls_share_one_root():
    text = mimoml([("f", {}), ("g", {})])
    assert text.count("tool_calls>") == 2
    assert text.count("<|MiMoML|invoke ") == 2


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (native_xml("f", ARGUMENTS), "<function=f>\n<parameter=city>Rome</parameter>\n<parameter=days>3<"),
        (bare_function("f", ARGUMENTS), '<function=f><param name="city">Rome</param>'),
        (prefixed_invoke("tml", "f", ARGUMENTS), '<tml:function_calls>\n<invoke name="f">\n<parameter name='),
        (hermes_json("f", ARGUMENTS), '<tool_call>\n{"name":"f","arguments":{"city":"Rome"'),
    ],
)
def test_other_dialects(text, part):
    assert part in text
