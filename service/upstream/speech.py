"""Speech over HTTP, on both kinds of account."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping

import aiohttp

from service.config import Account
from service.core.conversation import Media, MediaKind
from service.core.dialects.openai_chat.stream import StreamDecoder
from service.core.errors import InvalidRequest, UpstreamTimeout, UpstreamUnavailable
from service.core.events import Finish, FinishReason, Usage
from service.core.speech import (
    VOICE_CLONE,
    AudioFormat,
    SpeechRequest,
    Transcript,
    TranscriptionRequest,
)
from service.core.upstreams.mimo_platform import CHAT_PATH, decode_error
from service.core.upstreams.mimo_studio import decode_data
from service.core.upstreams.speech import (
    TTS_GENERATE_PATH,
    TTS_SAVE_PATH,
    SpeechDecoder,
    decode_status,
    decode_task,
    decode_transcript,
    encode_platform_speech,
    encode_platform_transcription,
    encode_studio_save,
    encode_studio_speech,
    platform_format,
    samples_of,
    status_path,
    studio_format,
)
from service.upstream.http import Call, Http, error_body, read_bounded, retry_after_s
from service.upstream.platform import platform_headers
from service.upstream.studio import StudioUpstream

MAX_AUDIO_BYTES = 64 << 20
_POLL_PAUSE_S = 0.1
_MAX_POLL_PAUSE_S = 1.0


class PlatformCall:
    """Fits gateway.ports.SpeechCall: one open answer of the platform."""

    def __init__(self, call: Call, decoder: SpeechDecoder, audio_format: AudioFormat) -> None:
        self._call = call
        self._decoder = decoder
        self._has_ended = False
        self.audio_format = audio_format

    @property
    def usage(self) -> Usage | None:
        return self._decoder.usage

    @property
    def finish(self) -> Finish:
        return self._decoder.finish_told

    @property
    def worded(self) -> str:
        return self._decoder.worded

    async def read(self) -> bytes:
        while not self._has_ended:
            chunk = await self._call.read()
            audio = self._decoder.feed(chunk) if chunk else self._decoder.finish()
            self._has_ended = self._decoder.is_done
            if audio:
                return audio
        return b""

    def close(self) -> None:
        self._call.close()


class WholeCall:
    """The same for audio that is here already."""

    def __init__(self, audio: bytes, audio_format: AudioFormat) -> None:
        self._audio = audio
        self.audio_format = audio_format
        self.usage: Usage | None = None
        self.finish = Finish(FinishReason.STOP)
        self.worded = ""

    async def read(self) -> bytes:
        audio, self._audio = self._audio, b""
        return audio

    def close(self) -> None:
        """Nothing is open."""


class PlatformSpeech:
    """Fits gateway.ports.SpeechUpstream by shape."""

    def __init__(self, http: Http, *, sends_trace: bool = True) -> None:
        self._http = http
        self._sends_trace = sends_trace

    async def speak(
        self, account: Account, request: SpeechRequest, trace_headers: Mapping[str, str]
    ) -> PlatformCall:
        """Raises an UpstreamError for a status that is no answer."""
        audio_format = platform_format(request)
        decoder = SpeechDecoder(streams=audio_format is AudioFormat.PCM)
        response = await self._post(account, encode_platform_speech(request), trace_headers)
        return PlatformCall(
            Call(response, StreamDecoder(), timeouts=self._http.timeouts), decoder, audio_format
        )

    async def transcribe(
        self, account: Account, request: TranscriptionRequest, trace_headers: Mapping[str, str]
    ) -> Transcript:
        """Raises an UpstreamError."""
        response = await self._post(account, encode_platform_transcription(request), trace_headers)
        try:
            return decode_transcript(await read_bounded(response, 4 << 20))
        finally:
            response.close()

    async def _post(
        self, account: Account, body: bytes, trace_headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        timeouts = self._http.timeouts
        told = trace_headers if self._sends_trace else {}
        response = await self._http.post(
            account.base_url + CHAT_PATH,
            body=body,
            headers={**platform_headers(account), "Content-Type": "application/json", **told},
            first_byte_s=timeouts.total_s,
        )
        if response.status != 200:
            error = await error_body(response, account, timeouts)
            raise decode_error(response.status, error, retry_after_s=retry_after_s(response.headers))
        return response


class StudioSpeech:
    """The same over the studio: save, generate, ask until it is there, fetch."""

    def __init__(self, http: Http, studio: StudioUpstream) -> None:
        self._http = http
        self._studio = studio

    async def speak(
        self, account: Account, request: SpeechRequest, trace_headers: Mapping[str, str]
    ) -> WholeCall:
        """Raises InvalidRequest for mp3, an UpstreamError for anything that goes wrong there."""
        audio_format = studio_format(request)
        conversation_id = uuid.uuid4().hex
        voice = request.voice
        if request.model == VOICE_CLONE and voice is not None:
            voice = await self._sample_url(account, request.model, voice)
        save = encode_studio_save(request, conversation_id)
        decode_data(await self._studio.json("POST", account, TTS_SAVE_PATH, body=save))
        body = encode_studio_speech(
            request, conversation_id=conversation_id, message_id=uuid.uuid4().hex, voice=voice
        )
        try:
            task_id = decode_task(await self._studio.json("POST", account, TTS_GENERATE_PATH, body=body))
            url = await self._finished(account, task_id)
        finally:
            self._studio.leave_behind(account, conversation_id)
        status, wav = await self._http.fetch("GET", url, headers={}, max_bytes=MAX_AUDIO_BYTES)
        if status not in (200, 206):
            # The storage speaks here, not the studio: its 401 or 403 says nothing of the session.
            words = f"The studio's storage answered {status} for the sound."
            raise UpstreamUnavailable(words, status=status)
        return WholeCall(samples_of(wav) if audio_format is AudioFormat.PCM else wav, audio_format)

    async def transcribe(
        self, account: Account, request: TranscriptionRequest, trace_headers: Mapping[str, str]
    ) -> Transcript:
        raise InvalidRequest("Studio accounts do not transcribe.", param="model", code="unsupported_value")

    async def _finished(self, account: Account, task_id: str) -> str:
        waited_s, pause_s, limit_s = 0.0, _POLL_PAUSE_S, self._http.timeouts.first_byte_s
        while waited_s < limit_s:
            url = decode_status(await self._studio.json("GET", account, status_path(task_id)))
            if url is not None:
                return url
            await asyncio.sleep(pause_s)
            waited_s, pause_s = waited_s + pause_s, min(pause_s * 2, _MAX_POLL_PAUSE_S)
        raise UpstreamTimeout(waited_s=waited_s, phase="first_byte")

    async def _sample_url(self, account: Account, model: str, data_url: str) -> str:
        """The sample, uploaded as any clip is."""
        head, _, data = data_url.partition(",")
        media = Media(kind=MediaKind.AUDIO, data=data, mime_type=head[5:].partition(";")[0], at="voice")
        return await self._studio.upload_url(account, media, model)
