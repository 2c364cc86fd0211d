"""The attempts round one answer: lease, open, read, and fail over while nothing was shown.

An Answer is read list by list, one for each upstream read. Its states: no attempt open; an attempt open,
nothing shown yet (a failure may still move on to another account); begun (a failure is the last event);
over. Written as a plain object and not as nested async generators: each of those costs a registration with
the event loop and a frame for every read, which together were a fifth of a request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Self

from service.config import Account, ApiKey
from service.core.completion import Collector, Completion
from service.core.conversation import Conversation
from service.core.demands import Demand, asked_again
from service.core.errors import (
    AnswerUnmet,
    GatewayError,
    UpstreamRefused,
    UpstreamTimeout,
)
from service.core.events import Event, Failed, Usage
from service.core.leases import Admission, Lease, Penalty
from service.core.pipeline import AnswerSource, Stage
from service.core.policy import (
    NextStep,
    costs_budget,
    next_step,
    penalty_of,
    retry_pause_s,
    without_what_is_refused,
)
from service.core.tokens import quick_prompt_tokens
from service.core.upstreams.studio_thread import CONVERSATION_LOST
from service.gateway.answer_parts import AnswerParts, ChatPolicy
from service.gateway.failures import for_client, hide_credentials, hide_in_failure, refuse_bad_start
from service.gateway.ports import UpstreamCall
from service.gateway.reasoning import Recollection, Thoughts
from service.gateway.running_answer import EndedByOperator, RunningAnswer
from service.gateway.stages import most_held_chars, stages_for
from service.gateway.sticky import is_continued, sticky_key
from service.gateway.structured import demands_of
from service.gateway.tally import Tally
from service.gateway.threads import Following
from service.telemetry.record import RequestRecord


class Answer:
    """One request's way to its answer. Read `batches` once, or `complete`; leaving its `with` settles it."""

    def __init__(
        self,
        parts: AnswerParts,
        conversation: Conversation,
        candidates: Sequence[Account],
        admission: Admission,
        record: RequestRecord,
        *,
        key: ApiKey,
        recollection: Recollection,
        following: Following | None,
        policy: ChatPolicy,
    ) -> None:
        self._parts = parts
        self._policy = policy
        self._conversation = conversation
        self._candidates = list(candidates)
        self._record = record
        self._recollection = recollection
        self._following = following
        self._thoughts = Thoughts(parts.reasoning, parts.background, key)
        self._tally = Tally(conversation, record, self._thoughts, parts.clock)
        self._running = RunningAnswer(record, self._tally)
        parts.holdings.answers.add(self._running)
        self._sticky_key = sticky_key(admission.key_id, conversation)
        self._attempts = 0
        self._account: Account | None = None
        self._lease: Lease | None = None
        self._call: UpstreamCall | None = None
        self._source: AnswerSource | None = None
        self._stages: Sequence[Stage] = ()
        self._demands: list[Demand] = []
        self._was_asked_again = False
        self._queued_s = 0.0
        self._penalty: Penalty | None = None
        self._has_begun = False
        self._is_over = False
        self._was_left_open = False
        self.admission = admission

    @property
    def model(self) -> str:
        """The id that answers."""
        return self._conversation.model

    async def complete(self) -> Completion:
        """The whole answer. Raises the error that ended it."""
        collector = Collector()
        async for batch in self:
            for event in batch:
                collector.feed(event)
        return collector.completion()

    def batches(self) -> Self:
        """The events of each upstream read, never an empty list; the last event is a Finish or a Failed.

        Raises a GatewayError as long as nothing was given out: then a status line can still tell it."""
        return self

    def __aiter__(self) -> AsyncIterator[list[Event]]:
        return self

    async def __anext__(self) -> list[Event]:
        while not self._is_over:
            try:
                self._running.wait()
                shown = await self._next_in_time()
                self._running.is_waiting = False
            except (asyncio.CancelledError, EndedByOperator) as error:
                shown = self._running.last_words(error, self._source if self._has_begun else None)
                await self.aclose()
            except GatewayError as error:
                self._running.is_waiting = False
                await self._move_on(error)
                continue
            if shown:
                return shown
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stop reading: the upstream is not asked for more."""
        self._was_left_open = self._was_left_open or self._call is not None
        self._end_attempt()
        self._is_over = True

    async def _next_in_time(self) -> list[Event]:
        """A stream's later attempts have what the earlier ones left of their shared time."""
        if self._has_begun or not self._record.attempts or not self._conversation.streams:
            return await self._next()
        spent_s = self._parts.clock.monotonic_s() - self._record.started_at_s
        try:
            async with asyncio.timeout(self._policy.begin_within_s - spent_s):
                return await self._next()
        except TimeoutError:
            raise UpstreamTimeout(waited_s=self._policy.begin_within_s, phase="begin") from None

    async def _next(self) -> list[Event]:
        """What the client may see of the next read. Raises while nothing was shown."""
        if self._source is None:
            await self._begin_attempt()
        events, is_last = await self._read()
        if is_last and self._account is not None:
            hide_in_failure(events, self._account)
        shown = self._tally.seen(events)
        if self._demands:
            shown = await self._demanded(shown)
        if self._following is not None:
            self._following.seen(shown)
        if not self._has_begun and shown:
            refuse_bad_start(shown, is_last_attempt=not (self._may_retry() and self._affords_retry()))
            self._has_begun = True
            self._record.first_event_at_s = self._parts.clock.monotonic_s()
        if is_last or (shown and isinstance(shown[-1], Failed)):
            await self._ended(self._record.error)
        return shown

    async def _demanded(self, events: list[Event]) -> list[Event]:
        """What the request's demands let through. Raises AnswerUnmet."""
        for demand in self._demands:
            if not demand.is_heavy:
                events = demand.feed(events)
            else:
                events = await asyncio.to_thread(demand.feed, events)
        if events and isinstance(events[-1], Failed):
            self._record.error = events[-1].error
        return events

    async def _ended(self, failure: GatewayError | None) -> None:
        """The last event was read, and not given out yet."""
        self._note_attempt(failure)
        if failure is not None:
            self._penalty = penalty_of(failure)
        elif kept := [one for one in (self._thoughts.keep(), self._kept_thread()) if one is not None]:
            await asyncio.wait(kept, timeout=self._policy.keep_within_s)
        self._end_attempt()
        self._is_over = True

    def _kept_thread(self) -> asyncio.Future[None] | None:
        if self._following is None or self._account is None or self._call is None:
            return None
        is_whole = not self._record.is_reasoning_only
        return self._following.keep(self._account, self._call.take_thread, is_whole=is_whole)

    async def _begin_attempt(self) -> None:
        """A lease on the next ready account (or the one there is already), and a call on it."""
        parts = self._parts
        account = self._account or await self._leased()
        queued_s, self._queued_s = self._queued_s, 0.0
        self._account, self._penalty = account, None
        self._record.account, self._record.wire = account.name, str(account.kind)
        trace_headers = self._record.begin_attempt(at_s=parts.clock.monotonic_s(), queued_s=queued_s)
        conversation = await self._recollection.restored(self._conversation, account.kind, self._record)
        thread = None if self._following is None else await self._following.claimed(account)
        if self._following is not None and thread is not None:
            conversation = self._following.new_turns(conversation)
        self._call = await parts.upstreams[account.kind].open(
            account,
            conversation,
            request_id=self._record.request_id,
            trace_headers=trace_headers,
            thread=thread,
        )
        self._record.connect_s += self._call.connect_s
        self._record.notes += (note for note in self._call.notes if note not in self._record.notes)
        stages = stages_for(
            self._conversation,
            account.kind,
            # Not a method of this object: both would hold each other, and the prompt, till a collection.
            new_call_id=partial(self._parts.ids.new, "call_"),
            offers_tools=self._policy.offers_tools_on_studio,
            shows_lone_reasoning=self._policy.shows_lone_reasoning,
        )
        self._stages = stages
        self._source = AnswerSource(self._call.decoder, stages)
        self._demands = demands_of(
            self._conversation, account.kind, offers_tools=self._policy.offers_tools_on_studio
        )

    async def _leased(self) -> Account:
        parts, candidates = self._parts, self._candidates
        self._attempts += 1
        counts_tokens = any(account.tokens_per_minute is not None for account in candidates)
        before_s = parts.clock.monotonic_s()
        self._lease = await parts.accounts.acquire(
            candidates,
            lease_id=parts.ids.new("lease_"),
            estimated_tokens=quick_prompt_tokens(self._conversation) if counts_tokens else 0,
            sticky_key=await self._preferred(),
            wait_s=self._policy.queue_s if self._attempts == 1 else 0.0,
        )
        parts.holdings.leases.add(self._lease)
        self._queued_s = parts.clock.monotonic_s() - before_s
        self._record.queued_s += self._queued_s
        self._record.sticky = self._lease.sticky
        return next(account for account in candidates if account.name == self._lease.account_name)

    async def _preferred(self) -> str | None:
        """The sticky key of the account that holds this very conversation, else of one that began like it."""
        if self._following is not None and (exact := await self._following.sticky_key()) is not None:
            return exact
        return self._sticky_key if is_continued(self._conversation) else None

    async def _read(self) -> tuple[list[Event], bool]:
        """The events of one read, and whether they are the last. A connection that breaks gives what was held
        and a Failed."""
        source, call = self._source, self._call
        if source is None or call is None:
            raise RuntimeError("no attempt is open")
        try:
            chunk = await call.read()
        except GatewayError as error:
            return source.fail(error), True
        if not chunk:
            return source.finish(), True
        return source.feed(chunk), source.is_done

    async def _move_on(self, error: GatewayError) -> None:
        """The request changed so that this cannot happen again, or another account; else raise what the
        client is told."""
        if self._account is None:
            raise error
        hide_credentials(error, self._account)
        self._note_attempt(error)
        if (amended := self._amended(error)) is not None:
            self._conversation = amended
            self._end_attempt()
            return
        failed, self._account = self._account, None
        self._penalty = penalty_of(error)
        if next_step(error) is NextStep.GIVE_UP or not self._may_retry() or not self._spends_retry(error):
            self._end_attempt()
            raise for_client(error) from error
        self._give_back()
        self._start_again(was_whole=False)
        self._candidates = [account for account in self._candidates if account is not failed] or [failed]
        jitter = hash(self._record.request_id) % 1000 / 1000
        await asyncio.sleep(retry_pause_s(self._attempts + 1, jitter=jitter))

    def _amended(self, error: GatewayError) -> Conversation | None:
        """The conversation with which the same account gets one more try; None when there is no remedy."""
        conversation = self._conversation
        if self._has_begun or not self._has_time():
            return None
        if isinstance(error, AnswerUnmet) and not self._was_asked_again:
            self._was_asked_again, self._record.asked_again = True, error.demand
            self._start_again(was_whole=True, is_same=False)
            self._record.notes.append(f"the model was asked once more: {error.code}")
            return asked_again(conversation, error)
        if not isinstance(error, UpstreamRefused):
            return None
        if error.code == CONVERSATION_LOST:
            self._start_again(was_whole=False, was_lost=True)
            return conversation
        amended, note = without_what_is_refused(conversation, error)
        if amended is not None:
            self._start_again(was_whole=False, is_same=False)
            self._record.notes.append(note)
        return amended

    def _start_again(self, *, was_whole: bool, is_same: bool = True, was_lost: bool = False) -> None:
        """Another attempt follows; `is_same`: it asks for the same."""
        self._tally.start_again(was_whole=was_whole)
        if self._following is not None:
            self._following.start_again(is_same=is_same, was_lost=was_lost)

    def _may_retry(self) -> bool:
        return self._attempts < self._policy.max_attempts and self._has_time()

    def _affords_retry(self) -> bool:
        return self._parts.retries.affords(now_s=self._parts.clock.monotonic_s())

    def _spends_retry(self, error: GatewayError) -> bool:
        if not costs_budget(error):
            return True
        if self._parts.retries.spend(now_s=self._parts.clock.monotonic_s()):
            return True
        self._record.retries_refused += 1
        return False

    def _has_time(self) -> bool:
        spent_s = self._parts.clock.monotonic_s() - self._record.started_at_s
        return spent_s < self._policy.retry_within_s

    def _note_attempt(self, failure: GatewayError | None) -> None:
        # Of an answer that is not what was asked for the account knows nothing.
        result = "ok" if failure is None or isinstance(failure, AnswerUnmet) else str(failure.kind)
        self._record.end_attempt(at_s=self._parts.clock.monotonic_s(), result=result)

    def _end_attempt(self) -> None:
        call, self._call, self._source = self._call, None, None
        if call is not None:
            call.close()

    def _give_back(self) -> None:
        """The failed attempt's lease, off the request's path."""
        self._end_attempt()
        lease, self._lease = self._lease, None
        if lease is not None:
            self._parts.holdings.leases.discard(lease)
            released = self._parts.accounts.release(lease, penalty=self._penalty, sticky_key=self._sticky_key)
            self._parts.background.spawn(released, name="release")

    # --- the end --------------------------------------------------------------------------------------------

    def close(self, *, is_cancelled: bool = False) -> None:
        """Book the end at once; charging the key and giving the lease back follow off the client's path."""
        self._record.is_cancelled = self._record.is_cancelled or is_cancelled
        was_open = self._was_left_open or self._call is not None
        self._end_attempt()
        self._is_over = True
        self._thoughts.keep()  # of a client that left: what it has seen may come back
        parts, lease = self._parts, self._lease
        self._record.usage = charged = self._tally.charged(was_open=was_open)
        self._record.thread_result = "" if self._following is None else self._following.result
        self._record.sieve_held_chars = most_held_chars(self._stages)
        if lease is not None:
            parts.holdings.leases.discard(lease)
        parts.holdings.admissions.discard(self.admission)
        parts.holdings.answers.discard(self._running)
        usage = charged or Usage()
        cost_micro_usd = self._policy.prices.cost_micro_usd(self.model, usage)
        self._record.cost_micro_usd = cost_micro_usd
        settled = parts.ledger.settle(
            self.admission,
            lease,
            usage=usage,
            model=self.model,
            penalty=self._penalty,
            sticky_key=self._sticky_key,
            cost_micro_usd=cost_micro_usd,
        )
        parts.background.spawn(settled, name="settle")
