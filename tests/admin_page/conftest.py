"""A real Chromium before a real gateway: the machine's own browser, nothing downloaded.

Whatever a test does, its page may log no error, break no rule of the Content-Security-Policy and ask no other
origin for anything; the fixture `page` looks after that."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import orjson
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)

from tests.clients.processes import PLATFORM, STUDIO, Running, started

ADMIN_KEY = "admin-key-of-the-tests"
SECRET_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
TIMEOUT_MS = 30_000  # generous: a loaded machine is slow, and no test measures that
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# A status that a test brings about is also a line on the console, in these words.
FAILED_LOAD = "Failed to load resource"

expect.set_options(timeout=TIMEOUT_MS)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of it is slow: it drives a browser or starts processes."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="package")
def chromium() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("chromium is not installed (apt-get install chromium): the admin page is not tested")
    return found


@pytest.fixture(scope="package")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("admin-simulator")
    with started(folder, "simulator", "simulator", ready_path="/simulator/record") as running:
        yield running


@contextmanager
def gateway(folder: Path, config: dict, environ: dict[str, str]) -> Iterator[Running]:
    """A gateway of its own, with a Redis of its own."""
    path = folder / "config.json"
    path.write_bytes(orjson.dumps({"timeouts": {"propagation_s": 0}, **config}))
    arguments = ("serve", "--config", str(path), "--data-dir", str(folder / "data"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MIMO_ADMIN_KEY", "MIMO_SECRET_KEY"):
            patch.delenv(name, raising=False)
        for name, value in environ.items():
            patch.setenv(name, value)
        with started(folder, "gateway", *arguments, ready_path="/readyz") as running:
            yield running


@pytest.fixture(scope="package")
def served(chromium: str, simulator: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One gateway for all of these tests, with an account of either kind."""
    accounts = [
        {**PLATFORM, "name": "paid", "base_url": simulator.base_url, "requests_per_minute": 900},
        {**STUDIO, "name": "web", "base_url": simulator.base_url},
    ]
    config = {"api_keys": [{"name": "from-the-file", "key": "sk-mimo"}], "mimo_accounts": accounts}
    environ = {"MIMO_ADMIN_KEY": ADMIN_KEY, "MIMO_SECRET_KEY": SECRET_KEY}
    with gateway(tmp_path_factory.mktemp("admin-gateway"), config, environ) as running:
        yield running


@pytest.fixture(scope="package")
def admin(served: Running) -> Iterator[httpx2.Client]:
    """The admin API as a script has it."""
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    with httpx2.Client(base_url=f"{served.base_url}/admin/api", headers=headers, timeout=60) as client:
        yield client


@pytest.fixture(scope="package")
def client(served: Running) -> Iterator[httpx2.Client]:
    """The public API as a client has it."""
    headers = {"Authorization": "Bearer sk-mimo"}
    with httpx2.Client(base_url=served.base_url, headers=headers, timeout=60) as http:
        yield http


@pytest.fixture(scope="package")
def browser(chromium: str, served: Running) -> Iterator[Browser]:
    # Playwright's loop runs in this thread until the folder's last test: none of these tests is asynchronous.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield launched
        launched.close()


@pytest.fixture(scope="package")
def session(browser: Browser, served: Running) -> dict:
    """The state of a browser that is signed in."""
    context = browser.new_context(base_url=served.base_url)
    answer = context.request.post("/admin/api/session", data={"admin_key": ADMIN_KEY})
    assert answer.ok, answer.text()
    state = context.storage_state()
    context.close()
    return dict(state)


@dataclass
class Watch:
    """What went wrong in a page. `expects`: words of console errors that a test brings about itself."""

    origin: str
    expects: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)

    def said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(word in message.text for word in self.expects):
            self.problems.append(f"console {message.type}: {message.text}")

    def asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and f"{parts.scheme}://{parts.netloc}" != self.origin:
            self.problems.append(f"asked another origin: {request.url}")


Opened = Callable[..., Page]


def until(is_so: Callable[[], bool]) -> None:
    """Asks again and again: usage is booked, and other workers hear of a change, a little later."""
    deadline_s = time.monotonic() + 90
    while not is_so():
        assert time.monotonic() < deadline_s, "it did not come about"
        time.sleep(0.1)


@pytest.fixture
def watch(served: Running) -> Watch:
    return Watch(origin=served.base_url)


@pytest.fixture
def opened(browser: Browser, served: Running, session: dict, watch: Watch) -> Iterator[Opened]:
    """Opens a page: `opened("keys", locale="zh-CN", viewport=…)`; `is_signed_in=False` for a new browser."""
    contexts: list[BrowserContext] = []

    def opening(view: str = "", *, is_signed_in: bool = True, base_url: str = "", **options: object) -> Page:
        wanted: dict = {"locale": "en-US", "viewport": {"width": 1280, "height": 800}, **options}
        if is_signed_in:
            wanted["storage_state"] = session
        context = browser.new_context(base_url=base_url or served.base_url, **wanted)
        context.set_default_timeout(TIMEOUT_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", watch.said)
        page.on("pageerror", lambda error: watch.problems.append(f"exception: {error}"))
        page.on("request", watch.asked)
        page.on("response", lambda response: watch.responses.append(response))
        context.expose_binding("tellViolation", lambda _, what: watch.problems.append(f"CSP: {what}"))
        page.add_init_script(
            "addEventListener('securitypolicyviolation',"
            " e => tellViolation(`${e.violatedDirective} ${e.blockedURI}`));"
        )
        page.goto("/admin" + (f"#/{view}" if view else ""))
        return page

    yield opening
    for context in contexts:
        for open_page in context.pages:
            open_page.unroute_all(
                behavior="ignoreErrors"
            )  # a page that refreshes itself may be asking just now
        context.close()
    assert not watch.problems, "\n".join(watch.problems)


@pytest.fixture
def page(opened: Opened) -> Page:
    """The overview, signed in."""
    page = opened()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    return page
