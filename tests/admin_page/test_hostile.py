"""Texts that others choose are text: names, models, errors and answers never become markup."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, expect

from tests.admin_page.conftest import Opened, Watch

PAYLOAD = '"><img src=x onerror="window.hurt = 1"><script>window.hurt = 1</script>{{7*7}}\'--'
POINT = {"time": 1_790_000_000, "requests": 1, "errors": 1, "input_tokens": 1, "output_tokens": 1}
USED = {"requests": 1, "input_tokens": 1, "output_tokens": 1, "cost_micro_usd": 1}
BAD = PAYLOAD
ANSWERS: dict[str, object] = {
    "overview": {
        "version": BAD,
        "started_at": 1,
        "degraded": [{"what": BAD, "why": BAD}],
        "redis": {"is_up": False, "version": BAD, "latency_ms": 1, "why": BAD},
        "accounts": {"ready": 0, "cooling": 0, "quarantined": 0, "disabled": 0},
        "streams_open": 0,
        "batches": {"waiting": 0, "in_progress": 0, "dead": 0, "oldest_seconds": 0},
        "totals": {**USED, "errors": 1, "cached_tokens": 0, "reasoning_tokens": 0},
        "step_seconds": 60,
        "points": [{**POINT, "cost_micro_usd": 1, "first_token_ms_p50": 1, "first_token_ms_p95": 1}],
    },
    "accounts": {
        "accounts": [
            {
                **dict.fromkeys(("name", "kind", "source", "base_url", "plan", "region", "secret"), BAD),
                **dict.fromkeys(("state", "reason"), BAD),
                "until": 4_000_000_000,
                "leases": 0,
                "max_concurrency": 1,
                "requests_per_minute": None,
                "tokens_per_minute": None,
                "weight": 1,
                "models": [BAD],
                "success_rate": 0.5,
                "last_error": {"time": 1, "what": BAD},
                "session_expires_at": 1,
                "is_enabled": True,
            }
        ]
    },
    "keys": {
        "keys": [
            {
                **dict.fromkeys(("id", "name", "source", "shown"), BAD),
                **dict.fromkeys(("requests_per_minute", "tokens_per_minute", "max_concurrency"), 1),
                "budget_usd": 1,
                "models": [BAD],
                "created_at": 1,
                "used": USED,
                "is_revocable": True,
            }
        ]
    },
    "usage": {
        "from": "2026-11-20",
        "to": "2026-11-21",
        "group_by": ["day", "model"],
        "rows": [{"day": "2026-11-20", "model": BAD, "key": BAD, **USED}],
        "totals": USED,
        "price_table": {"dated": BAD, "source": BAD},
    },
    "models": {
        "models": [
            {
                "id": BAD,
                "context_tokens": 1,
                "max_output_tokens": 1,
                "accounts": [BAD],
                "aliases": [BAD],
                "input": [BAD],
            }
        ],
        "aliases": [{"alias": BAD, "model": BAD}],
    },
    "live": {
        "requests": [
            {
                **dict.fromkeys(("request_id", "key_name", "model", "account", "dialect", "route"), BAD),
                **dict.fromkeys(("phase", "worker"), BAD),
                "age_s": 1,
                "output_tokens": 1,
                "is_streaming": True,
            }
        ]
    },
    "audit": {
        "entries": [{"time": 1, **dict.fromkeys(("who", "action", "target", "detail"), BAD)}],
    },
}


def assert_harmless(page: Page) -> None:
    assert page.evaluate("window.hurt") is None
    assert page.locator("#app img:not([src='/admin/assets/icon.svg'])").count() == 0
    assert page.locator("#app script, dialog script, dialog img, .notices img").count() == 0


@pytest.mark.parametrize("view", ANSWERS)
def test_texts_of_the_gateway_stay_text(opened: Opened, view: str) -> None:
    page = opened("playground")
    page.route(f"**/admin/api/{view}*", lambda route: route.fulfill(json=ANSWERS[view]))
    page.evaluate("view => { location.hash = `#/${view}`; }", view)
    expect(page.get_by_text(PAYLOAD).first).to_be_visible()
    assert_harmless(page)


@pytest.mark.parametrize("view", ["accounts", "keys", "live"])
def test_dialogs_about_hostile_names_stay_text(opened: Opened, view: str) -> None:
    page = opened("playground")
    page.route(f"**/admin/api/{view}*", lambda route: route.fulfill(json=ANSWERS[view]))
    page.evaluate("view => { location.hash = `#/${view}`; }", view)
    buttons = page.locator(".row-actions button:not([aria-label^=Test]):not([aria-label^=Reset])")
    expect(buttons.first).to_be_visible()
    buttons.first.click()
    expect(page.get_by_role("dialog")).to_contain_text(PAYLOAD)
    assert_harmless(page)


def test_errors_and_notices_stay_text(opened: Opened, watch: Watch) -> None:
    watch.expects.append("Failed to load resource")

    def refuse(route: Route) -> None:
        if route.request.method == "GET":
            return route.continue_()
        return route.fulfill(status=400, json={"error": {"message": PAYLOAD, "param": PAYLOAD}})

    page = opened("accounts")
    page.route("**/admin/api/accounts/**", refuse)
    page.get_by_role("button", name="Test: paid").click()
    expect(page.locator(".notice")).to_contain_text(PAYLOAD)
    assert_harmless(page)


@pytest.mark.parametrize("dialect", ["Chat", "Responses", "Messages"])
def test_what_a_model_says_stays_text(opened: Opened, dialect: str) -> None:
    said = "<img src=x onerror=window.hurt=1> **no** <script>window.hurt=1</script>"
    page = opened("playground")
    page.locator(".settings").get_by_text(dialect, exact=True).click()
    page.get_by_label("Your message").fill(f'[[sim: say="{said}" reasoning="{said}"]] {PAYLOAD}')
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".turn.model .meta")).to_be_visible()
    expect(page.locator(".turn.model > .text")).to_have_text(said)
    assert_harmless(page)


def test_address_of_a_view_that_is_none_leads_to_the_overview(opened: Opened) -> None:
    page = opened("<img src=x onerror=window.hurt=1>")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    page.evaluate("location.hash = '#/__proto__'")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    page.evaluate("location.hash = '#/constructor'")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    assert_harmless(page)
