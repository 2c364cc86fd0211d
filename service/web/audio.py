"""`POST /v1/audio/speech` and `POST /v1/audio/transcriptions`, and chats that are answered in sound."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from aiohttp import BodyPartReader, web

from service.core.completion import AnswerHead
from service.core.dialects.openai_chat.audio import SpeechChunkEncoder, decode_chat_speech, encode_speech
from service.core.dialects.openai_chat.speech_stream import SpeechEncoder
from service.core.errors import BodyTooLarge, GatewayError, InvalidRequest
from service.core.json_body import missing, wrong_value
from service.core.speech import (
    CONTENT_TYPE,
    AudioFormat,
    Transcript,
    TranscriptionRequest,
    clip_type,
    decode_speech,
    hearing_model,
)
from service.gateway.speech import Spoken
from service.web.body import MALFORMED_FORM, read_body
from service.web.context import API_KEY, RECORD, SERVICES
from service.web.headers import REQUEST_ID, notes_header, openai_limit_headers
from service.web.stream import ClientStream, write_in_time

_FORMATS = ("json", "text", "verbose_json")
_LANGUAGES = ("auto", "zh", "en")
_MAX_FIELD_BYTES = 4096
_READ_BYTES = 64 << 10


async def speech(request: web.Request) -> web.StreamResponse:
    """The sound: as events where they are asked for, streamed as it comes for pcm, whole for wav and mp3."""
    services, record = request.app[SERVICES], request[RECORD]
    asked = decode_speech(await read_body(request))
    if asked.streams_events:
        record.streams = True
        speaking = services.speech.stream(asked, key=request[API_KEY], record=record)
        return await ClientStream(request, SpeechEncoder(asked), lambda: _headers(request)).send(speaking)
    async with services.speech.spoken(asked, key=request[API_KEY], record=record) as spoken:
        headers = {**_headers(request), "Content-Type": CONTENT_TYPE[spoken.audio_format]}
        if spoken.audio_format is AudioFormat.PCM:
            return await _streamed(request, spoken, headers)
        body = await spoken.whole()
        record.bytes_out = len(body)
        return web.Response(body=body, headers=headers)


async def _streamed(request: web.Request, spoken: Spoken, headers: dict[str, str]) -> web.StreamResponse:
    record, response = request[RECORD], web.StreamResponse(headers=headers)
    record.streams = True
    await response.prepare(request)
    piece = spoken.first
    try:
        while piece:
            await write_in_time(request, response.write(piece))
            record.bytes_out += len(piece)
            piece = await spoken.more()
    except GatewayError as error:
        # Sound has no place for an error: the connection breaks, so that nobody takes half for the whole.
        record.error = error
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write_eof()
    return response


def _headers(request: web.Request) -> dict[str, str]:
    record = request[RECORD]
    limits = {} if record.admission is None else openai_limit_headers(record.admission)
    return {REQUEST_ID: record.request_id, **notes_header(record.notes), **limits}


async def chat(request: web.Request, body: Mapping[str, object]) -> web.StreamResponse:
    """`POST /v1/chat/completions` for a speaking model: `message.audio`, or `delta.audio` in a stream."""
    services, record = request.app[SERVICES], request[RECORD]
    asked = decode_chat_speech(body)
    spoken_request, audio_id = asked.request, services.ids.new("audio_")
    head = AnswerHead(
        answer_id=services.ids.new("chatcmpl-"),
        model=spoken_request.model,
        created_at_s=int(services.clock.unix_s()),
    )
    if asked.streams:
        record.streams = True
        encoder = SpeechChunkEncoder(
            head,
            audio_id=audio_id,
            transcript="" if spoken_request.words_text else spoken_request.text,
            includes_usage=asked.includes_usage,
        )
        speaking = services.speech.stream(spoken_request, key=request[API_KEY], record=record)
        return await ClientStream(request, encoder, lambda: _headers(request)).send(speaking)
    async with services.speech.spoken(spoken_request, key=request[API_KEY], record=record) as spoken:
        sound, call = await spoken.whole(), spoken.call
        answer = encode_speech(
            sound,
            head,
            audio_id=audio_id,
            transcript=call.worded or spoken_request.text,
            finish=call.finish,
            usage=call.usage,
        )
    record.bytes_out, record.finish_reason = len(answer), str(call.finish.reason)
    return web.Response(body=answer, content_type="application/json", headers=_headers(request))


@dataclass(slots=True)
class _Form:
    """What the parts said, in whatever order they came."""

    content: bytes | None = None
    content_type: str = ""
    filename: str = ""
    model: str | None = None
    language: str = "auto"
    answer_format: str = "json"


async def transcriptions(request: web.Request) -> web.Response:
    """The clip's text, as JSON or alone."""
    services, record = request.app[SERVICES], request[RECORD]
    form = await _read_form(request)
    record.body_at_s = services.clock.monotonic_s()
    if form.content is None:
        raise missing("file")
    if form.model is None:
        raise missing("model")
    asked = TranscriptionRequest(
        model=hearing_model(form.model),
        mime_type=clip_type(form.content, form.content_type, form.filename),
        data=base64.b64encode(form.content).decode(),
        language=form.language,
    )
    transcript = await services.speech.transcript(asked, key=request[API_KEY], record=record)
    headers = _headers(request)
    if form.answer_format == "text":
        return web.Response(text=transcript.text + "\n", headers=headers)
    body = orjson.dumps(_encoded(transcript, form))
    return web.Response(body=body, content_type="application/json", headers=headers)


def _encoded(transcript: Transcript, form: _Form) -> dict[str, object]:
    body: dict[str, object] = {"text": transcript.text}
    if transcript.seconds is not None:
        body["usage"] = {"type": "duration", "seconds": transcript.seconds}
    if form.answer_format == "verbose_json":
        body |= {"task": "transcribe", "language": form.language, "duration": transcript.seconds or 0.0}
    return body


async def _read_form(request: web.Request) -> _Form:
    services, form = request.app[SERVICES], _Form()
    if not request.content_type.startswith("multipart/"):
        raise InvalidRequest("The request must be multipart/form-data with the parts file and model.")
    try:
        async with asyncio.timeout(services.timeouts.body_s):
            reader = await request.multipart()
            while (part := await reader.next()) is not None:
                if isinstance(part, BodyPartReader):
                    await _read_part(request, part, form)
    except TimeoutError:
        raise InvalidRequest("The request body did not arrive in time.", code="body_timeout") from None
    except MALFORMED_FORM:
        raise InvalidRequest("The request body is not a valid multipart form.") from None
    return form


async def _read_part(request: web.Request, part: BodyPartReader, form: _Form) -> None:
    match part.name:
        case "file":
            form.content = await _content(request, part)
            form.content_type, form.filename = part.headers.get("Content-Type", ""), part.filename or ""
        case "model":
            form.model = await _field(part)
        case "language":
            form.language = _known(await _field(part) or "auto", "language", _LANGUAGES)
        case "response_format":
            form.answer_format = _known(await _field(part), "response_format", _FORMATS)
        case "stream":
            _known(await _field(part), "stream", ("false",))
        case _:  # temperature, prompt, granularities: MiMo has no place for them
            await part.release()


def _known(value: str, param: str, known: tuple[str, ...]) -> str:
    if value.lower() not in known:
        raise wrong_value(value, param, known)
    return value.lower()


async def _content(request: web.Request, part: BodyPartReader) -> bytes:
    """The clip, bounded as it comes. Raises BodyTooLarge."""
    max_bytes, content = request.app[SERVICES].limits.max_body_bytes, bytearray()
    while chunk := await part.read_chunk(_READ_BYTES):
        content += chunk
        if len(content) > max_bytes:
            raise BodyTooLarge(max_bytes=max_bytes)
    request[RECORD].bytes_in = len(content)
    return bytes(content)


async def _field(part: BodyPartReader) -> str:
    value = await part.read_chunk(_MAX_FIELD_BYTES)
    if not part.at_eof():
        await part.release()
    return value.decode("utf-8", "replace").strip()
