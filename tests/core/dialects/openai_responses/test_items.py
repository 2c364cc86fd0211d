"""Input items: what each becomes, how they group into turns, and which field a mistake names."""

from __future__ import annotations

from typing import Any

import pytest

from service.core.conversation import Part, Reasoning, Role, Text, ToolCall, ToolResult, Turn
from service.core.dialects.openai_responses.items import (
    LEFT_OUT_TYPES,
    DecodedItems,
    declared_tools,
    decode_items,
    item_type,
)
from service.core.dialects.openai_responses.tools import ToolBridge, decode_tools
from service.core.errors import InvalidRequest

_USER = {"role": "user", "content": "hi"}
_CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "run", "arguments": '{"a": "\\n"}'}
_OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "done\n"}
_ANSWER = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]}
_THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}

_CALL_PART = ToolCall(call_id="c1", name="run", arguments='{"a": "\\n"}', item_id="fc_1")
_RESULT_PART = ToolResult(call_id="c1", parts=(Text(text="done\n"),))
_THOUGHT_PART = Reasoning(text="hm", item_id="rs_1")


def _decoded(*items: dict[str, Any], bridge: ToolBridge | None = None, **options: Any) -> DecodedItems:
    paths = [f"input[{index}]" for index in range(len(items))]
    return decode_items(items, paths, bridge=bridge or ToolBridge(), **options)


def _part(item: dict[str, Any], **options: Any) -> Part:
    (turn,) = _decoded(item, **options).turns
    (part,) = turn.parts
    return part


@pytest.mark.parametrize(
    ("items", "turns"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([_USER, _USER], [(Role.USER, 1), (Role.USER, 1)], id="two messages are two turns"),
        pytest.param(
            [{"role": "developer", "content": "a"}, {"role": "system", "content": "b"}],
            [(Role.SYSTEM, 1), (Role.SYSTEM, 1)],
            id="developer is system",
        ),
        pytest.param(
            [_USER, _THOUGHT, _ANSWER, _CALL, _CALL, _OUTPUT, _OUTPUT, _ANSWER],
            [(Role.USER, 1), (Role.ASSISTANT, 4), (Role.TOOL, 2), (Role.ASSISTANT, 1)],
            id="what one answer gave is one turn",
        ),
        pytest.param(
            [_CALL, _ANSWER, _CALL], [(Role.ASSISTANT, 3)], id="text between two calls stays in its turn"
        ),
        pytest.param([_ANSWER, _ANSWER], [(Role.ASSISTANT, 1), (Role.ASSISTANT, 1)], id="two answers"),
        pytest.param([{"role": "assistant", "content": None}], [(Role.ASSISTANT, 0)], id="an empty answer"),
        pytest.param(
            [_CALL, _OUTPUT, _CALL, _OUTPUT], [(Role.ASSISTANT, 1), (Role.TOOL, 1)] * 2, id="in turn"
        ),
    ],
)
def test_grouping(items: list[dict[str, Any]], turns: list[tuple[Role, int]]) -> None:
    assert [(turn.role, len(turn.parts)) for turn in _decoded(*items).turns] == turns


@pytest.mark.parametrize(
    ("item", "part"),
    [
        pytest.param(_CALL, _CALL_PART, id="function_call: arguments byte for byte"),
        pytest.param(_OUTPUT, _RESULT_PART, id="function_call_output: the last newline stays"),
        pytest.param(
            {
                "type": "function_call_output",
                "call_id": "c1",
                "output": [{"type": "input_text", "text": "a"}],
            },
            ToolResult(call_id="c1", parts=(Text(text="a"),)),
            id="function_call_output: a list",
        ),
        pytest.param(
            {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "*** Begin\n"},
            ToolCall(call_id="c1", name="patch", arguments='{"input":"*** Begin\\n"}'),
            id="custom_tool_call",
        ),
        pytest.param(
            {"type": "custom_tool_call_output", "call_id": "c1", "output": "ok"},
            ToolResult(call_id="c1", parts=(Text(text="ok"),)),
            id="custom_tool_call_output",
        ),
        pytest.param(
            {
                "type": "local_shell_call",
                "id": "lsh_1",
                "call_id": "c1",
                "action": {"type": "exec", "command": ["ls"], "env": {}, "timeout_ms": None},
            },
            ToolCall(
                call_id="c1", name="local_shell", arguments='{"command":["ls"],"env":{}}', item_id="lsh_1"
            ),
            id="local_shell_call",
        ),
        pytest.param(
            {"type": "local_shell_call_output", "id": "c1", "output": "a"},
            ToolResult(call_id="c1", parts=(Text(text="a"),)),
            id="local_shell_call_output: its id is the call's",
        ),
        pytest.param(
            {"type": "shell_call", "call_id": "c1", "action": {"commands": ["ls"]}},
            ToolCall(call_id="c1", name="shell", arguments='{"commands":["ls"]}'),
            id="shell_call",
        ),
        pytest.param(
            {
                "type": "shell_call_output",
                "call_id": "c1",
                "output": [
                    {"stdout": "a\n", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}},
                    {"stdout": "", "stderr": "b", "outcome": {"type": "exit", "exit_code": 2}},
                    {"outcome": {"type": "timeout"}},
                ],
            },
            ToolResult(
                call_id="c1",
                parts=(
                    Text(text="stdout:\na\n\nexit code: 0"),
                    Text(text="stderr:\nb\nexit code: 2"),
                    Text(text="timed out"),
                ),
            ),
            id="shell_call_output",
        ),
        pytest.param(
            {
                "type": "apply_patch_call",
                "call_id": "c1",
                "operation": {"type": "create_file", "path": "a", "diff": "+b\n"},
            },
            ToolCall(
                call_id="c1", name="apply_patch", arguments='{"type":"create_file","path":"a","diff":"+b\\n"}'
            ),
            id="apply_patch_call",
        ),
        pytest.param(
            {
                "type": "apply_patch_call_output",
                "call_id": "c1",
                "status": "failed",
                "output": "no such file",
            },
            ToolResult(call_id="c1", parts=(Text(text="no such file"),), is_error=True),
            id="apply_patch_call_output: failed",
        ),
        pytest.param(
            {"type": "apply_patch_call_output", "call_id": "c1", "status": "completed"},
            ToolResult(call_id="c1", parts=(Text(text="completed"),), is_error=False),
            id="apply_patch_call_output: no words",
        ),
    ],
)
def test_item(item: dict[str, Any], part: Part) -> None:
    assert _part(item) == part


@pytest.mark.parametrize(
    ("item", "reasoning"),
    [
        pytest.param(_THOUGHT, _THOUGHT_PART, id="the summary is the whole text"),
        pytest.param(
            {"type": "reasoning", "summary": [{"text": "a"}, {"text": "b"}], "content": None},
            Reasoning(text="a\n\nb"),
            id="two summaries",
        ),
        pytest.param(
            {
                "type": "reasoning",
                "summary": [{"text": "a"}],
                "content": [{"type": "reasoning_text", "text": "b"}],
            },
            Reasoning(text="b"),
            id="the full content wins",
        ),
        pytest.param(
            {"type": "reasoning", "summary": [{"text": "a"}], "encrypted_content": "sealed:b"},
            Reasoning(text="b", signature="sealed:b"),
            id="our own blob wins over the summary",
        ),
        pytest.param(
            {"type": "reasoning", "summary": [{"text": "a"}], "encrypted_content": "gAAAA"},
            Reasoning(text="a", signature="gAAAA"),
            id="a foreign blob beside a summary",
        ),
        pytest.param(
            {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"},
            Reasoning(text="", signature="gAAAA", is_redacted=True),
            id="a foreign blob alone",
        ),
        pytest.param(
            {"type": "reasoning", "id": "rs_1", "summary": []},
            Reasoning(text="", is_redacted=True, item_id="rs_1"),
            id="nothing but an id",
        ),
    ],
)
def test_reasoning(item: dict[str, Any], reasoning: Reasoning) -> None:
    def unseal(blob: str) -> str | None:
        return blob.removeprefix("sealed:") if blob.startswith("sealed:") else None

    assert _part(item, unseal=unseal) == reasoning


def test_blob_stays_closed_without_a_key() -> None:
    item = {"type": "reasoning", "summary": [], "encrypted_content": "sealed:b"}
    assert _part(item) == Reasoning(text="", signature="sealed:b", is_redacted=True)


def test_message_of_another_agent_is_a_users() -> None:
    item = {
        "type": "agent_message",
        "author": "planner",
        "recipient": "me",
        "content": [
            {"type": "input_text", "text": "go"},
            {"type": "encrypted_content", "encrypted_content": "on"},
        ],
    }
    turn = Turn(role=Role.USER, parts=(Text(text="go"), Text(text="on")), name="planner")
    assert _decoded(item).turns == (turn,)


def test_call_of_a_namespaced_tool_has_its_name_upstream() -> None:
    tools = decode_tools(
        [
            ("tools[0]", {"type": "namespace", "name": "n", "tools": [{"name": "a"}]}),
            ("tools[1]", {"name": "a"}),
        ]
    )
    item = _CALL | {"name": "a", "namespace": "n"}
    part = _part(item, bridge=tools.bridge)
    assert isinstance(part, ToolCall)
    assert (part.name, part.namespace) == ("n__a", "n")


@pytest.mark.parametrize("kind", sorted(LEFT_OUT_TYPES))
def test_history_of_hosted_tools_is_dropped_with_a_note(kind: str) -> None:
    decoded = _decoded(_USER, {"type": kind, "id": "x_1"})
    assert len(decoded.turns) == 1
    assert decoded.notes == (f"input[1] dropped: {kind} is not available here",)


def test_tools_that_the_input_brings_along() -> None:
    items = [
        {"type": "additional_tools", "role": "developer", "tools": [{"name": "a"}]},
        _USER,
        {"type": "tool_search_output", "tools": [{"name": "b"}, {"name": "c"}]},
    ]
    assert declared_tools(items, ["input[0]", "input[1]", "input[2]"]) == [
        ("input[0].tools[0]", {"name": "a"}),
        ("input[2].tools[0]", {"name": "b"}),
        ("input[2].tools[1]", {"name": "c"}),
    ]
    assert len(_decoded(*items).turns) == 1


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        ({"type": "reasoning"}, "reasoning"),
        ({"role": "user"}, "message"),
        ({"id": "rs_1"}, "item_reference"),
        ({"id": "msg_1", "role": "user"}, "message"),
        ({"type": 7}, "message"),
    ],
)
def test_item_type(item: dict[str, Any], kind: str) -> None:
    assert item_type(item) == kind


def test_references_are_collected_in_order() -> None:
    decoded = _decoded({"type": "item_reference", "id": "rs_1"}, _USER, {"id": "msg_1"})
    assert decoded.references == ("rs_1", "msg_1")


def test_missing_reasoning_is_dropped_with_a_note() -> None:
    decoded = _decoded({"type": "item_reference", "id": "rs_1"}, _USER, drops_references=True)
    assert decoded.references == ()
    assert decoded.notes == ("input[0] dropped: the referenced reasoning is not stored",)


def test_missing_message_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        _decoded(_USER, {"type": "item_reference", "id": "msg_1"}, drops_references=True)
    assert (refused.value.param, refused.value.code) == ("input[1].id", "item_not_found")


@pytest.mark.parametrize(
    ("item", "param"),
    [
        pytest.param({"type": "poem"}, "input[0].type", id="unknown type"),
        pytest.param({"content": "a"}, "input[0].role", id="no role"),
        pytest.param({"role": "tool", "content": "a"}, "input[0].role", id="a role of Chat"),
        pytest.param({"role": "user"}, "input[0].content", id="no content"),
        pytest.param({"role": "assistant", "tool_calls": [{}]}, "input[0].tool_calls", id="calls as in Chat"),
        pytest.param({"role": "user", "content": [{}]}, "input[0].content[0].type", id="a part"),
        pytest.param(_CALL | {"call_id": None}, "input[0].call_id", id="a call without its id"),
        pytest.param(_CALL | {"name": None}, "input[0].name", id="a call without a name"),
        pytest.param(_CALL | {"arguments": {}}, "input[0].arguments", id="arguments as an object"),
        pytest.param({"type": "custom_tool_call", "name": "a"}, "input[0].input", id="no input"),
        pytest.param({"type": "shell_call", "call_id": "c"}, "input[0].action", id="no action"),
        pytest.param({"type": "apply_patch_call", "call_id": "c"}, "input[0].operation", id="no operation"),
        pytest.param({"type": "function_call_output", "call_id": "c"}, "input[0].output", id="no output"),
        pytest.param(
            {"type": "function_call_output", "output": "a"}, "input[0].call_id", id="output of what"
        ),
        pytest.param(
            {"type": "local_shell_call_output", "output": "a"}, "input[0].id", id="local output of what"
        ),
        pytest.param(
            {"type": "shell_call_output", "call_id": "c", "output": ["a"]},
            "input[0].output[0]",
            id="shell output",
        ),
        pytest.param(
            {"type": "shell_call_output", "call_id": "c", "output": [{"outcome": {"exit_code": "0"}}]},
            "input[0].output[0].outcome.exit_code",
            id="exit code",
        ),
        pytest.param({"type": "reasoning", "summary": ["a"]}, "input[0].summary[0]", id="a summary"),
        pytest.param({"type": "reasoning", "content": [{}]}, "input[0].content[0].text", id="reasoning text"),
        pytest.param(
            {"type": "agent_message", "content": ["a"]}, "input[0].content[0]", id="an agent's part"
        ),
    ],
)
def test_malformed_item_names_its_field(item: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        _decoded(item)
    assert refused.value.param == param
