"""`mimo-gateway doctor`: reach Redis and each account, and say in words what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from service import redis_access
from service.account_check import checked
from service.admin_wiring import book_of
from service.config import Config
from service.outside_wiring import demo_accounts, upstreams_of
from service.store.client import Store
from service.store.health import RedisHealth
from service.telemetry.metrics import Metrics
from service.upstream.http import Http, client_session
from service.upstream.media import media_fetcher


async def examine(config: Config, *, data_dir: Path, say: Callable[[str], None]) -> int:
    """0 when everything answers, 1 otherwise. Costs no chat: sessions and keys are checked by cheap calls."""
    async with AsyncExitStack() as stack:
        config = await demo_accounts(config, stack)
        store = await redis_access.opened(config, stack, data_dir)
        is_fine = await _redis(config, store, say)
        session = await stack.enter_async_context(client_session(config.timeouts))
        fetcher = await stack.enter_async_context(media_fetcher(config, Metrics()))
        upstreams = upstreams_of(config, Http(session, config.timeouts), fetcher)
        for entry in (await book_of(config, store)).entries:
            is_fine = await checked(entry, upstreams[entry.account.kind], say) and is_fine
    say("everything answers" if is_fine else "something needs care, see above")
    return 0 if is_fine else 1


async def _redis(config: Config, store: Store, say: Callable[[str], None]) -> bool:
    what = "embedded Redis" if config.redis_url.reveal() == "embedded" else "Redis"
    health = RedisHealth(store)
    trouble = await health.check()
    say(f"[ ok ] {what} answers" if trouble is None else f"[FAIL] {what}: {trouble}")
    if trouble is None and (warning := await health.warning()) is not None:
        say(f"[warn] {what}: {warning}")
    return trouble is None
