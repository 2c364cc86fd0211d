"""Accounts: seen, added in three ways, tested, switched, limited, reset, removed."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.admin_page.conftest import Opened, Watch
from tests.clients.processes import Running

STUDIO_COOKIES = (
    "serviceToken=simulator-token-2; userId=10002; xiaomichatbot_ph=c2ltdWxhdG9yLTI/+w==; tracker=private"
)


@pytest.fixture
def accounts(opened: Opened, admin: httpx2.Client) -> Iterator[Page]:
    page = opened("accounts")
    expect(page.get_by_role("rowheader", name="paid")).to_be_visible()
    yield page
    for account in admin.get("/accounts").json()["accounts"]:
        if account["source"] == "admin":
            admin.delete(f"/accounts/{account['name']}")
        elif not account["is_enabled"]:
            admin.patch(f"/accounts/{account['name']}", json={"is_enabled": True})


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name))


def begin_adding(page: Page, simulator: Running, name: str) -> Locator:
    page.get_by_role("button", name="Add account").click()
    dialog = page.get_by_role("dialog", name="Add an account")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_text("Limits and host").click()
    dialog.get_by_label("Base URL").fill(simulator.base_url)
    return dialog


def test_account_is_shown_with_its_state_and_its_secret_masked(accounts: Page) -> None:
    paid = row(accounts, "paid")
    expect(paid).to_contain_text("Platform")
    expect(paid).to_contain_text("Ready")
    expect(paid).to_contain_text("900 requests/min")
    assert "sk-simulator-1" not in accounts.content()
    assert "simulator-token-1" not in accounts.content()


def test_api_key_is_recognised_and_added(accounts: Page, simulator: Running, admin: httpx2.Client) -> None:
    dialog = begin_adding(accounts, simulator, "second")
    submit = dialog.get_by_role("button", name="Add account")
    expect(submit).to_be_disabled()
    key = dialog.get_by_label("API key", exact=True).last
    expect(key).to_have_attribute("type", "password")
    key.fill("sk-simulator-2")
    expect(dialog.get_by_text("Recognised by the gateway")).to_be_visible()
    expect(dialog.locator(".preview")).to_contain_text("Pay as you go")
    dialog.get_by_label("Requests at once").fill("3")
    submit.click()
    expect(dialog).to_be_hidden()
    expect(row(accounts, "second")).to_contain_text("0 / 3")
    assert "sk-simulator-2" not in accounts.content()
    (added,) = [one for one in admin.get("/accounts").json()["accounts"] if one["name"] == "second"]
    assert (added["kind"], added["max_concurrency"], added["source"]) == ("platform", 3, "admin")


def test_token_plan_key_asks_for_its_region(accounts: Page) -> None:
    accounts.get_by_role("button", name="Add account").click()
    dialog = accounts.get_by_role("dialog", name="Add an account")
    expect(dialog.get_by_label("Region")).to_be_hidden()
    dialog.get_by_label("API key", exact=True).last.fill("tp-not-a-real-key-0001")
    dialog.get_by_label("Region").select_option("sgp")
    expect(dialog.locator(".preview")).to_contain_text("token-plan-sgp")
    expect(dialog.locator(".preview")).to_contain_text("Token plan")
    accounts.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(accounts.get_by_role("button", name="Add account")).to_be_focused()


def test_cookie_is_checked_in_the_tab_before_anything_is_sent(accounts: Page) -> None:
    accounts.get_by_role("button", name="Add account").click()
    dialog = accounts.get_by_role("dialog", name="Add an account")
    dialog.get_by_text("Cookie", exact=True).click()
    sent: list[str] = []
    accounts.on("request", lambda request: request.method == "POST" and sent.append(request.url))
    dialog.get_by_label("Cookie header").fill("userId=5; xiaomichatbot_ph=x")
    expect(dialog.get_by_text("Not found: serviceToken")).to_be_visible()
    expect(dialog.get_by_role("button", name="Add account")).to_be_disabled()
    assert not sent


def test_copied_curl_command_is_added_and_its_other_cookies_stay_in_the_tab(
    accounts: Page, simulator: Running, admin: httpx2.Client
) -> None:
    """Pasted under another heading: the dialog goes where it belongs."""
    dialog = begin_adding(accounts, simulator, "from-curl")
    sent: list[str] = []
    accounts.on("request", lambda request: request.method == "POST" and sent.append(request.post_data or ""))
    command = f"curl 'https://studio.example/chat' -H 'Cookie: {STUDIO_COOKIES}' --data-raw '{{}}'"
    dialog.get_by_label("API key", exact=True).last.fill(command)
    expect(dialog.get_by_label("Copied cURL command")).to_have_value(command)
    expect(dialog.get_by_text("Recognised by the gateway")).to_be_visible()
    dialog.get_by_role("button", name="Add account").click()
    expect(dialog).to_be_hidden()
    expect(row(accounts, "from-curl")).to_contain_text("Studio")
    expect(row(accounts, "from-curl")).to_contain_text("Session ends")
    assert sent
    assert not [body for body in sent if "private" in body]
    assert "simulator-token-2" not in accounts.content()
    # It works: the gateway reaches the studio with it.
    row(accounts, "from-curl").get_by_role("button", name="Test").click()
    expect(accounts.get_by_text("from-curl works")).to_be_visible()


def test_name_that_is_taken_is_told_in_the_dialog(accounts: Page, simulator: Running, watch: Watch) -> None:
    watch.expects.append("Failed to load resource")  # 409
    dialog = begin_adding(accounts, simulator, "paid")
    dialog.get_by_label("API key", exact=True).last.fill("sk-simulator-2")
    dialog.get_by_role("button", name="Add account").click()
    expect(dialog.get_by_role("alert").last).to_contain_text("'paid'")
    expect(dialog).to_be_visible()


def test_account_is_disabled_enabled_and_reset(accounts: Page) -> None:
    web = row(accounts, "web")
    web.get_by_role("button", name="Disable: web").click()
    expect(web).to_contain_text("Disabled")
    web.get_by_role("button", name="Enable: web").click()
    expect(web).to_contain_text("Ready")
    web.get_by_role("button", name="Reset: web").click()
    expect(accounts.get_by_text("web starts afresh")).to_be_visible()
    expect(web.get_by_role("button", name="Remove: web")).to_have_count(0)


def test_limits_are_edited_and_a_wrong_number_is_told(accounts: Page, admin: httpx2.Client) -> None:
    row(accounts, "web").get_by_role("button", name="Edit: web").click()
    dialog = accounts.get_by_role("dialog", name="Limits of web")
    expect(dialog).to_contain_text("configuration file")
    dialog.get_by_label("Requests per minute").fill("-1")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_text("A number from 0 up is needed.").first).to_be_visible()
    dialog.get_by_label("Requests per minute").fill("777")
    dialog.get_by_label("Weight").fill("2")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    expect(row(accounts, "web")).to_contain_text("777 requests/min")
    (web,) = [one for one in admin.get("/accounts").json()["accounts"] if one["name"] == "web"]
    assert (web["requests_per_minute"], web["weight"]) == (777, 2)
    admin.patch("/accounts/web", json={"requests_per_minute": None, "weight": 1}).raise_for_status()


def test_account_that_is_limited_counts_down(accounts: Page, admin: httpx2.Client) -> None:
    """The time that is left comes from the gateway; that it runs down is the page's own doing."""
    told = admin.get("/accounts").json()
    shown = {**told["accounts"][0], "state": "cooling", "reason": "rate_limited", "until": 4_000_000_000}

    accounts.route("**/admin/api/accounts", lambda route: route.fulfill(json={"accounts": [shown]}))
    accounts.reload()
    paid = row(accounts, "paid")
    expect(paid).to_contain_text("Cooling down")
    expect(paid).to_contain_text("MiMo limits its rate")
    expect(paid.locator("[data-until]")).to_contain_text("for another")
    accounts.evaluate("document.querySelector('[data-until]').dataset.until = Date.now() / 1000 - 1")
    expect(paid).to_contain_text("any moment now")


def test_account_is_removed_after_asking(accounts: Page, simulator: Running, admin: httpx2.Client) -> None:
    account = {"name": "doomed", "api_key": "sk-simulator-2", "base_url": simulator.base_url}
    admin.post("/accounts", json=account).raise_for_status()
    accounts.reload()
    doomed = row(accounts, "doomed")
    doomed.get_by_role("button", name="Remove: doomed").click()
    dialog = accounts.get_by_role("dialog", name="Remove doomed?")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    dialog.get_by_role("button", name="Cancel").click()
    expect(doomed).to_be_visible()
    doomed.get_by_role("button", name="Remove: doomed").click()
    dialog.get_by_role("button", name="Remove").click()
    expect(doomed).to_have_count(0)
    expect(accounts.get_by_text("doomed is removed")).to_be_visible()


def test_session_that_ended_is_renewed(accounts: Page, simulator: Running, admin: httpx2.Client) -> None:
    cookie = "serviceToken=old-token-of-web; userId=10002; xiaomichatbot_ph=c2ltdWxhdG9yLTI/+w=="
    account = {"name": "renewed", "cookie": cookie, "base_url": simulator.base_url}
    admin.post("/accounts", json=account).raise_for_status()
    accounts.reload()
    renewed = row(accounts, "renewed")
    renewed.get_by_role("button", name="Edit: renewed").click()
    dialog = accounts.get_by_role("dialog", name="Limits of renewed")
    dialog.get_by_label("New credential").fill("sk-a-key-is-no-session")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_text("That is not a credential of this kind of account.")).to_be_visible()
    dialog.get_by_label("New credential").fill(STUDIO_COOKIES)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    renewed.get_by_role("button", name="Test: renewed").click()
    expect(accounts.get_by_text("renewed works")).to_be_visible()
