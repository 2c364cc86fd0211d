"""The closed sets that labels come from. What a client sends becomes a label only through here."""

from __future__ import annotations

from typing import Final

from service.core.errors import Kind
from service.core.models import FACTS, RETIRED
from service.core.notes import NoteKind

CHAT_ROUTES: Final = ("chat", "responses", "messages")
SOUND_ROUTES: Final = ("speech", "transcriptions")
GENERATION_ROUTES: Final = (*CHAT_ROUTES, *SOUND_ROUTES)
WIRES: Final = ("platform", "studio")
ATTEMPTS: Final = ("1", "2", "3")
LEASE_EVENTS: Final = ("granted", "refused", "renewed", "released", "expired", "lost")
STICKY_RESULTS: Final = ("hit", "miss", "moved")
QUEUE_RESULTS: Final = ("granted", "refused", "cancelled")
DISCONNECT_PHASES: Final = ("before_headers", "before_first", "streaming", "nonstream")
PHASES: Final = ("admit", "translate_request", "first_byte_out", "finish")
DEMANDS: Final = ("tool_choice", "response_format")
REPAIRS: Final = ("repaired", "failed", "not_asked", "cancelled")
THREAD_RESULTS: Final = ("continued", "missed", "lost")
REASONING_SOURCES: Final = ("client_sent", "restored", "missing")
TOKEN_TYPES: Final = ("input", "output", "cached_input", "reasoning")
RELOAD_RESULTS: Final = ("applied", "unchanged", "refused")
MEDIA_REFUSALS: Final = ("address", "spelling", "scheme")
AUTH_FAILURES: Final = ("missing_api_key", "invalid_api_key", "admin")
ACCOUNT_STATES: Final = ("ready", "cooling", "open", "half_open", "quarantined", "expired")
REDIS_LINES: Final = ("line", "side_line")
NOTE_KINDS: Final = tuple(str(kind) for kind in NoteKind)
REDIS_ERRORS: Final = ("refused", "failed", "timed_out", "shed", "degraded")

# What an attempt can end with: every failure that an upstream causes, by its kind.
ATTEMPT_RESULTS: Final = (
    "ok",
    # Of UPSTREAM_UNMET the upstream knows nothing: it has answered.
    *(str(kind) for kind in Kind if kind.startswith("upstream_") and kind is not Kind.UPSTREAM_UNMET),
    str(Kind.CONTENT_FILTERED),
    str(Kind.CONTEXT_OVERFLOW),
)

# How each generation route may end: a series that begins with its first failure hides it from rate().
ENDINGS: Final = (
    ("ok", "200"),
    ("truncated", "200"),
    ("client_error", "400"),
    ("limited", "429"),
    ("cancelled", "499"),
    ("gateway_error", "500"),
    ("gateway_error", "503"),
    ("upstream_error", "502"),
)

MODELS: Final = frozenset(FACTS) - frozenset(RETIRED)

# Which limit a refusal's code means, and whose it is.
LIMITS: Final = {
    "requests_per_minute": ("rpm", "key"),
    "tokens_per_minute": ("tpm", "key"),
    "request_too_large": ("tpm", "key"),
    "concurrency": ("concurrency", "key"),
    "insufficient_quota": ("budget", "key"),
    "accounts_busy": ("pool", "global"),
    "accounts_resting": ("pool", "global"),
    "queue_full": ("queue", "global"),
}

_REDIS_OPS = frozenset({"admit", "acquire", "settle", "release", "renew"})
REDIS_OPS: Final = (*sorted(_REDIS_OPS), "other")


def model_label(model: str) -> str:
    """The model where the table of current ones has it, `other` where not, `none` before one is known."""
    if model in MODELS:
        return model
    return "other" if model else "none"


def model_of(route: str, model: str) -> str:
    """The same for one request. Speech has models of its own, which the table has not."""
    return ("other" if model else "none") if route in SOUND_ROUTES else model_label(model)


def redis_op(operation: str) -> str:
    """The scripts on a request's path by name; everything else as `other`."""
    return operation if operation in _REDIS_OPS else "other"


def attempt_label(number: int) -> str:
    """`3` is the third attempt or a later one."""
    return ATTEMPTS[min(number, len(ATTEMPTS)) - 1]
