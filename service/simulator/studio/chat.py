"""`POST /open-apis/bot/chat`: frames with id, event and data, no space after the colon (mimo-api.md, 5.4)."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson
from aiohttp import web

from service.core.events import Usage
from service.simulator.brain import Ask, SeenMedia, literal_url, sent_details
from service.simulator.directives import NO_DIRECTIVE, Directive, split_directives
from service.simulator.engine import Asked, Made, Refusal
from service.simulator.markup import mimoml
from service.simulator.studio import envelope
from service.simulator.studio.config import chat_model
from service.simulator.studio.prompt import Reading, read_prompt
from service.simulator.studio.threads import Dialog
from service.simulator.world import Account, World

_HEX_ID = re.compile(r"[0-9a-f]{32}")
_SEARCH_STATES = frozenset({"disabled", "auto", "enabled"})
_USAGE_EVERY = 16  # message frames between two usage frames
FAST_PATH = "/fastchat/open-apis/bot/chat"


class StudioWire:
    """The web chat. It always streams."""

    endpoint = "studio_chat"

    def authenticate(self, world: World, request: web.Request) -> Account:
        return envelope.authenticate(world, request)

    def decode(self, world: World, account: Account, request: web.Request, raw: bytes) -> Asked:
        body, query, config = _checked(raw)
        model = chat_model(world, config.get("model"), is_fast=request.path == FAST_PATH)
        before = _before(world, account, body)
        reading = read_prompt(query, [dialog.query for dialog in before])
        text, blocks = split_directives(reading.text)
        if world.options.studio_fetches_urls and (url := literal_url(query)):
            reading = Reading(f"{text}\n(I opened {url} and read it.)")
            text = reading.text
        history = tuple(text for dialog in before for text in (dialog.query, dialog.answer))
        ask = Ask(
            model=model,
            text=text,
            blocks=blocks,
            prompt="".join((*history, query)).encode("utf-8", "replace"),
            thinks=config.get("enableThinking") is True,
            tools=reading.tools,
            results=reading.results,
            media=_seen_media(world, body.get("multiMedias")),
            wants_json=reading.wants_json,
            json_schema=reading.json_schema,
            allows_parallel=reading.allows_parallel,
            forced=reading.forced,
        )
        return _StudioAsked(
            ask,
            True,
            history=history,
            conversation_id=str(body["conversationId"]),
            query=query,
            before=before,
        )

    def refusal(
        self, world: World, status: int, *, streams: bool, directive: Directive = NO_DIRECTIVE
    ) -> Refusal:
        return envelope.scripted_failure(status, directive)

    def moderated(self, made: Made) -> list[bytes]:
        word = made.directive.text("sensitive") or "This topic cannot be discussed."
        frames = _Frames(made)
        frames.opening()
        frames.add("sensitive_query", {"type": None, "content": word, "usage": None})
        frames.add("finish", {"type": None, "content": "[DONE]", "usage": None})
        return frames.built

    def error_frame(self, text: str) -> bytes:
        data = orjson.dumps({"type": None, "content": text, "usage": None})
        return b"id:error\nevent:error\ndata:" + data + b"\n\n"

    def hold_s(self, world: World) -> float:
        return world.options.studio_hold_s

    def whole(self, made: Made) -> bytes:
        raise NotImplementedError("the studio always streams")

    def stream(self, made: Made) -> list[bytes]:
        if made.answer.finish == "content_filter":
            return self.moderated(made)
        frames = _Frames(made)
        frames.opening()
        frames.searching()
        frames.text(_spoken(made))
        if made.usage is not None:
            frames.usage(made.usage, 1.0)
        if "bare_done" in made.directive:
            frames.built.append(b"data:[DONE]\n\n")
        else:
            frames.add("finish", {"type": None, "content": "[DONE]", "usage": None})
        return frames.built


@dataclass(slots=True)
class _StudioAsked(Asked):
    """`before`: what the turn goes on from."""

    conversation_id: str = ""
    query: str = ""
    before: Sequence[Dialog] = ()


def _before(world: World, account: Account, body: Mapping[str, object]) -> Sequence[Dialog]:
    """The turns that this one goes on from. Raises Refusal."""
    previous = body.get("previousDialogueId")
    if previous is not None and not isinstance(previous, str):
        raise envelope.fail(400, message="previousDialogueId must be a string or null")
    found = world.threads.before(account.name, str(body["conversationId"]), previous)
    if found is None and world.options.lost_studio_conversations == "refused":
        raise envelope.fail(200, code=4041, message="conversation not found")
    return found or ()


def _checked(raw: bytes) -> tuple[dict[str, object], str, Mapping[str, object]]:
    """The body, its query and its model configuration, all in order. Raises Refusal 400."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise envelope.fail(400, message="bad JSON") from error
    if not isinstance(body, dict):
        raise envelope.fail(400, message="the body must be an object")
    for name in ("msgId", "conversationId"):
        value = body.get(name)
        if not isinstance(value, str) or not _HEX_ID.fullmatch(value):
            raise envelope.fail(400, message=f"{name} must be 32 hex digits")
    query = body.get("query")
    if not isinstance(query, str) or not query:
        raise envelope.fail(400, message="query is empty")
    config = body.get("modelConfig")
    if not isinstance(config, dict) or not isinstance(config.get("enableThinking"), bool):
        raise envelope.fail(400, message="modelConfig.enableThinking must be a boolean")
    if config.get("webSearchStatus") not in _SEARCH_STATES:
        raise envelope.fail(400, message="modelConfig.webSearchStatus must be disabled, auto or enabled")
    return body, query, config


def _seen_media(world: World, items: object) -> tuple[SeenMedia, ...]:
    if items is None:
        return ()
    if not isinstance(items, list):
        raise envelope.fail(400, message="multiMedias must be an array")
    return tuple(_seen(world, item) for item in items)


def _seen(world: World, item: object) -> SeenMedia:
    """One uploaded object. It must name a file that was uploaded and parsed here."""
    if not isinstance(item, Mapping):
        raise envelope.fail(400, message="multiMedias must hold objects")
    upload = world.uploads.get(str(item.get("fileUrl")))
    if upload is None or not upload.content or item.get("url") != upload.file_id:
        raise envelope.fail(400, code=6001, message="the media was not uploaded or not parsed")
    kind = str(item.get("mediaType"))
    guessed = mimetypes.guess_type(str(item.get("name") or upload.name))[0]
    return SeenMedia(kind, guessed or f"{kind}/*", len(upload.content))


def _spoken(made: Made) -> str:
    """Thinking, text and calls as the one text that this wire has."""
    answer = made.answer
    parts = []
    if answer.reasoning:
        parts.append(f"<think>\0{answer.reasoning}{_think_close(made)}")
    return "".join((*parts, _said(made)))


def _said(made: Made) -> str:
    """Text and calls."""
    answer = made.answer
    parts = [answer.text]
    if answer.calls:
        if answer.text:
            parts.append("\n")
        parts.append(mimoml((call.name, call.values) for call in answer.calls))
    return "".join(parts)


def _think_close(made: Made) -> str:
    """The tag after the thinking: whole, corrupted as it was seen once, or never sent."""
    match made.directive.text("think_close"):
        case "corrupt":
            return "</thinkgt;>\0"
        case "none":
            return ""
        case _:
            return "</think>\0"


class _Frames:
    """Collects the frames of one answer; the id is a running number, as on the real wire."""

    def __init__(self, made: Made) -> None:
        self._made = made
        self._prefix = made.world.next_id()[:8]
        self.built: list[bytes] = []

    def add(self, event: str, data: object) -> None:
        self.built.append(
            b"id:%b-%d\nevent:%b\ndata:%b\n\n"
            % (self._prefix.encode(), len(self.built), event.encode(), orjson.dumps(data))
        )

    def opening(self) -> None:
        """`dialogId` first; then, usually, a bare tool notice that no user should see."""
        digits = str(int(self._made.world.next_id()[:12], 16))
        self._keep(digits)
        self.add("dialogId", {"type": None, "content": digits, "usage": None})
        notice = self._made.directive.text("notice")
        if notice is None:
            notice = self._made.world.options.studio_notice
        if notice:
            self.add("message", {"type": "text", "content": notice})
        if "tips" in self._made.directive:
            self.add("tip_ratio", {"type": None, "content": "0.93", "usage": None})
            self.add("tip_truncate", {"type": None, "content": "The input was truncated.", "usage": None})

    def _keep(self, dialog_id: str) -> None:
        """The next turn may go on from this answer. Its thinking is not kept."""
        made, asked = self._made, self._made.asked
        if isinstance(asked, _StudioAsked):
            dialog = Dialog(dialog_id, asked.query, _said(made))
            made.world.threads.add(made.account.name, asked.conversation_id, asked.before, dialog)

    def searching(self) -> None:
        if "search" not in self._made.directive:
            return
        self.add("doc", {"type": "webSearch", "content": "webSearch", "usage": None})
        self.add("web_search", [{"id": 1, "text": "A page about it"}, {"id": 2, "text": "Another page"}])
        self.add("web_search", {"type": "webSearch", "content": "https://example.com/page"})

    def text(self, text: str) -> None:
        made = self._made
        pieces = made.pieces(text)
        usage = made.usage
        if usage is not None:
            self.usage(usage, 0.0)
        middle = b'\nevent:message\ndata:{"type":"text","content":'
        prefix = b"id:" + self._prefix.encode() + b"-"
        built: dict[str, bytes] = {}
        for index, piece in enumerate(pieces, 1):
            quoted = built.get(piece)
            if quoted is None:
                quoted = built[piece] = middle + orjson.dumps(piece) + b"}\n\n"
            self.built.append(prefix + b"%d" % len(self.built) + quoted)
            if usage is not None and index % _USAGE_EVERY == 0:
                self.usage(usage, index / len(pieces))

    def usage(self, usage: Usage, share: float) -> None:
        """The counts so far: pushed several times, growing, the last one whole."""
        output = round(usage.output_tokens * share)
        reasoning = min(usage.reasoning_tokens, output) if share < 1 else usage.reasoning_tokens
        self.add(
            "usage",
            {
                "promptTokens": usage.input_tokens,
                "completionTokens": output,
                "totalTokens": usage.input_tokens + output,
                "nativeUsage": {
                    "prompt_tokens": usage.input_tokens,
                    "completion_tokens": output,
                    "total_tokens": usage.input_tokens + output,
                    "prompt_tokens_details": sent_details(usage),
                    "completion_tokens_details": {"reasoning_tokens": reasoning},
                },
            },
        )
