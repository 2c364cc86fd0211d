"""What is known of one request at its end: the source of its log line and of its metrics. Never content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from service.core.errors import AnswerUnmet, GatewayError
from service.core.events import Usage
from service.core.leases import Admission
from service.core.reasoning import Replay
from service.telemetry.trace import NO_TRACE, Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One try at one account, after `queued_s` of waiting for it. `result` is `ok` or an error kind."""

    account: str
    wire: str
    result: str
    duration_s: float
    began_at_s: float = 0.0
    queued_s: float = 0.0
    span_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAttempt:
    """A try that has not ended."""

    began_at_s: float
    queued_s: float
    span_id: str


@dataclass(slots=True, kw_only=True)
class RequestRecord:
    """Filled in while the request runs. Times are seconds of the monotonic clock or spans of it."""

    request_id: str
    route: str
    started_at_s: float
    method: str = ""
    key_id: str = ""
    key_name: str = ""
    model_requested: str = ""
    model: str = ""
    wire: str = ""
    account: str = ""
    streams: bool = False
    status: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    tools_offered: int = 0
    tools_called: int = 0
    trace: Trace = NO_TRACE
    batch_id: str = ""
    client_net: str = ""  # the address without its host part
    user_agent: str = ""
    sticky: str = ""  # whether a conversation that goes on met its account again: hit, moved, miss
    admit_at_s: float | None = None
    admit_s: float = 0.0
    queued_s: float = 0.0
    connect_s: float = 0.0  # making upstream connections, all attempts together
    longest_gap_s: float = 0.0
    chunks: int = 0  # writes of a stream
    cost_micro_usd: int = 0
    thread_result: str = ""  # of going on from a studio conversation: continued, missed, lost; "" untried
    retries_refused: int = 0  # tries that the budget of the process did not allow
    sieve_held_chars: int | None = None  # the most that the sieve held back at once; None: no sieve
    body_at_s: float | None = None  # the body was read
    decoded_at_s: float | None = None  # it became a conversation
    first_event_at_s: float | None = None
    first_write_at_s: float | None = None
    finished_at_s: float | None = None  # the upstream's answer ended
    is_cancelled: bool = False
    is_drained: bool = False  # the shutdown's deadline ended it
    finish_reason: str = ""
    error: GatewayError | None = None
    admission: Admission | None = None  # what the API key has left, for the headers of whatever follows
    usage: Usage | None = None
    asked_again: str = ""  # the demand for which the model was asked once more
    is_reasoning_only: bool = False  # the answer was thinking and nothing else
    reasoning_replay: Replay = field(default_factory=Replay)  # of earlier turns
    attempts: list[AttemptRecord] = field(default_factory=list)
    open_attempt: OpenAttempt | None = None
    sieve: dict[tuple[str, str], int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        """ok, cancelled, truncated, limited, client_error, upstream_error or gateway_error: a closed set.

        `truncated`: a stream that failed after the client had seen some of it."""
        if self.is_cancelled:
            return "cancelled"
        if self.error is None:
            return "ok"
        if self.streams and self.first_event_at_s is not None:
            return "truncated"
        if self.error.kind in ("rate_limited", "upstream_rate_limited"):
            return "limited"
        return {"client": "client_error", "upstream": "upstream_error"}.get(
            self.error.origin, "gateway_error"
        )

    @property
    def repair(self) -> tuple[str, str] | None:
        """The demand that an answer did not meet, and what became of it: repaired, failed, cancelled, or
        not_asked (the client had seen some of it, or there was no time left); a closed set. None: it was
        met."""
        unmet = self.error if isinstance(self.error, AnswerUnmet) else None
        if not self.asked_again:
            return None if unmet is None else (unmet.demand, "not_asked")
        if self.is_cancelled:
            return self.asked_again, "cancelled"
        return self.asked_again, "repaired" if self.error is None else "failed"

    @property
    def disconnect_phase(self) -> str:
        """How far the answer was when the client left: a closed set."""
        if not self.model:
            return "before_headers"
        if not self.streams:
            return "nonstream"
        return "before_first" if self.first_event_at_s is None else "streaming"

    def begin_attempt(self, *, at_s: float, queued_s: float) -> Mapping[str, str]:
        """An account is asked from now on. The headers that tell it of the trace."""
        span_id = self.trace.new_span_id()
        self.open_attempt = OpenAttempt(began_at_s=at_s, queued_s=queued_s, span_id=span_id)
        return self.trace.headers(span_id)

    def end_attempt(self, *, at_s: float, result: str) -> None:
        """It has answered, or failed."""
        attempt, self.open_attempt = self.open_attempt, None
        if attempt is not None:
            self.attempts.append(
                AttemptRecord(
                    account=self.account,
                    wire=self.wire,
                    result=result,
                    duration_s=at_s - attempt.began_at_s,
                    began_at_s=attempt.began_at_s,
                    queued_s=attempt.queued_s,
                    span_id=attempt.span_id,
                )
            )

    def overheads(self, *, ended_at_s: float) -> Iterator[tuple[str, float]]:
        """The gateway's own time by phase, as far as the request got."""
        if self.body_at_s is not None and self.decoded_at_s is not None:
            yield "translate_request", self.decoded_at_s - self.body_at_s
        if self.first_event_at_s is not None and self.first_write_at_s is not None:
            yield "first_byte_out", self.first_write_at_s - self.first_event_at_s
        if self.finished_at_s is not None and not self.is_cancelled:
            yield "finish", ended_at_s - self.finished_at_s

    def own_s(self, *, ended_at_s: float) -> float:
        """What of the request's time was the gateway's own: admission and the phases above, no waiting for an
        account or for the upstream."""
        return self.admit_s + sum(spent_s for _, spent_s in self.overheads(ended_at_s=ended_at_s))
