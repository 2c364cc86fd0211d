"""The studio web wire over HTTP: accounts that are the user's own browser sessions."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar
from urllib.parse import quote

import orjson
import structlog

from service.config import Account, Secret
from service.core.conversation import Conversation, Media
from service.core.errors import GatewayError, InvalidRequest, UpstreamUnavailable
from service.core.upstreams.mimo_studio import (
    CONFIG_PATH,
    PROBE_PATH,
    decode_data,
    decode_error,
    decode_models,
    decode_parse,
    decode_session,
    decode_upload_info,
    encode_request,
    media_filename,
    media_object,
    parse_path,
    with_media,
)
from service.core.upstreams.studio_stream import StudioDecoder
from service.core.upstreams.studio_thread import OpenThread, Thread, as_lost
from service.upstream.http import Call, Http, error_body, retry_after_s, without_credentials
from service.upstream.leftovers import Leftovers
from service.upstream.media import Budget, MediaFetcher
from service.upstream.uploads import Upload, Uploads

log = structlog.get_logger()

_THREAD_FROM_BYTES = 512 << 10
_PARSE_TRIES = 9
_PARSE_PAUSE_S = 0.1
_MAX_PARSE_PAUSE_S = 2.0
_DELETE_PATH = "/open-apis/chat/conversation/delete"
_UPLOAD_INFO_PATH = "/open-apis/resource/genUploadInfo"


class StudioCall(Call):
    """A call behind which stands a conversation of the studio's: deleted when the call is closed, unless
    somebody takes it to go on from."""

    _thread: Callable[[], OpenThread | None] | None = None
    _drop: Callable[[], None] | None = None

    def stand_before(self, decoder: StudioDecoder, conversation_id: str, drop: Callable[[], None]) -> None:
        """Which conversation that is, and what leaves it to be deleted."""

        def thread() -> OpenThread | None:
            state = decoder.thread(conversation_id)
            return None if state is None else OpenThread(thread=state, drop=drop)

        self._thread, self._drop = thread, drop

    def take_thread(self) -> OpenThread | None:
        taken = None if self._thread is None else self._thread()
        if taken is not None:
            self._thread = self._drop = None
        return taken

    def close(self) -> None:
        super().close()
        drop, self._drop = self._drop, None
        if drop is not None:
            drop()


class StudioUpstream:
    """Fits gateway.ports.Upstream by shape. `user_agent` is our own and configurable, never a browser's."""

    def __init__(
        self,
        http: Http,
        fetcher: MediaFetcher,
        *,
        user_agent: str,
        offers_tools: bool,
        leftovers: Leftovers | None = None,
    ) -> None:
        self._http = http
        self._fetcher = fetcher
        self._uploads = Uploads()
        self._leftovers = leftovers
        self._user_agent = user_agent
        self._offers_tools = offers_tools

    async def open(
        self,
        account: Account,
        conversation: Conversation,
        *,
        request_id: str,
        trace_headers: Mapping[str, str] | None = None,
        thread: Thread | None = None,
    ) -> Call:
        """Upload the media, send the prompt. Raises an UpstreamError for a status that is no answer, and
        InvalidRequest for media that cannot be had.

        `trace_headers` stay here: the studio is no API, nobody there could use them."""
        if thread is None:
            return await self._opened(account, conversation, uuid.uuid4().hex, None)
        try:
            return await self._opened(account, conversation, thread.conversation_id, thread)
        except BaseException:  # nobody will go on from it any more
            self.leave_behind(account, thread.conversation_id)
            raise

    async def _opened(
        self, account: Account, conversation: Conversation, conversation_id: str, thread: Thread | None
    ) -> Call:
        budget = self._fetcher.budget()
        conversation = await budget.with_files_read(conversation)
        request = encode_request(
            conversation,
            message_id=uuid.uuid4().hex,
            conversation_id=conversation_id,
            offers_tools=self._offers_tools,
            thread=thread,
        )
        objects = [
            await self._media_object(account, media, position, conversation.model, budget)
            for position, media in enumerate(request.media, 1)
        ]
        timeouts = self._http.timeouts
        path, notes, body = request.path, request.notes, with_media(request, objects)
        del request  # a long prompt as text, twice as large as the body: not needed while the answer runs
        response = await self._http.post(
            _url(account, path),
            body=body,
            headers=self._headers(account),
            first_byte_s=timeouts.first_byte_s,
        )
        if response.status != 200:
            said = await error_body(response, account, timeouts)
            error = decode_error(response.status, said, retry_after_s=retry_after_s(response.headers))
            raise error if thread is None else as_lost(error)
        decoder = StudioDecoder(thread)
        call = StudioCall(response, decoder, timeouts=timeouts, notes=notes)
        call.stand_before(decoder, conversation_id, partial(self.leave_behind, account, conversation_id))
        return call

    def leave_behind(self, account: Account, conversation_id: str) -> None:
        """The conversation is over: `tidy` may delete it. Without leftovers it stays in the history."""
        if self._leftovers is not None:
            self._leftovers.add(account, conversation_id)

    async def tidy(self, told: Callable[[Account, Sequence[str]], Awaitable[None]] | None = None) -> None:
        """Delete what was left behind; `told` is told of it. A batch that fails is not tried again: it is the
        user's history, no more."""
        for account, ids in self._leftovers.take() if self._leftovers is not None else ():
            try:
                await self.delete(account, ids)
            except GatewayError as error:
                log.warning("studio_tidying_failed", account=account.name, error_kind=str(error.kind))
                continue
            if told is not None:
                await told(account, ids)

    async def delete(self, account: Account, conversation_ids: Sequence[str]) -> None:
        """Out of the history of the account's user. Raises an UpstreamError, also for one inside a 200."""
        decode_data(await self.json("POST", account, _DELETE_PATH, body=orjson.dumps(conversation_ids)))

    async def models(self, account: Account) -> Sequence[str]:
        """The chat models of the studio's configuration. Raises an UpstreamError."""
        return decode_models(await self.json("GET", account, CONFIG_PATH))

    async def probe(self, account: Account) -> None:
        """The session check: no chat is spent. Raises UpstreamAccountError when the session has ended."""
        decode_session(await self.json("GET", account, PROBE_PATH))

    async def upload_url(self, account: Account, media: Media, model: str) -> str:
        """Where an uploaded clip lies. Raises an UpstreamError, InvalidRequest."""
        uploaded = await self._media_object(account, media, 1, model, self._fetcher.budget())
        return str(uploaded["fileUrl"])

    async def _media_object(
        self, account: Account, media: Media, position: int, model: str, budget: Budget
    ) -> Mapping[str, object]:
        """One media part as the chat names it: what this account holds already is not sent again."""
        if media.url is not None:
            found = await budget.fetched(media)
            content, media = found.content, replace(media, mime_type=media.mime_type or found.mime_type)
        else:
            content = await _decoded(media)
        name = media_filename(media, position)
        digests = await _digests(content)
        upload = self._uploads.find(account, digests.sha256, model)
        if upload is None:
            upload = await self._upload(account, content, name, digests.md5, model)
            self._uploads.keep(account, digests.sha256, model, upload)
        return media_object(
            media,
            upload.target,
            name=name,
            size_bytes=len(content),
            media_id=upload.media_id,
            tokens=upload.tokens,
        )

    async def _upload(self, account: Account, content: bytes, name: str, digest: str, model: str) -> Upload:
        """The three steps of mimo-api.md 5.5."""
        info = orjson.dumps({"fileName": name, "fileContentMd5": digest})
        target = decode_upload_info(await self.json("POST", account, _UPLOAD_INFO_PATH, body=info))
        status, _ = await self._http.fetch(
            "PUT",
            target.upload_url,
            headers={"Content-Type": "application/octet-stream", "Content-MD5": digest},
            body=content,
        )
        if status >= 300:
            # The storage speaks here, not the studio: its 401 or 403 says nothing of the session.
            raise UpstreamUnavailable(
                f"The studio's storage answered an upload with {status}.", status=status
            )
        media_id, tokens = await self._parsed(
            account, parse_path(target.resource_url, target.object_name, model)
        )
        return Upload(target=target, media_id=media_id, tokens=tokens)

    async def _parsed(self, account: Account, path: str) -> tuple[str, int]:
        """Ask until the studio has read the upload: it takes a few seconds at times."""
        for attempt in range(_PARSE_TRIES):
            parsed = decode_parse(await self.json("POST", account, path, body=b"{}"))
            if parsed is not None:
                return parsed
            await asyncio.sleep(min(_PARSE_PAUSE_S * 2**attempt, _MAX_PARSE_PAUSE_S))
        raise UpstreamUnavailable("The studio did not finish reading an uploaded file.", status=200)

    async def json(self, method: str, account: Account, path: str, *, body: bytes | None = None) -> bytes:
        """A small request of the session: the body of its answer. Raises an UpstreamError."""
        url = _url(account, path) if method == "POST" else account.base_url + path
        status, answer = await self._http.fetch(method, url, headers=self._headers(account), body=body)
        if status != 200:
            raise decode_error(status, without_credentials(answer, account))
        return answer

    def _headers(self, account: Account) -> dict[str, str]:
        token, user, ph = (
            (secret or Secret("")).reveal()
            for secret in (account.service_token, account.user_id, account.xiaomichatbot_ph)
        )
        # Two names of the service cookie are in the field (mimo-api.md 5.1): the studio reads the one it
        # knows.
        cookies = {
            "serviceToken": token,
            "xiaomichatbot_serviceToken": token,
            "userId": user,
            "xiaomichatbot_ph": ph,
        }
        return {
            "Content-Type": "application/json",
            "Accept-Language": "en",
            "x-timeZone": "UTC",
            "User-Agent": self._user_agent,
            "Cookie": "; ".join(f'{name}="{value}"' for name, value in cookies.items()),
        }


def _url(account: Account, path: str) -> str:
    """The path with the session's parameter: base64, so its `/`, `+` and `=` must be escaped."""
    ph = quote((account.xiaomichatbot_ph or Secret("")).reveal(), safe="")
    return f"{account.base_url}{path}{'&' if '?' in path else '?'}xiaomichatbot_ph={ph}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Digests:
    """`md5` is what the wire wants; `sha256` is what uploads are told apart by: nobody can make two alike."""

    md5: str
    sha256: bytes


async def _digests(content: bytes) -> _Digests:
    return await _off_the_loop(len(content), _digests_of, content)


def _digests_of(content: bytes) -> _Digests:
    return _Digests(
        md5=hashlib.md5(content, usedforsecurity=False).hexdigest(), sha256=hashlib.sha256(content).digest()
    )


async def _decoded(media: Media) -> bytes:
    """The media's bytes: the one copy of them beside the base64 text."""
    try:
        data = media.data or ""
        return await _off_the_loop(len(data), partial(base64.b64decode, validate=True), data)
    except (binascii.Error, ValueError):
        raise InvalidRequest(
            f"The {media.kind} is not valid base64.", param=media.at or "messages", code="invalid_base64"
        ) from None


_In = TypeVar("_In")
_Out = TypeVar("_Out")


async def _off_the_loop(size_bytes: int, work: Callable[[_In], _Out], value: _In) -> _Out:
    """Large values in a thread: ten megabytes take as long as ten thousand stream events."""
    return work(value) if size_bytes < _THREAD_FROM_BYTES else await asyncio.to_thread(work, value)
