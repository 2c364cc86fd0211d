"""Models and aliases: what is offered, and asking for it anew."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.admin_page.conftest import Opened
from tests.admin_page.test_accounts import row


def test_models_tell_their_sizes_accounts_and_aliases(opened: Opened) -> None:
    page = opened("models")
    pro = row(page, "mimo-v2.6-pro").first
    for text in ("1M", "128K", "images", "paid", "web", "claude-*"):
        expect(pro).to_contain_text(text)
    alias = page.get_by_role("table", name="Aliases").get_by_role("row").filter(has_text="claude-*haiku*")
    expect(alias).to_contain_text("mimo-v2.6-flash")
    page.get_by_role("button", name="Ask the accounts now").click()
    expect(page.get_by_text("The list is new")).to_be_visible()
    expect(pro).to_be_visible()
