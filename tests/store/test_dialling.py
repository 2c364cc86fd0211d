"""Opening a wire: password, user, database, TLS, the master that Sentinel names."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from pathlib import Path

import pytest

from service.core.errors import StoreUnavailable
from service.store.dialling import tls_context
from service.store.urls import decode_url
from tests.store import servers
from tests.store.conftest import Connecting


async def test_password_user_and_database(tmp_path: Path, connecting: Connecting):
    with servers.server(tmp_path) as server:
        server.ask("ACL", "SETUSER", "gateway", "on", ">p@ss", "~*", "+@all")
        server.ask("CONFIG", "SET", "requirepass", "s3cret")
        where = f"127.0.0.1:{server.port}"
        await connecting(f"redis://:s3cret@{where}/3").store.command("SET", "mgw:x", "1")
        named = connecting(f"redis://gateway:p%40ss@{where}/3").store
        assert await named.command("GET", "mgw:x") == b"1"
        assert b"name=mimo-gateway" in await named.command("CLIENT", "LIST")
        with pytest.raises(StoreUnavailable):
            await connecting(f"redis://:wrong@{where}").store.command("GET", "mgw:x")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed one for localhost; its key lies beside it."""
    path = tmp_path / "cert.pem"
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    files = ("-keyout", str(tmp_path / "key.pem"), "-out", str(path))
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files],
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("no openssl on this machine")
    return path


def test_tls_checks_the_certificate_unless_told_otherwise(certificate: Path):
    assert tls_context(decode_url("redis://h")) is None
    strict = tls_context(decode_url(f"rediss://h?ssl_ca_certs={certificate}"))
    assert (strict.verify_mode, strict.check_hostname) == (ssl.CERT_REQUIRED, True)
    lax = tls_context(decode_url("rediss://h?ssl_cert_reqs=none"))
    assert (lax.verify_mode, lax.check_hostname) == (ssl.CERT_NONE, False)
    own = f"ssl_certfile={certificate}&ssl_keyfile={certificate.parent / 'key.pem'}"
    assert tls_context(decode_url(f"rediss://h?{own}&ssl_check_hostname=false")) is not None


async def test_tls_over_a_terminating_proxy(tmp_path: Path, certificate: Path, connecting: Connecting):
    """The wheel's server is built without TLS; a proxy in front of it speaks TLS as a server would."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.parent / "key.pem")
    with servers.server(tmp_path) as server:
        closing: list[asyncio.StreamWriter] = []

        async def relay(reader, writer):
            try:
                while data := await reader.read(65536):
                    writer.write(data)
            except (ConnectionError, ssl.SSLError):
                pass
            writer.close()

        async def connected(reader, writer):
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", server.port)
            closing.extend((writer, inner_writer))
            await asyncio.gather(relay(reader, inner_writer), relay(inner_reader, writer))

        proxy = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
        port = proxy.sockets[0].getsockname()[1]
        trusting = connecting(f"rediss://localhost:{port}?ssl_ca_certs={certificate}").store
        assert await trusting.command("PING") == b"PONG"
        distrusting = connecting(f"rediss://localhost:{port}").store
        with pytest.raises(StoreUnavailable):
            await distrusting.command("PING")
        await trusting.aclose()
        await distrusting.aclose()
        for writer in closing:
            writer.close()
        proxy.close()
        await proxy.wait_closed()


async def test_no_sentinel_is_store_unavailable(connecting: Connecting):
    with pytest.raises(StoreUnavailable):
        await connecting("redis+sentinel://127.0.0.1:1,127.0.0.1:2/main").store.command("GET", "mgw:x")


@pytest.mark.slow
async def test_a_name_that_no_sentinel_knows(sentinel: servers.Fleet, connecting: Connecting):
    """Slow: starts sentinels, once for the run."""
    with pytest.raises(StoreUnavailable):
        await connecting(sentinel.url.replace("/main", "/other")).store.command("GET", "mgw:x")
