"""Usage: by day, model and key, as a chart, a table and a file."""

from __future__ import annotations

import csv
import io

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.admin_page.conftest import Opened, until


@pytest.fixture
def usage(opened: Opened, client: httpx2.Client, admin: httpx2.Client) -> Page:
    asked = {"mimo-v2.6-pro", "mimo-v2.6-flash"}
    for model in asked:
        question = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
        assert client.post("/v1/chat/completions", json=question).status_code == 200
    until(lambda: asked <= {row["model"] for row in admin.get("/usage?group_by=model").json()["rows"]})
    page = opened("usage")
    expect(page.get_by_role("table", name="Usage")).to_contain_text("mimo-v2.6-flash")
    return page


def test_chart_and_table_by_day_and_model(usage: Page) -> None:
    chart = usage.get_by_role("figure", name="Cost")
    expect(chart.locator("svg rect.bar").first).to_be_attached()
    expect(chart.locator(".legend")).to_contain_text("mimo-v2.6-pro")
    usage.get_by_text("Requests", exact=True).first.click()
    expect(usage.get_by_role("figure", name="Requests")).to_be_visible()
    foot = usage.locator("tfoot")
    expect(foot).to_contain_text("Total")


def test_grouping_filter_and_sorting(usage: Page) -> None:
    usage.get_by_label("Day", exact=True).uncheck()
    usage.get_by_label("Key", exact=True).last.check()
    table = usage.get_by_role("table", name="Usage")
    expect(table.get_by_role("columnheader", name="Day")).to_have_count(0)
    expect(table).to_contain_text("from-the-file")
    expect(usage.locator(".bars li").first).to_contain_text("mimo-v2.6")
    usage.get_by_role("button", name="Output tokens").click()
    header = table.get_by_role("columnheader", name="Output tokens")
    expect(header).to_have_attribute("aria-sort", "descending")
    usage.get_by_role("button", name="Output tokens").click()
    expect(header).to_have_attribute("aria-sort", "ascending")
    model = usage.get_by_label("Model", exact=True).first
    model.fill("mimo-v2.6-flash")
    model.press("Enter")
    model.blur()
    expect(table).not_to_contain_text("mimo-v2.6-pro")


def test_period_without_use_says_so(usage: Page) -> None:
    usage.get_by_label("From", exact=True).fill("2026-01-01")
    usage.get_by_label("To", exact=True).fill("2026-01-02")
    expect(usage.get_by_text("No use in this period")).to_be_visible()
    usage.get_by_label("Period").select_option("6")
    expect(usage.get_by_role("table", name="Usage")).to_be_visible()


def test_file_holds_what_the_table_holds(usage: Page) -> None:
    with usage.expect_download() as told:
        usage.get_by_role("link", name="CSV").click()
    download = told.value
    assert download.suggested_filename.endswith(".csv")
    rows = list(csv.DictReader(io.StringIO(download.path().read_text())))
    assert {row["model"] for row in rows} >= {"mimo-v2.6-pro", "mimo-v2.6-flash"}
    assert {"day", "requests", "input_tokens", "cost_micro_usd"} <= set(rows[0])
