"""The content parts of a message or a tool's output: text and media.

Source: openai-python 3.52 response_input_*.py, response_output_text.py; MiMo's audio_url and video_url from
its Responses page; both read 2026-11-20. Chat's part types (`text`, `image_url`, `file`) are taken too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from service.core.conversation import Media, MediaKind, Text
from service.core.dialects.openai_responses.fields import Fields, object_at, refuse
from service.core.json_body import (
    missing,
    optional_string,
    required_string,
    wrong_type,
    wrong_value,
)

_AUDIO_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav"}


def decode_content(value: object, path: str) -> tuple[Text | Media, ...]:
    """A string or a list of parts. An absent content is an empty one: assistant messages may have none."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (Text(text=value),)
    if not isinstance(value, list):
        raise wrong_type(value, path, "one of a string or an array of content parts")
    return tuple(_decode_part(part, f"{path}[{index}]") for index, part in enumerate(value))


def _decode_part(value: object, path: str) -> Text | Media:
    part = object_at(value, path)
    kind = required_string(part, "type", path)
    decode = _PARTS.get(kind)
    if decode is None:
        raise wrong_value(kind, f"{path}.type", _PARTS)
    return decode(part, path)


def _text(part: Fields, path: str) -> Text:
    return Text(text=required_string(part, "text", path))


def _refusal(part: Fields, path: str) -> Text:
    return Text(text=required_string(part, "refusal", path))


def _image(part: Fields, path: str) -> Media:
    _refuse_file_id(part, path)
    detail = optional_string(part, "detail", path)
    value = part.get("image_url")
    url_path = f"{path}.image_url"
    if isinstance(value, dict):  # Chat's form
        detail = optional_string(value, "detail", url_path) or detail
        url_path, value = f"{url_path}.url", value.get("url")
    return _linked(MediaKind.IMAGE, value, url_path, detail=detail)


def _file(part: Fields, path: str) -> Media:
    nested = part.get("file")
    if nested is not None:  # Chat's form
        part, path = object_at(nested, f"{path}.file"), f"{path}.file"
    _refuse_file_id(part, path)
    filename = optional_string(part, "filename", path)
    data = optional_string(part, "file_data", path)
    if data is None:
        return _linked(MediaKind.FILE, part.get("file_url"), f"{path}.file_url", filename=filename)
    if data.startswith("data:"):
        return _linked(MediaKind.FILE, data, f"{path}.file_data", filename=filename)
    return Media(kind=MediaKind.FILE, data=data, filename=filename, at=f"{path}.file_data")


def _audio(part: Fields, path: str) -> Media:
    value = part.get("audio_url")
    if value is not None:
        return _linked(MediaKind.AUDIO, value, f"{path}.audio_url")
    inner_path = f"{path}.input_audio"
    if part.get("input_audio") is None:
        raise missing(inner_path)
    inner = object_at(part["input_audio"], inner_path)
    data = required_string(inner, "data", inner_path)
    if data.startswith(("data:", "https://", "http://")):
        return _linked(MediaKind.AUDIO, data, f"{inner_path}.data")
    form = optional_string(inner, "format", inner_path) or "wav"
    mime_type = _AUDIO_TYPES.get(form, f"audio/{form}")
    return Media(kind=MediaKind.AUDIO, data=data, mime_type=mime_type, at=f"{inner_path}.data")


def _video(part: Fields, path: str) -> Media:
    options = {key: part[key] for key in ("fps", "media_resolution") if part.get(key) is not None}
    return _linked(MediaKind.VIDEO, part.get("video_url"), f"{path}.video_url", options=options)


def _refuse_file_id(part: Fields, path: str) -> None:
    if part.get("file_id") is not None:
        refuse(
            f"{path}.file_id",
            "Uploaded files are not supported: send the content itself, as a URL or as base64 data.",
            code="unsupported_value",
        )


def _linked(
    kind: MediaKind,
    value: object,
    path: str,
    *,
    filename: str | None = None,
    detail: str | None = None,
    options: Mapping[str, object] | None = None,
) -> Media:
    """Media behind a URL: http(s), or a base64 data URL, which becomes `data` and `mime_type`."""
    if value is None:
        raise missing(path)
    if not isinstance(value, str):
        raise wrong_type(value, path, "a string")
    options = options or {}
    if value.startswith(("https://", "http://")):
        return Media(kind=kind, url=value, filename=filename, detail=detail, options=options, at=path)
    header, comma, data = value.partition(",")
    if not (header.startswith("data:") and header.endswith(";base64") and comma and data):
        refuse(path, f"Invalid '{path}': expected an http(s) URL or a base64 data URL.")
    mime_type = header[5:].partition(";")[0] or None
    return Media(
        kind=kind, data=data, mime_type=mime_type, filename=filename, detail=detail, options=options, at=path
    )


_PARTS: Mapping[str, Callable[[Fields, str], Text | Media]] = {
    "input_text": _text,
    "output_text": _text,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
    "input_video": _video,
    "refusal": _refusal,
    "text": _text,
    "summary_text": _text,
    "reasoning_text": _text,
    "image_url": _image,
    "file": _file,
    "video_url": _video,
}
