"""What a fetched body is: its declared type against the kind of media that the client named, and its first
bytes."""

from __future__ import annotations

from collections.abc import Mapping

from service.core.conversation import MediaKind

# Beside `image/…`, `audio/…` and `video/…`: what servers call such bodies, and what is a file of text.
_ALSO: Mapping[MediaKind, tuple[str, ...]] = {
    MediaKind.IMAGE: (),
    MediaKind.AUDIO: ("application/ogg", "video/mp4", "video/webm"),
    MediaKind.VIDEO: ("application/ogg", "application/mp4"),
    MediaKind.FILE: (
        *("text/", "application/json", "application/xml", "application/yaml", "application/x-yaml"),
        *("application/toml", "application/javascript", "application/sql", "application/x-sh"),
        *("application/pdf", "application/x-ndjson", "application/csv"),
    ),
}
# What says nothing: the first bytes decide.
_UNTOLD = ("", "application/octet-stream", "binary/octet-stream", "application/x-download")

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"BM", "image/bmp"),
    (8, b"WAVE", "audio/wav"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftypqt", "video/quicktime"),
    (4, b"ftyp", "video/mp4"),
    (8, b"AVI ", "video/x-msvideo"),
)


def sniffed(head: bytes) -> str | None:
    """The type that the first bytes tell, or None."""
    return next((name for offset, magic, name in _MAGIC if head[offset : offset + len(magic)] == magic), None)


def accepted_type(kind: MediaKind, declared: str, head: bytes) -> str | None:
    """The MIME type to take a fetched body for; None when it is not what the client said it is.

    `declared` is a Content-Type header's value. A body whose server tells nothing is known by its first
    bytes; a file of which nothing is known is taken for text, and read as such later.
    """
    told = declared.partition(";")[0].strip().lower()
    if told in _UNTOLD:
        told = sniffed(head) or ("text/plain" if kind is MediaKind.FILE else "")
    if told.startswith((f"{kind}/", *_ALSO[kind])):
        return told
    return None
