"""What the admin sees of models, and the playground."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.web.admin.playground import KEY_ID, KEY_NAME, builtin_key
from tests.web.admin import Fleet, Operator, fleet_of

PRO = "mimo-v2.6-pro"
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
async def fleet(clean_redis: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    async with fleet_of(
        clean_redis, tmp_path, model_aliases={"fast": "mimo-v2.6-flash", "claude-*": ""}
    ) as found:
        yield found


@pytest.fixture
def operator(fleet: Fleet) -> Operator:
    return fleet.operator


async def test_models_tell_their_accounts_sizes_and_names(operator: Operator) -> None:
    for method, path in (("GET", "/models"), ("POST", "/models/refresh")):
        answer = await operator.ok(method, path)
        by_id = {model["id"]: model for model in answer["models"]}
        assert by_id[PRO]["accounts"] == ["platform"]
        assert by_id[PRO]["context_tokens"] == 1_048_576
        assert by_id[PRO]["input"] == ["text", "audio", "image", "video"]
        assert "fast" in by_id["mimo-v2.6-flash"]["aliases"]
        aliases = {entry["alias"]: entry["model"] for entry in answer["aliases"]}
        assert aliases["fast"] == "mimo-v2.6-flash"
        assert "claude-*" not in aliases, "it was switched off"


@pytest.mark.parametrize(
    ("route", "body", "ends"),
    [
        ("chat", {"model": PRO, "messages": HELLO, "stream": True}, "data: [DONE]"),
        ("responses", {"model": PRO, "input": "Hello", "stream": True}, "response.completed"),
        ("messages", {"model": PRO, "messages": HELLO, "max_tokens": 99, "stream": True}, "message_stop"),
    ],
)
async def test_playground_streams_what_the_public_route_streams(
    operator: Operator, route: str, body: dict[str, object], ends: str
) -> None:
    async with operator.http.post(operator.url(f"/playground/{route}"), json=body) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert ends in (await response.text())


async def test_playground_tells_errors_in_the_dialects_words(operator: Operator) -> None:
    status, answer = await operator.call("POST", "/playground/messages", {"messages": HELLO})
    assert (status, answer["type"], answer["error"]["type"]) == (400, "error", "invalid_request_error")
    status, answer = await operator.call("POST", "/playground/chat", {"model": "nobody", "messages": HELLO})
    assert (status, answer["error"]["code"]) == (404, "model_not_found")


async def test_playground_stands_in_the_ledger_under_its_name(operator: Operator) -> None:
    await operator.ok("POST", "/playground/chat", {"model": PRO, "messages": HELLO})
    services = operator.gateway.services
    await services.background.drain(timeout_s=5)
    report = await operator.ok("GET", "/usage?group_by=key")
    (row,) = report["rows"]
    assert (row["key"], row["requests"]) == (KEY_NAME, 1)


def test_nobody_can_show_the_playgrounds_key() -> None:
    one, other = builtin_key("a"), builtin_key("b")
    assert one.key_id == other.key_id == KEY_ID
    assert one.key_sha256 != other.key_sha256
    assert len(one.key_sha256) == 64
