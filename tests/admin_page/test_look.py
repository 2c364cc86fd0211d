"""How it looks and how it is used without a mouse: axe on every view, in both themes, on phone and desk."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.admin_page.conftest import Opened
from tests.admin_page.test_live import running_request
from tests.clients.processes import Running

VIEWS = ("overview", "accounts", "keys", "usage", "models", "playground", "live", "audit")
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 800}
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
RUN_AXE = """async () => {
  const found = await axe.run(document);
  if (found.passes.length < 10) throw new Error('axe looked at nothing');
  return found.violations.map(({id, impact, nodes}) => [id, impact, nodes.map((node) => node.html)]);
}"""


def assert_accessible(page: Page) -> None:
    """No finding of axe-core that is serious or critical. It runs through the debugger: no policy is bent."""
    page.evaluate(AXE)
    found = page.evaluate(RUN_AXE)
    bad = [finding for finding in found if finding[1] in ("serious", "critical")]
    assert not bad, bad


def settled(page: Page) -> None:
    """The view is drawn: nothing loads, nothing moves."""
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator(".loading")).to_have_count(0)
    page.evaluate("Promise.all(document.getAnimations().map((one) => one.finished.catch(() => null)))")


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_view_is_accessible_and_fits(
    opened: Opened, client: httpx2.Client, theme: str, size: dict
) -> None:
    """The dark ones are in Chinese, whose words are shorter and whose lines are higher."""
    question = {"model": "mimo-v2.6-pro", "messages": [{"role": "user", "content": "Hello"}]}
    assert client.post("/v1/chat/completions", json=question).status_code == 200
    locale = "zh-CN" if theme == "dark" else "en-US"
    page = opened(color_scheme=theme, viewport=size, reduced_motion="reduce", locale=locale)
    for view in VIEWS:
        page.evaluate("view => { location.hash = `#/${view}`; }", view)
        expect(page).to_have_title(re.compile(r" · MiMo Gateway$"))
        expect(page.locator(f"[data-view={view}]").first).to_have_attribute("aria-current", "page")
        settled(page)
        assert_accessible(page)
        too_wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert too_wide <= 0, f"{view} is {too_wide} px wider than the window"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_dialogs_and_filled_views_are_accessible(opened: Opened, theme: str) -> None:
    page = opened("accounts", color_scheme=theme, viewport=PHONE, reduced_motion="reduce")
    page.get_by_role("button", name="Add account").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("cURL", exact=True).click()
    dialog.get_by_label("Copied cURL command").fill("curl 'https://x.example' -b 'userId=5'")
    dialog.get_by_text("Limits and host").click()
    expect(dialog.get_by_text("Not found: serviceToken")).to_be_visible()
    settled(page)
    assert_accessible(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="More").click()
    expect(page.get_by_role("dialog").get_by_role("link", name="Usage")).to_be_visible()
    settled(page)
    assert_accessible(page)
    page.get_by_role("dialog").get_by_role("link", name="Playground").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Playground")
    page.get_by_text("System prompt, limits, tools").click()
    page.get_by_role("button", name="Insert a sample tool").click()
    page.get_by_label("Your message").fill("What is the weather in Rome?")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_label("Result of get_weather")).to_be_visible()
    page.get_by_text("The request as cURL and Python").click()
    settled(page)
    assert_accessible(page)


def test_running_request_is_accessible(opened: Opened, served: Running, admin: httpx2.Client) -> None:
    page = opened("live", reduced_motion="reduce")
    with running_request(served):
        button = page.get_by_role("button", name=re.compile("^Cancel"))
        expect(button).to_be_visible()
        settled(page)
        assert_accessible(page)
        for request in admin.get("/live").json()["requests"]:
            admin.delete(f"/live/{request['request_id']}")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_sign_in_is_accessible(opened: Opened, theme: str) -> None:
    page = opened(is_signed_in=False, color_scheme=theme, viewport=PHONE)
    settled(page)
    assert_accessible(page)


def test_theme_follows_the_system_until_one_is_chosen(opened: Opened) -> None:
    page = opened(color_scheme="dark")
    settled(page)
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_label("Theme").select_option("light")
    light = page.evaluate(ground)
    assert light != dark
    page.reload()
    settled(page)
    assert page.evaluate(ground) == light, "the choice is remembered"
    page.get_by_label("Theme").select_option("auto")
    assert page.evaluate(ground) == dark


@pytest.mark.parametrize(
    ("locale", "language", "title"),
    [
        ("en-GB", "en", "Overview"),
        ("zh-CN", "zh-CN", "概览"),
        ("zh-TW", "zh-CN", "概览"),
        ("fr-FR", "en", "Overview"),
    ],
)
def test_browser_chooses_the_language(opened: Opened, locale: str, language: str, title: str) -> None:
    page = opened(locale=locale)
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.locator("html")).to_have_attribute("lang", language)


def test_language_is_switched_and_remembered_and_numbers_follow(opened: Opened) -> None:
    page = opened("usage")
    page.get_by_label("Language").select_option("zh-CN")
    expect(page.get_by_role("heading", level=1)).to_have_text("用量")
    expect(page.get_by_label("语言")).to_be_focused()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("用量")
    written = page.evaluate(
        """async () => {
          const f = await import('/admin/assets/format.js');
          const ago = f.relative(Date.now() / 1000 - 120);
          return [f.short(1234567), f.money(1234567), f.duration(3725), ago, f.percent(0.5)];
        }"""
    )
    assert written == ["123万", "$1.23", "1 小时 2 分", "2分钟前", "50%"]


def test_whole_page_is_walked_with_the_keyboard(opened: Opened) -> None:
    page = opened()
    settled(page)
    skip = page.get_by_role("link", name="Skip to the content")
    skip.focus()
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.get_by_role("link", name="Keys").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Keys")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    create = page.get_by_role("button", name="Create key")
    expect(create).to_be_focused()
    ring = create.evaluate("element => getComputedStyle(element).outlineStyle")
    assert ring == "solid", "the focus can be seen"
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_label("Name")).to_be_focused()
    page.keyboard.press("Escape")
    expect(create).to_be_focused()


def test_motion_is_left_out_for_who_asks(opened: Opened) -> None:
    page = opened("playground", reduced_motion="reduce")
    settled(page)
    page.evaluate("document.querySelector('.turns p').className = 'cursor'")
    took = page.locator(".cursor").evaluate("element => getComputedStyle(element).animationDuration")
    assert float(took.removesuffix("s")) < 0.01
