"""Cookies and envelopes."""

import orjson
import pytest
from aiohttp.test_utils import make_mocked_request

from service.simulator.directives import Directive
from service.simulator.studio.envelope import cookies_of, fail, scripted_failure


@pytest.mark.parametrize(
    ("header", "cookies"),
    [
        ("", {}),
        ("a=1; b=2", {"a": "1", "b": "2"}),
        ('a="x/y+z=="; flag', {"a": "x/y+z=="}),
        ("a=x=y;b=", {"a": "x=y", "b": ""}),
        ('a="', {"a": '"'}),
    ],
)
def test_cookies_are_taken_as_sent(header, cookies):
    request = make_mocked_request("GET", "/", headers={"Cookie": header})
    assert cookies_of(request) == cookies


def test_failure_has_code_msg_data():
    assert orjson.loads(fail(451).body) == {
        "code": 451,
        "msg": "account temporarily restricted",
        "data": None,
    }
    assert orjson.loads(fail(499).body)["msg"] == "HTTP 499"
    assert orjson.loads(fail(200, code=6002, message="empty").body)["code"] == 6002


def test_scripted_words():
    body = orjson.loads(scripted_failure(500, Directive({"message": "a", "param": "b"})).body)
    assert body["msg"] == "a: b"
    assert orjson.loads(scripted_failure(500, Directive({"param": "b"})).body)["msg"] == "b"
