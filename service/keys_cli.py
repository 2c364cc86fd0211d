"""`mimo-gateway keys create|list|revoke`: API keys in Redis, known to all workers within seconds.

A key is shown once, when it is made; what is kept is a digest of it (`service.gateway.keyring`).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from service import redis_access
from service.admin_wiring import BY_COMMAND, audit_of
from service.config import ApiKey, Config, IssuedKey
from service.config_values import section
from service.core.errors import StoreUnavailable
from service.gateway.admin_audit import Audit
from service.gateway.keyring import issue
from service.gateway.ports import KeyRegistry
from service.gateway.system import SystemClock
from service.store.api_keys import RedisKeyRegistry

Say = Callable[[str], None]
_SWITCHES = ("loop_guard", "web_search")
_LIMITS = ("requests_per_minute", "tokens_per_minute", "max_concurrency", "budget_usd")


def add_arguments(parser: argparse.ArgumentParser, data_dir: Path) -> None:
    """What follows `mimo-gateway keys`."""
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")
    create = actions.add_parser("create", help="make a key and show it, once")
    create.add_argument("--name", required=True, help="what logs and lists call it")
    create.add_argument("--requests-per-minute", type=int, metavar="N")
    create.add_argument("--tokens-per-minute", type=int, metavar="N")
    create.add_argument("--max-concurrency", type=int, metavar="N", help="requests at once")
    create.add_argument("--budget-usd", type=float, metavar="USD", help="what it may spend in all")
    create.add_argument("--model", action="append", dest="models", metavar="ID", help="may be given again")
    for switch in _SWITCHES:
        option = f"--{switch.replace('_', '-')}"
        create.add_argument(option, action=argparse.BooleanOptionalAction, help="else as configured")
    listing = actions.add_parser("list", help="the issued keys with their limits")
    revoke = actions.add_parser("revoke", help="end a key: within five seconds, everywhere")
    revoke.add_argument("which", help="its name or its id")
    for action in (create, listing, revoke):
        action.add_argument("--json", action="store_true", help="one JSON value")
        action.add_argument("--config", type=Path)
        action.add_argument("--data-dir", type=Path, default=data_dir, help="the embedded Redis's data")


async def run(config: Config, arguments: argparse.Namespace, say: Say) -> int:
    """0; 1 when Redis does not answer or there is no such key. Raises ConfigError for a bad name or limit."""
    async with AsyncExitStack() as stack:
        store = await redis_access.opened(config, stack, arguments.data_dir)
        registry, audit = RedisKeyRegistry(store), audit_of(store)
        try:
            match arguments.action:
                case "create":
                    return await _create(registry, audit, config, arguments, say)
                case "list":
                    return await _list(registry, arguments, say)
                case _:
                    return await _revoke(registry, audit, arguments, say)
        except StoreUnavailable:
            say("Redis does not answer; `mimo-gateway doctor` says more.")
            return 1


async def _create(
    registry: KeyRegistry, audit: Audit, config: Config, arguments: argparse.Namespace, say: Say
) -> int:
    wanted = {name: getattr(arguments, name) for name in (*_LIMITS, *_SWITCHES, "models")}
    given = {name: value for name, value in wanted.items() if value is not None}
    limits = section(ApiKey, {"name": arguments.name, "key_sha256": "", **given}, "keys create")
    names = {one.key.name for one in await registry.every()} | {key.name for key in config.api_keys}
    if limits.name in names:
        say(f"There is a key called {limits.name!r} already.")
        return 1
    shown, issued = issue(limits, secret_key=config.secret_key.reveal(), now_s=SystemClock().unix_s())
    await registry.add(issued)
    await audit.keep(who=BY_COMMAND, action="key_created", target=limits.name)
    if arguments.json:
        say(_json({"key": shown, **_facts(issued)}))
        return 0
    say(f"{shown}\n")
    say("This is the only time that it is shown. It works within five seconds, on every worker.")
    say(_line(issued))
    return 0


async def _list(registry: KeyRegistry, arguments: argparse.Namespace, say: Say) -> int:
    found = await registry.every()
    if arguments.json:
        say(_json([_facts(one) for one in found]))
    else:
        for one in found:
            say(_line(one))
        if not found:
            say("No keys were issued; those of the configuration are not listed here.")
    return 0


async def _revoke(registry: KeyRegistry, audit: Audit, arguments: argparse.Namespace, say: Say) -> int:
    which = arguments.which
    doomed = [one for one in await registry.every() if which in (one.key.key_id, one.key.name)]
    for one in doomed:
        await registry.remove(one.key.key_id)
        await audit.keep(who=BY_COMMAND, action="key_revoked", target=one.key.name)
    if arguments.json:
        say(_json({"revoked": [_facts(one) for one in doomed]}))
    elif doomed:
        say(f"Revoked: {_line(doomed[0])}")
    else:
        say(f"No issued key is called {which!r}. A key of the configuration ends by leaving the file.")
    return 0 if doomed else 1


def _facts(issued: IssuedKey) -> Mapping[str, object]:
    key = issued.key
    limits = {name: getattr(key, name) for name in (*_LIMITS, *_SWITCHES)}
    created_at = datetime.fromtimestamp(issued.created_at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "key_id": key.key_id,
        "name": key.name,
        "created_at": created_at,
        **limits,
        "models": list(key.models),
    }


def _line(issued: IssuedKey) -> str:
    facts = _facts(issued)
    limits = [f"{name} {facts[name]}" for name in (*_LIMITS, *_SWITCHES) if facts[name] is not None]
    models: Sequence[str] = issued.key.models
    return "  ".join(
        [
            str(facts["key_id"]),
            issued.key.name,
            f"created {facts['created_at']}",
            ", ".join(limits) or "no limits",
            f"models {', '.join(models)}" if models else "every model",
        ]
    )


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
