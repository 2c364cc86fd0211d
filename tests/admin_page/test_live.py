"""Live requests: seen while they run, without their words, and ended from here."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from playwright.sync_api import Page, expect

from tests.admin_page.conftest import Opened
from tests.clients.processes import Running

SECRET_WORDS = "the-words-that-nobody-else-may-read"


@contextmanager
def running_request(served: Running) -> Iterator[list[str]]:
    """A stream that never ends by itself; what its client was sent."""
    text = f"[[sim: tokens=4000 stall_after=6]] {SECRET_WORDS}"
    body = {"model": "mimo-v2.6-pro", "stream": True, "messages": [{"role": "user", "content": text}]}
    lines: list[str] = []
    began = threading.Event()

    def read() -> None:
        headers = {"Authorization": "Bearer sk-mimo"}
        url = f"{served.base_url}/v1/chat/completions"
        with httpx2.stream("POST", url, json=body, headers=headers, timeout=120) as answer:
            for line in answer.iter_lines():
                lines.append(line)
                began.set()

    thread = threading.Thread(target=read)
    thread.start()
    try:
        assert began.wait(60)
        yield lines
    finally:
        thread.join(90)
        assert not thread.is_alive(), "the request was not ended"


def the_row(page: Page):
    return page.get_by_role("row").filter(has_text="from-the-file")


def test_request_is_seen_and_cancelled_and_its_client_is_told(opened: Opened, served: Running) -> None:
    page = opened("live")
    expect(page.get_by_text("Nothing is running")).to_be_visible()
    with running_request(served) as lines:
        row = the_row(page)
        expect(row).to_contain_text("mimo-v2.6-pro")
        expect(row).to_contain_text("Chat Completions")
        expect(row).to_contain_text("answering")
        expect(page.get_by_text("1 request is running")).to_be_visible()
        assert SECRET_WORDS not in page.content()
        row.get_by_role("button", name="Cancel").click()
        dialog = page.get_by_role("dialog", name="Cancel this request?")
        expect(dialog).to_contain_text("from-the-file")
        dialog.locator("button[type=submit]").click()
        expect(page.get_by_text("The request is told to stop")).to_be_visible()
        expect(row).to_have_count(0)
    assert any('"error"' in line for line in lines), "an error in the stream, no silent end"
    expect(page.get_by_text("Nothing is running")).to_be_visible()


def test_list_rests_while_it_is_told_to(opened: Opened) -> None:
    page = opened("live")
    expect(page.get_by_text("Nothing is running")).to_be_visible()
    page.clock.install()
    page.reload()
    expect(page.get_by_text("Nothing is running")).to_be_visible()
    page.get_by_role("switch", name="Refresh by itself").uncheck()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(30_000)
    assert not asked
