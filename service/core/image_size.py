"""Width and height of a picture, from the first bytes of its file."""

from __future__ import annotations

import base64
import binascii

# A JPEG's size may stand behind a thumbnail in its metadata; 64 KiB is as long as one such segment can be.
_HEAD_BASE64_CHARS = 96 * 1024


def image_size(data_base64: str) -> tuple[int, int] | None:
    """(width, height) in pixels of a PNG, JPEG, GIF or WebP file; None when it cannot be told."""
    head_base64 = data_base64[:_HEAD_BASE64_CHARS]
    try:
        head = base64.b64decode(head_base64[: len(head_base64) // 4 * 4])
    except (binascii.Error, ValueError):
        return None
    size = _size(head)
    return size if size and all(size) else None


def _size(head: bytes) -> tuple[int, int] | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n") and len(head) >= 24:
        return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    if head.startswith((b"GIF87a", b"GIF89a")) and len(head) >= 10:
        return int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
    if head.startswith(b"\xff\xd8"):
        return _jpeg_size(head)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP" and len(head) >= 30:
        return _webp_size(head)
    return None


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    """Segment by segment to the first frame header (C0 to CF, without the three that are none)."""
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        mark, length = head[at + 1], int.from_bytes(head[at + 2 : at + 4], "big")
        if 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(head[at + 7 : at + 9], "big"), int.from_bytes(head[at + 5 : at + 7], "big")
        at += 2 + length
    return None


def _webp_size(head: bytes) -> tuple[int, int] | None:
    match head[12:16]:
        case b"VP8 ":
            sides = (int.from_bytes(head[at : at + 2], "little") & 0x3FFF for at in (26, 28))
            width, height = sides
            return width, height
        case b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
        case _:
            return None
