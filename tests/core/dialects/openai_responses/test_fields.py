"""Values that stand in a list."""

from __future__ import annotations

import pytest

from service.core.dialects.openai_responses.fields import object_at, refuse
from service.core.errors import InvalidRequest


def test_object_is_given_back() -> None:
    assert object_at({"a": 1}, "input[0]") == {"a": 1}


def test_anything_else_names_its_path() -> None:
    with pytest.raises(InvalidRequest) as refused:
        object_at([], "input[0]")
    assert (refused.value.param, refused.value.code) == ("input[0]", "invalid_type")


def test_refusal_carries_path_and_code() -> None:
    with pytest.raises(InvalidRequest) as refused:
        refuse("input[0].file_id", "No files.", code="unsupported_value")
    assert (refused.value.param, refused.value.code) == ("input[0].file_id", "unsupported_value")
