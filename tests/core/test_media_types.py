"""What a fetched body is taken for."""

from __future__ import annotations

import pytest

from service.core.conversation import MediaKind
from service.core.media_types import accepted_type, sniffed

PNG = b"\x89PNG\r\n\x1a\n\x00\x00"


@pytest.mark.parametrize(
    ("kind", "declared", "head", "taken_for"),
    [
        (MediaKind.IMAGE, "image/png", b"", "image/png"),
        (MediaKind.IMAGE, "Image/JPEG; q=1", b"", "image/jpeg"),
        (MediaKind.IMAGE, "application/octet-stream", PNG, "image/png"),
        (MediaKind.IMAGE, "", PNG, "image/png"),
        (MediaKind.IMAGE, "", b"<html>", None),
        (MediaKind.IMAGE, "text/html", PNG, None),
        (MediaKind.IMAGE, "application/json", b"{}", None),
        (MediaKind.AUDIO, "audio/mpeg", b"", "audio/mpeg"),
        (MediaKind.AUDIO, "application/ogg", b"", "application/ogg"),
        (MediaKind.AUDIO, "image/png", b"", None),
        (MediaKind.VIDEO, "", b"\0\0\0\x18ftypisom", "video/mp4"),
        (MediaKind.FILE, "text/markdown; charset=utf-8", b"", "text/markdown"),
        (MediaKind.FILE, "application/json", b"", "application/json"),
        (MediaKind.FILE, "", b"plain", "text/plain"),
        (MediaKind.FILE, "application/zip", b"PK", None),
        (MediaKind.FILE, "", PNG, None),
    ],
)
def test_a_body_is_what_its_server_or_its_first_bytes_say(
    kind: MediaKind, declared: str, head: bytes, taken_for: str | None
) -> None:
    assert accepted_type(kind, declared, head) == taken_for


def test_unknown_bytes_have_no_type() -> None:
    assert sniffed(b"") is None
    assert sniffed(b"RIFF\0\0\0\0WAVEfmt ") == "audio/wav"
