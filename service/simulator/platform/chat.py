"""`POST /v1/chat/completions`, the answer: one body, or chunks as in mimo-api.md, section 1.5."""

from __future__ import annotations

import orjson
from aiohttp import web

from service.core.events import Usage
from service.simulator.brain import sent_details
from service.simulator.directives import NO_DIRECTIVE, Directive
from service.simulator.engine import Asked, Made, Refusal
from service.simulator.options import PlatformAccount
from service.simulator.platform import accounts, errors, speech
from service.simulator.platform.chat_request import check_chat
from service.simulator.platform.errors import Wrong
from service.simulator.world import Account, World

DONE = b"data: [DONE]\n\n"
_ARGUMENT_CHARACTERS = 8


class ChatWire:
    """Chat Completions, stream and not."""

    endpoint = "chat_completions"

    def authenticate(self, world: World, request: web.Request) -> Account:
        return accounts.authenticate(world, request)

    def decode(self, world: World, account: Account, request: web.Request, raw: bytes) -> Asked:
        streams = False
        try:
            body = accounts.decode_body(raw)
            streams = accounts.wants_stream(body)
            model = accounts.find_model(world, account, body, purposes=("chat", "tts", "asr"))
            if model.purpose != "chat":
                ask, audio_format = speech.check_speech(body, model)
                return Asked(ask, streams, audio_format)
            has_web_search = isinstance(account, PlatformAccount) and account.has_web_search
            ask = check_chat(body, model, world.options, has_web_search=has_web_search)
        except Wrong as wrong:
            raise errors.wrong_request(world, wrong, streams=streams) from wrong
        return Asked(ask, streams)

    def refusal(
        self, world: World, status: int, *, streams: bool, directive: Directive = NO_DIRECTIVE
    ) -> Refusal:
        return errors.refusal(world, status, streams=streams, directive=directive)

    def moderated(self, made: Made) -> list[bytes]:
        raise errors.refusal(made.world, 421, streams=True, directive=made.directive)

    def error_frame(self, text: str) -> bytes:
        return errors.error_frame(text)

    def hold_s(self, world: World) -> float:
        return 0.0

    def whole(self, made: Made) -> bytes:
        return orjson.dumps(whole_completion(made))

    def stream(self, made: Made) -> list[bytes]:
        return _Chunks(made).frames()


def chat_id(world: World) -> str:
    """`<uuid>_<32 hex>`, as in September 2026."""
    first = world.next_id()
    return f"{first[:8]}-{first[8:12]}-{first[12:16]}-{first[16:20]}-{first[20:]}_{world.next_id()}"


def call_id(world: World) -> str:
    return "call_" + world.next_id()[:24]


SOURCES = (
    {
        "type": "url_citation",
        "url": "https://example.com/page",
        "title": "A page about it",
        "summary": "What the page says.",
        "site_name": "Example",
        "publish_time": "2026-09-21",
        "logo_url": "https://example.com/logo.png",
    },
)


def usage_json(made: Made, usage: Usage) -> dict[str, object]:
    body = _token_counts(usage)
    if made.searches_web:
        body["web_search_usage"] = {"tool_usage": 1, "page_usage": len(SOURCES)}
    if made.asked.ask.fixed_text:
        body["seconds"] = speech.clip_seconds(made.asked.ask)
    return body


def _token_counts(usage: Usage) -> dict[str, object]:
    return {
        "completion_tokens": usage.output_tokens,
        "prompt_tokens": usage.input_tokens,
        "total_tokens": usage.total_tokens,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "prompt_tokens_details": sent_details(usage),
    }


def whole_completion(made: Made) -> dict[str, object]:
    """`chat.completion`: content "" beside tool calls, reasoning_content only while thinking is on."""
    answer = made.answer
    calls = [
        {
            "id": call_id(made.world),
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in answer.calls
    ]
    message: dict[str, object] = {"role": "assistant", "content": answer.text, "tool_calls": calls or None}
    if answer.reasoning or made.asked.ask.thinks:
        message["reasoning_content"] = answer.reasoning
    if made.asked.audio_format:
        message["audio"] = speech.whole_audio(made)
    if made.searches_web:
        message.update(annotations=SOURCES, error_message="")
    body: dict[str, object] = {
        "id": chat_id(made.world),
        "object": "chat.completion",
        "created": made.world.options.created_at_s,
        "model": made.model,
        "choices": [{"index": 0, "finish_reason": answer.finish, "message": message}],
    }
    if made.usage is not None:
        body["usage"] = usage_json(made, made.usage)
    return body


class _Chunks:
    """Chunks of one stream, made from two halves that are built once."""

    def __init__(self, made: Made) -> None:
        self._made = made
        self._head = orjson.dumps(
            {
                "id": chat_id(made.world),
                "object": "chat.completion.chunk",
                "created": made.world.options.created_at_s,
                "model": made.model,
            }
        )[:-1]
        self._before = b"data: " + self._head + b',"choices":[{"index":0,"delta":'
        self._after = b',"finish_reason":null}],"usage":null}\n\n'

    def frames(self) -> list[bytes]:
        made = self._made
        frames = [self._first()]
        if made.asked.audio_format:
            frames += [self._delta(orjson.dumps({"audio": piece})) for piece in speech.audio_pieces(made)]
        self._pieces(
            frames,
            made.answer.reasoning,
            b'{"reasoning_content":',
            b',"content":null,"role":null,"tool_calls":null}',
        )
        self._pieces(
            frames,
            made.answer.text,
            b'{"content":',
            b',"reasoning_content":null,"role":null,"tool_calls":null}',
        )
        for index, call in enumerate(made.answer.calls):
            self._call(frames, index, call.name, call.arguments)
        frames.append(self._finish())
        if made.usage is not None:
            usage = orjson.dumps(usage_json(made, made.usage))
            frames.append(b"data: " + self._head + b',"choices":[],"usage":' + usage + b"}\n\n")
        frames.append(DONE)
        return frames

    def _first(self) -> bytes:
        """Role and nothing else; after a web search, all the sources."""
        if not self._made.searches_web:
            return self._delta(
                b'{"role":"assistant","content":"","tool_calls":null,"reasoning_content":null}'
            )
        first = {"role": "assistant", "content": "", "tool_calls": None, "reasoning_content": None}
        return self._delta(orjson.dumps({**first, "annotations": SOURCES}))

    def _delta(self, delta: bytes) -> bytes:
        return self._before + delta + self._after

    def _pieces(self, frames: list[bytes], text: str, before: bytes, after: bytes) -> None:
        head, tail = self._before + before, after + self._after
        built: dict[str, bytes] = {}  # long scripted answers repeat their pieces
        for piece in self._made.pieces(text):
            frame = built.get(piece)
            if frame is None:
                frame = built[piece] = head + orjson.dumps(piece) + tail
            frames.append(frame)

    def _call(self, frames: list[bytes], index: int, name: str, arguments: str) -> None:
        """The call's name first, with empty arguments; then the arguments in pieces, id and name null."""
        frames.append(self._tool_delta(index, call_id(self._made.world), name, ""))
        size = self._made.directive.number("pieces") or _ARGUMENT_CHARACTERS
        for start in range(0, len(arguments), size):
            frames.append(self._tool_delta(index, None, None, arguments[start : start + size]))

    def _tool_delta(self, index: int, identity: str | None, name: str | None, arguments: str) -> bytes:
        call = {
            "index": index,
            "id": identity,
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        delta = {"content": None, "reasoning_content": None, "role": None, "tool_calls": [call]}
        return self._delta(orjson.dumps(delta))

    def _finish(self) -> bytes:
        reason = orjson.dumps(self._made.answer.finish)
        return (
            self._before
            + b'{"content":null,"reasoning_content":null,"role":null,"tool_calls":null},"finish_reason":'
            + reason
            + b'}],"usage":null}\n\n'
        )
