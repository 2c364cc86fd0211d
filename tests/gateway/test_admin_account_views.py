"""Accounts as operators see them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.config import Account, StoredAccount
from service.config_loader import accounts
from service.core.leases import AccountHealth, AccountState
from service.gateway.account_book import BookEntry
from service.gateway.admin_account_views import (
    SESSION_LASTS_S,
    Recent,
    masked,
    plan_of,
    region_of,
    session_expires_at,
    view,
)

NOW_S = 1_790_000_000.0


def platform(key: str = "sk-0123456789", **more: object) -> Account:
    return accounts([{"name": "one", "api_key": key, **more}])[0]


def studio(**more: object) -> Account:
    session = {"service_token": "a-long-token", "user_id": "1", "xiaomichatbot_ph": "p"}
    return accounts([{"name": "web", **session, **more}])[0]


@pytest.mark.parametrize(
    ("account", "shown"),
    [
        (platform(), "sk-…6789"),
        (platform("tp-0123456789"), "tp-…6789"),
        (platform("ttp-0123456789"), "ttp-…6789"),
        (platform("plain0123456789"), "…6789"),
        (platform("sk-short"), "…"),
        (studio(), "…oken"),
    ],
)
def test_little_of_a_credential_is_shown(account: Account, shown: str) -> None:
    assert masked(account) == shown


@pytest.mark.parametrize(
    ("account", "plan", "region"),
    [
        (platform(), "pay-as-you-go", None),
        (platform("tp-0123456789", region="ams"), "token-plan", "ams"),
        (platform("key-of-another-form"), None, None),
        (studio(), None, None),
    ],
)
def test_plan_and_region(account: Account, plan: str | None, region: str | None) -> None:
    assert (plan_of(account), region_of(account)) == (plan, region)


@pytest.mark.parametrize(
    ("login_time", "began_s"),
    [
        ("2026-09-21 14:13 UTC", 1_790_000_000 - 20),
        ("2026-09-21 14:13:20", 1_790_000_000),
        ("2026-09-21", 1_789_948_800),
        ("yesterday", None),
        ("", None),
    ],
)
def test_end_of_a_session_is_about_a_day_after_the_login(login_time: str, began_s: int | None) -> None:
    found = session_expires_at(BookEntry(account=studio(login_time=login_time)))
    assert found == (None if began_s is None else began_s + SESSION_LASTS_S)


def test_keys_do_not_end() -> None:
    assert session_expires_at(BookEntry(account=platform())) is None


@pytest.mark.parametrize(
    ("state", "word", "reason"),
    [
        (AccountState.READY, "ready", None),
        (AccountState.COOLING, "cooling", "rate_limited"),
        (AccountState.OPEN, "cooling", "rate_limited"),
        (AccountState.HALF_OPEN, "half_open", "rate_limited"),
        (AccountState.QUARANTINED, "quarantined", "rate_limited"),
        (AccountState.EXPIRED, "quarantined", "rate_limited"),
        (AccountState.DISABLED, "disabled", "rate_limited"),
    ],
)
def test_states_in_the_apis_words(state: AccountState, word: str, reason: str | None) -> None:
    why = "" if state is AccountState.READY else "rate_limited"
    health = AccountHealth(account_name="one", state=state, reason=why, until_s=7.5)
    seen = view(BookEntry(account=platform()), health, Recent(), models=("m",), is_changed=False, now_s=NOW_S)
    assert (seen.state, seen.reason, seen.until) == (word, reason, NOW_S + 7.5)
    assert seen.success_rate is None


def test_account_that_cannot_be_read_says_so_whatever_its_state() -> None:
    stored = StoredAccount(
        account=replace(platform(), enabled=False),
        created_at_s=1,
        secret_at_s=1,
        shown="sk-…6789",
        is_readable=False,
    )
    health = AccountHealth(account_name="one", state=AccountState.READY)
    entry = BookEntry(account=stored.account, stored=stored)
    recent = Recent(succeeded=3, failed=1)
    seen = view(entry, health, recent, models=(), is_changed=False, now_s=NOW_S)
    assert seen.state == "disabled"
    assert seen.reason is not None
    assert "MIMO_SECRET_KEY" in seen.reason
    assert (seen.secret, seen.success_rate) == ("sk-…6789", 0.75)
