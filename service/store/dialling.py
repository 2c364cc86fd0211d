"""How a wire is opened: socket, TLS, the master behind Sentinel, and who we are."""

from __future__ import annotations

import asyncio
import ssl

from redis.exceptions import ConnectionError, RedisError

from service.store.cluster import Address, ClusterLines
from service.store.race import first_answer
from service.store.topologies import ClientSettings
from service.store.urls import RedisTarget, Topology
from service.store.wire import Dial, Line, Spawn, Wire

_CLIENT_NAME = "mimo-gateway"


def line_of(target: RedisTarget, settings: ClientSettings, *, spawn: Spawn) -> Line | ClusterLines:
    """The way to Redis: a wire to the server, to the master that Sentinel names, or to each master."""
    tls = tls_context(target)

    def dial_to(address: Address | None) -> Dial:
        async def dial() -> Wire:
            async with asyncio.timeout(settings.connect_timeout_s):
                return await _introduced(target, address, tls)

        return dial

    async def dial_master() -> Wire:
        async with asyncio.timeout(settings.connect_timeout_s):
            return await _introduced(target, await _master(target, tls), tls)

    match target.topology:
        case Topology.SINGLE:
            return Line(dial_to(target.hosts[0] if target.hosts else None), spawn=spawn)
        case Topology.SENTINEL:
            return Line(dial_master, spawn=spawn, finds_master=True)
        case Topology.CLUSTER:
            return ClusterLines(target.hosts, dial_to, spawn=spawn)


def tls_context(target: RedisTarget) -> ssl.SSLContext | None:
    """None without TLS. By default the certificate and its name are checked, against the system's roots."""
    if target.tls is None:
        return None
    options = dict(target.tls)
    authorities = options.get("ssl_ca_certs")
    context = ssl.create_default_context(cafile=str(authorities) if authorities else None)
    context.check_hostname = bool(options.get("ssl_check_hostname", True))
    needs = str(options.get("ssl_cert_reqs", "required"))
    if needs == "none":
        context.check_hostname = False
    context.verify_mode = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL}.get(needs, ssl.CERT_REQUIRED)
    if certificate := options.get("ssl_certfile"):
        key_file = options.get("ssl_keyfile")
        context.load_cert_chain(str(certificate), str(key_file) if key_file else None)
    return context


async def _master(target: RedisTarget, tls: ssl.SSLContext | None) -> Address:
    """Whom the first sentinel that answers calls the master. Raises ConnectionError when none does."""

    async def asked(sentinel: Address) -> Address | None:
        try:
            wire = await _open(target, sentinel, tls)
        except OSError:
            return None
        try:
            answer = await wire.send(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", target.master))
        except RedisError:
            return None
        finally:
            wire.close()
        return None if answer is None else (answer[0].decode(), int(answer[1]))

    master = await first_answer([asked(sentinel) for sentinel in target.hosts])
    if master is None:
        raise ConnectionError("no sentinel knows the master")
    return master


async def _introduced(target: RedisTarget, where: Address | None, tls: ssl.SSLContext | None) -> Wire:
    wire = await _open(target, where, tls)
    try:
        await _introduce(wire, target)
    except BaseException:
        wire.close()
        raise
    return wire


async def _open(target: RedisTarget, where: Address | None, tls: ssl.SSLContext | None) -> Wire:
    loop = asyncio.get_running_loop()
    if where is None:
        _, wire = await loop.create_unix_connection(Wire, target.socket_path)
        return wire
    host, port = where
    _, wire = await loop.create_connection(
        Wire, host, port, ssl=tls, server_hostname=host if tls is not None else None
    )
    return wire


async def _introduce(wire: Wire, target: RedisTarget) -> None:
    """AUTH, SELECT and a name for CLIENT LIST, in one write. Raises what Redis answers."""
    sent = []
    if target.password is not None:
        who = () if target.username is None else (target.username,)
        sent.append(wire.send(("AUTH", *who, target.password)))
    if target.database:
        sent.append(wire.send(("SELECT", target.database)))
    sent.append(wire.send(("CLIENT", "SETNAME", _CLIENT_NAME)))
    answers = await asyncio.gather(*sent, return_exceptions=True)
    for answer in answers[:-1]:  # a proxy that knows no CLIENT command is as good
        if isinstance(answer, BaseException):
            raise answer
