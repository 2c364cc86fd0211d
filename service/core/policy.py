"""Pure decisions: what a failure costs its account, whether another try makes sense, how many tokens a
prompt has."""

from __future__ import annotations

from enum import StrEnum

from service.core.conversation import Conversation, Media, Part, Reasoning, Text, ToolCall, ToolResult
from service.core.errors import (
    GatewayError,
    UpstreamAccountError,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from service.core.leases import Penalty, PenaltyKind


class NextStep(StrEnum):
    """After a failed attempt that gave the client nothing yet: another account, or the end."""

    FAIL_OVER = "fail_over"
    GIVE_UP = "give_up"


RATE_LIMIT_COOLDOWN_S = 20.0  # a 429 without Retry-After: MiMo documents none (mimo-api.md 3)
BALANCE_COOLDOWN_S = 60.0  # a 402 may be a burst limit (MiMo#99): rest, then try again
MAX_COOLDOWN_S = 600.0

# The code of an UpstreamAccountError, and the reason of its penalty: a new session is all that is needed.
SESSION_EXPIRED = "session_expired"


_OF_THE_ATTEMPT = (
    UpstreamAccountError,
    UpstreamRateLimited,
    UpstreamUnavailable,
    UpstreamTimeout,
    UpstreamProtocolError,
)


def next_step(error: GatewayError) -> NextStep:
    """Whether another account may do better. What the request itself causes, every account would say
    again."""
    return NextStep.FAIL_OVER if isinstance(error, _OF_THE_ATTEMPT) else NextStep.GIVE_UP


def penalty_of(error: GatewayError) -> Penalty | None:
    """What the failure costs its account; None when the account is not at fault."""
    match error:
        case UpstreamRateLimited():
            rest_s = RATE_LIMIT_COOLDOWN_S if error.retry_after_s is None else error.retry_after_s
            return Penalty(
                kind=PenaltyKind.COOLDOWN, reason="rate_limited", duration_s=min(rest_s, MAX_COOLDOWN_S)
            )
        case UpstreamAccountError(status=402):
            return Penalty(kind=PenaltyKind.COOLDOWN, reason="no_balance", duration_s=BALANCE_COOLDOWN_S)
        case UpstreamAccountError(code="session_expired"):
            return Penalty(kind=PenaltyKind.QUARANTINE, reason=SESSION_EXPIRED)
        case UpstreamAccountError(status=401):
            return Penalty(kind=PenaltyKind.QUARANTINE, reason="unauthorized")
        case UpstreamAccountError():
            return Penalty(kind=PenaltyKind.QUARANTINE, reason="restricted")
        case UpstreamUnavailable() | UpstreamProtocolError():
            return Penalty(kind=PenaltyKind.FAILURE, reason="unavailable")
        case UpstreamTimeout():
            return Penalty(kind=PenaltyKind.FAILURE, reason="timeout")
        case _:
            return None


def retry_pause_s(attempt: int, jitter: float) -> float:
    """Seconds to wait before attempt number `attempt` (2 is the first retry). `jitter` is in [0, 1)."""
    return float(0.05 * 2 ** (attempt - 2) * (0.5 + jitter))


# --- token estimates ----------------------------------------------------------------------------------------

_BYTES_PER_TOKEN = 3.8  # UTF-8 bytes a token of the Qwen-family vocabulary: mixed English, code and Chinese
_TOKENS_PER_MEDIA = 800
_TOKENS_PER_TURN = 4


def text_tokens(text: str) -> int:
    """A rough count, for reservations and for answers whose upstream told no usage. Linear in the length."""
    length_bytes = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return int(length_bytes / _BYTES_PER_TOKEN) + (1 if text else 0)


def chars_tokens(length_chars: int) -> int:
    """The same for a text that was counted but not kept, taken as one byte a character."""
    return int(length_chars / _BYTES_PER_TOKEN) + (1 if length_chars else 0)


def prompt_tokens(conversation: Conversation) -> int:
    """A rough count of the whole prompt, tools included."""
    turns = sum(_TOKENS_PER_TURN + sum(map(_part_tokens, turn.parts)) for turn in conversation.turns)
    # The schema's repr is as long as its JSON, near enough, and takes no encoder.
    tools = sum(
        text_tokens(tool.description) + len(repr(tool.parameters)) // 4 for tool in conversation.tools
    )
    return turns + tools


def _part_tokens(part: Part) -> int:
    match part:
        case Text() | Reasoning():
            return text_tokens(part.text)
        case ToolCall():
            return text_tokens(part.arguments) + 8
        case ToolResult():
            return sum(map(_part_tokens, part.parts)) + 8
        case Media():  # pragma: no branch - the last of a closed set, as mypy knows
            return _TOKENS_PER_MEDIA
