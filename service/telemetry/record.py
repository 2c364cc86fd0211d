"""What is known of one request at its end: the source of its log line and of its metrics. Never content."""

from __future__ import annotations

from dataclasses import dataclass, field

from service.core.errors import GatewayError
from service.core.events import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One try at one account. `result` is `ok` or an error kind."""

    account: str
    wire: str
    result: str
    duration_s: float


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
    queued_s: float = 0.0
    first_event_at_s: float | None = None
    is_cancelled: bool = False
    finish_reason: str = ""
    error: GatewayError | None = None
    usage: Usage | None = None
    attempts: list[AttemptRecord] = field(default_factory=list)
    sieve: dict[tuple[str, str], int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        """ok, cancelled, client_error, limited, upstream_error, gateway_error or truncated: a closed set."""
        if self.is_cancelled:
            return "cancelled"
        if self.error is None:
            return "truncated" if self.finish_reason == "length" else "ok"
        if self.error.kind in ("rate_limited", "upstream_rate_limited"):
            return "limited"
        return {"client": "client_error", "upstream": "upstream_error"}.get(
            self.error.origin, "gateway_error"
        )
