"""Refusals, and the words of a directive that put one in the place of an answer, on every endpoint alike."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from service.simulator.playback import Turn
from service.simulator.record import AccountTotals, Entry
from service.simulator.world import Slot, World

HTML = b"<!doctype html><html><head><title>502</title></head><body><h1>Bad Gateway</h1></body></html>"
EVENT_STREAM = "text/event-stream"


class Dropped(Exception):
    """The script closed the connection before any answer."""


class Refusal(Exception):
    """An answer that is no answer: a status, a body, perhaps headers."""

    def __init__(
        self,
        status: int,
        body: bytes,
        *,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers or {}

    def response(self) -> web.Response:
        return web.Response(
            status=self.status, body=self.body, content_type=self.content_type, headers=self.headers
        )


Wording = Callable[[int, bool], Refusal]  # (status, is the request a stream) -> the wire's own error


async def refuse_as_scripted(turn: Turn, worded: Wording, *, streams: bool) -> None:
    """Wait as long as the script says, then raise the Refusal that it wants, or Dropped; return otherwise."""
    directive = turn.directive
    await turn.pause(directive.seconds("delay_ms"))
    if "drop" in directive:
        turn.cut()
        raise Dropped
    status = directive.number("status")
    if "html" in directive:
        raise Refusal(status or 200, HTML, content_type="text/html")
    if "empty_body" in directive:
        raise Refusal(status or 200, b"", content_type=EVENT_STREAM if streams else "application/json")
    if "json200" in directive or ("error_frame" in directive and not streams):
        raise Refusal(200, worded(status or 500, False).body)
    if "sensitive" in directive and not streams:
        raise worded(421, False)
    if status is not None:
        refusal = worded(status, streams)
        retry_after = directive.text("retry_after")
        if retry_after is not None:
            refusal.headers["Retry-After"] = retry_after
        raise refusal


async def obey_standing_script(
    world: World, request: web.Request, entry: Entry, worded: Callable[[Turn, int], Refusal]
) -> None:
    """For endpoints that do not answer prompts: only blocks with their `endpoint` apply."""
    directive = world.script.resolve(
        (), account=entry.account, endpoint=entry.endpoint, has_results=False, is_answering=False
    )
    if directive:
        entry.directive = directive.words
        turn = Turn(world, request, entry, directive, Slot(AccountTotals()))
        await refuse_as_scripted(turn, lambda status, _: worded(turn, status), streams=False)
