"""redis-py's client for each topology, with the settings that keep a stalled Redis from holding requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster, Sentinel, SSLConnection
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import ConnectionPool, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff

from service.store.urls import RedisTarget, Topology

_MAX_CONNECTIONS_PER_NODE = 32

Settings = dict[str, Any]  # redis-py's keyword arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """redis-py's own defaults hold a request for a minute when Redis stalls (measured: 58.9 s)."""

    socket_timeout_s: float = 0.25
    connect_timeout_s: float = 0.25
    pool_wait_s: float = 0.1
    max_connections: int = 64
    health_check_interval_s: int = 15


def client_of(target: RedisTarget, settings: ClientSettings) -> Redis | RedisCluster:
    """A client that has not dialled yet."""
    common: Settings = {
        "username": target.username,
        "password": target.password,
        "socket_timeout": settings.socket_timeout_s,
        "socket_connect_timeout": settings.connect_timeout_s,
        "health_check_interval": settings.health_check_interval_s,
        # RESP2: spoken by every proxy and every version; nothing here uses push messages.
        "protocol": 2,
        "driver_info": None,
        "retry": Retry(NoBackoff(), 0),  # client.py retries, once, within the request's own time
    }
    match target.topology:
        case Topology.SINGLE:
            return Redis(connection_pool=_pool(target, settings, common))
        case Topology.SENTINEL:
            return _behind_sentinel(target, settings, common)
        case Topology.CLUSTER:
            return _cluster(target, common)


def assert_effective(pool: ConnectionPool, settings: ClientSettings) -> None:
    """A time-out that a library drops in silence costs a minute per request on the worst day: look now."""
    got = pool.connection_kwargs
    wanted = {
        "socket_timeout": settings.socket_timeout_s,
        "socket_connect_timeout": settings.connect_timeout_s,
        "health_check_interval": settings.health_check_interval_s,
    }
    wrong = [name for name, value in wanted.items() if got.get(name) != value]
    if pool.max_connections != settings.max_connections:
        wrong.append("max_connections")
    if wrong:
        raise RuntimeError(f"redis-py did not take the setting {', '.join(wrong)}")


def _pool(target: RedisTarget, settings: ClientSettings, common: Settings) -> BlockingConnectionPool:
    where: Settings
    if target.socket_path:
        where = {"connection_class": UnixDomainSocketConnection, "path": target.socket_path}
    else:
        host, port = target.hosts[0]
        where = {"host": host, "port": port, "socket_keepalive": True}
        if target.tls is not None:
            where |= {"connection_class": SSLConnection, **dict(target.tls)}
    return BlockingConnectionPool(
        max_connections=settings.max_connections,
        timeout=settings.pool_wait_s,
        db=target.database,
        **where,
        **common,
    )


async def close_client(client: Redis | RedisCluster) -> None:
    """The client with its pool, and the sentinels it asks."""
    await client.aclose()
    if isinstance(client, RedisCluster):
        return
    pool = client.connection_pool
    await pool.disconnect()
    if isinstance(pool, SentinelConnectionPool):
        for sentinel in pool.sentinel_manager.sentinels:
            await sentinel.aclose()


def _sentinel_of(target: RedisTarget, settings: ClientSettings) -> Sentinel:
    """The sentinels, asked under the same time-outs, without the server's credentials."""
    asked: Settings = {
        "socket_timeout": settings.socket_timeout_s,
        "socket_connect_timeout": settings.connect_timeout_s,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
    }
    return Sentinel(target.hosts, sentinel_kwargs=asked)  # type: ignore[no-untyped-call]


def _behind_sentinel(target: RedisTarget, settings: ClientSettings, common: Settings) -> Redis:
    master: Redis = _sentinel_of(target, settings).master_for(
        target.master,
        db=target.database,
        max_connections=settings.max_connections,
        **_tls(target),
        **common,
    )
    return master


def _cluster(target: RedisTarget, common: Settings) -> RedisCluster:
    # MOVED and ASK are followed; a node that does not answer is asked once more after a look at the map.
    patience = {"retry": Retry(NoBackoff(), 1)}
    return RedisCluster(
        startup_nodes=[ClusterNode(host, port) for host, port in target.hosts],
        max_connections=_MAX_CONNECTIONS_PER_NODE,
        **_tls(target),
        **(common | patience),
    )


def _tls(target: RedisTarget) -> Settings:
    return {} if target.tls is None else {"ssl": True, **dict(target.tls)}
