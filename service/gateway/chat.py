"""One conversation answered: admit -> lease -> open -> events -> settle.

`Chat.open` admits and gives an Answer; `Answer.batches` runs the attempts and gives the events of each
upstream read
as one list. Until the first event that a client can see, a failure moves on to another account; after it, the
stream's last event is a Failed, which every dialect shows in-band. Settling never waits on the client's
path, and
it happens on every ending: leaving the context is what spawns it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace

from service.config import Account, AccountKind, ApiKey
from service.core.completion import Collector, Completion
from service.core.conversation import Conversation
from service.core.errors import (
    GatewayError,
    ModelNotFound,
    NoAccount,
    PermissionDenied,
    UpstreamAccountError,
    UpstreamProtocolError,
)
from service.core.events import (
    Event,
    Failed,
    Finish,
    FinishReason,
    Notice,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
    UsageReport,
)
from service.core.leases import Admission, Lease, Penalty
from service.core.models import facts_of
from service.core.pipeline import AnswerSource
from service.core.policy import NextStep, chars_tokens, next_step, penalty_of, prompt_tokens, retry_pause_s
from service.gateway.background import Background
from service.gateway.holdings import Holdings
from service.gateway.models import Models
from service.gateway.ports import Accounts, Clock, Ids, Ledger, Limits, Upstream
from service.gateway.stages import stages_for
from service.telemetry.record import AttemptRecord, RequestRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatPolicy:
    """How often and how long one request tries. `queue_s`: how long it waits for a free account;
    no new attempt begins later than `retry_within_s` after the request came."""

    max_attempts: int = 3
    queue_s: float = 10.0
    retry_within_s: float = 200.0
    offers_tools_on_studio: bool = True


class Chat:
    """The use case every dialect and the batch worker go through."""

    def __init__(
        self,
        *,
        upstreams: Mapping[AccountKind, Upstream],
        accounts: Accounts,
        limits: Limits,
        ledger: Ledger,
        models: Models,
        background: Background,
        holdings: Holdings,
        clock: Clock,
        ids: Ids,
        policy: ChatPolicy,
    ) -> None:
        self.upstreams = upstreams
        self.accounts = accounts
        self.limits = limits
        self.ledger = ledger
        self.models = models
        self.background = background
        self.holdings = holdings
        self.clock = clock
        self.ids = ids
        self.policy = policy

    @asynccontextmanager
    async def open(
        self, conversation: Conversation, *, key: ApiKey, record: RequestRecord
    ) -> AsyncIterator[Answer]:
        """Resolve the model, admit the key, give the Answer; settle on leaving, whatever happened.

        Raises ModelNotFound, PermissionDenied, NoAccount, RateLimited, StoreUnavailable: all before any
        upstream
        call."""
        resolved, candidates = self._resolved(conversation, key, record)
        estimate = prompt_tokens(resolved) if key.tokens_per_minute is not None else 0
        admission = await self.limits.admit(key, request_id=record.request_id, estimated_tokens=estimate)
        self.holdings.admissions.add(admission)
        answer = Answer(self, resolved, candidates, admission, record)
        try:
            yield answer
        except asyncio.CancelledError:
            record.is_cancelled = True
            raise
        finally:
            answer.close()

    def _resolved(
        self, conversation: Conversation, key: ApiKey, record: RequestRecord
    ) -> tuple[Conversation, list[Account]]:
        record.decoded_at_s = self.clock.monotonic_s()
        record.model_requested = conversation.model
        resolution = self.models.resolve(conversation.model)
        record.model = resolution.model
        record.notes += resolution.notes
        if key.models and resolution.model not in key.models and conversation.model not in key.models:
            raise PermissionDenied(f"This API key may not use the model '{resolution.model}'.", param="model")
        candidates = self.models.accounts_for(resolution.model)
        if not candidates:
            raise ModelNotFound(conversation.model)
        record.tools_offered = len(conversation.tools)
        record.streams = conversation.streams
        return replace(conversation, model=resolution.model), candidates


class Answer:
    """One request's way to its answer. Read `batches` once, or `complete`."""

    def __init__(
        self,
        chat: Chat,
        conversation: Conversation,
        candidates: Sequence[Account],
        admission: Admission,
        record: RequestRecord,
    ) -> None:
        self._chat = chat
        self._conversation = conversation
        self._candidates = list(candidates)
        self._record = record
        self._usage: Usage | None = None
        self._output_chars = 0
        self._lease: Lease | None = None
        self._penalty: Penalty | None = None
        self.admission = admission

    @property
    def model(self) -> str:
        """The id that answers."""
        return self._conversation.model

    async def complete(self) -> Completion:
        """The whole answer. Raises the error that ended it."""
        collector = Collector()
        async with aclosing(self.batches()) as batches:
            async for batch in batches:
                for event in batch:
                    collector.feed(event)
        return collector.completion()

    async def batches(self) -> AsyncGenerator[list[Event], None]:
        """The events of each upstream read, never an empty list; the last event is a Finish or a Failed.

        Raises a GatewayError as long as nothing was given out: then a status line can still tell it."""
        attempt = 0
        while True:
            attempt += 1
            account = await self._acquire(is_first=attempt == 1)
            started_at_s = self._chat.clock.monotonic_s()
            try:
                async with aclosing(self._attempt(account, is_last=not self._may_retry(attempt))) as events:
                    async for batch in events:
                        yield batch
                failure = self._record.error  # one that came after the first byte
                self._attempted(account, "ok" if failure is None else str(failure.kind), started_at_s)
                return
            except GatewayError as error:
                self._attempted(account, str(error.kind), started_at_s)
                self._penalty = penalty_of(error)
                if next_step(error) is NextStep.GIVE_UP or not self._may_retry(attempt):
                    raise _for_client(error) from error
                self._give_back(self._penalty)
                self._record.error = None
                self._candidates = [other for other in self._candidates if other is not account] or [account]
            await asyncio.sleep(
                retry_pause_s(attempt + 1, jitter=hash(self._record.request_id) % 1000 / 1000)
            )

    async def _acquire(self, *, is_first: bool) -> Account:
        """A lease on the next ready account."""
        chat = self._chat
        before_s = chat.clock.monotonic_s()
        estimate = (
            prompt_tokens(self._conversation) if any(a.tokens_per_minute for a in self._candidates) else 0
        )
        self._lease = await chat.accounts.acquire(
            self._candidates,
            lease_id=chat.ids.new("lease_"),
            estimated_tokens=estimate,
            wait_s=chat.policy.queue_s if is_first else 0.0,
        )
        chat.holdings.leases.add(self._lease)
        self._penalty = None
        self._record.queued_s += chat.clock.monotonic_s() - before_s
        account = next(a for a in self._candidates if a.name == self._lease.account_name)
        self._record.account, self._record.wire = account.name, str(account.kind)
        return account

    async def _attempt(self, account: Account, *, is_last: bool) -> AsyncGenerator[list[Event], None]:
        """One call at one account. Raises while nothing was shown; gives a Failed after that."""
        chat, conversation = self._chat, self._conversation
        stages = stages_for(
            conversation,
            account.kind,
            new_call_id=lambda: chat.ids.new("call_"),
            offers_tools=chat.policy.offers_tools_on_studio,
        )
        has_begun = False
        upstream = chat.upstreams[account.kind]
        async with upstream.open(account, conversation, request_id=self._record.request_id) as call:
            source = AnswerSource(call.decoder, stages)
            self._record.notes += (note for note in call.notes if note not in self._record.notes)
            async with aclosing(_reads(call.chunks(), source)) as reads:
                async for events in reads:
                    shown = self._seen(events)
                    if not has_begun and shown:
                        _refuse_bad_start(shown, is_last=is_last)
                        has_begun = True
                        self._record.first_event_at_s = chat.clock.monotonic_s()
                    if shown:
                        yield shown

    def _seen(self, events: list[Event]) -> list[Event]:
        """Book what the events tell of the request; what the client may see of them comes back."""
        record = self._record
        shown = events
        for event in events:
            kind = type(event)
            if kind is TextDelta or kind is ReasoningDelta:
                self._output_chars += len(event.text)  # type: ignore[union-attr]
            elif kind is ToolCallDelta:
                self._output_chars += len(event.fragment)  # type: ignore[union-attr]
            else:
                shown = self._booked(event, shown, record)
        return shown

    def _booked(self, event: Event, shown: list[Event], record: RequestRecord) -> list[Event]:
        match event:
            case UsageReport():
                self._usage = event.usage
            case ToolCallStart():
                record.tools_called += 1
            case Notice():
                name = (event.name, event.detail)
                record.sieve[name] = record.sieve.get(name, 0) + 1
                return [other for other in shown if other is not event]
            case Finish():
                record.finish_reason = str(event.reason)
                record.finished_at_s = self._chat.clock.monotonic_s()
                if self._usage is None:
                    self._usage = self._estimated_usage()
                    return [*shown[:-1], UsageReport(self._usage), event]
            case Failed():
                record.error = event.error
                self._penalty = penalty_of(event.error)
            case _:
                pass
        return shown

    def _may_retry(self, attempt: int) -> bool:
        chat = self._chat
        spent_s = chat.clock.monotonic_s() - self._record.started_at_s
        return attempt < chat.policy.max_attempts and spent_s < chat.policy.retry_within_s

    def _attempted(self, account: Account, result: str, started_at_s: float) -> None:
        spent_s = self._chat.clock.monotonic_s() - started_at_s
        self._record.attempts.append(
            AttemptRecord(account=account.name, wire=str(account.kind), result=result, duration_s=spent_s)
        )

    def _give_back(self, penalty: Penalty | None) -> None:
        """The failed attempt's lease, off the request's path."""
        lease, self._lease = self._lease, None
        if lease is not None:
            self._chat.holdings.leases.discard(lease)
            release = self._chat.accounts.release(lease, penalty=penalty)
            self._chat.background.spawn(release, name="release")

    def _estimated_usage(self) -> Usage:
        output_tokens = chars_tokens(self._output_chars)
        return Usage(
            input_tokens=prompt_tokens(self._conversation), output_tokens=output_tokens, is_estimated=True
        )

    def close(self) -> None:
        """Book the end at once; charging the key and giving the lease back follow off the client's path."""
        chat, lease = self._chat, self._lease
        if self._usage is None and self._output_chars:
            self._usage = self._estimated_usage()
        self._record.usage = self._usage
        if lease is not None:
            chat.holdings.leases.discard(lease)
        chat.holdings.admissions.discard(self.admission)
        usage = self._usage or Usage()
        settled = chat.ledger.settle(
            self.admission,
            lease,
            usage=usage,
            model=self.model,
            penalty=self._penalty,
            cost_micro_usd=facts_of(self.model).price.cost_micro_usd(usage),
        )
        chat.background.spawn(settled, name="settle")


async def _reads(chunks: AsyncIterator[bytes], source: AnswerSource) -> AsyncGenerator[list[Event], None]:
    """The events of each read; a connection that breaks gives what was held and a Failed."""
    try:
        async for chunk in chunks:
            if events := source.feed(chunk):
                yield events
            if source.is_done:
                return
    except GatewayError as error:
        yield source.fail(error)
        return
    if events := source.finish():
        yield events


def _refuse_bad_start(events: list[Event], *, is_last: bool) -> None:
    """A failure before anything was shown can still be told by a status, or tried elsewhere; so can an answer
    that stops before it said anything (unless this was the last try: then that is the answer)."""
    for event in events:
        if isinstance(event, Failed):
            raise event.error
        if isinstance(event, Finish) and event.reason is FinishReason.STOP and not is_last:
            raise UpstreamProtocolError("The upstream's answer was empty.")
        if not isinstance(event, UsageReport):
            return


def _for_client(error: GatewayError) -> GatewayError:
    """What the caller is told when the last attempt failed: an account's trouble is ours, not theirs."""
    if isinstance(error, UpstreamAccountError):
        return NoAccount("No account of this gateway can serve the request at present.")
    return error
