"""`redis_url` as a value: which topology, where, with which credentials. Nothing is dropped in silence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl, unquote, urlsplit


class RedisUrlError(ValueError):
    """The URL cannot be used; the message names the part at fault and never shows the password."""


class Topology(StrEnum):
    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisTarget:
    """Where Redis is. `hosts` are the server's, the sentinels' or some cluster nodes' addresses; () with a
    socket.

    `tls` None: no TLS; else redis-py's `ssl_…` settings.
    """

    topology: Topology
    hosts: tuple[tuple[str, int], ...] = ()
    socket_path: str = ""
    master: str = ""
    database: int = 0
    username: str | None = None
    password: str | None = None
    tls: tuple[tuple[str, str | bool], ...] | None = None

    def __repr__(self) -> str:
        where = self.socket_path or ",".join(f"{host}:{port}" for host, port in self.hosts)
        return f"RedisTarget({self.topology.value} {where})"


_TOPOLOGIES = {
    "redis": Topology.SINGLE,
    "rediss": Topology.SINGLE,
    "unix": Topology.SINGLE,
    "redis+sentinel": Topology.SENTINEL,
    "rediss+sentinel": Topology.SENTINEL,
    "redis+cluster": Topology.CLUSTER,
    "rediss+cluster": Topology.CLUSTER,
}
_DEFAULT_PORT = {Topology.SINGLE: 6379, Topology.SENTINEL: 26379, Topology.CLUSTER: 6379}
_TLS_OPTIONS = ("ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile")


def decode_url(url: str) -> RedisTarget:
    """The URL's parts. Raises RedisUrlError.

    `redis://[user:password@]host[:port][/db]`, `rediss://…` the same over TLS, `unix:///path[?db=n]`,
    `redis+sentinel://host[:port],…/master[/db]`, `redis+cluster://host[:port],…`; both with `rediss+…` for
    TLS. TLS forms take the options `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`, `ssl_cert_reqs`,
    `ssl_check_hostname`; any other option is an error, since a setting that is ignored is a trap.
    """
    scheme, separator, rest = url.partition("://")
    topology = _TOPOLOGIES.get(scheme)
    if topology is None or not separator:
        raise RedisUrlError(f"redis_url: unknown form; known: {', '.join(_TOPOLOGIES)}, embedded")
    parts = urlsplit(f"x://{rest}")
    credentials, _, address = parts.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    path = [unquote(piece) for piece in parts.path.split("/") if piece]
    tls = _tls(scheme, options)
    if scheme == "unix":
        if not parts.path or parts.path == "/":
            raise RedisUrlError("redis_url: unix:// needs the socket's path, as unix:///run/redis.sock")
        hosts: tuple[tuple[str, int], ...] = ()
        socket_path, path = unquote(address + parts.path), _database_option(options)
    else:
        hosts, socket_path = _hosts(address, _DEFAULT_PORT[topology]), ""
    if options:
        raise RedisUrlError(
            f"redis_url: unknown option {sorted(options)[0]}; known: {', '.join(_TLS_OPTIONS)}"
        )
    master, database = _master_and_database(topology, path)
    return RedisTarget(
        topology=topology,
        hosts=hosts,
        socket_path=socket_path,
        master=master,
        database=database,
        username=unquote(username) or None,
        password=unquote(password) or None,
        tls=tls,
    )


def _tls(scheme: str, options: dict[str, str]) -> tuple[tuple[str, str | bool], ...] | None:
    if not scheme.startswith("rediss"):
        return None
    chosen: list[tuple[str, str | bool]] = []
    for name in _TLS_OPTIONS:
        if name not in options:
            continue
        value = options.pop(name)
        chosen.append((name, value.lower() != "false" if name == "ssl_check_hostname" else value))
    return tuple(chosen)


def _database_option(options: dict[str, str]) -> list[str]:
    database = options.pop("db", "")
    return [database] if database else []


def _hosts(address: str, default_port: int) -> tuple[tuple[str, int], ...]:
    hosts = []
    for one in address.split(","):
        try:
            parts = urlsplit(f"x://{one}")
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host:
            raise RedisUrlError("redis_url: needs host[:port]")
        hosts.append((host, default_port if port is None else port))
    return tuple(hosts)


def _master_and_database(topology: Topology, path: Sequence[str]) -> tuple[str, int]:
    words = list(path)
    master = ""
    if topology is Topology.SENTINEL:
        if not words:
            raise RedisUrlError("redis_url: redis+sentinel:// needs the master's name after the hosts")
        master = words.pop(0)
    if len(words) > 1 or (words and not words[0].isdecimal()):
        raise RedisUrlError("redis_url: the database must be one number")
    database = int(words[0]) if words else 0
    if topology is Topology.CLUSTER and database:
        raise RedisUrlError("redis_url: a Redis Cluster has database 0 only")
    return master, database
