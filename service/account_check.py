"""One account asked by cheap calls, and what its failure means in words: for `doctor` and `accounts test`."""

from __future__ import annotations

from collections.abc import Callable

from service.core.errors import GatewayError
from service.gateway.account_book import BookEntry
from service.gateway.advice import advice
from service.gateway.ports import Upstream

UNREADABLE = (
    "it was sealed under another MIMO_SECRET_KEY. Set that one for this command, too, or give the account "
    "its credential anew."
)


async def checked(entry: BookEntry, upstream: Upstream, say: Callable[[str], None]) -> bool:
    """True when the account answers, or is switched off. Costs no chat."""
    account = entry.account
    label = f"account {account.name} ({account.kind})"
    if not entry.is_readable:
        say(f"[FAIL] {label}: {UNREADABLE}")
        return False
    if not account.enabled:
        say(f"[off ] {label}: switched off")
        return True
    try:
        await upstream.probe(account)
        models = await upstream.models(account)
    except GatewayError as error:
        say(f"[FAIL] {label} at {account.base_url}: {advice(account, error)}")
        return False
    say(f"[ ok ] {label}: {len(models)} models: {', '.join(models)}")
    return True
