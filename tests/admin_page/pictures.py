"""Takes the pictures of docs/images: `python -m tests.admin_page.pictures` (chromium is needed; no test).

The page, the gateway and the simulator are real. Numbers of a busy fleet come from samples.py, for a gateway
that has only just begun has none."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.admin_page import samples
from tests.admin_page.conftest import ADMIN_KEY, SECRET_KEY, gateway
from tests.clients.processes import PLATFORM, STUDIO, Running, started

IMAGES = Path(__file__).parent.parent.parent / "docs" / "images"
DESK = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
CURL = (
    "curl 'https://aistudio.xiaomimimo.com/open-apis/bot/chat?xiaomichatbot_ph=c2ltdWxh' \\\n"
    "  -H 'accept: */*' \\\n"
    "  -b 'serviceToken=sample-of-a-token; userId=10001; xiaomichatbot_ph=c2ltdWxh'"
)


class Studio:
    """Opens pages that are signed in, with the samples before the gateway's own numbers."""

    def __init__(self, browser: Browser, base_url: str) -> None:
        self._browser = browser
        self._base_url = base_url

    def opened(self, view: str, *, theme: str = "light", size: dict = DESK, locale: str = "en-US") -> Page:
        context = self._browser.new_context(
            base_url=self._base_url, viewport=size, color_scheme=theme, locale=locale, reduced_motion="reduce"
        )
        assert context.request.post("/admin/api/session", data={"admin_key": ADMIN_KEY}).ok
        page = context.new_page()
        page.route("**/admin/api/overview*", lambda route: route.fulfill(json=samples.overview("hour")))
        page.route("**/admin/api/accounts", lambda route: route.fulfill(json=samples.accounts()))
        page.route("**/admin/api/usage*", lambda route: route.fulfill(json=samples.usage()))
        page.route("**/admin/api/live", lambda route: route.fulfill(json=samples.live()))
        page.goto(f"/admin#/{view}")
        expect(page.locator(".loading")).to_have_count(0)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        return page


def take(page: Page, name: str) -> None:
    page.mouse.move(0, 0)
    path = IMAGES / f"admin-{name}.png"
    page.screenshot(path=path)
    print(f"{path.name}: {path.stat().st_size // 1000} kB")  # noqa: T201
    page.context.close()


def take_all(studio: Studio) -> None:
    take(studio.opened("overview"), "overview")
    take(studio.opened("accounts"), "accounts")
    take(studio.opened("usage"), "usage")
    take(studio.opened("live", theme="dark"), "live")

    adding = studio.opened("accounts", theme="dark")
    adding.get_by_role("button", name="Add account").click()
    adding.get_by_role("dialog").get_by_text("cURL", exact=True).click()
    adding.get_by_label("Copied cURL command").fill(CURL)
    expect(adding.get_by_text("Recognised by the gateway")).to_be_visible()
    take(adding, "add-account")

    key = studio.opened("keys")
    key.get_by_role("button", name="Create key").click()
    key.get_by_role("dialog").get_by_label("Name").fill("team-blue")
    key.get_by_role("dialog").get_by_label("Requests per minute").fill("120")
    key.get_by_role("dialog").get_by_label("Budget in US dollars").fill("25")
    key.get_by_role("dialog").get_by_role("button", name="Create key").click()
    expect(key.get_by_text("This is the only time")).to_be_visible()
    take(key, "key-created")

    playground = studio.opened("playground", theme="dark")
    playground.get_by_role("button", name="Insert a sample tool").click()
    playground.get_by_label("Your message").fill("What is the weather in Paris?")
    playground.get_by_role("button", name="Send").click()
    playground.get_by_label("Result of get_weather").fill('{"celsius": 18, "sky": "clear"}')
    take(playground, "playground")

    take(studio.opened("overview", theme="dark", size=PHONE, locale="zh-CN"), "phone-overview")
    take(studio.opened("accounts", size=PHONE), "phone-accounts")


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    chromium = shutil.which("chromium")
    assert chromium, "apt-get install chromium"
    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        started(Path(folder), "simulator", "simulator", ready_path="/simulator/record") as simulator,
        gateway(Path(folder), _config(simulator), _ENVIRON) as running,
    ):
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        take_all(Studio(browser, running.base_url))
        browser.close()


_ENVIRON = {"MIMO_ADMIN_KEY": ADMIN_KEY, "MIMO_SECRET_KEY": SECRET_KEY}


def _config(simulator: Running) -> dict:
    accounts = [{**account, "base_url": simulator.base_url} for account in (PLATFORM, STUDIO)]
    return {"api_keys": [{"name": "laptop", "key": "sk-mimo"}], "mimo_accounts": accounts}


if __name__ == "__main__":
    main()
