"""The playground: three dialects, streamed and not, thinking, tools, stopping, and what it lets one copy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.admin_page.conftest import Opened, Watch, until
from tests.clients.processes import Running

DIALECTS = ["Chat", "Responses", "Messages"]


@pytest.fixture
def playground(opened: Opened) -> Page:
    page = opened("playground")
    expect(page.get_by_role("heading", level=1)).to_have_text("Playground")
    return page


def choose(page: Page, dialect: str) -> None:
    page.locator(".settings").get_by_text(dialect, exact=True).click()
    expect(page.get_by_role("radio", name=dialect)).to_be_checked()


def ask(page: Page, text: str) -> None:
    page.get_by_label("Your message").fill(text)
    page.get_by_role("button", name="Send").click()


def answers(page: Page):
    return page.locator(".turn.model")


@pytest.mark.parametrize("streaming", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_answer_thinking_and_counts_are_shown(playground: Page, dialect: str, streaming: bool) -> None:
    choose(playground, dialect)
    playground.get_by_label("Stream").set_checked(streaming)
    ask(playground, '[[sim: say="The answer is 42." reasoning="I think of numbers."]] Hello')
    answer = answers(playground).last
    expect(answer.locator(".meta")).to_be_visible()
    expect(answer.locator("> .text")).to_have_text("The answer is 42.")
    expect(answer.locator(".thinking .text")).to_have_text("I think of numbers.", use_inner_text=False)
    expect(answer.locator(".meta")).to_contain_text(re.compile(r"\d+ in, \d+ out"))
    assert (answer.locator(".meta").inner_text().count("first token after") == 1) is streaming
    expect(playground.get_by_label("Your message")).to_be_focused()
    # The conversation goes on with what was said.
    ask(playground, "And then?")
    expect(answers(playground)).to_have_count(2)
    expect(answers(playground).last.locator(".meta")).to_be_visible()
    expect(answers(playground).last.locator(".problem")).to_have_count(0)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_tool_is_called_and_its_result_goes_back(playground: Page, dialect: str) -> None:
    choose(playground, dialect)
    playground.get_by_role("button", name="Insert a sample tool").click()
    ask(playground, "What is the weather in Paris?")
    call = answers(playground).last.locator(".call")
    expect(call.locator("code")).to_have_text("get_weather")
    expect(call.locator("pre")).to_contain_text('"city": "Paris"')
    playground.get_by_label("Result of get_weather").fill("18 degrees and <b>rain</b>")
    playground.get_by_role("button", name="Send results").click()
    last = answers(playground).last
    expect(answers(playground)).to_have_count(2)
    expect(last.locator("> .text")).to_contain_text("18 degrees and <b>rain</b>")
    expect(last.locator(".problem")).to_have_count(0)


def test_wrong_tools_are_told_at_the_field(playground: Page) -> None:
    tools = playground.get_by_label("Tools (JSON)")
    for text, told in (("{", "Not JSON"), ("{}", "A list of tools"), ("[{}]", "Tool 1 has no name")):
        tools.fill(text)
        ask(playground, "Hello")
        expect(playground.locator(".settings .field-error", has_text=told)).to_be_visible()
    expect(answers(playground)).to_have_count(0)


def test_running_answer_is_stopped(playground: Page) -> None:
    playground.get_by_label("Think").uncheck()
    ask(playground, "[[sim: tokens=9000 stall_after=5]] Go on for ever")
    expect(answers(playground).last.locator("> .text")).to_contain_text("tok")
    stop = playground.get_by_role("button", name="Stop")
    expect(stop).to_be_focused()
    stop.click()
    expect(answers(playground).last.get_by_text("Stopped")).to_be_visible()
    expect(stop).to_be_hidden()
    expect(playground.get_by_role("button", name="Send")).to_be_visible()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_failure_is_told_and_the_next_question_is_answered(
    playground: Page, dialect: str, watch: Watch
) -> None:
    watch.expects.append("Failed to load resource")
    choose(playground, dialect)
    ask(playground, '[[sim: status=400 message="no <i>such</i> thing"]] Hello')
    expect(answers(playground).last.locator(".problem")).to_contain_text("no <i>such</i> thing")
    ask(playground, "Hello again")
    expect(answers(playground)).to_have_count(1)
    expect(answers(playground).last.locator(".meta")).to_be_visible()
    expect(answers(playground).last.locator(".problem")).to_have_count(0)


def test_stream_that_breaks_off_is_no_whole_answer(playground: Page) -> None:
    ask(playground, "[[sim: tokens=40 cut_after=8]] Hello")
    expect(answers(playground).last.locator(".problem")).to_be_visible()


def test_keyboard_sends(playground: Page) -> None:
    playground.get_by_label("Your message").fill("Hello")
    playground.keyboard.press("Control+Enter")
    expect(answers(playground).last.locator(".meta")).to_be_visible()


@pytest.mark.parametrize(
    ("dialect", "streaming"),
    [("Chat", True), ("Chat", False), ("Responses", True), ("Messages", True), ("Messages", False)],
)
def test_copied_request_runs(playground: Page, served: Running, dialect: str, streaming: bool) -> None:
    """What is shown is given to a real shell and a real Python with the official packages."""
    choose(playground, dialect)
    playground.get_by_label("Stream").set_checked(streaming)
    playground.get_by_role("button", name="Insert a sample tool").click()
    playground.locator("textarea[name=system]").fill('It\'s "quoted"\n\\ and $HOME, 中文')
    playground.get_by_label("Your message").fill('[[sim: no_tools say="All\'s well"]] true, null and "text"')
    playground.get_by_text("The request as cURL and Python").click()
    curl, python = playground.locator(".request code").all_inner_texts()
    environ = {**os.environ, "MIMO_API_KEY": "sk-mimo"}
    ran = subprocess.run([sys.executable, "-c", python], env=environ, capture_output=True, timeout=120)
    assert ran.returncode == 0, ran.stderr.decode()
    assert b"All's well" in ran.stdout
    if shutil.which("curl"):
        shown = subprocess.run(["sh", "-c", curl], env=environ, capture_output=True, timeout=120, check=True)
        assert b"well" in shown.stdout
        assert not re.search(rb'"error": ?[{"]', shown.stdout)


def test_use_is_booked_under_a_key_of_its_own(playground: Page, admin: httpx2.Client) -> None:
    ask(playground, "Hello")
    expect(answers(playground).last.locator(".meta")).to_be_visible()
    until(lambda: "admin-playground" in admin.get("/usage?group_by=key").text)
