"""Tool calls as text: MiMoML, as the studio's model is asked for, and the other forms that models write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import orjson

Arguments = Mapping[str, object]


def json_text(value: object) -> str:
    return orjson.dumps(value).decode()


def mimoml(calls: Iterable[tuple[str, Arguments]]) -> str:
    """The calls under one `tool_calls` root: strings in CDATA, everything else as JSON or nested elements."""
    lines = ["<|MiMoML|tool_calls>"]
    for name, arguments in calls:
        lines.append(f'  <|MiMoML|invoke name="{name}">')
        for key, value in arguments.items():
            written = _mimoml_value(value)
            lines.append(f'    <|MiMoML|parameter name="{key}">{written}</|MiMoML|parameter>')
        lines.append("  </|MiMoML|invoke>")
    lines.append("</|MiMoML|tool_calls>")
    return "\n".join(lines)


def _mimoml_value(value: object) -> str:
    if isinstance(value, str):
        return "<![CDATA[" + value.replace("]]>", "]]]]><![CDATA[>") + "]]>"
    return json_text(value)


def native_xml(name: str, arguments: Arguments) -> str:
    """`<tool_call><function=…>`: mimo-api.md, section 4.1. Strings raw, everything else as JSON."""
    body = "".join(
        f"<parameter={key}>{value if isinstance(value, str) else json_text(value)}</parameter>\n"
        for key, value in arguments.items()
    )
    return f"<tool_call>\n<function={name}>\n{body}</function>\n</tool_call>"


def bare_function(name: str, arguments: Arguments) -> str:
    """`<function=…>` with attribute-style parameters, as seen in apmantza/pi-free#255."""
    body = "".join(
        f'<param name="{key}">{value if isinstance(value, str) else json_text(value)}</param>'
        for key, value in arguments.items()
    )
    return f"<function={name}>{body}</function>"


def prefixed_invoke(prefix: str, name: str, arguments: Arguments) -> str:
    """An Anthropic-like dialect under a foreign prefix, as seen in anomalyco/opencode#43385."""
    body = "".join(
        f'<parameter name="{key}">{value if isinstance(value, str) else json_text(value)}</parameter>\n'
        for key, value in arguments.items()
    )
    return f'<{prefix}:function_calls>\n<invoke name="{name}">\n{body}</invoke>\n</{prefix}:function_calls>'


def hermes_json(name: str, arguments: Arguments) -> str:
    """`<tool_call>{"name": …}</tool_call>`."""
    return f"<tool_call>\n{json_text({'name': name, 'arguments': dict(arguments)})}\n</tool_call>"
