"""The simulator as an aiohttp Application, and as a server that tests start and stop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import orjson
from aiohttp import web

from service.simulator.directives import DirectiveError
from service.simulator.engine import Wire, generate
from service.simulator.options import SimulatorOptions
from service.simulator.platform.chat import ChatWire
from service.simulator.platform.messages import MessagesWire
from service.simulator.platform.models import list_models
from service.simulator.platform.responses import ResponsesWire
from service.simulator.record import Record
from service.simulator.studio import resources
from service.simulator.studio.chat import FAST_PATH, StudioWire
from service.simulator.studio.threads import Threads
from service.simulator.world import WORLD, World

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create_simulator(options: SimulatorOptions | None = None) -> web.Application:
    """Both wires of MiMo on one port, with the record under `/simulator`."""
    options = options or SimulatorOptions()
    app = web.Application(client_max_size=options.max_body_bytes)
    app[WORLD] = World(options)
    app.add_routes([*_platform_routes(), *_studio_routes(), *_own_routes()])
    app.on_cleanup.append(_close)
    return app


async def _close(app: web.Application) -> None:
    app[WORLD].watch.close()


def _on(wire: Wire) -> _Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await generate(request, wire)

    return handle


def _platform_routes() -> list[web.RouteDef]:
    return [
        web.post("/v1/chat/completions", _on(ChatWire())),
        web.post("/anthropic/v1/messages", _on(MessagesWire())),
        web.post("/v1/responses", _on(ResponsesWire())),
        web.get("/v1/models", list_models),
    ]


def _studio_routes() -> list[web.RouteDef]:
    own = resources.endpoint
    conversation = "/open-apis/chat/conversation"
    return [
        web.post("/open-apis/bot/chat", _on(StudioWire())),
        web.post(FAST_PATH, _on(StudioWire())),
        web.get("/open-apis/bot/config", own("studio_config", resources.config, is_public=True)),
        web.get("/open-apis/user/mi/get", own("studio_user", resources.user)),
        web.get("/open-apis/v1/user/usage", own("studio_usage", resources.quota)),
        web.post(f"{conversation}/save", own("studio_save", resources.conversation_save)),
        web.post(f"{conversation}/list", own("studio_list", resources.conversation_list)),
        web.post(f"{conversation}/delete", own("studio_delete", resources.conversation_delete)),
        web.post(f"{conversation}/genTitle", own("studio_title", resources.conversation_title)),
        web.post("/open-apis/resource/genUploadInfo", own("studio_upload_info", resources.upload_info)),
        web.put("/simulator/upload/{object_name:.+}", resources.put_upload),
        web.post("/open-apis/resource/parse", own("studio_parse", resources.parse_upload)),
        web.post("/open-apis/tts/v2/generate", own("studio_tts", resources.tts_generate)),
        web.get("/open-apis/tts/generateStatus", own("studio_tts_status", resources.tts_status)),
        web.get("/simulator/audio/{task_id}.wav", resources.audio),
    ]


def _own_routes() -> list[web.RouteDef]:
    return [
        web.get("/simulator/record", _show_record),
        web.delete("/simulator/record", _clear_record),
        web.get("/simulator/script", _show_script),
        web.put("/simulator/script", _play_script),
        web.get("/simulator/health", _health),
    ]


async def _show_record(request: web.Request) -> web.Response:
    return web.Response(
        body=orjson.dumps(request.app[WORLD].record.as_json()), content_type="application/json"
    )


async def _clear_record(request: web.Request) -> web.Response:
    """Forget the requests and the directives' counters; the standing script stays."""
    request.app[WORLD].reset()
    return web.Response(status=204)


async def _show_script(request: web.Request) -> web.Response:
    blocks = [dict(block.words) for block in request.app[WORLD].script.blocks]
    return web.Response(body=orjson.dumps(blocks), content_type="application/json")


async def _play_script(request: web.Request) -> web.Response:
    """Replace the standing directives: a JSON array of directive texts, `[]` for none."""
    try:
        texts = orjson.loads(await request.read())
        if not isinstance(texts, list):
            raise DirectiveError("the script must be an array of directives")
        request.app[WORLD].script.play(*map(str, texts))
    except (orjson.JSONDecodeError, DirectiveError) as error:
        return web.Response(status=400, text=str(error))
    return web.Response(status=204)


async def _health(request: web.Request) -> web.Response:
    return web.Response(text="ok")


class Simulator:
    """A running simulator: where it listens, what it saw, and what it is to play next."""

    def __init__(self, app: web.Application, base_url: str) -> None:
        self._world = app[WORLD]
        self.base_url = base_url

    @property
    def record(self) -> Record:
        return self._world.record

    @property
    def options(self) -> SimulatorOptions:
        return self._world.options

    @property
    def threads(self) -> Threads:
        """The studio's conversations."""
        return self._world.threads

    def play(self, *directives: str) -> None:
        """Replace the standing directives, which every answering request obeys: none for a normal life."""
        self._world.script.play(*directives)

    def reset(self) -> None:
        """Forget the requests, the directives' counters and the standing directives."""
        self._world.script.play()
        self._world.reset()

    @classmethod
    @asynccontextmanager
    async def start(
        cls, options: SimulatorOptions | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> AsyncIterator[Simulator]:
        """Listen until the block ends. Port 0 takes a free one."""
        app = create_simulator(options)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port)
            await site.start()
            bound_port = runner.addresses[0][1]
            yield cls(app, f"http://{host}:{bound_port}")
        finally:
            await runner.cleanup()
