"""What an operator is told of an account that does not answer: what to do, never the upstream's own words."""

from __future__ import annotations

import pytest

from service.config_loader import accounts
from service.core.errors import (
    GatewayError,
    UpstreamAccountError,
    UpstreamProtocolError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from service.gateway.advice import advice

PLATFORM, STUDIO = accounts(
    [{"api_key": "sk-1"}, {"service_token": "t", "user_id": "1", "xiaomichatbot_ph": "p"}]
)


@pytest.mark.parametrize(
    ("account", "error", "says"),
    [
        pytest.param(STUDIO, UpstreamAccountError("told", status=401), "Log out and in again", id="session"),
        pytest.param(PLATFORM, UpstreamAccountError("told", status=401), "tp- keys to their own", id="key"),
        pytest.param(PLATFORM, UpstreamAccountError("told", status=402), "balance is used up", id="balance"),
        pytest.param(STUDIO, UpstreamAccountError("told", status=461), "restricted (461)", id="restricted"),
        pytest.param(PLATFORM, UpstreamUnavailable("no route"), "cannot be reached: no route", id="away"),
        pytest.param(PLATFORM, UpstreamTimeout(waited_s=3, phase="connect"), "cannot be reached", id="slow"),
        pytest.param(PLATFORM, UpstreamProtocolError("no JSON"), "no JSON", id="anything else"),
    ],
)
def test_advice(account, error: GatewayError, says: str) -> None:
    told = advice(account, error)
    assert says in told
    assert "told" not in told
