"""Wishes that the gateway puts into words: both sides must use the same ones."""

from service.core.conversation import ResponseFormat, ResponseFormatKind, ToolChoice, ToolChoiceMode
from service.core.upstreams.instructions import choice_instruction, format_instruction
from service.simulator.wishes import Wishes, read_wishes


def test_nothing_is_wished_by_default():
    assert read_wishes(choice_instruction(ToolChoice())) == Wishes(None, True, False)


def test_the_gateway_s_own_words_are_understood():
    named = choice_instruction(ToolChoice(mode=ToolChoiceMode.NAMED, name="f", allows_parallel=False))
    wished = format_instruction(ResponseFormat(kind=ResponseFormatKind.JSON_OBJECT))
    assert read_wishes(f"{named}\n{wished}") == Wishes("f", False, True)
