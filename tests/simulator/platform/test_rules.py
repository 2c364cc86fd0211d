"""The small checks that read the rules."""

import pytest

from service.simulator.platform import rules
from service.simulator.platform.errors import Wrong


@pytest.mark.parametrize("value", [1, 1.0, 0.01])
def test_range_takes(value):
    rules.Range(0.01, 1).check("top_p", value)


@pytest.mark.parametrize("value", [True, None, "1", 0, 1.01])
def test_range_refuses(value):
    with pytest.raises(Wrong, match="top_p"):
        rules.Range(0.01, 1).check("top_p", value)


@pytest.mark.parametrize(("value", "words"), [(None, ()), ("a", ("a",)), (["a", "b"], ("a", "b")), ([], ())])
def test_stop_words(value, words):
    assert rules.check_stop("stop", value) == words


@pytest.mark.parametrize("schema", ["text", [], {"type": "array"}])
def test_schema_refused(schema):
    with pytest.raises(Wrong):
        rules.check_schema(schema, "parameters")


@pytest.mark.parametrize("schema", [None, {}, {"properties": {}}, {"type": "object"}])
def test_schema_taken(schema):
    assert rules.check_schema(schema, "parameters") == (schema or {})
