"""The simulator's own routes."""

import orjson
import pytest


async def test_script_is_set_shown_and_cleared_over_http(call):
    url = f"{call.sim.base_url}/simulator/script"
    async with call.session.put(url, data=orjson.dumps(["status=503 times=1"])) as response:
        assert response.status == 204
    assert (await call.get("/simulator/script")).json == [{"status": "503", "times": "1"}]
    assert [(await call.chat()).status for _ in range(2)] == [503, 200]
    async with call.session.put(url, data=b"[]") as response:
        assert response.status == 204
    assert (await call.get("/simulator/script")).json == []


@pytest.mark.parametrize("body", [b"{", b"{}", b'["statsu=1"]'])
async def test_bad_script_is_400(call, body):
    async with call.session.put(f"{call.sim.base_url}/simulator/script", data=body) as response:
        assert response.status == 400


async def test_health_and_unknown_paths(call):
    assert (await call.get("/simulator/health")).body == b"ok"
    assert (await call.get("/v1/embeddings")).status == 404
