"""The presets of `tool_leak=…`: markup as it was seen in the field."""

import pytest

from service.simulator.leaks import LEAKS
from service.simulator.markup import mimoml

ARGUMENTS = {"city": "Rome", "days": 3}


@pytest.mark.parametrize(
    ("preset", "part"),
    [
        ("text_only", "<function=get_weather>\n<parameter=city>Rome</parameter>"),
        ("attribute", '<function=get_weather><param name="city">Rome</param>'),
        ("tml", '<tml:function_calls>\n<invoke name="get_weather">'),
        ("italic", "<𝑎𝑛𝑡𝑚𝑙:function_calls>"),
        ("escaped", "&lt;tool_call&gt;"),
        ("fenced", "```xml\n<tool_call>"),
        ("hermes", '<tool_call>\n{"name":"get_weather","arguments":{"city":"Rome","days":3}}'),
        ("invoke_only", '<invoke name="get_weather">'),
        ("mimoml", '<|MiMoML|parameter name="days">3</|MiMoML|parameter>'),
        ("undeclared", "<function=no_such_tool>"),
        ("toolcall_shell", "<toolcall><shell>{"),
        ("none_marker", "<tool_call_none/>"),
        ("orphan_think", "</thinking>"),
    ],
)
def test_text(preset, part):
    assert part in LEAKS[preset]("get_weather", ARGUMENTS).text


def test_native_presets():
    assert LEAKS["stringly"]("f", ARGUMENTS).native == (("f", '{"city":"Rome","days":"3"}'),)
    assert LEAKS["bad_arguments"]("f", ARGUMENTS).native[0][1].endswith('"half": ')
    assert '"undeclared":1' in LEAKS["extra_arguments"]("f", ARGUMENTS).native[0][1]
    assert len(LEAKS["runaway"]("f", ARGUMENTS).native) == 30
    leak = LEAKS["with_native"]("f", ARGUMENTS)
    assert leak.native
    assert "<parameter=city>" not in leak.text


def test_mimoml_splits_a_cdata_end():
    assert mimoml([("f", {"x": "a]]>b"})]).count("<![CDATA[") == 2
