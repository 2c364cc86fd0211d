"""JSON text and values: exact numbers, strictness, repair."""

from __future__ import annotations

import pytest

from service.core.mimoml.jsontext import MAX_DEPTH, Number, decode, decode_loose, encode, escaped


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "-0",
        "1.10",
        "1e400",
        "123456789012345678901234567890",
        "true",
        "null",
        '"a"',
        "[]",
        "{}",
        "[1, [2]]",
    ],
)
def test_what_is_decoded_encodes_to_the_same_text(text: str) -> None:
    assert encode(decode(text)) == text


def test_values() -> None:
    assert decode(' {"a" : [1 , "b"], "a": 2} ') == {"a": [Number("1"), "b"]}
    assert decode('"\\ud83d\\ude00\\n\\/"') == "😀\n/"
    assert decode('"\\ud83dx"') == "\ud83dx"
    assert decode('"\\ud83d\\u0041"') == "\ud83dA"
    assert decode('"a\nb"') == "a\nb"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 2",
        "[1",
        "[1 2]",
        '{"a"}',
        '{"a": 1',
        "{1: 2}",
        '{"a": 1 "b"}',
        '"a',
        '"\\x"',
        '"\\u12"',
        '"\\',
        "nul",
        "-",
    ],
)
def test_text_that_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(text)


def test_depth_is_bounded() -> None:
    assert decode("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    with pytest.raises(ValueError, match="too deep"):
        decode("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2))


def test_loose_json_is_repaired() -> None:
    assert decode_loose("{'a': [1, 2,], b: True}") == {"a": [Number("1"), Number("2")], "b": True}


@pytest.mark.parametrize("text", ["words", "[" * 5_000, "{" + "a" * (1 << 18)])
def test_what_cannot_be_repaired_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_loose(text)


def test_a_repair_that_gives_up_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    import json_repair

    def deep(*_: object, **__: object) -> str:
        raise RecursionError

    monkeypatch.setattr(json_repair, "repair_json", deep)
    with pytest.raises(ValueError, match="too deep"):
        decode_loose("{'a'}")


def test_lone_surrogates_are_replaced() -> None:
    assert escaped('a"\ud800') == 'a\\"\ufffd'
