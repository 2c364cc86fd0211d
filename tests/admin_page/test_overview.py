"""The overview: what it tells, that it tells it again, and that it rests while nobody looks."""

from __future__ import annotations

import re

import httpx2
from playwright.sync_api import Page, Route, expect

from tests.admin_page.conftest import TIMEOUT_MS, Opened, Watch

QUESTION = {"model": "mimo-v2.6-pro", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}


def tile(page: Page, name: str):
    return page.locator(".tile", has=page.get_by_text(name, exact=True)).locator(".value")


def test_requests_of_the_fleet_are_shown_and_it_refreshes_itself(
    page: Page, client: httpx2.Client, admin: httpx2.Client
) -> None:
    before = admin.get("/overview").json()["totals"]["requests"]
    for _ in range(3):
        assert client.post("/v1/chat/completions", json=QUESTION).status_code == 200
    expect(tile(page, "Requests")).to_have_text(re.compile(r"^[1-9]"))
    counted = "before => document.querySelector('.tile .value').textContent.replace(/\\D/g, '') >= before + 3"
    page.wait_for_function(counted, arg=before, timeout=TIMEOUT_MS)
    expect(tile(page, "First token")).to_have_text(re.compile(r"\d (ms|s)$"))
    expect(tile(page, "Cost")).to_have_text(re.compile(r"^\$0\.0"))


def test_health_of_what_the_gateway_stands_on_is_shown(page: Page) -> None:
    health = page.get_by_role("region", name="Health")
    for name in ("Accounts", "Redis", "Batches", "Gateway"):
        expect(health.get_by_role("heading", name=name)).to_be_visible()
    expect(health.get_by_text("Answers")).to_be_visible()
    expect(health.locator(".counts li").filter(has_text="Ready").locator("b")).to_have_text("2")
    expect(page.get_by_text("All is well").last).to_be_visible()


def test_period_can_be_chosen_with_the_keyboard(page: Page) -> None:
    hour = page.get_by_role("radio", name="Hour")
    hour.focus()
    with page.expect_response("**/overview?period=day") as told:
        page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Day")).to_be_checked()
    assert len(told.value.json()["points"]) == 96


def test_charts_can_be_read_with_the_keyboard_and_as_a_table(page: Page, client: httpx2.Client) -> None:
    client.post("/v1/chat/completions", json=QUESTION)
    chart = page.get_by_role("figure", name="Requests")
    expect(chart.locator("svg rect.bar").first).to_be_attached()
    plot = chart.get_by_role("img")
    expect(plot).to_have_attribute("aria-label", re.compile(r"^Requests\. Answered: at most \d+, at "))
    plot.focus()
    page.keyboard.press("End")
    expect(chart.locator("[aria-live]")).to_have_text(re.compile(r"Answered: \d+, Errors: \d+"))
    chart.get_by_role("button", name="Show as a table").click()
    expect(chart.get_by_role("columnheader", name="Errors")).to_be_visible()
    assert chart.locator("tbody tr").count() >= 1


def test_what_is_degraded_is_told_with_its_reason(page: Page) -> None:
    def degraded(route: Route) -> None:
        told = route.fetch().json()
        told["degraded"] = [{"what": "redis", "why": "<b>no answer</b> in 250 ms"}]
        told["redis"] = {"is_up": False, "version": None, "latency_ms": None, "why": "connection refused"}
        route.fulfill(json=told)

    page.route("**/admin/api/overview*", degraded)
    page.reload()
    region = page.get_by_role("region", name="Something needs attention")
    expect(region).to_contain_text("Redis: <b>no answer</b> in 250 ms")
    expect(page.get_by_role("status").filter(has_text="Something needs attention: Redis")).to_be_attached()
    expect(page.get_by_text("Does not answer")).to_be_visible()
    expect(page.get_by_text("connection refused")).to_be_visible()


def test_account_that_needs_somebody_is_told_and_leads_there(page: Page) -> None:
    def quarantined(route: Route) -> None:
        told = route.fetch().json()
        told["accounts"] = {"ready": 1, "cooling": 0, "quarantined": 1, "disabled": 0}
        route.fulfill(json=told)

    page.route("**/admin/api/overview*", quarantined)
    page.reload()
    page.get_by_role("link", name="1 account is quarantined and needs you").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Accounts")


def test_hidden_page_asks_nothing_and_asks_at_once_when_it_is_seen_again(page: Page) -> None:
    """The browser's own notion of hidden is stood in for; the clock is the test's."""
    page.clock.install()
    page.reload()
    expect(page.get_by_test_id("tiles")).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: "/overview" in request.url and asked.append(request.url))
    hide = """hidden => {
      Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden});
      document.dispatchEvent(new Event('visibilitychange'));
    }"""
    page.evaluate(hide, True)
    asked.clear()  # what was asked while it was still seen
    page.clock.run_for(60_000)
    assert not asked
    with page.expect_response("**/overview*"):
        page.evaluate(hide, False)
    page.get_by_role("button", name="Pause refreshing").click()
    expect(page.get_by_text("Paused")).to_be_visible()
    asked.clear()
    page.clock.run_for(60_000)
    assert not asked
    with page.expect_response("**/overview*"):
        page.get_by_role("button", name="Resume refreshing").click()


def test_gateway_that_is_away_is_told_and_what_was_shown_stays(page: Page, watch: Watch) -> None:
    watch.expects.append("ERR_FAILED")
    expect(page.get_by_test_id("tiles")).to_be_visible()
    page.route("**/admin/api/**", lambda route: route.abort())
    page.get_by_text("Day", exact=True).click()
    expect(page.get_by_text("The gateway cannot be reached.")).to_be_visible()
    expect(page.get_by_test_id("tiles")).to_be_visible()
    page.unroute("**/admin/api/**")
    page.get_by_text("Week", exact=True).click()
    expect(page.get_by_text("The gateway cannot be reached.")).to_be_hidden()


def test_first_load_that_fails_offers_to_try_again(opened: Opened, watch: Watch) -> None:
    watch.expects.append("Failed to load resource")
    page = opened("keys")
    expect(page.get_by_role("heading", level=1)).to_have_text("Keys")
    error = {
        "error": {"message": "Redis <i>is</i> away", "type": "server_error", "code": "store_unavailable"}
    }
    page.route("**/admin/api/audit*", lambda route: route.fulfill(status=503, json=error))
    page.get_by_role("link", name="Audit log").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Redis <i>is</i> away")
    page.unroute("**/admin/api/audit*")
    alert.get_by_role("button", name="Try again").click()
    expect(alert).to_be_hidden()
