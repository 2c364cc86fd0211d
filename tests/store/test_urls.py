"""`redis_url`, form by form."""

from __future__ import annotations

import pytest

from service.store.urls import RedisTarget, RedisUrlError, Topology, decode_url

SINGLE, SENTINEL, CLUSTER = Topology.SINGLE, Topology.SENTINEL, Topology.CLUSTER


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("redis://h", RedisTarget(topology=SINGLE, hosts=(("h", 6379),))),
        ("redis://h:7000/3", RedisTarget(topology=SINGLE, hosts=(("h", 7000),), database=3)),
        (
            "redis://u:p%40ss@h",
            RedisTarget(topology=SINGLE, hosts=(("h", 6379),), username="u", password="p@ss"),
        ),
        ("redis://:pw@[::1]:1", RedisTarget(topology=SINGLE, hosts=(("::1", 1),), password="pw")),
        ("rediss://h", RedisTarget(topology=SINGLE, hosts=(("h", 6379),), tls=())),
        (
            "rediss://h?ssl_ca_certs=/ca.pem&ssl_check_hostname=false",
            RedisTarget(
                topology=SINGLE,
                hosts=(("h", 6379),),
                tls=(("ssl_ca_certs", "/ca.pem"), ("ssl_check_hostname", False)),
            ),
        ),
        ("unix:///run/redis.sock", RedisTarget(topology=SINGLE, socket_path="/run/redis.sock")),
        (
            "unix://:pw@/run/a%20b.sock?db=2",
            RedisTarget(topology=SINGLE, socket_path="/run/a b.sock", password="pw", database=2),
        ),
        (
            "redis+sentinel://a,b:2/main/1",
            RedisTarget(topology=SENTINEL, hosts=(("a", 26379), ("b", 2)), master="main", database=1),
        ),
        (
            "rediss+sentinel://a/main",
            RedisTarget(topology=SENTINEL, hosts=(("a", 26379),), master="main", tls=()),
        ),
        ("redis+cluster://a,b:2", RedisTarget(topology=CLUSTER, hosts=(("a", 6379), ("b", 2)))),
    ],
)
def test_each_form_is_read(url: str, target: RedisTarget):
    assert decode_url(url) == target


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "unknown form"),
        ("http://h", "unknown form"),
        ("redis:h", "unknown form"),
        ("redis://", "host"),
        ("redis://:secret@", "host"),
        ("redis://h:port", "host"),
        ("redis://h/x", "database"),
        ("redis://h/1/2", "database"),
        ("unix://", "socket's path"),
        ("redis+sentinel://a", "master's name"),
        ("redis+cluster://a/1", "database 0"),
        ("redis://h?socket_timeout=5", "unknown option socket_timeout"),
        ("redis://:secret@h?ssl_ca_certs=/x", "unknown option ssl_ca_certs"),
    ],
)
def test_each_mistake_is_named_without_secrets(url: str, told: str):
    with pytest.raises(RedisUrlError, match=told) as caught:
        decode_url(url)
    assert "secret" not in str(caught.value)


def test_no_password_in_its_repr():
    assert repr(decode_url("redis://user:secret@h:1")) == "RedisTarget(single h:1)"
