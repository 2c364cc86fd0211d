"""The real package drives the dialect, both ends in one process: what it makes of our answers and refusals.

Its HTTP client is given a transport that decodes the request and encodes the answer here, so nothing
touches a socket.
"""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import httpx2
import pytest

from service.core.completion import collect
from service.core.conversation import Conversation, Role
from service.core.dialects.anthropic_messages.errors import encode_error
from service.core.dialects.anthropic_messages.request import decode_request
from service.core.dialects.anthropic_messages.response import encode_completion
from service.core.errors import GatewayError
from service.core.events import (
    Event,
    Finish,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from tests.core.dialects.anthropic_messages.answers import HEAD, encoded

ASKED = [{"role": "user", "content": "weather?"}]


def answer(conversation: Conversation) -> list[Event]:
    """Calls the first tool once, then speaks."""
    if conversation.tools and all(turn.role is not Role.TOOL for turn in conversation.turns):
        name = conversation.tools[0].name
        call = [ToolCallStart(0, "call_1", name), ToolCallDelta(0, '{"city":"Rome"}'), ToolCallEnd(0)]
        return [ReasoningDelta("hm"), *call, Finish(FinishReason.TOOL_CALLS)]
    return [TextDelta("It is "), TextDelta("sunny."), Finish(FinishReason.STOP)]


class Server:
    """What the requests decoded to, and the statuses that were answered."""

    def __init__(self) -> None:
        self.conversations: list[Conversation] = []
        self.statuses: list[int] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        try:
            conversation = decode_request(request.content).conversation
        except GatewayError as error:
            status, body = encode_error(error, request_id="req_1")
            self.statuses.append(status)
            return httpx2.Response(status, content=body)
        self.conversations.append(conversation)
        self.statuses.append(200)
        events = answer(conversation)
        if conversation.streams:
            return httpx2.Response(
                200, content=encoded(events), headers={"content-type": "text/event-stream"}
            )
        body = encode_completion(collect(events), HEAD)
        return httpx2.Response(200, content=body, headers={"content-type": "application/json"})


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def client(server: Server) -> Iterator[anthropic.Anthropic]:
    http_client = httpx2.Client(transport=httpx2.MockTransport(server))
    with anthropic.Anthropic(api_key="k", base_url="http://gateway", http_client=http_client) as client:
        yield client


@anthropic.beta_tool
def get_weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


def test_tool_runner_goes_on_without_the_refused_thread(client: anthropic.Anthropic, server: Server) -> None:
    runner = client.beta.messages.tool_runner(model="m", max_tokens=9, tools=[get_weather], messages=ASKED)
    last = runner.until_done()
    assert last.content[-1].text == "It is sunny."
    assert server.statuses == [400, 200, 200]
    assert [turn.role for turn in server.conversations[-1].turns] == [Role.USER, Role.ASSISTANT, Role.TOOL]
    assert server.conversations[-1].turns[1].reasoning == "hm"


def test_stream_helper_reads_text_and_final_message(client: anthropic.Anthropic) -> None:
    with client.messages.stream(model="m", max_tokens=9, messages=ASKED) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert pieces == ["It is ", "sunny."]
    assert (final.stop_reason, final.content[0].text) == ("end_turn", "It is sunny.")


def test_refusal_names_the_field(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match=r"messages\.0\.content\.0\.type"):
        client.messages.create(
            model="m", max_tokens=9, messages=[{"role": "user", "content": [{"type": "hologram"}]}]
        )
