"""Whole answers as response objects, read with openai's own types."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from openai.types.responses import Response

from service.core.completion import (
    AnswerPart,
    AnswerReasoning,
    AnswerSearch,
    AnswerText,
    CalledTool,
    Completion,
)
from service.core.dialects.openai_responses.response import (
    EncodedResponse,
    encode_completion,
    encode_failure,
    encode_status,
)
from service.core.errors import UpstreamTimeout
from service.core.events import Citation, Finish, FinishReason, Usage
from tests.core.dialects.openai_responses.samples import HEAD, PATCH_UPSTREAM, counter, request_of, seal

_CITATION = Citation("https://example.com/a", "A")


def _encoded(
    *parts: AnswerPart,
    reason: FinishReason = FinishReason.STOP,
    usage: Usage | None = None,
    **fields: Any,
) -> EncodedResponse:
    completion = Completion(parts=parts, finish=Finish(reason), usage=usage)
    return encode_completion(completion, HEAD, request_of(**fields), new_id=counter(), seal=seal)


def _call(name: str, arguments: str, *, is_complete: bool = True) -> CalledTool:
    return CalledTool(call_id="call_1", name=name, arguments=arguments, is_complete=is_complete)


_TEXT_ITEM = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}],
}
_CALL_ITEM = {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_1"}
_CUSTOM_ITEM = {"id": "ctc_1", "type": "custom_tool_call", "status": "completed", "call_id": "call_1"}


@pytest.mark.parametrize(
    ("part", "item"),
    [
        pytest.param(AnswerText(text="Hello"), _TEXT_ITEM, id="text"),
        pytest.param(
            AnswerReasoning(text="Hm."),
            {
                "id": "rs_1",
                "type": "reasoning",
                "status": "completed",
                "summary": [{"type": "summary_text", "text": "Hm."}],
            },
            id="reasoning",
        ),
        pytest.param(
            _call("get_weather", '{"city":"Oslo"}'),
            _CALL_ITEM | {"name": "get_weather", "arguments": '{"city":"Oslo"}'},
            id="function call",
        ),
        pytest.param(
            _call("get_weather", ""),
            _CALL_ITEM | {"name": "get_weather", "arguments": "{}"},
            id="function call without arguments",
        ),
        pytest.param(
            _call("get_weather", '{"ci', is_complete=False),
            _CALL_ITEM | {"name": "get_weather", "arguments": '{"ci', "status": "incomplete"},
            id="function call that was cut",
        ),
        pytest.param(
            _call("spawn", "{}"),
            _CALL_ITEM | {"name": "spawn", "arguments": "{}", "namespace": "agents"},
            id="namespaced function: bare name, and the namespace",
        ),
        pytest.param(
            _call("ghost", "{}"), _CALL_ITEM | {"name": "ghost", "arguments": "{}"}, id="undeclared function"
        ),
        pytest.param(
            _call("apply_patch", '{"input":"*** Begin Patch\\n"}'),
            _CUSTOM_ITEM | {"name": "apply_patch", "input": "*** Begin Patch\n"},
            id="custom tool: raw input",
        ),
        pytest.param(
            _call("apply_patch", '{"input":"*** Beg', is_complete=False),
            _CUSTOM_ITEM | {"name": "apply_patch", "input": "*** Beg", "status": "incomplete"},
            id="custom tool that was cut",
        ),
        pytest.param(
            _call("tool_call", '{"input":"x"}'),
            _CUSTOM_ITEM | {"name": "tool_call", "input": "x"},
            id="a tool named tool_call",
        ),
        pytest.param(
            _call("local_shell", '{"command":["ls"]}'),
            {
                "id": "lsh_1",
                "type": "local_shell_call",
                "status": "completed",
                "call_id": "call_1",
                "action": {"type": "exec", "command": ["ls"], "env": {}},
            },
            id="local_shell",
        ),
        pytest.param(
            _call("shell", '{"commands":["ls"]}'),
            {
                "id": "sh_1",
                "type": "shell_call",
                "status": "completed",
                "call_id": "call_1",
                "action": {"commands": ["ls"], "timeout_ms": None, "max_output_length": None},
            },
            id="shell",
        ),
        pytest.param(
            _call(PATCH_UPSTREAM, '{"type":"delete_file","path":"a"}'),
            {
                "id": "apc_1",
                "type": "apply_patch_call",
                "status": "completed",
                "call_id": "call_1",
                "operation": {"type": "delete_file", "path": "a"},
            },
            id="apply_patch",
        ),
        pytest.param(
            _call("shell", "ls"),
            _CALL_ITEM | {"name": "shell", "arguments": "ls"},
            id="a shell call that says nothing usable is shown as it is",
        ),
    ],
)
def test_item_of_a_part(part: AnswerPart, item: dict[str, Any]) -> None:
    encoded = _encoded(part)
    assert encoded.output == [item]
    assert encoded.response["output"] == [item]
    Response.model_validate(encoded.response)


def test_items_keep_their_order_and_usage_is_there() -> None:
    parts = (AnswerReasoning(text="Hm."), AnswerText(text="Hello"), _call("get_weather", "{}"))
    encoded = _encoded(
        *parts, reason=FinishReason.TOOL_CALLS, usage=Usage(input_tokens=3, output_tokens=2, cached_tokens=1)
    )
    response = Response.model_validate(encoded.response)
    assert [item.type for item in response.output] == ["reasoning", "message", "function_call"]
    assert response.status == "completed"
    assert response.output_text == "Hello"
    assert response.usage is not None
    assert response.usage.total_tokens == 5
    assert orjson.loads(encoded.body) == encoded.response


@pytest.mark.parametrize(
    ("reason", "status", "details", "item_status"),
    [
        (FinishReason.STOP, "completed", None, "completed"),
        (FinishReason.LENGTH, "incomplete", {"reason": "max_output_tokens"}, "incomplete"),
        (FinishReason.CONTENT_FILTER, "incomplete", {"reason": "content_filter"}, "incomplete"),
    ],
)
def test_ending(reason: FinishReason, status: str, details: object, item_status: str) -> None:
    encoded = _encoded(AnswerReasoning(text="Hm."), AnswerText(text="Hello"), reason=reason)
    assert encoded.response["status"] == status
    assert encoded.response["incomplete_details"] == details
    assert [item["status"] for item in encoded.output] == ["completed", item_status]


def test_empty_answer() -> None:
    response = Response.model_validate(_encoded().response)
    assert (response.output, response.output_text, response.usage) == ([], "", None)


def test_sealed_reasoning_only_for_clients_that_ask() -> None:
    asked = _encoded(AnswerReasoning(text="Hm."), include=["reasoning.encrypted_content"])
    assert asked.output[0]["encrypted_content"] == "sealed:Hm."
    assert "encrypted_content" not in _encoded(AnswerReasoning(text="Hm.")).output[0]


def test_nothing_is_sealed_without_a_key() -> None:
    request = request_of(include=["reasoning.encrypted_content"])
    completion = Completion(
        parts=(AnswerReasoning(text="Hm."),), finish=Finish(FinishReason.STOP), usage=None
    )
    encoded = encode_completion(completion, HEAD, request, new_id=counter())
    assert "encrypted_content" not in encoded.output[0]


def test_sources_stand_at_the_end_of_the_text() -> None:
    encoded = _encoded(AnswerSearch(sources=(_CITATION,)), AnswerText(text="Hé"), AnswerText(text="!"))
    search, first, second = encoded.output
    assert search["action"] == {"type": "search", "query": ""}
    (content,) = first["content"]  # type: ignore[misc]
    assert second["content"][0]["annotations"] == []  # type: ignore[index]
    assert content["annotations"] == [
        {
            "type": "url_citation",
            "start_index": 2,
            "end_index": 2,
            "url": "https://example.com/a",
            "title": "A",
        }
    ]
    Response.model_validate(encoded.response)


@pytest.mark.parametrize("status", ["queued", "in_progress", "cancelled"])
def test_response_without_an_answer(status: str) -> None:
    encoded = encode_status(HEAD, request_of(background=True), status)
    response = Response.model_validate(encoded.response)
    assert (response.status, response.output, response.background) == (status, [], True)


def test_failed_response() -> None:
    encoded = encode_failure(UpstreamTimeout(waited_s=30, phase="idle"), HEAD, request_of())
    response = Response.model_validate(encoded.response)
    assert response.status == "failed"
    assert response.error is not None
    assert response.error.code == "server_error"
