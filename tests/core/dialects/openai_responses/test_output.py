"""Output items, and what the response object repeats from the request."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.responses import Response

from service.core.dialects.openai_responses.output import ResponseFrame, action_of, ended_status
from service.core.dialects.openai_responses.tools import Shape
from service.core.events import Finish, FinishReason, Usage
from tests.core.dialects.openai_responses.samples import HEAD, request_of


@pytest.mark.parametrize(
    ("shape", "arguments", "expected"),
    [
        pytest.param(
            Shape.LOCAL_SHELL,
            '{"command":["ls","-l"],"timeout_ms":5,"working_directory":"/a","env":{"A":"b"}}',
            {
                "action": {
                    "type": "exec",
                    "command": ["ls", "-l"],
                    "env": {"A": "b"},
                    "timeout_ms": 5,
                    "working_directory": "/a",
                }
            },
            id="local_shell",
        ),
        pytest.param(
            Shape.LOCAL_SHELL,
            '{"command":"ls -l"}',
            {"action": {"type": "exec", "command": ["bash", "-lc", "ls -l"], "env": {}}},
            id="local_shell: a line",
        ),
        pytest.param(Shape.LOCAL_SHELL, '{"command":[]}', None, id="local_shell: nothing to run"),
        pytest.param(Shape.LOCAL_SHELL, '{"command":[1]}', None, id="local_shell: no words"),
        pytest.param(
            Shape.SHELL,
            '{"commands":["ls"],"max_output_length":9}',
            {"action": {"commands": ["ls"], "timeout_ms": None, "max_output_length": 9}},
            id="shell",
        ),
        pytest.param(
            Shape.SHELL,
            '{"commands":"ls"}',
            {"action": {"commands": ["ls"], "timeout_ms": None, "max_output_length": None}},
            id="shell: a line",
        ),
        pytest.param(Shape.SHELL, "{}", None, id="shell: nothing to run"),
        pytest.param(
            Shape.APPLY_PATCH,
            '{"type":"create_file","path":"a","diff":"+b\\n"}',
            {"operation": {"type": "create_file", "path": "a", "diff": "+b\n"}},
            id="apply_patch",
        ),
        pytest.param(
            Shape.APPLY_PATCH,
            '{"operation":{"type":"delete_file","path":"a","diff":""}}',
            {"operation": {"type": "delete_file", "path": "a"}},
            id="apply_patch: nested, a deletion",
        ),
        pytest.param(Shape.APPLY_PATCH, '{"type":"update_file","path":"a"}', None, id="apply_patch: no diff"),
        pytest.param(Shape.APPLY_PATCH, '{"type":"move_file","path":"a"}', None, id="apply_patch: unknown"),
        pytest.param(Shape.APPLY_PATCH, '{"type":"delete_file"}', None, id="apply_patch: no path"),
        pytest.param(Shape.SHELL, "ls -l", None, id="no JSON"),
        pytest.param(Shape.SHELL, "[1]", None, id="no object"),
    ],
)
def test_action_of_a_call(shape: Shape, arguments: str, expected: dict[str, Any] | None) -> None:
    assert action_of(shape, arguments) == expected


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (FinishReason.STOP, "completed"),
        (FinishReason.TOOL_CALLS, "completed"),
        (FinishReason.LENGTH, "incomplete"),
        (FinishReason.CONTENT_FILTER, "incomplete"),
    ],
)
def test_status_by_finish(reason: FinishReason, status: str) -> None:
    assert ended_status(Finish(reason)) == status


def test_response_repeats_the_request() -> None:
    request = request_of(
        instructions="Be brief.",
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=99,
        metadata={"a": "b"},
        parallel_tool_calls=False,
        previous_response_id="resp_0",
        prompt_cache_key="k",
        reasoning={"effort": "high", "summary": "detailed"},
        store=False,
        text={"verbosity": "low"},
        tool_choice={"type": "function", "name": "get_weather"},
        truncation="auto",
        user="u",
    )
    response = ResponseFrame(HEAD, request).response(
        "completed",
        usage=Usage(input_tokens=10, output_tokens=5, cached_tokens=4, reasoning_tokens=3),
    )
    Response.model_validate(response)
    tools = response.pop("tools")
    assert response == {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_763_600_000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": "mimo-v2.6-pro",
        "output": [],
        "usage": {
            "input_tokens": 10,
            "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
            "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 3},
            "total_tokens": 15,
        },
        "background": False,
        "instructions": "Be brief.",
        "max_output_tokens": 99,
        "max_tool_calls": None,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "previous_response_id": "resp_0",
        "prompt_cache_key": "k",
        "reasoning": {"effort": "high", "summary": "detailed"},
        "safety_identifier": None,
        "service_tier": "default",
        "store": False,
        "temperature": 0.5,
        "text": {"format": {"type": "text"}, "verbosity": "low"},
        "tool_choice": {"type": "function", "name": "get_weather"},
        "top_logprobs": 0,
        "top_p": 0.9,
        "truncation": "auto",
        "user": "u",
    }
    assert isinstance(tools, list)
    assert len(tools) == 7


def test_response_to_a_request_that_says_little() -> None:
    response = ResponseFrame(HEAD, request_of(tools=None)).response("in_progress")
    Response.model_validate(response)
    assert response["tools"] == []
    assert response["tool_choice"] == "auto"
    assert response["parallel_tool_calls"] is True
    assert response["text"] == {"format": {"type": "text"}}
    assert response["reasoning"] == {"effort": None, "summary": None}
    assert response["store"] is True


def test_nested_tools_are_repeated_flat() -> None:
    tool = {"type": "function", "function": {"name": "a", "parameters": {"type": "object"}}}
    response = ResponseFrame(HEAD, request_of(tools=[tool])).response("in_progress")
    assert response["tools"] == [
        {
            "type": "function",
            "name": "a",
            "description": None,
            "parameters": {"type": "object"},
            "strict": None,
        }
    ]
