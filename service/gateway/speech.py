"""Speech said and written down: admit -> lease -> open -> sound -> settle, with the same parts as a chat.

An attempt that fails before its first sound moves on to another account, as a chat's does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from service.config import Account, AccountKind, ApiKey
from service.core.errors import (
    GatewayError,
    ModelNotFound,
    NoAccount,
    PermissionDenied,
    UpstreamAccountError,
    UpstreamProtocolError,
)
from service.core.events import Failed, Usage, UsageReport
from service.core.leases import Admission, Lease, Penalty
from service.core.policy import NextStep, next_step, penalty_of, retry_pause_s
from service.core.prices import PriceTable
from service.core.speech import (
    AudioFormat,
    Sound,
    SpeechEvent,
    SpeechRequest,
    Transcript,
    TranscriptionRequest,
)
from service.core.tokens import chars_tokens
from service.gateway.background import Background
from service.gateway.failures import hide_credentials
from service.gateway.holdings import Holdings
from service.gateway.models import Models
from service.gateway.ports import Accounts, Clock, Ids, Ledger, Limits, SpeechCall, SpeechUpstream
from service.telemetry.record import RequestRecord

MAX_ATTEMPTS = 3
QUEUE_S = 10.0

_T = TypeVar("_T")
_Work = Callable[[SpeechUpstream, Account, Mapping[str, str]], Awaitable[_T]]


@dataclass(slots=True)
class Spoken:
    """An answer whose first sound is here. `failure` is what broke it off afterwards."""

    first: bytes
    call: SpeechCall
    account: Account
    failure: GatewayError | None = None

    @property
    def audio_format(self) -> AudioFormat:
        return self.call.audio_format

    async def more(self) -> bytes:
        """The next sound after `first`; b"" at the end. Raises an UpstreamError when it breaks off."""
        try:
            return await self.call.read()
        except GatewayError as error:
            hide_credentials(error, self.account)
            self.failure = error
            raise

    async def whole(self) -> bytes:
        """All of it. Raises an UpstreamError when it breaks off."""
        pieces = [self.first]
        while piece := await self.more():
            pieces.append(piece)
        return b"".join(pieces)


class SpeechStream:
    """A speech as events, for an answer that streams. Nothing is asked before the first is wanted."""

    def __init__(self, speech: Speech, request: SpeechRequest, key: ApiKey, record: RequestRecord) -> None:
        self._speech = speech
        self._request = request
        self._key = key
        self._record = record

    async def batches(self) -> AsyncGenerator[list[SpeechEvent], None]:
        """Lists of events; the last event is a Finish or a Failed. Raises a GatewayError as long as nothing
        was given out."""
        record = self._record
        async with self._speech.spoken(self._request, key=self._key, record=record) as spoken:
            yield [Sound(spoken.first)]
            try:
                while piece := await spoken.more():
                    yield [Sound(piece)]
            except GatewayError as error:
                record.error = error
                yield [Failed(error)]
                return
            yield self._ending(spoken.call)

    def _ending(self, call: SpeechCall) -> list[SpeechEvent]:
        events: list[SpeechEvent] = []
        if self._request.words_text:
            events.append(Sound(b"", transcript=call.worded or self._request.text))
        if call.usage is not None:
            events.append(UsageReport(call.usage))
        self._record.finish_reason = str(call.finish.reason)
        return [*events, call.finish]


class Speech:
    """The use case of both audio routes."""

    def __init__(
        self,
        upstreams: Mapping[AccountKind, SpeechUpstream],
        *,
        accounts: Accounts,
        limits: Limits,
        ledger: Ledger,
        models: Models,
        background: Background,
        holdings: Holdings,
        clock: Clock,
        ids: Ids,
        prices: PriceTable,
    ) -> None:
        self.prices = prices
        self._upstreams = upstreams
        self._accounts = accounts
        self._limits = limits
        self._ledger = ledger
        self._models = models
        self._background = background
        self._holdings = holdings
        self._clock = clock
        self._ids = ids

    @asynccontextmanager
    async def spoken(
        self, request: SpeechRequest, *, key: ApiKey, record: RequestRecord
    ) -> AsyncIterator[Spoken]:
        """The speech; leaving closes the upstream and settles. Raises a GatewayError before its first sound.

        Platform accounts come first where the client wants what only they can say."""
        candidates = self._candidates(request.model, key, record)
        if request.audio_format in (None, AudioFormat.MP3) or request.words_text:
            speaking = [account for account in candidates if account.kind is AccountKind.PLATFORM]
            candidates = speaking or candidates
        record.notes += request.notes
        async with self._run(request.model, candidates, key, record, len(request.text)) as run:
            spoken = await run.first(
                lambda upstream, account, trace: _begun(upstream, account, request, trace)
            )
            try:
                yield spoken
            finally:
                run.broke_off(spoken.failure)
                run.usage = spoken.call.usage or _estimated(request)
                spoken.call.close()

    def stream(self, request: SpeechRequest, *, key: ApiKey, record: RequestRecord) -> SpeechStream:
        """The same as events."""
        return SpeechStream(self, request, key, record)

    async def transcript(
        self, request: TranscriptionRequest, *, key: ApiKey, record: RequestRecord
    ) -> Transcript:
        """What the clip says. Raises a GatewayError."""
        candidates = [
            account
            for account in self._candidates(request.model, key, record)
            if account.kind is AccountKind.PLATFORM
        ]
        if not candidates:
            raise ModelNotFound(request.model)
        async with self._run(request.model, candidates, key, record, 0) as run:
            transcript = await run.first(
                lambda upstream, account, trace: upstream.transcribe(account, request, trace)
            )
            run.usage = Usage(audio_ms=round((transcript.seconds or 0.0) * 1000))
            return transcript

    def _candidates(self, model: str, key: ApiKey, record: RequestRecord) -> list[Account]:
        record.decoded_at_s = self._clock.monotonic_s()
        record.model_requested = record.model = model
        if key.models and model not in key.models:
            raise PermissionDenied(f"This API key may not use the model '{model}'.", param="model")
        # Discovery leaves speech ids out: an account without a list of its own speaks.
        accounts = self._models.accounts
        found = [account for account in accounts if not account.models or model in account.models]
        if not found:
            raise ModelNotFound(model)
        return found

    @asynccontextmanager
    async def _run(
        self,
        model: str,
        candidates: Sequence[Account],
        key: ApiKey,
        record: RequestRecord,
        text_chars: int,
    ) -> AsyncIterator[_Run]:
        admission = await self._limits.admit(
            key, request_id=record.request_id, estimated_tokens=chars_tokens(text_chars)
        )
        record.admission = admission
        self._holdings.admissions.add(admission)
        run = _Run(self, admission, candidates, record)
        try:
            yield run
        finally:
            self._settle(model, run)

    def _settle(self, model: str, run: _Run) -> None:
        self._holdings.admissions.discard(run.admission)
        if run.lease is not None:
            self._holdings.leases.discard(run.lease)
        run.record.usage = run.usage
        usage = run.usage or Usage()
        run.record.cost_micro_usd = self.prices.cost_micro_usd(model, usage)
        settled = self._ledger.settle(
            run.admission,
            run.lease,
            usage=usage,
            model=model,
            penalty=run.penalty,
            cost_micro_usd=run.record.cost_micro_usd,
        )
        self._background.spawn(settled, name="settle")

    async def lease(self, candidates: Sequence[Account], *, wait_s: float) -> tuple[Account, Lease]:
        """A slot of the next ready candidate. Raises RateLimited, NoAccount."""
        lease = await self._accounts.acquire(candidates, lease_id=self._ids.new("lease_"), wait_s=wait_s)
        self._holdings.leases.add(lease)
        return next(account for account in candidates if account.name == lease.account_name), lease

    def give_back(self, lease: Lease, penalty: Penalty | None) -> None:
        """A failed attempt's lease, off the request's path."""
        self._holdings.leases.discard(lease)
        self._background.spawn(self._accounts.release(lease, penalty=penalty), name="release")

    def upstream(self, account: Account) -> SpeechUpstream:
        return self._upstreams[account.kind]

    def now_s(self) -> float:
        return self._clock.monotonic_s()


class _Run:
    """One request: its admission, the lease it holds, and its attempts."""

    def __init__(
        self, speech: Speech, admission: Admission, candidates: Sequence[Account], record: RequestRecord
    ) -> None:
        self._speech = speech
        self._candidates = list(candidates)
        self.admission = admission
        self.record = record
        self.lease: Lease | None = None
        self.penalty: Penalty | None = None
        self.usage: Usage | None = None

    async def first(self, work: _Work[_T]) -> _T:
        """What the first account that can gives. Raises what the client is told."""
        for attempt in range(1, MAX_ATTEMPTS + 1):
            asked_s = self._speech.now_s()
            account, self.lease = await self._speech.lease(
                self._candidates, wait_s=QUEUE_S if attempt == 1 else 0.0
            )
            self.record.account, self.record.wire = account.name, str(account.kind)
            began_s = self._speech.now_s()
            self.record.queued_s += began_s - asked_s
            trace = self.record.begin_attempt(at_s=began_s, queued_s=began_s - asked_s)
            try:
                found = await work(self._speech.upstream(account), account, trace)
            except GatewayError as error:
                hide_credentials(error, account)
                self.record.end_attempt(at_s=self._speech.now_s(), result=str(error.kind))
                await self._move_on(error, account, attempt)
                continue
            self.record.end_attempt(at_s=self._speech.now_s(), result="ok")
            self.record.first_event_at_s = self._speech.now_s()
            return found
        raise NoAccount("No account of this gateway can serve the request at present.")

    def broke_off(self, failure: GatewayError | None) -> None:
        """The answer that had begun ended so: its account pays as for any stream that breaks."""
        if failure is not None:
            self.penalty = penalty_of(failure)
            self.record.attempts[-1] = replace(self.record.attempts[-1], result=str(failure.kind))

    async def _move_on(self, error: GatewayError, account: Account, attempt: int) -> None:
        penalty = penalty_of(error)
        if next_step(error) is NextStep.GIVE_UP or attempt == MAX_ATTEMPTS:
            self.penalty = penalty
            if isinstance(error, UpstreamAccountError):
                raise NoAccount("No account of this gateway can serve the request at present.") from error
            raise error
        lease, self.lease = self.lease, None
        if lease is not None:
            self._speech.give_back(lease, penalty)
        self._candidates = [other for other in self._candidates if other is not account] or [account]
        await asyncio.sleep(retry_pause_s(attempt + 1, jitter=hash(self.record.request_id) % 1000 / 1000))


def _estimated(request: SpeechRequest) -> Usage:
    """Of speech that broke off, and of wires that tell no counts: what was sent."""
    return Usage(input_tokens=chars_tokens(len(request.text)), is_estimated=True)


async def _begun(
    upstream: SpeechUpstream, account: Account, request: SpeechRequest, trace: Mapping[str, str]
) -> Spoken:
    """The call with its first sound. Raises an UpstreamError while another account may still do better."""
    call = await upstream.speak(account, request, trace)
    try:
        first = await call.read()
        if not first:
            raise UpstreamProtocolError("The upstream's speech was empty.")
    except BaseException:
        call.close()
        raise
    return Spoken(first, call, account)
