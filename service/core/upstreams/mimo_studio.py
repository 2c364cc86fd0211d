"""The studio web wire: one flattened prompt in, a stream of typed frames out (mimo-api.md 5).

Not an official API; it drifts, so the decoder is strict about what ends an answer and lenient about the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import orjson

from service.core.conversation import Conversation, Media, MediaKind, Thinking, ToolChoiceMode
from service.core.dialects.openai_chat.errors import says_overflow
from service.core.errors import (
    ContextOverflow,
    GatewayError,
    InvalidRequest,
    UpstreamAccountError,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamUnavailable,
)
from service.core.models import facts_of, is_chat_model
from service.core.notes import Note, NoteKind
from service.core.policy import SESSION_EXPIRED
from service.core.upstreams.repair import (
    in_range,
    left_out,
    media_of,
    with_files_as_text,
    with_media_the_model_reads,
)
from service.core.upstreams.studio_prompt import render_query
from service.core.upstreams.studio_thread import Thread
from service.core.web_search import WEB_SEARCH

CHAT_PATH = "/open-apis/bot/chat"
FAST_CHAT_PATH = "/fastchat/open-apis/bot/chat"
CONFIG_PATH = "/open-apis/bot/config"
PROBE_PATH = "/open-apis/user/mi/get"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudioRequest:
    """What to POST. `path` has no query yet; `media` is what must be uploaded first, in prompt order."""

    path: str
    body: dict[str, object]
    media: tuple[Media, ...] = ()
    notes: tuple[str, ...] = ()


def encode_request(
    conversation: Conversation,
    *,
    message_id: str,
    conversation_id: str,
    offers_tools: bool = True,
    thread: Thread | None = None,
) -> StudioRequest:
    """The conversation (its model already resolved) as a studio chat. Both ids are 32 hexadecimal digits.

    `multiMedias` stays empty here; `with_media` puts the uploaded objects in. `thread`: the studio holds what
    came before the conversation's turns, under that `conversation_id`. Raises InvalidRequest.
    """
    facts = facts_of(conversation.model)
    notes: list[str] = []
    conversation = with_media_the_model_reads(with_files_as_text(conversation), facts, notes)
    sampling = in_range(conversation.sampling, facts, notes)
    model_config: dict[str, object] = {
        "model": conversation.model,
        "enableThinking": conversation.thinking is not Thinking.DISABLED,
        "webSearchStatus": _web_search_status(conversation),
    }
    if sampling.temperature is not None:
        model_config["temperature"] = sampling.temperature
    if sampling.top_p is not None:
        model_config["topP"] = sampling.top_p
    body: dict[str, object] = {
        "msgId": message_id,
        "conversationId": conversation_id,
        "query": render_query(conversation, offers_tools=offers_tools, goes_on=thread is not None),
        "isEditedQuery": False,
        "modelConfig": model_config,
        "multiMedias": [],
    }
    if thread is not None:
        body["previousDialogueId"] = thread.dialog_id  # this links turns, not the conversation's id alone
    return StudioRequest(
        path=FAST_CHAT_PATH if facts.is_fast_in_studio else CHAT_PATH,
        body=body,
        media=tuple(media for turn in conversation.turns for media in media_of(turn)),
        notes=(*notes, *_notes(conversation, offers_tools)),
    )


def with_media(request: StudioRequest, objects: Sequence[Mapping[str, object]]) -> bytes:
    """The request's body with the uploaded media in it."""
    return orjson.dumps({**request.body, "multiMedias": list(objects)})


def _web_search_status(conversation: Conversation) -> str:
    """The studio searches by itself when asked to; `force_search` is MiMo's word for always."""
    web_search = conversation.extra.get(WEB_SEARCH)
    if not isinstance(web_search, Mapping) or conversation.tool_choice.mode is ToolChoiceMode.NONE:
        return "disabled"
    return "enabled" if web_search.get("force_search") is True else "auto"


def _notes(conversation: Conversation, offers_tools: bool) -> list[str]:
    notes: list[str] = []
    sampling = conversation.sampling
    if sampling.max_output_tokens is not None:
        notes.append(
            Note("the studio wire has no output limit; max_tokens was left out", NoteKind.FIELD_DROPPED)
        )
    if sampling.frequency_penalty is not None or sampling.presence_penalty is not None:
        notes.append(Note("the studio wire has no penalties; they were left out", NoteKind.FIELD_DROPPED))
    if conversation.tools and not offers_tools:
        notes.append(
            Note("tools are switched off on studio accounts (tools.mode: off)", NoteKind.TOOL_DROPPED)
        )
    if _web_search_status(conversation) != "disabled":
        said = "the studio searches by itself: how much and where is not told, and sources may lack addresses"
        notes.append(Note(said, NoteKind.FIELD_DROPPED))
    return notes + left_out(conversation.extra)


# --- answers that are no stream -----------------------------------------------------------------------------


def decode_error(status: int, body: bytes, *, retry_after_s: float | None = None) -> GatewayError:
    """An answer that is no stream as our error (mimo-api.md 5.2). The body may be JSON, HTML or nothing.

    What concerns the account is told to the operator by class, not to the client by text. A 200 may hold an
    error: its `code` is an HTTP status at times, a number of the studio's own at others."""
    obj = _json_object(body)
    data, code = obj.get("data"), obj.get("code")
    if status in (302, 401) or "loginUrl" in obj or (isinstance(data, dict) and "loginUrl" in data):
        return UpstreamAccountError(
            "The studio session has ended; log out and in again.", status=401, code=SESSION_EXPIRED
        )
    message = str(obj.get("msg") or obj.get("message") or "")[:300]
    if status >= 400:
        return _status_error(status, message, retry_after_s)
    if code in (None, 0, 200):
        return UpstreamProtocolError("The studio answered with something that is no stream.", status=status)
    if str(code).isdecimal() and 400 <= int(str(code)[:4]) < 600:
        return decode_error(int(str(code)), orjson.dumps({"msg": message}), retry_after_s=retry_after_s)
    return UpstreamUnavailable(f"The studio answered with error {str(code)[:32]}: {message}", status=200)


_BUSY = "The studio account that the gateway calls MiMo with is busy; this is not a limit of your API key."


def _status_error(status: int, message: str, retry_after_s: float | None) -> GatewayError:
    if status in (403, 451, 461):
        return UpstreamAccountError("The studio account is restricted.", status=status)
    if status == 429:
        return UpstreamRateLimited(_BUSY, status=status, retry_after_s=retry_after_s)
    if status >= 500:
        return UpstreamUnavailable(
            f"The studio answered {status}.", status=status, retry_after_s=retry_after_s
        )
    if says_overflow(message):
        return ContextOverflow(f"The conversation does not fit the model's context window: {message}")
    return UpstreamRefused(f"The studio refused the request: {message or status}", status=status)


def _json_object(body: bytes) -> dict[str, object]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def decode_data(body: bytes) -> dict[str, object]:
    """The `data` object of a JSON endpoint's envelope; {} when it is empty. Raises the envelope's error."""
    obj = _json_object(body)
    if not obj or obj.get("code") not in (0, 200):
        raise decode_error(200, body)
    data = obj.get("data")
    return data if isinstance(data, dict) else {}


def decode_models(body: bytes) -> list[str]:
    """The chat models of `GET /open-apis/bot/config`. A retired entry (`redirectTo`) is left out."""
    data = decode_data(body)
    entries = data.get("modelConfigListNg") or data.get("modelConfigList")
    if not isinstance(entries, list):
        raise UpstreamProtocolError("The studio's model list could not be read.")
    chat = [
        entry
        for entry in entries
        if isinstance(entry, dict) and entry.get("pageType", "chat") == "chat" and not entry.get("redirectTo")
    ]
    ids = [entry.get("model") or entry.get("name") for entry in chat]
    return [model for model in ids if isinstance(model, str) and is_chat_model(model)]


def decode_session(body: bytes) -> None:
    """The answer of the session check. Raises UpstreamAccountError when the session ended or is
    restricted."""
    status = decode_data(body).get("bannedStatus")
    if status not in (None, "NOT_BANNED"):
        raise UpstreamAccountError(
            "The studio account is restricted.", status=461 if status == "PERMANENT" else 451
        )


# --- media upload: three steps ------------------------------------------------------------------------------

_EXTENSIONS = {"jpeg": "jpg", "mpeg": "mp3", "x-wav": "wav", "quicktime": "mov", "svg+xml": "svg"}


def media_filename(media: Media, position: int) -> str:
    """The file's own name, or one made of its kind and type: `image-1.png`."""
    if media.filename:
        return media.filename
    subtype = (media.mime_type or "").partition(";")[0].partition("/")[2].strip()
    return f"{media.kind}-{position}.{_EXTENSIONS.get(subtype, subtype) or 'bin'}"


def parse_path(resource_url: str, object_name: str, model: str) -> str:
    """The third step's path and query, without the session's parameter."""
    return (
        f"/open-apis/resource/parse?fileUrl={quote(resource_url, safe='')}"
        f"&objectName={quote(object_name, safe='')}&model={quote(model, safe='')}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadTarget:
    """Where step one says the bytes go."""

    upload_url: str
    resource_url: str
    object_name: str


def decode_upload_info(body: bytes) -> UploadTarget:
    """Step one's answer. Raises UpstreamProtocolError."""
    data = decode_data(body)
    urls = [data.get(name) for name in ("uploadUrl", "resourceUrl", "objectName")]
    if not all(isinstance(url, str) and url for url in urls):
        raise UpstreamProtocolError("The studio's upload answer could not be read.")
    return UploadTarget(upload_url=str(urls[0]), resource_url=str(urls[1]), object_name=str(urls[2]))


EMPTY_FILE_CODE = 6002


def decode_parse(body: bytes) -> tuple[str, int] | None:
    """Step three's answer: the media's id and its tokens; None while the studio still works on it.

    Raises InvalidRequest for an empty file, the envelope's error for any other."""
    if _json_object(body).get("code") == EMPTY_FILE_CODE:
        raise InvalidRequest("The uploaded file is empty.", param="messages")
    data = decode_data(body)
    media_id, tokens = data.get("id"), data.get("tokenUsage")
    if not media_id:
        return None
    return str(media_id), tokens if isinstance(tokens, int) else 0


def media_object(
    media: Media, target: UploadTarget, *, name: str, size_bytes: int, media_id: str, tokens: int
) -> dict[str, object]:
    """What stands in `multiMedias` for an uploaded file."""
    return {
        "mediaType": str(media.kind),
        "fileUrl": target.resource_url,
        "compressedVideoUrl": "",
        "audioTrackUrl": target.resource_url if media.kind is MediaKind.AUDIO else "",
        "name": name,
        "size": size_bytes,
        "status": "completed",
        "objectName": target.object_name,
        "tokenUsage": tokens,
        "url": media_id,
    }
