"""What failures of the upstream mean, by status and text, in every dialect."""

from __future__ import annotations

import pytest

from tests.web.dialects import DIALECTS, Dialect
from tests.web.rig import Rig, Start

OF_THE_ACCOUNT = [
    pytest.param(
        'status=400 message="finishConnect: Connection refused"', "ready", id="400 that is an outage"
    ),
    pytest.param("status=402", "cooling", id="402 in a burst"),
    pytest.param("status=429", "cooling", id="429 for good"),
    pytest.param("status=401", "quarantined", id="401"),
    pytest.param(
        'status=400 message="illegal access, risk control"', "quarantined", id="400 of risk control"
    ),
    pytest.param("html", "ready", id="200 that is a page"),
]
OF_THE_REQUEST = [
    pytest.param('status=404 message="No endpoints found that support image input"', 400, id="no images"),
    pytest.param('status=400 message="Param Incorrect"', 400, id="a parameter"),
    pytest.param("status=421", 400, id="moderation"),
]


@pytest.fixture(params=DIALECTS, ids=lambda dialect: dialect.name)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    return request.param


async def ask(rig: Rig, dialect: Dialect) -> tuple[int, dict]:
    async with rig.http.post(rig.url(dialect.path), json=dialect.ask("Hello", stream=False)) as response:
        return response.status, await response.json()


async def states(rig: Rig) -> dict[str, str]:
    healths = await rig.gateway.services.chat.accounts.health(rig.gateway.config.mimo_accounts)
    return {health.account_name: str(health.state) for health in healths}


def asked(rig: Rig) -> list[str]:
    """The accounts that were asked for an answer, in order."""
    return [entry.account for entry in rig.simulator.record.requests if entry.method == "POST"]


@pytest.mark.parametrize(("words", "state"), OF_THE_ACCOUNT)
async def test_account_that_fails_costs_its_clients_nothing(
    start: Start, dialect: Dialect, words: str, state: str
) -> None:
    async with start("platform", "platform-2") as rig:
        rig.simulator.play(f"{words} account=platform-1")
        assert [(await ask(rig, dialect))[0] for _ in range(4)] == [200] * 4
        assert (await states(rig))["platform"] == state
        assert (await states(rig))["platform-2"] == "ready"
        if state != "ready":
            assert asked(rig).count("platform-1") == 1, "it rests, and is not asked again"


@pytest.mark.parametrize(("words", "status"), OF_THE_REQUEST)
async def test_request_that_is_refused_itself_is_asked_once(
    start: Start, dialect: Dialect, words: str, status: int
) -> None:
    async with start("platform", "platform-2") as rig:
        rig.simulator.play(words)
        assert (await ask(rig, dialect))[0] == status
        assert len(asked(rig)) == 1
        assert set((await states(rig)).values()) == {"ready"}
