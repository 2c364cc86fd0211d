"""Conversations at the studio that go on: sought before an account is leased, taken when the right one is,
kept when the answer ended well. What may go on is decided in core/upstreams/studio_thread.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain

import structlog

from service.config import Account, AccountKind, ApiKey
from service.core.conversation import Conversation, Media, Role, Text, ToolCall, ToolResult, Turn
from service.core.errors import (
    GatewayError,
    UpstreamAccountError,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from service.core.events import (
    Event,
    Finish,
    FinishReason,
    TextDelta,
    ToolCallCut,
    ToolCallDelta,
    ToolCallStart,
)
from service.core.upstreams.studio_thread import History, OpenThread, Thread, settings_of, turns_known
from service.gateway.background import Background
from service.gateway.ports import StudioHistory, Threads

log = structlog.get_logger()

TIDY_INTERVAL_S = 60.0
_IN_THREAD_CHARS = 512 << 10  # hashing them would hold up every stream of the process
_MAX_ANSWER_CHARS = 4 << 20


class Following:
    """One request's way to go on from what the studio holds. `result` is what came of it, for the metrics:
    "" (it asked for nothing), continued, missed or lost."""

    def __init__(
        self,
        threads: Threads,
        background: Background,
        key: ApiKey,
        conversation: Conversation,
        *,
        offers_tools: bool,
    ) -> None:
        self._threads = threads
        self._background = background
        self._key = key
        self._conversation = conversation
        self._known = turns_known(conversation.turns)
        self._history = History(settings_of(conversation, offers_tools=offers_tools))
        self._history_known = ""
        self._may_claim = self._may_keep = True
        self._answer = _Shown()
        self.result = ""
        self._sought: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        background.spawn(self._seek(), name="seek_thread")

    async def sticky_key(self) -> str | None:
        """What leads to the account that holds the conversation; None when none does."""
        return await asyncio.shield(self._sought)

    async def claimed(self, account: Account) -> Thread | None:
        """The conversation to go on from on that account. Once: a further attempt sends the whole prompt."""
        if not self._may_claim or not self._known or account.kind is not AccountKind.STUDIO:
            return None
        self._may_claim = False
        thread = None
        if await self.sticky_key() is not None:
            thread = await self._threads.claim(self._key, account, self._history_known)
        self.result = "missed" if thread is None else "continued"
        return thread

    def new_turns(self, conversation: Conversation) -> Conversation:
        """What follows the claimed conversation."""
        return replace(conversation, turns=conversation.turns[self._known :])

    def start_again(self, *, is_same: bool, was_lost: bool = False) -> None:
        """Another attempt follows, with the whole prompt. `is_same`: it asks what the client asked.
        `was_lost`: the studio did not go on."""
        self._answer = _Shown()
        self._may_claim = self._may_claim and is_same
        self._may_keep = self._may_keep and is_same
        if was_lost:
            self.result = "lost"

    def seen(self, events: Sequence[Event]) -> None:
        """What the client is shown."""
        self._answer.add(events)

    def keep(
        self, account: Account, take: Callable[[], OpenThread | None], *, is_whole: bool
    ) -> asyncio.Future[None] | None:
        """The answer is over: let the conversation wait for its next turn. The future is done when it does;
        None when it does not. `is_whole`: the client was shown all that the model said."""
        if (
            not (self._may_keep and is_whole and self._sought.done())
            or account.kind is not AccountKind.STUDIO
        ):
            return None
        calls_allowed = 1 << 20 if self._conversation.tool_choice.allows_parallel else 0
        turn = self._answer.turn(max_calls=calls_allowed)
        if turn is None or (left := take()) is None:
            return None
        self._may_keep = False
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._background.spawn(self._keep(account, left, turn, kept), name="keep_thread")
        return kept

    async def _seek(self) -> None:
        found, is_told = None, False
        try:
            await self._add(self._conversation.turns[: self._known])
            self._history_known, is_told = self._history.digest(), True
            if self._known:
                found = await self._threads.seek(self._key, self._history_known)
        finally:
            if not is_told:  # half a history must not pass for a whole one
                self._may_claim = self._may_keep = False
            if not self._sought.done():
                self._sought.set_result(found)

    async def _keep(self, account: Account, left: OpenThread, turn: Turn, kept: asyncio.Future[None]) -> None:
        is_kept = False
        try:
            await self._add((*self._conversation.turns[self._known :], turn))
            is_kept = await self._threads.keep(self._key, account, self._history.digest(), left.thread)
        finally:
            if not is_kept:
                left.drop()
            if not kept.done():
                kept.set_result(None)

    async def _add(self, turns: Sequence[Turn]) -> None:
        if _characters(turns) < _IN_THREAD_CHARS:
            self._history.add(turns)
        else:
            await asyncio.to_thread(self._history.add, turns)


def following(
    threads: Threads | None,
    background: Background,
    key: ApiKey,
    conversation: Conversation,
    candidates: Sequence[Account],
    *,
    offers_tools: bool,
) -> Following | None:
    """None where conversations are not reused, or no studio account may answer."""
    if threads is None or all(account.kind is not AccountKind.STUDIO for account in candidates):
        return None
    return Following(threads, background, key, conversation, offers_tools=offers_tools)


class _Shown:
    """An answer as the client has it, and as it will come back."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._calls: list[tuple[ToolCallStart, list[str]]] = []
        self._characters = 0
        self._ended_well = False
        self._is_cut = False

    def add(self, events: Sequence[Event]) -> None:
        for event in events:
            match event:
                case TextDelta():
                    self._grow(self._text, event.text)
                case ToolCallStart():
                    self._calls.append((event, []))
                case ToolCallDelta():
                    self._grow(self._calls[-1][1], event.fragment)
                case ToolCallCut():
                    self._is_cut = True
                case Finish():
                    is_natural = event.reason in (FinishReason.STOP, FinishReason.TOOL_CALLS)
                    self._ended_well = is_natural and event.stop_sequence is None
                case _:
                    pass

    def turn(self, *, max_calls: int) -> Turn | None:
        """The answer as a turn; None when it is not all of what the model said."""
        if self._is_cut or not self._ended_well or len(self._calls) > max_calls:
            return None
        text = "".join(self._text)
        calls = (
            ToolCall(call_id=start.call_id, name=start.name, arguments="".join(fragments))
            for start, fragments in self._calls
        )
        return Turn(role=Role.ASSISTANT, parts=(*((Text(text=text),) if text else ()), *calls))

    def _grow(self, pieces: list[str], piece: str) -> None:
        self._characters += len(piece)
        if self._characters > _MAX_ANSWER_CHARS:
            self._is_cut = True
        else:
            pieces.append(piece)


def _characters(turns: Sequence[Turn]) -> int:
    parts = chain.from_iterable(turn.parts for turn in turns)
    return sum(map(_length, parts))


def _length(part: object) -> int:
    match part:
        case Text():
            return len(part.text)
        case Media():
            return len(part.data or "")
        case ToolCall():
            return len(part.arguments)
        case ToolResult():
            return sum(map(_length, part.parts))
        case _:
            return 0


class Tidying:
    """Deletes what waited in vain, for all workers: each look takes what is due."""

    def __init__(
        self, threads: Threads, history: StudioHistory, configured: Callable[[], Sequence[Account]]
    ) -> None:
        self._threads = threads
        self._history = history
        self._configured = configured

    async def look(self) -> None:
        """One batch of each studio account. Where the account or the studio fails, they are due again later;
        a refusal would come again each time, and ends it."""
        for account in self._configured():
            if account.kind is not AccountKind.STUDIO:
                continue
            if not (due := await self._threads.due(account)):
                continue
            try:
                await self._history.delete(account, due)
            except GatewayError as error:
                log.warning("studio_tidying_failed", account=account.name, error_kind=str(error.kind))
                if _may_pass(error):
                    continue
            await self._threads.deleted(account, due)


def _may_pass(error: GatewayError) -> bool:
    """Whether the same may do later; a code inside a 200 is the studio's last word."""
    if isinstance(error, UpstreamUnavailable):
        return error.status != 200
    return isinstance(error, UpstreamAccountError | UpstreamRateLimited | UpstreamTimeout)
