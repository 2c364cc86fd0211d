"""The one path of every answering request, whatever its wire:

authenticate -> decode and validate -> admit -> directive -> scripted refusal -> answer -> count -> play.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from service.core.events import Usage
from service.simulator import brain
from service.simulator.brain import Answer, Ask
from service.simulator.directives import NO_DIRECTIVE, Block, Directive, DirectiveError, parse_directive
from service.simulator.playback import GARBAGE, Turn, play_body, play_stream
from service.simulator.record import Entry
from service.simulator.scripted import EVENT_STREAM, Dropped, Refusal, Wording, refuse_as_scripted
from service.simulator.usage import ABSURD
from service.simulator.world import WORLD, Account, ClientClosed, OverLimit, Slot, World


@dataclass(slots=True)
class Asked:
    """A valid request, and the form of answer that it wants."""

    ask: Ask
    streams: bool
    audio_format: str = ""  # of speech models: the answer is sound
    history: tuple[str, ...] = ()  # what the studio's model has before it beside the request, oldest first


@dataclass(slots=True, kw_only=True)
class Made:
    """An answer with everything that its wire needs to write it. `usage` None: none is to be sent."""

    world: World
    asked: Asked
    answer: Answer
    usage: Usage | None
    directive: Directive
    account: Account

    @property
    def model(self) -> str:
        return self.asked.ask.model

    @property
    def searches_web(self) -> bool:
        return self.asked.ask.searches_web or "search" in self.directive

    @property
    def piece_characters(self) -> int:
        return self.directive.number("pieces") or self.world.options.piece_characters

    def pieces(self, text: str) -> list[str]:
        """The text cut as it is to be streamed; [] for an empty one."""
        size = max(1, self.piece_characters)
        return [text[start : start + size] for start in range(0, len(text), size)]


class Wire(Protocol):
    """What differs from endpoint to endpoint."""

    endpoint: str

    def authenticate(self, world: World, request: web.Request) -> Account:
        """Whose credential this is. Raises Refusal."""

    def decode(self, world: World, account: Account, request: web.Request, raw: bytes) -> Asked:
        """The validated request. Raises Refusal."""

    def refusal(
        self, world: World, status: int, *, streams: bool, directive: Directive = NO_DIRECTIVE
    ) -> Refusal:
        """The wire's error of that status, worded by the directive where it says so."""

    def moderated(self, made: Made) -> list[bytes]:
        """What the stream holds when moderation stops the request. Raises Refusal where that is a status."""

    def error_frame(self, text: str) -> bytes:
        """An error inside a stream that began well."""

    def stream(self, made: Made) -> list[bytes]:
        """The whole answer as events."""

    def whole(self, made: Made) -> bytes:
        """The whole answer as one body."""

    def hold_s(self, world: World) -> float:
        """How long the socket stays open after the last event."""


async def generate(request: web.Request, wire: Wire) -> web.StreamResponse:
    """Answer one request on a wire, and record how it went."""
    world = request.app[WORLD]
    try:
        with world.recorded(request, wire.endpoint) as entry:
            try:
                response = await _generate(world, request, wire, entry)
            except Refusal as refusal:
                entry.status = refusal.status
                entry.outcome = "refused" if refusal.status >= 400 else "faulted"
                response = refusal.response()
            except Dropped:
                entry.outcome = "faulted"
                response = web.Response()  # to nobody
            return response
    except ClientClosed:
        return web.Response()  # to nobody


async def _generate(world: World, request: web.Request, wire: Wire, entry: Entry) -> web.StreamResponse:
    account = wire.authenticate(world, request)
    entry.account = account.name
    raw = await request.read()
    world.record.keep_body(entry, raw)
    try:
        asked = wire.decode(world, account, request, raw)
        entry.model, entry.history = asked.ask.model, asked.history
        directive = _directive(world, request, asked.ask, account, wire.endpoint)
        entry.directive = directive.words
        slot = await _admitted(world, wire, account, streams=asked.streams)
        try:
            return await _answer(Turn(world, request, entry, directive, slot), wire, asked, account)
        finally:
            slot.free()
    except DirectiveError as error:
        raise _unreadable(world, wire, error) from error


async def _admitted(world: World, wire: Wire, account: Account, *, streams: bool) -> Slot:
    try:
        return await world.admit(account)
    except OverLimit as error:
        raise _too_many(world, wire, account, streams=streams) from error


def _directive(world: World, request: web.Request, ask: Ask, account: Account, endpoint: str) -> Directive:
    header = request.headers.get("x-simulator")
    own: list[Block] = [*(parse_directive(header) if header else ()), *ask.blocks]
    if not own and not world.script.blocks:
        return NO_DIRECTIVE
    return world.script.resolve(
        own, account=account.name, endpoint=endpoint, has_results=bool(ask.results), is_answering=True
    )


async def _answer(turn: Turn, wire: Wire, asked: Asked, account: Account) -> web.StreamResponse:
    world, directive = turn.world, turn.directive
    if directive:
        garbage = directive.text("garbage")
        if garbage and garbage != "huge_line" and garbage not in GARBAGE:
            raise DirectiveError(f"unknown garbage {garbage!r}; known: huge_line, {', '.join(GARBAGE)}")
        await refuse_as_scripted(turn, _wording(world, wire, asked, directive), streams=asked.streams)
    answer = brain.answer(asked.ask, directive)
    usage = brain.count_usage(asked.ask, answer, world.cache.cached_tokens(account.name, asked.ask.prompt))
    made = Made(
        world=world,
        asked=asked,
        answer=answer,
        usage=_sent_usage(usage, directive),
        directive=directive,
        account=account,
    )
    turn.usage = usage
    return await _play(turn, wire, made)


async def _play(turn: Turn, wire: Wire, made: Made) -> web.StreamResponse:
    directive = made.directive
    if not made.asked.streams:
        return await play_body(turn, wire.whole(made), content_type="application/json")
    frames = wire.moderated(made) if "sensitive" in directive else wire.stream(made)
    error = directive.text("error_frame")
    if error is not None:
        after = directive.number("error_after")
        frames = [*frames[: 2 if after is None else after], wire.error_frame(error or "upstream failed")]
        turn.entry.outcome = "faulted"
    hold_s = directive.seconds("hold_ms") if "hold_ms" in directive else wire.hold_s(made.world)
    return await play_stream(turn, frames, content_type=EVENT_STREAM, hold_s=hold_s)


def _wording(world: World, wire: Wire, asked: Asked, directive: Directive) -> Wording:
    def worded(status: int, streams: bool) -> Refusal:
        return wire.refusal(world, status, streams=streams, directive=directive)

    return worded


def _sent_usage(usage: Usage, directive: Directive) -> Usage | None:
    if "no_usage" in directive:
        return None
    return ABSURD if directive.text("usage") == "absurd" else usage


def _too_many(world: World, wire: Wire, account: Account, *, streams: bool) -> Refusal:
    refusal = wire.refusal(world, 429, streams=streams)
    if account.limits.retry_after_s is not None:
        refusal.headers["Retry-After"] = f"{account.limits.retry_after_s:g}"
    return refusal


def _unreadable(world: World, wire: Wire, error: DirectiveError) -> Refusal:
    words = {"message": "simulator directive", "param": f"simulator: {error}"}
    return wire.refusal(world, 400, streams=False, directive=Directive(words))


__all__ = ["EVENT_STREAM", "Asked", "Made", "Refusal", "Wire", "generate"]
