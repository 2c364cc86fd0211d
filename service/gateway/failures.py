"""What the client is told of a failure: by a status or in its stream, never with a credential in it."""

from __future__ import annotations

from collections.abc import Sequence

from service.config import Account
from service.core.errors import GatewayError, NoAccount, UpstreamAccountError, UpstreamProtocolError
from service.core.events import Event, Failed, Finish, FinishReason, UsageReport
from service.core.masking import masked


def hide_credentials(error: GatewayError, account: Account) -> None:
    """An upstream may quote what it was sent, and its words are shown to callers: mask them."""
    message = masked(error.message, account.credentials)
    if message != error.message:
        error.message = message
        error.args = (message,)
    if error.code is not None:
        error.code = masked(error.code, account.credentials)
    if error.param is not None:
        error.param = masked(error.param, account.credentials)


def hide_in_failure(events: Sequence[Event], account: Account) -> None:
    """The same for the failure that ends a stream."""
    if events and isinstance(events[-1], Failed):
        hide_credentials(events[-1].error, account)


def refuse_bad_start(events: Sequence[Event], *, is_last_attempt: bool) -> None:
    """A failure before anything was shown can still be told by a status, or tried elsewhere; so can an answer
    that stops before it said anything (unless this was the last try: then that is the answer)."""
    for event in events:
        if isinstance(event, Failed):
            raise event.error
        if isinstance(event, Finish) and event.reason is FinishReason.STOP and not is_last_attempt:
            raise UpstreamProtocolError("The upstream's answer was empty.")
        if not isinstance(event, UsageReport):
            return


def for_client(error: GatewayError) -> GatewayError:
    """What the caller is told when the last attempt failed: an account's trouble is ours, not theirs."""
    if isinstance(error, UpstreamAccountError):
        return NoAccount("No account of this gateway can serve the request at present.")
    return error
