"""Media by URL: what is fetched, what is refused, and that nothing private is ever connected to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohappyeyeballs
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from service.core.addresses import RefusedAddress
from service.core.conversation import Conversation, Media, MediaKind, Role, Turn
from service.core.errors import InvalidRequest
from service.upstream.media import FetchPolicy, MediaFetcher, _guarded_socket

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
ALLOWED = "files.test"


@dataclass
class ScriptedResolver(AbstractResolver):
    """Each look-up of a name takes its next list of addresses; the last one stays."""

    answers: dict[str, list[list[str]]]
    asked: list[str] = field(default_factory=list)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        script = self.answers.get(host)
        if script is None:
            raise OSError("no such name")
        addresses = script.pop(0) if len(script) > 1 else script[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None: ...


@dataclass
class Server:
    """A server on loopback that counts what reaches it."""

    port: int
    seen: list[str]

    def url(self, path: str, host: str = ALLOWED) -> str:
        return f"http://{host}:{self.port}{path}"


BODIES: dict[str, tuple[bytes, str, dict[str, str]]] = {
    "/image.png": (PNG, "image/png", {}),
    "/untold": (PNG, "application/octet-stream", {}),
    "/page": (b"<html>", "text/html", {}),
    "/notes.md": (b"# Notes", "text/markdown", {}),
    "/zipped": (PNG, "image/png", {"Content-Encoding": "gzip"}),
    "/large": (bytes(5000), "image/png", {}),
}


async def answer(request: web.Request) -> web.StreamResponse:
    request.app["seen"].append(request.path_qs)
    if request.path in BODIES:
        body, kind, headers = BODIES[request.path]
        return web.Response(body=body, content_type=kind, headers=headers)
    if request.path == "/gone":
        return web.Response(status=404)
    if request.path == "/endless":
        response = web.StreamResponse(headers={"Content-Type": "image/png"})
        await response.prepare(request)
        for _ in range(100):
            await response.write(bytes(1000))
        return response
    if request.path == "/slow":
        await asyncio.sleep(30)
    hops = int(request.query.get("hops", "0"))
    if hops > 1:
        raise web.HTTPFound(f"/to?hops={hops - 1}&url={request.query['url']}")
    raise web.HTTPFound(request.query["url"])


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    app = web.Application()
    app["seen"] = []
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield Server(runner.addresses[0][1], app["seen"])
    await runner.cleanup()


pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")


@asynccontextmanager
async def fetcher(
    answers: dict[str, list[list[str]]] | None = None, *, timeout_s: float = 5.0
) -> AsyncIterator[tuple[MediaFetcher, list[str], ScriptedResolver]]:
    resolver, refused = ScriptedResolver({ALLOWED: [["127.0.0.1"]], **(answers or {})}), list[str]()
    policy = FetchPolicy(max_bytes=4096, timeout_s=timeout_s, allowed_hosts=(ALLOWED,))
    async with MediaFetcher(policy, on_refused=refused.append, resolver=resolver) as found:
        yield found, refused, resolver


def image(url: str) -> Media:
    return Media(kind=MediaKind.IMAGE, url=url, at="messages[0].content[1].image_url.url")


async def refusal_of(url: str, answers: dict[str, list[list[str]]] | None = None) -> tuple[str, list[str]]:
    """The error's code, and the reasons that were counted."""
    async with fetcher(answers) as (fetching, refused, _):
        with pytest.raises(InvalidRequest) as caught:
            await fetching.budget().fetched(image(url))
        assert caught.value.param == "messages[0].content[1].image_url.url"
        return str(caught.value.code), refused


# --- what works ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/image.png", "/untold", "/to?url=/image.png", "/to?hops=3&url=/image.png"])
async def test_an_image_of_an_allowed_host_is_fetched(server: Server, path: str) -> None:
    async with fetcher() as (fetching, refused, _):
        found = await fetching.budget().fetched(image(server.url(path)))
    assert (found.content, found.mime_type, refused) == (PNG, "image/png", [])


async def test_files_by_url_become_data(server: Server) -> None:
    file = Media(kind=MediaKind.FILE, url=server.url("/notes.md?x=1"))
    turn = Turn(role=Role.USER, parts=(file, file, image(server.url("/image.png"))))
    async with fetcher() as (fetching, _, _):
        read = await fetching.budget().with_files_read(Conversation(model="m", turns=(turn,)))
    first, second, third = read.turns[0].parts
    assert isinstance(first, Media)
    assert (first.url, first.data, first.filename) == (None, "IyBOb3Rlcw==", "notes.md")
    assert second == first
    assert third == turn.parts[2]
    assert server.seen == ["/notes.md?x=1"]


# --- what is no media ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        *("/page", "/gone", "/zipped", "/large", "/endless", "/to?hops=4&url=/image.png", "/notes.md"),
        *("/to?url=ftp://files.test/x", "/to?url="),
    ],
)
async def test_what_cannot_be_used_is_refused_in_words(server: Server, path: str) -> None:
    code, _ = await refusal_of(server.url(path))
    assert code in ("invalid_media_url", "refused_media_url")


async def test_one_requests_urls_share_one_cap(server: Server) -> None:
    async with fetcher() as (fetching, _, _):
        budget = fetching.budget()
        for _ in range(4096 // len(PNG)):
            await budget.fetched(image(server.url("/image.png")))
        with pytest.raises(InvalidRequest, match="too large"):
            await budget.fetched(image(server.url("/image.png")))


async def test_a_server_that_does_not_answer_in_time_is_given_up(server: Server) -> None:
    async with fetcher(timeout_s=0.05) as (fetching, _, _):
        with pytest.raises(InvalidRequest, match="took longer"):
            await fetching.budget().fetched(image(server.url("/slow")))


async def test_a_name_that_is_none_is_refused() -> None:
    assert await refusal_of("http://nowhere.test/") == ("invalid_media_url", [])


# --- nothing private is ever connected to -------------------------------------------------------------------

ODD = [
    *("127.0.0.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.1", "127.0.0.1.", "0", "0.0.0.0"),
    *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[::]"),
    *("[0:0:0:0:0:0:0:1]", "[2002:7f00:1::]", "[fe80::1%25lo]", "localhost", "localhost.", "LOCALHOST"),
    *(
        "１２７.０.０.１",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "a@127.0.0.1",
        "files.test@127.0.0.1",
        "127.0.0.1%2523",
    ),
    *("169.254.169.254", "100.100.100.200", "[fd00:ec2::254]", "10.0.0.1", "192.168.0.1", "168.63.129.16"),
]


@pytest.mark.parametrize("host", ODD)
async def test_no_spelling_of_a_private_address_is_connected_to(server: Server, host: str) -> None:
    code, refused = await refusal_of(
        server.url("/image.png", host), {"localhost": [["127.0.0.1"]], "localhost.": [["127.0.0.1"]]}
    )
    assert (code, len(refused), server.seen) == ("refused_media_url", 1, [])


@pytest.mark.parametrize(
    "addresses",
    [
        pytest.param(["127.0.0.1"], id="private"),
        pytest.param(["::1"], id="private, v6"),
        pytest.param(["1.1.1.1", "127.0.0.1"], id="a private one behind a public one"),
        pytest.param(["::ffff:127.0.0.1"], id="v4-mapped"),
    ],
)
async def test_a_name_that_leads_inside_is_refused(server: Server, addresses: list[str]) -> None:
    found = await refusal_of(server.url("/image.png", "inside.test"), {"inside.test": [addresses]})
    assert (found, server.seen) == (("refused_media_url", ["address"]), [])


@pytest.mark.parametrize("hops", [1, 2, 3])
@pytest.mark.parametrize("host", ["127.0.0.1", "inside.test", "[::1]", "0x7f.1"])
async def test_a_redirect_leads_nowhere_else_than_a_url(server: Server, host: str, hops: int) -> None:
    target = server.url("/secret", host)
    code, refused = await refusal_of(
        server.url(f"/to?hops={hops}&url={target}"), {"inside.test": [["127.0.0.1"]]}
    )
    assert (code, len(refused)) == ("refused_media_url", 1)
    assert "/secret" not in server.seen


async def test_a_name_that_changes_its_mind_is_resolved_once_for_each_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first look-up says a public address, every later one a private one: only the first is connected
    to."""
    connected: list[str] = []

    async def no_connection(*, addr_infos: Iterable[tuple], **more: object) -> socket.socket:
        connected.extend(info[4][0] for info in addr_infos)
        raise OSError("no traffic in tests")

    monkeypatch.setattr(aiohappyeyeballs, "start_connection", no_connection)
    async with fetcher({"rebinds.test": [["1.1.1.1"], ["127.0.0.1"]]}) as (fetching, refused, resolver):
        for _ in range(2):
            with pytest.raises(InvalidRequest):
                await fetching.budget().fetched(image("http://rebinds.test/a.png"))
    assert (connected, resolver.asked, refused) == (["1.1.1.1"], ["rebinds.test"] * 2, ["address"])


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "169.254.169.254", "::ffff:10.0.0.1"])
def test_there_is_no_socket_for_a_private_address(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(RefusedAddress):
        _guarded_socket((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, 80)))


def test_there_is_one_for_a_public_address() -> None:
    _guarded_socket((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("1.1.1.1", 80))).close()
