"""A running simulator, and a caller that speaks both of its wires over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
import pytest

from service.core.sse import SSEDecoder, SSEEvent
from service.simulator import Simulator, SimulatorOptions, StudioSession

WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
    "required": ["city", "unit"],
}


@dataclass
class Reply:
    """A whole answer: read to its end."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def events(self) -> list[SSEEvent]:
        decoder = SSEDecoder()
        return [*decoder.feed(self.body), *decoder.finish()]

    @property
    def chunks(self) -> list[Any]:
        """The data of all events but `[DONE]`, parsed."""
        return [orjson.loads(event.data) for event in self.events if event.data != b"[DONE]"]

    @property
    def text(self) -> str:
        """The text that the message frames of a studio answer carry."""
        return "".join(
            orjson.loads(event.data)["content"] for event in self.events if event.event == "message"
        )


class Caller:
    """Calls one simulator. Every method takes a text, or a whole body as keyword arguments."""

    def __init__(self, sim: Simulator, session: aiohttp.ClientSession) -> None:
        self.sim = sim
        self.session = session
        self.record = sim.record

    def key(self, account: int = 0) -> dict[str, str]:
        return {"api-key": self.sim.options.platform[account].api_key}

    async def chat(self, text: str = "Hello", *, headers: dict[str, str] | None = None, **body: Any) -> Reply:
        body = {"model": "mimo-v2.6-pro", "messages": [{"role": "user", "content": text}], **body}
        return await self.post("/v1/chat/completions", body, {**self.key(), **(headers or {})})

    async def messages(self, text: str = "Hello", **body: Any) -> Reply:
        body = {"model": "mimo-v2.6-pro", "messages": [{"role": "user", "content": text}], **body}
        return await self.post("/anthropic/v1/messages", body, self.key())

    async def studio(self, query: str = "Hello", *, account: int = 0, path: str = "", **body: Any) -> Reply:
        session = self.sim.options.studio[account]
        return await self.post(
            path or "/open-apis/bot/chat",
            studio_body(query, **body),
            {"Cookie": cookie_of(session)},
            params={"xiaomichatbot_ph": session.ph},
        )

    async def post(
        self, path: str, body: Any, headers: dict[str, str], params: dict[str, str] | None = None
    ) -> Reply:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        url = self.sim.base_url + path
        async with self.session.post(url, data=data, headers=headers, params=params) as response:
            return Reply(response.status, response.headers, await response.read())

    async def get(self, path: str, headers: dict[str, str] | None = None) -> Reply:
        async with self.session.get(self.sim.base_url + path, headers=headers) as response:
            return Reply(response.status, response.headers, await response.read())


def cookie_of(session: StudioSession) -> str:
    return (
        f'serviceToken="{session.service_token}"; userId={session.user_id}; xiaomichatbot_ph="{session.ph}"'
    )


def studio_body(query: str, **changes: Any) -> dict[str, Any]:
    config = {"model": "mimo-v2.6-pro", "enableThinking": False, "webSearchStatus": "disabled"}
    config.update(changes.pop("config", {}))
    return {
        "msgId": "0" * 32,
        "conversationId": "1" * 32,
        "query": query,
        "isEditedQuery": False,
        "modelConfig": config,
        "multiMedias": [],
        **changes,
    }


Starting = Callable[[SimulatorOptions], AbstractAsyncContextManager[Caller]]


@asynccontextmanager
async def started(options: SimulatorOptions) -> AsyncIterator[Caller]:
    async with Simulator.start(options) as sim, aiohttp.ClientSession() as session:
        yield Caller(sim, session)


@pytest.fixture
def start() -> Starting:
    """A simulator with options of the test's own."""
    return started


@pytest.fixture
async def call() -> AsyncIterator[Caller]:
    """A simulator as it is by default, but for the studio's socket, which closes at once."""
    async with started(SimulatorOptions(studio_hold_s=0)) as caller:
        yield caller


@pytest.fixture
def weather() -> dict[str, Any]:
    """A function tool of Chat Completions."""
    return {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}


@pytest.fixture
def studio_form() -> Any:
    """(body, cookie): the parts of a studio request, for tests that send it bent."""
    return studio_body, cookie_of
