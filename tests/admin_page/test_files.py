"""The files of the page as files: nothing from elsewhere, nothing that reads markup, two languages alike."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from service.web.admin.page import STATIC
from tests.clients.processes import Running
from tests.k8s.tools import ROOT

FILES = sorted(path for path in STATIC.iterdir() if path.is_file())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
TEXTS = {"en": STATIC / "text_en.js", "zh-CN": STATIC / "text_zh.js"}
# Sinks that read markup or run text. Text goes through text nodes only (dom.js).
SINKS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|srcdoc|DOMParser"
    r"|\beval\(|new Function|setHTML|javascript:|\.on[a-z]+ ?="
)
PREFIXES = (
    "region",
    "plan",
    "kind",
    "state",
    "reason",
    "media",
    "phase",
    "dialect",
    "action",
    "degraded",
    "trouble",
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_file_names_no_other_origin(path: Path) -> None:
    namespaces = {"http://www.w3.org/2000/svg"}
    found = set(re.findall(r"(?:https?:)?//[\w.-]+\.[a-z]{2,}[^\s\"'`)]*", path.read_text()))
    assert not found - namespaces


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_script_has_no_sink_for_markup(path: Path) -> None:
    assert not SINKS.findall(path.read_text())


def test_page_has_no_inline_script_or_style() -> None:
    text = (STATIC / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=", text)
    assert re.findall(r"<script\b[^>]*>([^<]*)", text) == ["", ""]


def test_wheel_holds_every_file(tmp_path: Path) -> None:
    """Built by the project's own backend, without the network."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"service/web/admin/static/{path.name}" for path in FILES} <= names
    assert not [name for name in names if "axe" in name or "playwright" in name]


@pytest.fixture(scope="module")
def texts(browser: Browser, served: Running) -> dict[str, dict]:
    page = browser.new_page(base_url=served.base_url)
    page.goto("/admin")
    read = "async (path) => (await import(path)).default"
    found = {name: page.evaluate(read, f"/admin/assets/{path.name}") for name, path in TEXTS.items()}
    page.close()
    return found


def placeholders(text: str | dict) -> set[str]:
    forms = text.values() if isinstance(text, dict) else [text]
    return {name for form in forms for name in re.findall(r"\{(\w+)\}", form)}


def test_both_languages_say_the_same_things(texts: dict[str, dict]) -> None:
    english, chinese = texts["en"], texts["zh-CN"]
    assert english.keys() == chinese.keys()
    assert all(text for text in [*english.values(), *chinese.values()])
    differing = [key for key in english if placeholders(english[key]) != placeholders(chinese[key])]
    assert not differing


def test_chinese_is_chinese(texts: dict[str, dict]) -> None:
    """A text without a Han character is a name, a number or a sign."""
    plain = {key for key, text in texts["zh-CN"].items() if not re.search(r"[一-鿿]", str(text))}
    names = {"MiMo Gateway", "Token", "Redis", "Cookie", "cURL", "95%：{time}", "95%"}
    names |= {"Chat Completions", "Responses", "Messages"}
    assert {texts["zh-CN"][key] for key in plain} <= names


def test_every_text_is_used_and_every_used_text_is_there(texts: dict[str, dict]) -> None:
    code = "\n".join(path.read_text() for path in SCRIPTS if path not in TEXTS.values())
    known = set(texts["en"])
    quoted = set(re.findall(r'"([a-z_]+\.[a-z0-9_]+)"', code)) & known | set(
        re.findall(r'\bt\("([\w.-]+)"', code)
    )
    assert quoted <= known, quoted - known
    built = {f"{prefix}." for prefix in re.findall(r"\bt\(`(\w+)\.", code)} | {
        f"{name}." for name in PREFIXES
    }
    unused = {key for key in known - quoted if not key.startswith(tuple(built))}
    assert not unused
