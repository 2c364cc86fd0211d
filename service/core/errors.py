"""One class per failure that a caller or an operator can act on.

An error carries facts; each dialect renders them from a table keyed by `kind` (`STATUS[kind]` in its
errors.py). They are plain classes: a frozen slotted dataclass raised inside a context manager turns into
TypeError."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar


class Kind(StrEnum):
    """What went wrong, in the closed set that every dialect has a row for."""

    INVALID_REQUEST = "invalid_request"
    UNAUTHENTICATED = "unauthenticated"
    PERMISSION_DENIED = "permission_denied"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CONFLICT = "conflict"
    MODEL_NOT_FOUND = "model_not_found"
    BODY_TOO_LARGE = "body_too_large"
    CONTEXT_OVERFLOW = "context_overflow"
    CONTENT_FILTERED = "content_filtered"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    NO_ACCOUNT = "no_account"
    UPSTREAM_RATE_LIMITED = "upstream_rate_limited"
    UPSTREAM_REFUSED = "upstream_refused"
    UPSTREAM_ACCOUNT = "upstream_account"
    UPSTREAM_UNAVAILABLE = "upstream_unavailable"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    UPSTREAM_PROTOCOL = "upstream_protocol"
    UPSTREAM_UNMET = "upstream_unmet"
    STORE_UNAVAILABLE = "store_unavailable"
    INTERNAL = "internal"


class Origin(StrEnum):
    """Whose fault it is, as logs and metrics tell it."""

    CLIENT = "client"
    GATEWAY = "gateway"
    UPSTREAM = "upstream"


class GatewayError(Exception):
    """The root. `message` is safe to show to the caller: no key, cookie or prompt ever stands in it.

    `param` is the path of the field at fault (`messages[2].content`); `code` a machine-readable word where
    the
    dialects have one; `retry_after_s` seconds until another try makes sense, None where unknown.
    """

    kind: ClassVar[Kind] = Kind.INTERNAL
    origin: ClassVar[Origin] = Origin.GATEWAY

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code
        self.retry_after_s = retry_after_s


# --- the caller's side --------------------------------------------------------------------------------------


class InvalidRequest(GatewayError):
    """The request breaks the dialect's rules; `param` names the first field at fault."""

    kind = Kind.INVALID_REQUEST
    origin = Origin.CLIENT


class Unauthenticated(GatewayError):
    """No API key, or one that is not known."""

    kind = Kind.UNAUTHENTICATED
    origin = Origin.CLIENT


class PermissionDenied(GatewayError):
    """The API key is known but may not do this (a model outside its list, say)."""

    kind = Kind.PERMISSION_DENIED
    origin = Origin.CLIENT


class NotFound(GatewayError):
    """No such route or stored object (a foreign object's id is not found, too)."""

    kind = Kind.NOT_FOUND
    origin = Origin.CLIENT


class MethodNotAllowed(GatewayError):
    """The route exists, the method does not. `allowed`: those that do, for the header."""

    kind = Kind.METHOD_NOT_ALLOWED
    origin = Origin.CLIENT

    def __init__(self, message: str, *, allowed: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.allowed = tuple(sorted(allowed))


class Conflict(GatewayError):
    """What is there already stands against it: a name that is taken, an account of the configuration file."""

    kind = Kind.CONFLICT
    origin = Origin.CLIENT


class ModelNotFound(GatewayError):
    """No account serves a model of that name and no alias leads to one."""

    kind = Kind.MODEL_NOT_FOUND
    origin = Origin.CLIENT

    def __init__(self, model: str) -> None:
        shown = model if len(model) <= 64 else model[:64] + "…"
        super().__init__(
            f"The model '{shown}' does not exist or no account serves it.",
            param="model",
            code="model_not_found",
        )


class BodyTooLarge(GatewayError):
    """The request body is longer than the route allows."""

    kind = Kind.BODY_TOO_LARGE
    origin = Origin.CLIENT

    def __init__(self, *, max_bytes: int) -> None:
        super().__init__(f"The request body is larger than {max_bytes} bytes.", code="body_too_large")
        self.max_bytes = max_bytes


class ContextOverflow(GatewayError):
    """The conversation does not fit the model's context window."""

    kind = Kind.CONTEXT_OVERFLOW
    origin = Origin.CLIENT


class ContentFiltered(GatewayError):
    """Moderation refused the request or the answer (HTTP 421, studio's sensitive_* events). Never retried."""

    kind = Kind.CONTENT_FILTERED
    origin = Origin.UPSTREAM


class RateLimited(GatewayError):
    """The gateway's own limit for this API key, or every account busy past the queue's deadline."""

    kind = Kind.RATE_LIMITED
    origin = Origin.CLIENT


# --- the gateway's side -------------------------------------------------------------------------------------


class Overloaded(GatewayError):
    """The process sheds load or drains."""

    kind = Kind.OVERLOADED


class NoAccount(GatewayError):
    """No account that serves the model is usable at present."""

    kind = Kind.NO_ACCOUNT


class StoreUnavailable(GatewayError):
    """Redis did not answer in time."""

    kind = Kind.STORE_UNAVAILABLE


class Internal(GatewayError):
    """A defect of ours. The message says nothing of the inside; the log does."""

    kind = Kind.INTERNAL

    def __init__(self) -> None:
        super().__init__("The gateway failed to handle this request.")


# --- the upstream's side ------------------------------------------------------------------------------------


class UpstreamError(GatewayError):
    """Anything the upstream did. `status` is the HTTP status it answered with, None where there was none."""

    origin = Origin.UPSTREAM

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, param=param, code=code, retry_after_s=retry_after_s)
        self.status = status


class UpstreamRateLimited(UpstreamError):
    """429 of the upstream: the account is too fast, or its plan is used up."""

    kind = Kind.UPSTREAM_RATE_LIMITED


class UpstreamRefused(UpstreamError):
    """The upstream found the request itself wrong (400, 404): another account would say the same."""

    kind = Kind.UPSTREAM_REFUSED


class UpstreamAccountError(UpstreamError):
    """The account is at fault: bad key or expired session (401), no balance (402), restricted (403, 451,
    461).
    """

    kind = Kind.UPSTREAM_ACCOUNT


class UpstreamUnavailable(UpstreamError):
    """5xx, connection refused or reset, DNS, TLS; also a 400 whose text is an outage (mimo-api.md, section
    3).
    """

    kind = Kind.UPSTREAM_UNAVAILABLE


class UpstreamTimeout(UpstreamError):
    """No byte in time: before the answer (`first_byte`), between bytes (`idle`), or over all (`total`)."""

    kind = Kind.UPSTREAM_TIMEOUT

    def __init__(self, *, waited_s: float, phase: str) -> None:
        super().__init__(f"The upstream sent nothing for {waited_s:.0f} s ({phase} timeout).")
        self.waited_s = waited_s
        self.phase = phase


class UpstreamProtocolError(UpstreamError):
    """The answer broke off or was no answer of the wire we speak."""

    kind = Kind.UPSTREAM_PROTOCOL


class AnswerUnmet(UpstreamError):
    """A whole answer that is not what the request demanded: no call where one was required, text that is not
    the JSON asked for. The account is not at fault.

    `answer` is the text that came, `remedy` what to tell the model before it answers once more."""

    kind = Kind.UPSTREAM_UNMET

    def __init__(self, message: str, *, param: str, code: str, answer: str, remedy: str) -> None:
        super().__init__(message, param=param, code=code)
        self.answer = answer
        self.remedy = remedy

    @property
    def demand(self) -> str:
        """`tool_choice` or `response_format`, whatever the dialect calls the field: a closed set."""
        return (self.code or "").removesuffix("_unmet")
