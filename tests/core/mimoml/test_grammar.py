"""The recogniser's three answers, by the beginning of each tag and character by character."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.mimoml.grammar import CLOSERS, STARTERS, STRUCTURE
from service.core.mimoml.patterns import Answer
from service.core.mimoml.tags import Kind, Tag

TAGS = [
    '<|MiMoML|invoke name="exec">', "</|MiMoML|parameter>", "<MiMoMLtool_calls>", "<｜MiMoML｜tool_calls>",
    "<<|MiMoML|tool_calls>", "<function=exec>", "<parameter=command>", '<param name="k">', "<![CDATA[",
    "<tml:function_calls>", "</tool_call>", "<tool_call_none/>", "＜tool_call＞", "<to\u200bol_call>",
    f'<invoke name="{"n" * 300}">',
]  # fmt: skip


@pytest.mark.parametrize("tag", TAGS)
def test_each_beginning_of_a_tag_may_become_one(tag: str) -> None:
    for end in range(1, len(tag)):
        assert STRUCTURE.recognise(tag[:end], 0) is Answer.MAYBE, tag[:end]
        if end > 1 and tag[end - 1] not in "<>[＜":
            assert STRUCTURE.goes_on(tag[:end], 0, tag[end - 1]) or not tag[end - 1].isascii()
    found = STRUCTURE.recognise(tag + " x", 0)
    assert isinstance(found, Tag)
    assert found.end == len(tag)


def test_too_many_zero_width_characters_are_no_tag() -> None:
    text = "<tool" + "\u200b" * 40 + "_call"
    assert STRUCTURE.recognise(text, 0) is Answer.NO
    assert not STRUCTURE.goes_on(text, 0, "_call")


@pytest.mark.parametrize("tag", ["<tool_call>", "</div>", "<b>", "< ", "<<<", "《书", "</par>", "<toolbox>"])
def test_a_bracket_that_begins_no_tag_is_told_by_what_follows(tag: str) -> None:
    for vocabulary in (STARTERS, STRUCTURE, CLOSERS):
        is_never = re.match(vocabulary.never_tag, tag) is not None
        assert is_never is (re.match(vocabulary.may_tag, tag) is None)
        assert not is_never or vocabulary.recognise(tag, 0) is Answer.NO


@given(st.text(st.sampled_from('<>/|;abcdefmtip_[!=" \n｜\u200b＜'), max_size=6))
def test_what_is_never_a_tag_is_none_however_it_goes_on(rest: str) -> None:
    text = "<" + rest
    for vocabulary in (STARTERS, STRUCTURE, CLOSERS):
        if re.match(vocabulary.never_tag, text):
            for more in ("", "tool_call>", "tool_calls", '|MiMoML|invoke name="a">', "/parameter>"):
                assert not isinstance(vocabulary.recognise(text + more, 0), Tag)


def test_a_tag_that_was_read_before_is_read_the_same() -> None:
    for _ in range(2):
        for number in range(600):  # more than are remembered
            text = f'x<parameter name="p{number}">'
            assert STRUCTURE.recognise(text, 1) == Tag(
                Kind.PARAMETER, len(text), name=f"p{number}", word=text[2:]
            )
