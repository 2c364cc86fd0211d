"""`mimo-gateway doctor`: reach Redis and each account, and say in words what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from service import redis_access
from service.app import demo_accounts, upstreams_of
from service.config import Account, AccountKind, Config
from service.core.errors import GatewayError, UpstreamAccountError, UpstreamTimeout, UpstreamUnavailable
from service.gateway.ports import Upstream
from service.store.health import RedisHealth
from service.upstream.http import Http, client_session


async def examine(config: Config, *, data_dir: Path, say: Callable[[str], None]) -> int:
    """0 when everything answers, 1 otherwise. Costs no chat: sessions and keys are checked by cheap calls."""
    async with AsyncExitStack() as stack:
        config = await demo_accounts(config, stack)
        is_fine = await _redis(config, stack, data_dir, say)
        session = await stack.enter_async_context(client_session(config.timeouts))
        upstreams = upstreams_of(config, Http(session, config.timeouts))
        for account in config.mimo_accounts:
            is_fine = await _account(account, upstreams[account.kind], say) and is_fine
    say("everything answers" if is_fine else "something needs care, see above")
    return 0 if is_fine else 1


async def _account(account: Account, upstream: Upstream, say: Callable[[str], None]) -> bool:
    label = f"account {account.name} ({account.kind})"
    if not account.enabled:
        say(f"[off ] {label}: switched off in the configuration")
        return True
    try:
        await upstream.probe(account)
        models = await upstream.models(account)
    except GatewayError as error:
        say(f"[FAIL] {label} at {account.base_url}: {_advice(account, error)}")
        return False
    say(f"[ ok ] {label}: {len(models)} models: {', '.join(models)}")
    return True


async def _redis(config: Config, stack: AsyncExitStack, data_dir: Path, say: Callable[[str], None]) -> bool:
    what = "embedded Redis" if config.redis_url.reveal() == "embedded" else "Redis"
    health = RedisHealth(await redis_access.opened(config, stack, data_dir))
    trouble = await health.check()
    say(f"[ ok ] {what} answers" if trouble is None else f"[FAIL] {what}: {trouble}")
    if trouble is None and (warning := await health.warning()) is not None:
        say(f"[warn] {what}: {warning}")
    return trouble is None


def _advice(account: Account, error: GatewayError) -> str:
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
