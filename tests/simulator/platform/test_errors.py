"""Error bodies: the codes are strings, the reason stands in `param`."""

import orjson
import pytest

from service.simulator.directives import Directive
from service.simulator.platform.errors import error_frame, error_json


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 421, 429, 500, 503, 502, 418])
def test_every_status_has_a_body_with_a_string_code(status):
    error = orjson.loads(error_json(status))["error"]
    assert isinstance(error["code"], str)
    assert error["message"]
    assert "type" in error
    assert ("param" in error) == (status != 429)


def test_words_replace_the_parts_and_may_be_empty():
    error = orjson.loads(error_json(429, Directive({"type": "", "param": "why", "code": "x"})))["error"]
    assert error == {"code": "x", "message": "Too many requests", "param": "why", "type": ""}


def test_frame_is_one_event():
    assert error_frame("broken").startswith(b"data: {")
    assert error_frame("broken").endswith(b"}\n\n")
