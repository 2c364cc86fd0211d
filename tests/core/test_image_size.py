"""The size of a picture, told from the first bytes of its file."""

from __future__ import annotations

import base64

import pytest

from service.core.image_size import image_size

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (640).to_bytes(4, "big") + (480).to_bytes(4, "big")
GIF = b"GIF89a" + (320).to_bytes(2, "little") + (200).to_bytes(2, "little")
THUMBNAIL = b"\xff\xe1" + (6).to_bytes(2, "big") + b"Exif"
FRAME = b"\xff\xc0\x00\x11\x08" + (600).to_bytes(2, "big") + (800).to_bytes(2, "big")
JPEG = b"\xff\xd8" + THUMBNAIL + FRAME


def webp(kind: bytes, body: bytes) -> bytes:
    return b"RIFF\0\0\0\0WEBP" + kind + b"\0\0\0\0" + body.ljust(16, b"\0")


LOSSY = webp(b"VP8 ", b"\0" * 6 + (100).to_bytes(2, "little") + (50).to_bytes(2, "little"))
LOSSLESS = webp(b"VP8L", b"\x2f" + ((99) | (49 << 14)).to_bytes(4, "little"))
EXTENDED = webp(b"VP8X", b"\0" * 4 + (99).to_bytes(3, "little") + (49).to_bytes(3, "little"))


@pytest.mark.parametrize(
    ("head", "size"),
    [
        pytest.param(PNG, (640, 480), id="PNG"),
        pytest.param(GIF, (320, 200), id="GIF"),
        pytest.param(JPEG, (800, 600), id="JPEG, behind a metadata segment"),
        pytest.param(LOSSY, (100, 50), id="WebP, lossy"),
        pytest.param(LOSSLESS, (100, 50), id="WebP, lossless"),
        pytest.param(EXTENDED, (100, 50), id="WebP, extended"),
        pytest.param(webp(b"VP9 ", b""), None, id="WebP of a kind nobody knows"),
        pytest.param(b"\xff\xd8" + THUMBNAIL, None, id="JPEG that ends before its frame"),
        pytest.param(PNG[:20], None, id="PNG that ends before its size"),
        pytest.param(PNG[:16] + bytes(8), None, id="PNG of no width"),
        pytest.param(b"plain text", None, id="no picture"),
        pytest.param(b"", None, id="nothing"),
    ],
)
def test_size_is_told_where_the_file_tells_it(head: bytes, size: tuple[int, int] | None) -> None:
    assert image_size(base64.b64encode(head).decode()) == size


def test_broken_base64_has_no_size() -> None:
    assert image_size("=AAA") is None


def test_only_the_head_of_a_long_file_is_decoded() -> None:
    assert image_size(base64.b64encode(PNG + bytes(1 << 20)).decode()) == (640, 480)
