"""Which models are offered, and by whom."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from service.config import AccountKind
from service.config_loader import accounts
from service.core.errors import UpstreamUnavailable
from service.gateway.models import Models
from tests.fakes.stored import FakeModelCatalogue
from tests.fakes.upstream import FakeUpstream

CONFIGURED = accounts(
    [{"name": "a", "api_key": "sk-a"}, {"name": "b", "api_key": "sk-b", "models": ["mimo-x"]}]
)


def models(upstream: FakeUpstream, catalogue: FakeModelCatalogue | None = None, **more: object) -> Models:
    upstreams = {AccountKind.PLATFORM: upstream}
    return Models(CONFIGURED, upstreams, catalogue or FakeModelCatalogue(), **more)  # type: ignore[arg-type]


def test_current_family_is_offered_before_any_upstream_has_answered() -> None:
    assert models(FakeUpstream()).offered == ("mimo-v2.6-pro", "mimo-v2.6-flash", "mimo-x")


async def test_refresh_offers_what_the_upstreams_list() -> None:
    found = models(FakeUpstream(listed=("mimo-v3-pro",)))
    await found.refresh()
    assert found.offered == ("mimo-v3-pro", "mimo-x")
    assert [account.name for account in found.accounts_for("mimo-v3-pro")] == ["a"]
    assert found.resolve("mimo-v3-pro").model == "mimo-v3-pro"


async def test_account_that_fails_keeps_what_it_had() -> None:
    upstream = FakeUpstream(listed=("mimo-v3-pro",))
    found = models(upstream)
    await found.refresh()
    upstream.listing_error = UpstreamUnavailable("down")
    await found.refresh()
    assert "mimo-v3-pro" in found.offered


async def test_listing_of_one_worker_is_known_to_the_next() -> None:
    catalogue = FakeModelCatalogue()
    await models(FakeUpstream(listed=("mimo-v3-pro",)), catalogue).refresh()
    later = models(FakeUpstream(), catalogue)
    await later.load()
    assert "mimo-v3-pro" in later.offered


async def test_many_refreshes_at_once_ask_the_upstream_once() -> None:
    upstream = FakeUpstream()
    found = models(upstream)
    await asyncio.gather(*(found.refresh() for _ in range(50)))
    assert upstream.listings == len(CONFIGURED)


async def test_accounts_that_come_are_asked_and_the_others_left_alone() -> None:
    upstream = FakeUpstream(listed=("mimo-v3-pro",))
    found = models(upstream)
    await found.refresh()
    asked = upstream.listings
    (come,) = accounts([{"name": "c", "api_key": "sk-c"}])
    found.use_accounts([*CONFIGURED, come])
    await found.learn()
    assert upstream.listings == asked + 1
    assert [account.name for account in found.accounts_for("mimo-v3-pro")] == ["a", "c"]
    found.use_accounts([*(replace(account, weight=2) for account in CONFIGURED), come])
    await found.learn()
    assert upstream.listings == asked + 1, "another weight is no other account"


async def test_account_with_another_credential_is_asked_anew() -> None:
    upstream = FakeUpstream(listed=("mimo-v3-pro",))
    found = models(upstream)
    await found.refresh()
    upstream.listed = ("mimo-v4-pro",)
    (renewed,) = accounts([{"name": "a", "api_key": "sk-renewed"}])
    found.use_accounts([renewed])
    await found.learn()
    assert found.offered == ("mimo-v4-pro",)


def test_configured_list_is_what_is_offered() -> None:
    assert models(FakeUpstream(), offered=("mimo-v2.6-flash",)).offered == ("mimo-v2.6-flash",)


async def test_meaning_of_a_name_follows_the_listing() -> None:
    upstream = FakeUpstream()
    found = models(upstream)
    assert found.resolve("mimo-v2-pro").model == "mimo-v2.6-pro"
    upstream.listed = ("mimo-v2-pro", "mimo-v2.6-pro")
    await found.refresh()
    assert found.resolve("mimo-v2-pro").model == "mimo-v2-pro"
