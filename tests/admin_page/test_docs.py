"""`/docs` in a browser: every area is drawn, a request can be tried, and nothing comes from elsewhere."""

from __future__ import annotations

from playwright.sync_api import expect

from service.web import openapi
from tests.admin_page.conftest import Opened


def test_the_document_is_drawn_and_a_request_tried(opened: Opened) -> None:
    page = opened(is_signed_in=False)
    page.goto("/docs")
    sections = page.locator(".opblock-tag")
    expect(sections.first).to_be_visible()
    assert sections.evaluate_all("all => all.map(one => one.dataset.tag)") == [
        tag["name"] for tag in openapi.document()["tags"]
    ]
    page.locator(".btn.authorize").first.click()
    bearer = page.locator(".auth-container", has_text="An API key of this gateway.")
    bearer.get_by_label("auth-bearer-value").fill("sk-mimo")
    bearer.get_by_label("Apply credentials").click()
    page.locator(".close-modal").click()
    page.locator(".opblock-tag[data-tag=models]").click()
    models = page.locator("#operations-models-listModels")
    models.locator(".opblock-summary").click()
    models.get_by_role("button", name="Try it out").click()
    models.get_by_role("button", name="Execute").click()
    expect(models.locator(".live-responses-table .response .response-col_status")).to_contain_text("200")
    expect(models.locator(".live-responses-table .response .highlight-code")).to_contain_text("mimo-v2.6-pro")
