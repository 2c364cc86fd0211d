"""redis-py's clients, as each topology wants them; nothing is dialled."""

from __future__ import annotations

from dataclasses import replace

import pytest
from redis.asyncio import Redis, RedisCluster

from service.store.topologies import ClientSettings, assert_effective, client_of, close_client
from service.store.urls import decode_url

SETTINGS = ClientSettings()


@pytest.mark.parametrize(
    "url",
    [
        *("redis://h:1/2", "rediss://h?ssl_cert_reqs=none", "unix:///s?db=1"),
        *("redis+sentinel://a,b/main", "rediss+sentinel://a/main"),
    ],
)
async def test_timeouts_are_in_effect(url: str):
    client = client_of(decode_url(url), SETTINGS)
    assert isinstance(client, Redis)
    assert_effective(client.connection_pool, SETTINGS)
    await close_client(client)


@pytest.mark.parametrize("url", ["redis+cluster://a,b", "rediss+cluster://a"])
async def test_a_cluster_has_its_client(url: str):
    client = client_of(decode_url(url), SETTINGS)
    assert isinstance(client, RedisCluster)
    await close_client(client)


@pytest.mark.parametrize(
    "changed", [{"socket_timeout_s": 9}, {"connect_timeout_s": 9}, {"max_connections": 9}]
)
async def test_a_setting_that_did_not_arrive_is_found_out(changed: dict):
    client = client_of(decode_url("redis://h"), SETTINGS)
    with pytest.raises(RuntimeError, match="did not take the setting"):
        assert_effective(client.connection_pool, replace(SETTINGS, **changed))
    await close_client(client)
