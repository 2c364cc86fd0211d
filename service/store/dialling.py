"""How a wire is opened: socket, TLS, the master behind Sentinel, and who we are."""

from __future__ import annotations

import asyncio
import ssl

from redis.asyncio import Sentinel

from service.store.topologies import ClientSettings, sentinel_of
from service.store.urls import RedisTarget, Topology
from service.store.wire import Dial, Wire

_CLIENT_NAME = "mimo-gateway"


def dial_of(target: RedisTarget, settings: ClientSettings) -> Dial:
    """A function that opens a wire to the target, within the connect time-out."""
    tls = tls_context(target)
    sentinel = sentinel_of(target, settings) if target.topology is Topology.SENTINEL else None

    async def dial() -> Wire:
        async with asyncio.timeout(settings.connect_timeout_s):
            wire = await _open(target, tls, sentinel)
            try:
                await _introduce(wire, target)
            except BaseException:
                wire.close()
                raise
        return wire

    return dial


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


async def _open(target: RedisTarget, tls: ssl.SSLContext | None, sentinel: Sentinel | None) -> Wire:
    loop = asyncio.get_running_loop()
    if target.socket_path:
        _, wire = await loop.create_unix_connection(Wire, target.socket_path)
        return wire
    host, port = target.hosts[0]
    if sentinel is not None:
        host, port = await sentinel.discover_master(target.master)
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
