"""What the failure of an account's probe means, in words for an operator."""

from __future__ import annotations

from service.config import Account, AccountKind
from service.core.errors import GatewayError, UpstreamAccountError, UpstreamTimeout, UpstreamUnavailable


def advice(account: Account, error: GatewayError) -> str:
    """What to do, by class of failure. The upstream's own words may hold account details: they stay out."""
    match error:
        case UpstreamAccountError(status=401) if account.kind is AccountKind.STUDIO:
            return (
                "the session has ended. Log out and in again in the browser, "
                "then copy the three cookies anew."
            )
        case UpstreamAccountError(status=401):
            return (
                "the key was refused (401). Check the key, and that its plan belongs to this host: "
                "sk- keys to api.xiaomimimo.com, tp- keys to their own region's host."
            )
        case UpstreamAccountError(status=402):
            return "the balance is used up, or too many requests came at once (402)."
        case UpstreamAccountError():
            return f"the account is restricted ({error.status})."
        case UpstreamUnavailable() | UpstreamTimeout():
            return f"the host cannot be reached: {error.message}"
        case _:
            return error.message
