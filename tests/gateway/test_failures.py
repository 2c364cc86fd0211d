"""What an upstream quotes of an account's credentials is not shown."""

from __future__ import annotations

from service.config import Account, AccountKind, Secret
from service.core.errors import InvalidRequest, UpstreamRefused
from service.core.events import Failed, TextDelta
from service.gateway.failures import hide_credentials, hide_in_failure

ACCOUNT = Account(
    name="one",
    kind=AccountKind.STUDIO,
    base_url="http://upstream",
    service_token=Secret("cookie-1"),
    user_id=Secret("10001"),
    xiaomichatbot_ph=Secret("a/b+c=="),
)


def test_credentials_are_taken_out_of_all_that_is_shown() -> None:
    error = UpstreamRefused("cookie-1 at ?ph=a%2Fb%2Bc%3D%3D", code="for_cookie-1", param="a/b+c==")
    hide_credentials(error, ACCOUNT)
    assert (error.message, error.code, error.param) == ("*** at ?ph=***", "for_***", "***")
    assert error.args == ("*** at ?ph=***",)


def test_words_without_credentials_stay_as_they_are() -> None:
    error = InvalidRequest("bad tool", param="tools[0]")
    hide_credentials(error, ACCOUNT)
    assert (error.message, error.code, error.param) == ("bad tool", None, "tools[0]")
    assert error.args == ("bad tool",)


def test_failure_at_a_streams_end_is_masked_and_nothing_else_is_touched() -> None:
    said = TextDelta("cookie-1 is a word like others")
    failed = Failed(UpstreamRefused("bad cookie-1"))
    hide_in_failure([said, failed], ACCOUNT)
    hide_in_failure([said], ACCOUNT)
    hide_in_failure([], ACCOUNT)
    assert failed.error.message == "bad ***"
    assert said.text == "cookie-1 is a word like others"
