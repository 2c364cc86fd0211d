"""The audit log: who changed what, newest first."""

from __future__ import annotations

import httpx2
from playwright.sync_api import expect

from tests.admin_page.conftest import Opened


def test_changes_are_listed_newest_first(opened: Opened, admin: httpx2.Client) -> None:
    made = admin.post("/keys", json={"name": "audited"}).json()
    admin.delete(f"/keys/{made['id']}").raise_for_status()
    page = opened("audit")
    rows = page.get_by_role("table", name="Audit log").locator("tbody tr").filter(has_text="audited")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("key revoked")
    expect(rows.nth(1)).to_contain_text("key created")
    expect(rows.nth(0)).to_contain_text("admin key")
    assert made["key"] not in page.content()


def test_log_without_entries_says_so(opened: Opened) -> None:
    page = opened("keys")
    page.route("**/admin/api/audit*", lambda route: route.fulfill(json={"entries": []}))
    page.get_by_role("link", name="Audit log").click()
    expect(page.get_by_text("No changes yet")).to_be_visible()
