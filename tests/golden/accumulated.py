"""What the official packages make of an answer: of the stream by their own accumulators, and of the body."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import anthropic
import httpx2
import openai
import orjson
from anthropic.types import Message
from openai.lib.streaming.responses import ResponseStreamManager  # noqa: F401 - loaded lazily otherwise
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

# Each answer has ids of its own; the helpers add what they parse; pieces have places in a stream.
_DROPPED = frozenset({"id", "index", "parsed", "parsed_arguments", "parsed_output"})


def _client(dialect: str, answer: Callable[[httpx2.Request], httpx2.Response]) -> Any:
    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    if dialect == "messages":
        return anthropic.Anthropic(api_key="k", base_url="http://gateway", http_client=http, max_retries=0)
    return openai.OpenAI(api_key="k", base_url="http://gateway/v1", http_client=http, max_retries=0)


@contextmanager
def _streaming(dialect: str, request: dict[str, Any], raw: bytes) -> Any:
    """The package's stream helper over these bytes, read to the end; it gives the final answer."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=raw, headers={"content-type": "text/event-stream"})

    with _client(dialect, answer) as client:
        if dialect == "chat":
            options = {"include_usage": True}
            with client.chat.completions.stream(**request, stream_options=options) as stream:
                stream.until_done()
                # `get_final_completion` would refuse an answer that was cut; this is what it is made of.
                yield stream.current_completion_snapshot
        elif dialect == "messages":
            with client.messages.stream(**request) as stream:
                stream.until_done()
                yield stream.get_final_message()
        else:
            yield _final_response(client, request)


def _final_response(client: openai.OpenAI, request: dict[str, Any]) -> Any:
    """`get_final_response` knows completed ones only, so the last event's response is taken; the helper
    accumulates all the same, and fails where the events do not add up."""
    with client.responses.stream(**request) as stream:
        events = list(stream)
    last = events[-1]
    if last.type == "response.failed":
        raise openai.APIError(
            last.response.error.message, httpx2.Request("POST", "http://gateway"), body=None
        )
    return last.response


def answer_of_stream(dialect: str, request: dict[str, Any], raw: bytes) -> object:
    with _streaming(dialect, request, raw) as final:
        return _plain(final.model_dump(mode="json"))


def answer_of_whole(dialect: str, body: bytes) -> object:
    kinds = {
        "chat": ChatCompletion,
        "messages": Message,
        "responses": Response,
    }
    return _plain(kinds[dialect].model_validate(orjson.loads(body)).model_dump(mode="json"))


def error_of_stream(dialect: str, request: dict[str, Any], raw: bytes) -> str:
    """The message of the error that ends the stream. AssertionError when there is none."""
    try:
        with _streaming(dialect, request, raw):
            pass
    except (openai.APIError, anthropic.APIError) as error:
        body = error.body
        if isinstance(body, dict):
            inner = body.get("error")
            body = inner if isinstance(inner, dict) else body
            return str(body["message"])
        return error.message
    raise AssertionError("the stream ends without an error")


def error_of_whole(dialect: str, body: bytes) -> str:
    return str(orjson.loads(body)["body"]["error"]["message"])


def _plain(value: object) -> object:
    """Without ids, and without what is not said: the packages put null, nothing or an empty text there."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        kept = {key: _plain(item) for key, item in value.items() if key not in _DROPPED}
        return {key: item for key, item in kept.items() if item not in (None, "", [])}
    return value
