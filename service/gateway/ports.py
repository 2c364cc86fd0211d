"""What the use cases need of the outside, by shape. `service.app` is where mypy sees that the parts fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Protocol

from service.config import Account, ApiKey, IssuedKey
from service.core.conversation import Conversation
from service.core.events import Finish, Usage
from service.core.leases import AccountHealth, Admission, Lease, Penalty, Renewal
from service.core.pipeline import Decoder
from service.core.response_events import KeptEvents, StopWord
from service.core.speech import AudioFormat, SpeechRequest, Transcript, TranscriptionRequest
from service.core.upstreams.studio_thread import OpenThread, Thread
from service.core.usage import Booked


class Clock(Protocol):
    """Time, so that tests can turn it."""

    def monotonic_s(self) -> float: ...

    def unix_s(self) -> float: ...


class Ids(Protocol):
    """Fresh identifiers: `prefix` followed by at least 16 letters and digits."""

    def new(self, prefix: str) -> str: ...


class UpstreamCall(Protocol):
    """One open answer of an upstream: its bytes, and the decoder that reads them."""

    @property
    def decoder(self) -> Decoder: ...

    @property
    def notes(self) -> Sequence[str]:
        """What the request's normaliser changed, for the notes header."""
        ...

    @property
    def connect_s(self) -> float:
        """How long its connection took to be made; 0 on one that was there."""
        ...

    async def read(self) -> bytes:
        """The next bytes as the socket gave them; b"" at the connection's end. Raises UpstreamTimeout,
        UpstreamUnavailable, UpstreamProtocolError."""
        ...

    def take_thread(self) -> OpenThread | None:
        """The upstream's own conversation, when the answer ended so that a next turn may go on from it; it is
        the caller's from now on. None on wires that have none."""
        ...

    def close(self) -> None:
        """Read no more. The connection is kept when the answer was read to its end, closed otherwise: an
        abandoned answer must not go on being written."""
        ...


class Upstream(Protocol):
    """One upstream kind."""

    async def open(
        self,
        account: Account,
        conversation: Conversation,
        *,
        request_id: str,
        trace_headers: Mapping[str, str] | None = None,
        thread: Thread | None = None,
    ) -> UpstreamCall:
        """Send the conversation; the caller closes the call. With a `thread`, the conversation's turns are
        those that follow it: UpstreamRefused with CONVERSATION_LOST when it is gone. Raises an UpstreamError
        for a status that is no answer."""
        ...

    async def models(self, account: Account) -> Sequence[str]:
        """The chat models that the account lists. Raises an UpstreamError."""
        ...

    async def probe(self, account: Account) -> None:
        """A cheap call that costs no chat. Raises an UpstreamError that says what is wrong."""
        ...


class SpeechCall(Protocol):
    """One open answer that is sound."""

    @property
    def audio_format(self) -> AudioFormat: ...

    @property
    def usage(self) -> Usage | None: ...

    @property
    def finish(self) -> Finish:
        """How it ended, once it has."""
        ...

    @property
    def worded(self) -> str:
        """The words that the model found itself; "" where it was given them."""
        ...

    async def read(self) -> bytes:
        """The next piece of sound; b"" at the end. Raises an UpstreamError."""
        ...

    def close(self) -> None: ...


class SpeechUpstream(Protocol):
    """Speech of one upstream kind."""

    async def speak(
        self, account: Account, request: SpeechRequest, trace_headers: Mapping[str, str]
    ) -> SpeechCall:
        """Raises an UpstreamError, and InvalidRequest for what the wire cannot say."""
        ...

    async def transcribe(
        self, account: Account, request: TranscriptionRequest, trace_headers: Mapping[str, str]
    ) -> Transcript:
        """Raises an UpstreamError."""
        ...


class Limits(Protocol):
    """An API key's limits, shared by all workers."""

    async def admit(self, key: ApiKey, *, request_id: str, estimated_tokens: int) -> Admission:
        """Take one request, one concurrency slot and the tokens, all or none. Raises RateLimited,
        StoreUnavailable.

        The same `request_id` twice is one admission."""
        ...

    async def renew(self, admissions: Sequence[Admission]) -> None:
        """Keep the concurrency slots of running requests from expiring."""
        ...


class KeyRegistry(Protocol):
    """API keys that were issued while the gateway runs. Every method raises StoreUnavailable."""

    async def find(self, key_id: str) -> ApiKey | None:
        """The key of that id; None for one that never was, or was revoked."""
        ...

    async def add(self, issued: IssuedKey) -> bool:
        """False when there is a key of that id already: nothing was changed."""
        ...

    async def update(self, issued: IssuedKey) -> bool:
        """Other limits for a key that is there. False when there is none (any more)."""
        ...

    async def remove(self, key_id: str) -> bool:
        """False when there was none."""
        ...

    async def every(self) -> Sequence[IssuedKey]:
        """All of them, the oldest first."""
        ...


class Accounts(Protocol):
    """The pool of accounts, shared by all workers."""

    async def acquire(
        self,
        candidates: Sequence[Account],
        *,
        lease_id: str,
        estimated_tokens: int = 0,
        sticky_key: str | None = None,
        wait_s: float = 0.0,
    ) -> Lease:
        """One slot of the next ready candidate, round robin. Waits up to `wait_s` while all are busy.

        Raises RateLimited when all stay busy (with the soonest reset), NoAccount when none is usable."""
        ...

    async def renew(self, leases: Sequence[Lease]) -> Renewal:
        """Heartbeat of the leases this process holds."""
        ...

    async def release(
        self, lease: Lease, *, penalty: Penalty | None = None, sticky_key: str | None = None
    ) -> None:
        """Give the slot back; a penalty changes the account's health, None counts as a success."""
        ...

    async def penalise(self, account_name: str, penalty: Penalty) -> None:
        """What was learnt of an account without a lease of it."""
        ...

    async def health(self, accounts: Sequence[Account]) -> Sequence[AccountHealth]:
        """How each account stands at present."""
        ...

    async def reset(self, account_name: str) -> None:
        """End every cooldown and quarantine of the account."""
        ...


class Ledger(Protocol):
    """The end of a request: the key's limits settled, the lease given back, in one round trip."""

    async def settle(
        self,
        admission: Admission,
        lease: Lease | None,
        *,
        usage: Usage,
        model: str,
        penalty: Penalty | None = None,
        sticky_key: str | None = None,
        cost_micro_usd: int = 0,
    ) -> None: ...


class UsageReader(Protocol):
    """The ledger, as reports read it."""

    async def booked(self, first: date, last: date) -> Sequence[Booked]:
        """What was used from `first` to `last` (UTC, both included): one row a day, key and model, in no
        order, of every key, revoked ones too. Raises StoreUnavailable."""
        ...


class ModelCatalogue(Protocol):
    """Which account lists which models, kept in Redis so that a new worker knows at once."""

    async def load(self) -> Mapping[str, Sequence[str]]:
        """Account name -> model ids; {} when nothing is stored or Redis is away."""
        ...

    async def save(self, models_by_account: Mapping[str, Sequence[str]]) -> None: ...


class Objects(Protocol):
    """Answers kept for their owner. A foreign id is as unknown as one that never was: the key is part of
    the name.

    `kind` is `message`, `response` or `item`; bodies are any bytes."""

    async def save(self, kind: str, key_id: str, bodies: Mapping[str, bytes]) -> bool:
        """Keep each body under its id, in one round trip. False: Redis is away, and the copies are lost."""
        ...

    async def load(self, kind: str, key_id: str, object_ids: Sequence[str]) -> Mapping[str, bytes]:
        """Those of the objects that are known, in one round trip. Raises StoreUnavailable."""
        ...

    async def delete(self, kind: str, key_id: str, object_id: str) -> bool:
        """True when there was something to delete. Raises StoreUnavailable."""
        ...


class ReasoningMemory(Protocol):
    """What models thought before they called tools, for clients that do not give it back. Never raises for a
    store that is away: it knows nothing then."""

    async def keep(self, key: ApiKey, call_ids: Sequence[str], reasoning: str) -> None:
        """Remember the text under each id, for this key alone."""
        ...

    async def recall(self, key: ApiKey, call_ids: Sequence[str]) -> Mapping[str, str]:
        """The reasoning of those ids that are known."""
        ...


class Threads(Protocol):
    """Conversations at the studio that wait for their next turn: of one API key, one account and one history
    (its digest). Never raises for a store that is away: it knows nothing then."""

    async def seek(self, key: ApiKey, history: str) -> str | None:
        """The sticky key with which the pool prefers the account that holds it; None when none does."""
        ...

    async def claim(self, key: ApiKey, account: Account, history: str) -> Thread | None:
        """Take it, so that nobody else goes on from it."""
        ...

    async def keep(self, key: ApiKey, account: Account, history: str, thread: Thread) -> bool:
        """Let it wait. False: the store is away."""
        ...

    async def due(self, account: Account) -> Sequence[str]:
        """Ids of conversations whose time is over. They are due again in a while unless `deleted` is told."""
        ...

    async def deleted(self, account: Account, conversation_ids: Sequence[str]) -> None: ...


class StudioHistory(Protocol):
    """What the studio shows in the history of an account's user."""

    async def delete(self, account: Account, conversation_ids: Sequence[str]) -> None:
        """Raises an UpstreamError."""
        ...


class Turns(Protocol):
    """What one worker does for all of them."""

    async def take(self, name: str, *, every_s: float) -> bool:
        """True for the first who asks in `every_s`; False when the store is away."""
        ...


class ResponseEvents(Protocol):
    """The events of background responses, and the sign of life of who runs them; shared by all workers.

    Every method raises StoreUnavailable."""

    async def begin(self, key_id: str, response_id: str) -> None:
        """The first sign of life."""
        ...

    async def append(self, key_id: str, response_id: str, events: bytes, *, is_last: bool = False) -> None:
        """Add whole events at the end."""
        ...

    async def beat(self, key_id: str, response_id: str) -> StopWord | None:
        """A sign of life; what somebody asked of the runner meanwhile comes back."""
        ...

    async def ask(self, key_id: str, response_id: str, word: StopWord) -> None:
        """Ask the runner, whichever worker it is in, to stop."""
        ...

    async def end(self, key_id: str, response_id: str) -> None:
        """No more signs of life: all events are in. They stay for a while."""
        ...

    async def forget(self, key_id: str, response_id: str) -> None:
        """Delete the events."""
        ...

    async def is_running(self, key_id: str, response_id: str) -> bool:
        """Whether a sign of life came lately."""
        ...

    async def read(self, key_id: str, response_id: str, *, after: str, wait_s: float) -> Sequence[KeptEvents]:
        """What was appended after the entry `after` ("0" for all), in order, at most some at a time; waits
        up to `wait_s` for the first."""
        ...


class StoreHealth(Protocol):
    """Redis, as readiness sees it."""

    async def check(self) -> str | None:
        """None when it answers, else what is wrong, in words without secrets."""
        ...
