"""Who comes in, and how one is told why not."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.admin_page.conftest import ADMIN_KEY, FAILED_LOAD, Opened, Watch, gateway
from tests.clients.processes import Running


def title(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def test_wrong_key_is_told_and_the_right_one_opens_the_overview(opened: Opened, watch: Watch) -> None:
    watch.expects.append(FAILED_LOAD)  # 401
    page = opened(is_signed_in=False)
    title(page, "Sign in")
    key = page.get_by_label("Admin key")
    expect(key).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Enter the admin key.")).to_be_visible()
    key.fill("not-the-key")
    page.keyboard.press("Enter")
    expect(page.get_by_text("That is not the admin key.")).to_be_visible()
    expect(key).to_have_attribute("aria-invalid", "true")
    key.fill(ADMIN_KEY)
    page.keyboard.press("Enter")
    title(page, "Overview")
    assert ADMIN_KEY not in page.content()
    assert page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})") == "{}"
    assert page.evaluate("document.cookie") == "", "scripts do not see the session"


def test_session_outlives_a_reload_and_ends_with_signing_out(opened: Opened, watch: Watch) -> None:
    page = opened("keys", is_signed_in=False)
    page.get_by_label("Admin key").fill(ADMIN_KEY)
    page.get_by_role("button", name="Sign in").click()
    title(page, "Keys")
    page.reload()
    title(page, "Keys")
    page.get_by_role("button", name="Sign out").click()
    title(page, "Sign in")
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    page.reload()
    title(page, "Sign in")
    assert page.context.request.get("/admin/api/keys").status == 401


def test_session_that_ended_leads_back_to_signing_in_and_then_to_where_one_was(
    opened: Opened, watch: Watch
) -> None:
    watch.expects.append(FAILED_LOAD)  # 401
    page = opened("audit", is_signed_in=False)
    page.get_by_label("Admin key").fill(ADMIN_KEY)
    page.keyboard.press("Enter")
    title(page, "Audit log")
    page.context.clear_cookies()
    page.get_by_role("button", name="Refresh").click()
    expect(page.get_by_text("Your session has ended. Sign in again.")).to_be_visible()
    page.get_by_label("Admin key").fill(ADMIN_KEY)
    page.keyboard.press("Enter")
    title(page, "Audit log")


def test_second_tab_that_signed_in_again_does_not_lock_out_the_first(opened: Opened, watch: Watch) -> None:
    """The cookie is the browser's, the CSRF token the tab's: the first tab asks for the new one."""
    watch.expects.append(FAILED_LOAD)  # 403, once
    page = opened("models", is_signed_in=False)
    page.get_by_label("Admin key").fill(ADMIN_KEY)
    page.keyboard.press("Enter")
    title(page, "Models")
    other = page.context.request.post("/admin/api/session", data={"admin_key": ADMIN_KEY})
    assert other.ok
    page.get_by_role("button", name="Ask the accounts now").click()
    expect(page.get_by_text("The list is new")).to_be_visible()


@pytest.fixture
def lone(simulator: Running, tmp_path: Path):
    """A gateway for one test: what it refuses, it goes on refusing."""
    account = {"api_key": "sk-simulator-1", "base_url": simulator.base_url}
    config = {"api_keys": "sk-mimo", "mimo_accounts": [account]}

    def start(**environ: str):
        return gateway(tmp_path, config, environ)

    return start


def test_without_an_admin_key_the_page_says_how_to_set_one(opened: Opened, watch: Watch, lone) -> None:
    with lone() as running:
        watch.origin = running.base_url
        watch.expects.append(FAILED_LOAD)
        page = opened(is_signed_in=False, base_url=running.base_url)
        title(page, "No admin key is set")
        expect(page.get_by_text("MIMO_ADMIN_KEY").first).to_be_visible()
        expect(page.locator("input")).to_have_count(0)
        refused = httpx2.get(f"{running.base_url}/admin/api/keys")
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "admin_not_configured")


def test_who_guesses_is_told_to_wait(opened: Opened, watch: Watch, lone) -> None:
    with lone(MIMO_ADMIN_KEY=ADMIN_KEY) as running:
        watch.origin = running.base_url
        watch.expects.append(FAILED_LOAD)  # 401, 429
        page = opened(is_signed_in=False, base_url=running.base_url)
        for number in range(30):  # five in a minute; the minute may end between
            page.get_by_label("Admin key").fill(f"guess-{number}")
            with page.expect_response("**/admin/api/session") as told:
                page.keyboard.press("Enter")
            if told.value.status == 429:
                break
        expect(page.get_by_text("Too many attempts. Try again in")).to_be_visible()
        page.get_by_label("Admin key").fill(ADMIN_KEY)
        with page.expect_response("**/admin/api/session") as told:
            page.keyboard.press("Enter")
        assert told.value.status in (429, 200), "the right key waits too, until the minute ends"
