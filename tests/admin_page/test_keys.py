"""Keys: made and shown once, limited, used, revoked."""

from __future__ import annotations

import httpx2
from playwright.sync_api import Page, expect

from tests.admin_page.conftest import Opened, Watch, until
from tests.admin_page.test_accounts import row
from tests.clients.processes import Running

QUESTION = {"model": "mimo-v2.6-flash", "messages": [{"role": "user", "content": "Hello"}]}


def opened_keys(opened: Opened) -> Page:
    page = opened("keys", permissions=["clipboard-read", "clipboard-write"])
    expect(page.get_by_role("rowheader", name="from-the-file")).to_be_visible()
    return page


def ask(served: Running, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    answer = httpx2.post(f"{served.base_url}/v1/chat/completions", json=QUESTION, headers=headers, timeout=60)
    return answer.status_code


def test_key_is_shown_once_copied_used_limited_and_revoked(
    opened: Opened, served: Running, admin: httpx2.Client
) -> None:
    page = opened_keys(opened)
    page.get_by_role("button", name="Create key").click()
    dialog = page.get_by_role("dialog", name="Create a key")
    expect(dialog.get_by_label("Name")).to_be_focused()
    dialog.get_by_role("button", name="Create key").click()
    expect(dialog.get_by_text("A name is needed.")).to_be_visible()
    dialog.get_by_label("Name").fill("team-blue")
    dialog.get_by_label("Requests per minute").fill("120")
    dialog.get_by_label("Budget in US dollars").fill("2.5")
    dialog.get_by_label("Models").fill("mimo-v2.6-flash")
    dialog.get_by_label("Web search").select_option("on")
    dialog.get_by_role("button", name="Create key").click()

    shown = page.get_by_role("dialog", name="The key of team-blue")
    key = shown.locator("code.secret").inner_text()
    shown.get_by_role("button", name="Copy: Key").click()
    expect(shown.get_by_role("button", name="Copy: Key")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == key
    shown.get_by_role("button", name="I have stored it").click()
    expect(shown).to_be_hidden()
    assert key not in page.content(), "it was shown once"

    blue = row(page, "team-blue")
    expect(blue).to_contain_text("120 requests/min")
    expect(blue).to_contain_text("budget $2.50 in all")
    expect(blue).to_contain_text("mimo-v2.6-flash")
    assert ask(served, key) == 200
    until(lambda: any(one["used"]["requests"] == 1 for one in admin.get("/keys").json()["keys"]))
    page.reload()
    expect(blue.get_by_role("cell").nth(2)).to_have_text("1")  # a request

    blue.get_by_role("button", name="Edit limits: team-blue").click()
    edit = page.get_by_role("dialog", name="Limits of team-blue")
    edit.get_by_label("Requests per minute").fill("60")
    edit.get_by_label("Models").fill("")
    edit.get_by_role("button", name="Save").click()
    expect(blue).to_contain_text("60 requests/min")
    (kept,) = [one for one in admin.get("/keys").json()["keys"] if one["name"] == "team-blue"]
    assert (kept["web_search"], kept["loop_guard"], kept["budget_usd"], kept["models"]) == (
        True,
        None,
        2.5,
        [],
    )

    blue.get_by_role("button", name="Revoke: team-blue").click()
    page.get_by_role("dialog", name="Revoke the key of team-blue?").get_by_role(
        "button", name="Revoke"
    ).click()
    expect(blue).to_have_count(0)
    # A worker that knows a key hears of its end within seconds.
    until(lambda: ask(served, key) == 401)


def test_key_of_the_file_cannot_be_revoked_here(opened: Opened) -> None:
    page = opened_keys(opened)
    mine = row(page, "from-the-file")
    expect(mine).to_contain_text("in the configuration")
    expect(mine.get_by_role("button")).to_have_count(0)


def test_what_the_gateway_refuses_is_told_in_the_dialog(opened: Opened, watch: Watch) -> None:
    watch.expects.append("Failed to load resource")  # 409
    page = opened_keys(opened)
    page.get_by_role("button", name="Create key").click()
    dialog = page.get_by_role("dialog", name="Create a key")
    dialog.get_by_label("Name").fill("from-the-file")
    dialog.get_by_role("button", name="Create key").click()
    expect(dialog.get_by_role("alert").last).to_contain_text("There is a key called 'from-the-file' already.")
