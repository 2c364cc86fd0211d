"""Content of a message: a string or a list of typed parts <-> Text and Media.

Shapes: `text`, `refusal`, `image_url` (string or object; `detail`), `input_audio` (`data`, `format`),
`video_url` (`fps` and `media_resolution` beside it), `file` (`filename`, `file_data`). Media is an http(s)
URL, a base64 data URL, or bare base64 where the wire has a place for its type. Sources: openai-python 3.52
types/chat, and mimo-api.md 1.4 (MiMo's video, and URLs in `input_audio.data`), read 2026-11-20.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from service.core.conversation import Media, MediaKind, Text
from service.core.errors import InvalidRequest
from service.core.json_body import (
    missing,
    optional_number,
    optional_string,
    required_object,
    required_string,
    wrong_type,
    wrong_value,
)

TEXT_PARTS: Collection[str] = ("text",)
ASSISTANT_PARTS: Collection[str] = ("text", "refusal")
ALL_PARTS: Collection[str] = ("text", "image_url", "input_audio", "video_url", "file", "refusal")

_HTTP_URL = re.compile(r"https?://[^\s/?#]+\S*", re.IGNORECASE)
_DATA_URL = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),", re.IGNORECASE)
_MIME_TYPE = re.compile(r"[A-Za-z0-9][\w.+-]*/[A-Za-z0-9][\w.+-]*")
_BASE64_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_AUDIO_FORMAT = re.compile(r"[A-Za-z0-9.+-]{1,32}")
_AUDIO_TYPE_BY_FORMAT: Mapping[str, str] = {"mp3": "audio/mpeg", "m4a": "audio/mp4"}
_MAX_MIME_LENGTH = 255


def decode_content(content: object, at: str, known: Collection[str]) -> tuple[Text | Media, ...]:
    """`content` (not null) as parts; an empty string is no part. `known` are the types of parts allowed here.

    Raises InvalidRequest naming the part or its field, as `messages[0].content[1].image_url.url`.
    """
    if type(content) is str:
        return (Text(text=content),) if content else ()
    if type(content) is not list:
        raise wrong_type(content, at, "one of a string or array of objects")
    return tuple(_decode_part(part, f"{at}[{index}]", known) for index, part in enumerate(content))


def encode_content(parts: Iterable[Text | Media]) -> str | list[dict[str, object]]:
    """One text as a string, no part as "", anything else as a list of parts."""
    listed = list(parts)
    if not listed:
        return ""
    if len(listed) == 1 and isinstance(listed[0], Text):
        return listed[0].text
    return [_encode_part(part) for part in listed]


def _decode_part(part: object, at: str, known: Collection[str]) -> Text | Media:
    if type(part) is not dict:
        raise wrong_type(part, at, "an object")
    kind = part.get("type")
    if kind == "text":
        return Text(text=required_string(part, "text", at))
    if type(kind) is not str:
        required_string(part, "type", at)
    if kind not in known:
        raise wrong_value(kind, f"{at}.type", known)
    return _DECODERS[str(kind)](part, at)


def _decode_refusal(part: Mapping[str, object], at: str) -> Text:
    return Text(text=required_string(part, "refusal", at))


def _decode_image(part: Mapping[str, object], at: str) -> Media:
    source, where = _url_object(part, "image_url", at)
    media = _media(MediaKind.IMAGE, required_string(source, "url", where), f"{where}.url")
    detail = optional_string(source, "detail", where)
    return replace(media, detail=detail) if detail is not None else media


def _decode_video(part: Mapping[str, object], at: str) -> Media:
    source, where = _url_object(part, "video_url", at)
    media = _media(MediaKind.VIDEO, required_string(source, "url", where), f"{where}.url")
    hints = {
        "fps": optional_number(part, "fps", at, minimum=0.1, maximum=10),
        "media_resolution": optional_string(part, "media_resolution", at),
    }
    return replace(media, options={key: hint for key, hint in hints.items() if hint is not None})


def _url_object(part: Mapping[str, object], key: str, at: str) -> tuple[Mapping[str, object], str]:
    """`{"url": …}` or, as older clients send it, the URL itself; and the path of that object."""
    value = part.get(key)
    if type(value) is str:
        return {"url": value}, f"{at}.{key}"
    return required_object(part, key, at), f"{at}.{key}"


def _decode_audio(part: Mapping[str, object], at: str) -> Media:
    source, where = required_object(part, "input_audio", at), f"{at}.input_audio"
    media = _media_or_base64(MediaKind.AUDIO, required_string(source, "data", where), f"{where}.data")
    audio_format = optional_string(source, "format", where)
    if audio_format is None or media.mime_type is not None:
        return media
    if not _AUDIO_FORMAT.fullmatch(audio_format):
        raise wrong_value(audio_format, f"{where}.format", ("wav", "mp3", "flac", "m4a", "ogg"))
    word = audio_format.lower()
    return replace(media, mime_type=_AUDIO_TYPE_BY_FORMAT.get(word, f"audio/{word}"))


def _decode_file(part: Mapping[str, object], at: str) -> Media:
    source, where = required_object(part, "file", at), f"{at}.file"
    if source.get("file_data") is None:
        if source.get("file_id") is not None:
            raise InvalidRequest(
                "Files cannot be given by 'file_id' here; send the file itself, base64 encoded, in "
                "'file_data'.",
                param=f"{where}.file_id",
                code="unsupported_parameter",
            )
        raise missing(f"{where}.file_data")
    media = _media_or_base64(
        MediaKind.FILE, required_string(source, "file_data", where), f"{where}.file_data"
    )
    return replace(media, filename=optional_string(source, "filename", where))


_DECODERS: Mapping[str, Callable[[Mapping[str, object], str], Text | Media]] = {
    "refusal": _decode_refusal,
    "image_url": _decode_image,
    "input_audio": _decode_audio,
    "video_url": _decode_video,
    "file": _decode_file,
}


# --- URLs and base64 ----------------------------------------------------------------------------------------


def _media(kind: MediaKind, source: str, param: str) -> Media:
    """`source` is an http(s) URL or a base64 data URL."""
    media = _linked(kind, source, param)
    if media is None:
        raise _bad_url(param, "it must start with 'https://', 'http://' or 'data:'")
    return media


def _media_or_base64(kind: MediaKind, source: str, param: str) -> Media:
    """`source` is an http(s) URL, a base64 data URL or base64 alone."""
    return _linked(kind, source, param) or Media(kind=kind, data=_checked_base64(source, param), at=param)


def _linked(kind: MediaKind, source: str, param: str) -> Media | None:
    """None when `source` does not begin like a URL."""
    if source[:5].lower() == "data:":
        mime_type, data = _split_data_url(kind, source, param)
        return Media(kind=kind, data=data, mime_type=mime_type, at=param)
    if not source[:8].lower().startswith(("http://", "https://")):
        return None
    if not _HTTP_URL.fullmatch(source):
        raise _bad_url(param, "the URL has no host or holds blanks")
    return Media(kind=kind, url=source, at=param)


def _split_data_url(kind: MediaKind, source: str, param: str) -> tuple[str | None, str]:
    """The type (None where the URL names none) and the checked base64 of `data:<type>;base64,<data>`."""
    found = _DATA_URL.match(source)
    if not found or not found[2].lower().endswith(";base64"):
        raise _bad_url(param, "a data URL must look like 'data:<type>;base64,<data>'")
    mime_type = found[1].lower() or None
    if mime_type and (len(mime_type) > _MAX_MIME_LENGTH or not _MIME_TYPE.fullmatch(mime_type)):
        raise _bad_url(param, "the data URL names no valid MIME type")
    if mime_type and kind is not MediaKind.FILE and not mime_type.startswith(f"{kind}/"):
        raise _bad_url(param, f"the data URL's type is '{mime_type}', expected '{kind}/…'")
    return mime_type, _checked_base64(source[found.end() :], param)


def _checked_base64(data: str, param: str) -> str:
    """Standard base64 with its padding, not empty; line breaks are taken out. One pass in C."""
    if "\n" in data:
        data = data.replace("\r", "").replace("\n", "")
    if data and data.isascii() and len(data) % 4 == 0:
        rest = data.encode().translate(None, _BASE64_ALPHABET)
        if not rest or (rest in (b"=", b"==") and data.endswith(rest.decode())):
            return data
    raise InvalidRequest(
        f"Invalid base64 data in '{param}': expected standard base64 (RFC 4648) with its padding.",
        param=param,
        code="invalid_base64",
    )


def _bad_url(param: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid '{param}': {reason}.", param=param, code="invalid_url")


# --- client role --------------------------------------------------------------------------------------------


def _encode_part(part: Text | Media) -> dict[str, object]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if part.kind is MediaKind.IMAGE:
        image: dict[str, object] = {"url": _source(part, "image/png")}
        if part.detail is not None:
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}
    if part.kind is MediaKind.AUDIO:
        # MiMo's form: a URL or a data URL in `data`, no `format` (mimo-api.md 1.4).
        return {"type": "input_audio", "input_audio": {"data": _source(part, None)}}
    if part.kind is MediaKind.VIDEO:
        options = {key: part.options[key] for key in ("fps", "media_resolution") if key in part.options}
        return {"type": "video_url", "video_url": {"url": _source(part, "video/mp4")}, **options}
    file: dict[str, object] = {} if part.filename is None else {"filename": part.filename}
    file["file_data"] = _source(part, None)
    return {"type": "file", "file": file}


def _source(media: Media, default_type: str | None) -> str:
    """The URL, or the data as a data URL; data of unknown type stays bare when there is no default."""
    if media.url is not None:
        return media.url
    mime_type = media.mime_type or default_type
    return f"data:{mime_type};base64,{media.data}" if mime_type else str(media.data)
