"""JSON arguments on their way through: verbatim where well formed, put right where not."""

from __future__ import annotations

import orjson
import pytest

from service.core.mimoml.jsonstream import MAX_FAULTS, JSONStream
from service.core.mimoml.jsontext import MAX_DEPTH
from service.core.mimoml.names import Names
from service.core.mimoml.schema import Schema

SCHEMA = Schema(
    {
        "type": "object",
        "properties": {
            "n": {"type": "integer"},
            "s": {"type": "string"},
            "list": {"type": "array", "items": {"type": "integer"}},
        },
    }
)


def _through(text: str, length: int = 1, **options: object) -> tuple[str, JSONStream]:
    out: list[str] = []
    stream = JSONStream(out.append, SCHEMA, **options)  # type: ignore[arg-type]
    for start in range(0, len(text), length):
        stream.feed(text[start : start + length])
    return "".join(out), stream


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"b":[ {"c" : "\\u00e9\\n"} ,true , null]}',
        "{}",
        "{ }",
        '{"a":[],"b":{}}',
        '{"s": "x", "n": -1.5e3}',
    ],
)
def test_well_formed_text_leaves_as_it_came(text: str) -> None:
    for length in (1, 3, 100):
        given, stream = _through(text, length)
        assert given == text
        assert stream.is_done
        assert not stream.is_repaired


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ('{"a":1,"a":2}', '{"a":1}'),
        ('{"a":{"x":1,"x":[1,{"y":2}]},"b":2}', '{"a":{"x":1},"b":2}'),
        ('{"a":1,"a":{"a":"b"},"c":3}', '{"a":1,"c":3}'),
        ('{"n":"3","s":4,"list":["1","x"]}', '{"n":3,"s":"4","list":[1,"x"]}'),
        ('{"s":null,"n":true}', '{"s":null,"n":true}'),
        ('{"a":1,}', '{"a":1}'),
        ('{"a":[1,],}', '{"a":[1]}'),
        ('{,"a":1}', '{"a":1}'),
        ('{"a":1,,"b":2}', '{"a":1, "b":2}'),
        ('{"a":[1,,2]}', '{"a":[1,2]}'),
        ('{"a":}', '{"a":null}'),
        ('{"a" 1}', '{"a" :1}'),
        ('{"a"=1}', '{"a":1}'),
        ('{"a":1;"b":2}', '{"a":"1;\\"b\\":2"}'),
        ('{"a":"x":"b":2}', '{"a":"x\\":\\"b\\":2}'),
        ('{"a":[1}', '{"a":[1]'),
        ("{'a': 'it\\'s \"x\"'}", '{"a": "it\'s \\"x\\""}'),
        ("{“a”: “b”}", '{"a": "b"}'),
        ("{a: b c, d: None, e: .5, f: NaN}", '{"a": "b c", "d": null, "e": 0.5, "f": "NaN"}'),
        ('{"a": "x\x01\ny"}', '{"a": "x\\u0001\\ny"}'),
        ('{"a": "\\q\\u12z\\u00e9"}', '{"a": "\\\\q\\\\u12z\\u00e9"}'),
        ('{"a": "say "hi" now"}', '{"a": "say \\"hi\\" now"}'),
        ('{"a": "x"\n"b": "y"}', '{"a": "x", "b": "y"}'),
        ('{"a": {"b": 1} "c": [1 2]}', '{"a": {"b": 1}, "c": ["1 2"]}'),
        ('{"a": ["x" , "y"] , "a": 1 }', '{"a": ["x" , "y"] }'),
        ('{"a":[1]:"b":2}', '{"a":[1], "b":2}'),
        ('{"a": "\\ud83d\\ude00\\ud83d"}', '{"a": "\\ud83d\\ude00�"}'),
        ('{"a": "\\ud83dx\\ude00\\ud83d\\ud83d\\ude00"}', '{"a": "�x��\\ud83d\\ude00"}'),
        ('] {"a": 1}', ' {"a": 1}'),
    ],
)
def test_loose_text_is_put_right(text: str, given: str) -> None:
    for length in (1, 2, 100):
        out, stream = _through(text, length)
        assert out == given
        if stream.is_done:
            orjson.loads(out)


def test_exact_text_is_not_coerced_and_names_are_resolved() -> None:
    assert _through('{"n": "3"}', is_exact=True)[0] == '{"n": "3"}'
    assert _through('{"N": "3", "x": {"S": 1}}', names=Names(["n", "s"]))[0] == '{"n": 3, "x": {"S": 1}}'


@pytest.mark.parametrize(
    ("text", "can_close", "given"),
    [
        ('{"a": 1, ', True, '{"a": 1 }'),
        ('{"a": [1, {"b": "c"', True, '{"a": [1, {"b": "c"}]}'),
        ('{"a": [', True, '{"a": []}'),
        ("{", True, "{}"),
        ('{"a": ', False, ""),
        ('{"a": "b', False, ""),
        ('{"a', False, ""),
    ],
)
def test_closing_early(text: str, can_close: bool, given: str) -> None:
    out: list[str] = []
    stream = JSONStream(out.append, SCHEMA)
    stream.feed(text)
    assert stream.can_close is can_close
    if can_close:
        stream.close()
        assert "".join(out) == given


def test_a_bracket_between_tokens_stops_it() -> None:
    stream = JSONStream(lambda _: None, SCHEMA)
    assert stream.feed('{"a": 1 </x>') == 8
    assert stream.keys == {"a"}


@pytest.mark.parametrize(
    "text",
    [
        "{" + '"a" 1, ' * 20,
        "{" + "a, " * 40,
        "{" + '"a": , ' * 40,
        '{"a": ' + "[" * (MAX_DEPTH + 1),
    ],
)
def test_what_is_no_json_is_given_up(text: str) -> None:
    for length in (1, 7, 1000):
        out, stream = _through(text, length)
        assert stream.is_broken
        assert not stream.is_done
        assert not stream.can_close
        assert len(out) < 800


def test_few_faults_are_put_right() -> None:
    text = '{"a" 1, ' + ", ".join(f'"b{number}" {number}' for number in range(MAX_FAULTS - 1)) + "}"
    out, stream = _through(text)
    assert stream.is_done
    assert len(orjson.loads(out)) == MAX_FAULTS


def test_quotes_in_a_row_are_characters_but_for_the_last() -> None:
    for length in (1, 2, 100):
        assert _through('{"a": "x""""", "b": 1}', length)[0] == '{"a": "x\\"\\"\\"\\"", "b": 1}'
