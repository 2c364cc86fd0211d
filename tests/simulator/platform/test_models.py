"""Keys and the model list."""

import aiohttp
import pytest

from service.simulator import PlatformAccount, SimulatorOptions


@pytest.mark.parametrize(
    "header", [{"api-key": "sk-simulator-1"}, {"Authorization": "Bearer sk-simulator-2"}]
)
async def test_list_has_ids_owners_and_nothing_more(call, header):
    body = (await call.get("/v1/models", header)).json
    assert body["object"] == "list"
    assert {tuple(sorted(model)) for model in body["data"]} == {("id", "object", "owned_by")}
    ids = [model["id"] for model in body["data"]]
    assert "mimo-v2.6-pro" in ids
    assert "mimo-v2.5-tts" in ids  # speech stands among the others
    assert "mimo-v2.5-pro" not in ids


@pytest.mark.parametrize("header", [{}, {"api-key": "sk-wrong"}, {"x-api-key": "sk-simulator-1"}])
async def test_wrong_key_is_401(call, header):
    reply = await call.get("/v1/models", header)
    assert reply.status == 401
    assert reply.json["error"]["code"] == "401"
    assert (await call.post("/v1/chat/completions", {}, header)).status == 401


async def test_x_api_key_is_an_option(start):
    async with start(SimulatorOptions(accepts_x_api_key=True)) as call:
        assert (await call.get("/v1/models", {"x-api-key": "sk-simulator-1"})).status == 200


async def test_account_may_serve_fewer_models(start):
    account = PlatformAccount(name="a", api_key="sk-a", models=frozenset({"mimo-v2.6-flash"}))
    async with start(SimulatorOptions(platform=(account,))) as call:
        assert [model["id"] for model in (await call.get("/v1/models", call.key())).json["data"]] == [
            "mimo-v2.6-flash"
        ]
        assert (await call.chat()).status == 404
        assert (await call.chat(model="mimo-v2.6-flash")).status == 200


async def test_list_obeys_directives_that_name_it(call):
    call.sim.play("endpoint=models status=503 times=1")
    assert (await call.chat()).status == 200
    assert [(await call.get("/v1/models", call.key())).status for _ in range(2)] == [503, 200]
    call.sim.play("endpoint=models drop")
    with pytest.raises(aiohttp.ClientConnectionError):
        await call.get("/v1/models", call.key())
    call.sim.play("endpoint=models html")
    assert b"<html>" in (await call.get("/v1/models", call.key())).body
