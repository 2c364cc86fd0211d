"""Media parts, one row a form."""

import pytest

from service.simulator.brain import SeenMedia
from service.simulator.platform.errors import Wrong
from service.simulator.platform.media import seen_base64, seen_media


@pytest.mark.parametrize(
    ("kind", "url", "expected"),
    [
        ("image", "data:image/png;base64,AAAA", SeenMedia("image", "image/png", 3)),
        ("audio", "data:audio/wav;base64,AAAAAA==", SeenMedia("audio", "audio/wav", 4)),
        ("video", "https://example.com/a.mp4", SeenMedia("video", "video/*", None)),
    ],
)
def test_seen(kind, url, expected):
    assert seen_media(kind, url, "part") == expected


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "AAAA",
        "ftp://example.com/x",
        "data:image/png,AAAA",
        "data:audio/wav;base64,AAAA",
        "data:image/svg+xml;base64,AAAA",
        "data:image/png;base64,A",
        "data:image/png;base64,",
    ],
)
def test_refused(url):
    with pytest.raises(Wrong):
        seen_media("image", url, "part")


def test_data_that_is_no_text_is_refused():
    with pytest.raises(Wrong):
        seen_base64("image", "image/png", None, "part")
