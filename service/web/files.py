"""The Files API: `POST` and `GET /v1/files`, `GET` and `DELETE /v1/files/{id}`, `GET …/{id}/content`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import BodyPartReader, web

from service.core.batches import StoredFile
from service.core.dialects.openai_chat.batches import (
    PURPOSE,
    encode,
    encode_deleted_file,
    encode_page,
    file_object,
)
from service.core.errors import InvalidRequest
from service.core.json_body import missing, wrong_value
from service.gateway.files import Upload
from service.web.batches import download, page_limit
from service.web.body import MALFORMED_FORM
from service.web.context import API_KEY, RECORD, SERVICES
from service.web.errors import request_id_headers

_MAX_PAGE = 10_000
_MAX_FIELD_BYTES = 1024
_MAX_NAME = 255
_READ_BYTES = 64 << 10


@dataclass(slots=True)
class _Form:
    """What the parts said, in whatever order they came."""

    purpose: str = ""
    filename: str = "file"
    expires_after_s: int | None = None
    upload: Upload | None = None


async def create(request: web.Request) -> web.Response:
    """A multipart form of `file` and `purpose`; the file's bytes are stored as they come."""
    files, key = request.app[SERVICES].files, request[API_KEY]
    form = _Form()
    try:
        await _read_form(request, form)
        if form.upload is None:
            raise missing("file")
        if not form.purpose:
            raise missing("purpose")
        if form.purpose != PURPOSE:
            raise wrong_value(form.purpose, "purpose", (PURPOSE,))
    except BaseException:
        if form.upload is not None:
            files.abandon(key, form.upload)
        raise
    file = await files.finish(
        key,
        form.upload,
        filename=form.filename,
        purpose=form.purpose,
        expires_after_s=form.expires_after_s,
    )
    return _json(request, encode(_shown(file)))


async def _read_form(request: web.Request, form: _Form) -> None:
    if not request.content_type.startswith("multipart/"):
        raise InvalidRequest("The request must be multipart/form-data with the parts file and purpose.")
    services = request.app[SERVICES]
    try:
        reader = await request.multipart()
        while True:
            async with asyncio.timeout(services.timeouts.body_s):
                part = await reader.next()
            if part is None:
                return
            if isinstance(part, BodyPartReader):
                await _read_part(request, part, form)
    except TimeoutError:
        raise InvalidRequest("The request body did not arrive in time.", code="body_timeout") from None
    except MALFORMED_FORM:
        raise InvalidRequest("The request body is not a valid multipart form.") from None


async def _read_part(request: web.Request, part: BodyPartReader, form: _Form) -> None:
    match part.name:
        case "file" if form.upload is None:
            form.filename = (part.filename or "file")[:_MAX_NAME]
            content = _content(request, part)
            form.upload = await request.app[SERVICES].files.upload(request[API_KEY], content)
        case "purpose":
            form.purpose = await _field(part)
        case "expires_after[seconds]":
            sent = await _field(part)
            if not (sent.isascii() and sent.isdecimal() and 3600 <= int(sent[:9]) <= 2_592_000):
                raise InvalidRequest(
                    "expires_after[seconds] must be a number from 3600 to 2592000.",
                    param="expires_after[seconds]",
                )
            form.expires_after_s = int(sent)
        case _:
            await part.release()


async def _content(request: web.Request, part: BodyPartReader) -> AsyncIterator[bytes]:
    record, body_s = request[RECORD], request.app[SERVICES].timeouts.body_s
    while True:
        async with asyncio.timeout(body_s):
            chunk = await part.read_chunk(_READ_BYTES)
        if not chunk:
            return
        record.bytes_in += len(chunk)
        yield chunk


async def _field(part: BodyPartReader) -> str:
    value = await part.read_chunk(_MAX_FIELD_BYTES)
    if not part.at_eof():
        await part.release()
    return value.decode("utf-8", "replace").strip()


async def index(request: web.Request) -> web.Response:
    order = request.query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise wrong_value(order, "order", ("asc", "desc"))
    files, has_more = await request.app[SERVICES].files.page(
        request[API_KEY],
        after_id=request.query.get("after"),
        limit=page_limit(request, maximum=_MAX_PAGE, default=_MAX_PAGE),
        purpose=request.query.get("purpose"),
        is_ascending=order == "asc",
    )
    return _json(request, encode_page([_shown(file) for file in files], has_more=has_more))


async def show(request: web.Request) -> web.Response:
    file = await request.app[SERVICES].files.find(request[API_KEY], request.match_info["file_id"])
    return _json(request, encode(_shown(file)))


async def content(request: web.Request) -> web.StreamResponse:
    """The bytes of a file, streamed."""
    pieces = request.app[SERVICES].files.content(request[API_KEY], request.match_info["file_id"])
    return await download(request, pieces, content_type="application/octet-stream")


async def delete(request: web.Request) -> web.Response:
    file_id = request.match_info["file_id"]
    await request.app[SERVICES].files.delete(request[API_KEY], file_id)
    return _json(request, encode_deleted_file(file_id))


def _shown(file: StoredFile) -> dict[str, object]:
    return file_object(
        file.file_id,
        filename=file.filename,
        purpose=file.purpose,
        length_bytes=file.length_bytes,
        created_at_s=file.created_at_s,
        expires_at_s=file.expires_at_s,
    )


def _json(request: web.Request, body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json", headers=request_id_headers(request))
