"""What a browser fetches before the overview stands: how much, from where, and under which rules."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import expect

from tests.admin_page.conftest import ADMIN_KEY, Opened, Watch
from tests.clients.processes import Running

MAX_BYTES = 200_000


def test_first_load_is_small_and_from_one_origin(opened: Opened, served: Running, watch: Watch) -> None:
    """Counted unpacked: over the wire it is about a third of that."""
    page = opened(is_signed_in=False)
    page.get_by_label("Admin key").fill(ADMIN_KEY)
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("tiles")).to_be_visible()
    page.wait_for_load_state("networkidle")
    page.get_by_role("button", name="Pause refreshing").click()
    bodies = {response.url: len(response.body()) for response in list(watch.responses)}
    assert {f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in bodies} == {served.base_url}
    assert f"{served.base_url}/admin/assets/app.js" in bodies
    assert 20_000 < sum(bodies.values()) < MAX_BYTES


def test_page_may_load_from_here_only_and_nobody_may_frame_it(opened: Opened) -> None:
    page = opened(is_signed_in=False)
    headers = page.context.request.get("/admin").headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}


def test_policy_is_in_force(opened: Opened, watch: Watch) -> None:
    """Else the other tests would prove nothing: a style attribute and an inline script are refused."""
    page = opened(is_signed_in=False)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    watch.expects.append("Content Security Policy")
    page.evaluate(
        """() => {
          const script = document.createElement('script');
          script.textContent = 'window.ran = true';
          document.body.append(script);
          document.querySelector('h1').setAttribute('style', 'color: red');
        }"""
    )
    page.wait_for_function("() => true")
    assert page.evaluate("window.ran") is None
    refused = {problem.split()[1] for problem in watch.problems}
    assert refused == {"script-src-elem", "style-src-attr"}
    watch.problems.clear()
