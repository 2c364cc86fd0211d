"""Content parts: what each becomes, and which field a mistake names."""

from __future__ import annotations

from typing import Any

import pytest

from service.core.conversation import Media, MediaKind, Text
from service.core.dialects.openai_responses.parts import decode_content
from service.core.errors import InvalidRequest

_URL = "https://example.com/a"


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        pytest.param({"type": "input_text", "text": "a\n"}, Text(text="a\n"), id="text"),
        pytest.param(
            {"type": "output_text", "text": "a", "logprobs": []}, Text(text="a"), id="answered text"
        ),
        pytest.param({"type": "refusal", "refusal": "no"}, Text(text="no"), id="refusal"),
        pytest.param({"type": "text", "text": "a"}, Text(text="a"), id="Chat's text"),
        pytest.param(
            {"type": "input_image", "image_url": _URL, "detail": "high"},
            Media(kind=MediaKind.IMAGE, url=_URL, detail="high"),
            id="image by URL",
        ),
        pytest.param(
            {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "file_id": None},
            Media(kind=MediaKind.IMAGE, data="aGk=", mime_type="image/png"),
            id="image as data",
        ),
        pytest.param(
            {"type": "image_url", "image_url": {"url": "data:;base64,aGk=", "detail": "low"}},
            Media(kind=MediaKind.IMAGE, data="aGk=", detail="low"),
            id="Chat's image, its type unknown",
        ),
        pytest.param(
            {"type": "input_file", "file_data": "aGk=", "filename": "a.pdf"},
            Media(kind=MediaKind.FILE, data="aGk=", filename="a.pdf"),
            id="file as bare base64",
        ),
        pytest.param(
            {"type": "input_file", "file_data": "data:application/pdf;base64,aGk="},
            Media(kind=MediaKind.FILE, data="aGk=", mime_type="application/pdf"),
            id="file as data URL",
        ),
        pytest.param(
            {"type": "input_file", "file_url": _URL}, Media(kind=MediaKind.FILE, url=_URL), id="file by URL"
        ),
        pytest.param(
            {"type": "file", "file": {"file_data": "aGk=", "filename": "a"}},
            Media(kind=MediaKind.FILE, data="aGk=", filename="a"),
            id="Chat's file",
        ),
        pytest.param(
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
            Media(kind=MediaKind.AUDIO, data="aGk=", mime_type="audio/mpeg"),
            id="audio",
        ),
        pytest.param(
            {"type": "input_audio", "input_audio": {"data": "data:audio/flac;base64,aGk="}},
            Media(kind=MediaKind.AUDIO, data="aGk=", mime_type="audio/flac"),
            id="audio as data URL",
        ),
        pytest.param(
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "ogg"}},
            Media(kind=MediaKind.AUDIO, data="aGk=", mime_type="audio/ogg"),
            id="audio of another format",
        ),
        pytest.param(
            {"type": "input_audio", "audio_url": _URL},
            Media(kind=MediaKind.AUDIO, url=_URL),
            id="MiMo's audio",
        ),
        pytest.param(
            {"type": "input_video", "video_url": _URL, "fps": 2, "media_resolution": None},
            Media(kind=MediaKind.VIDEO, url=_URL, options={"fps": 2}),
            id="MiMo's video",
        ),
    ],
)
def test_part(part: dict[str, Any], expected: Text | Media) -> None:
    assert decode_content([part], "input[0].content") == (expected,)


def test_string_is_one_text() -> None:
    assert decode_content("a", "p") == (Text(text="a"),)


def test_nothing_is_no_part() -> None:
    assert decode_content(None, "p") == ()


@pytest.mark.parametrize(
    ("content", "param"),
    [
        pytest.param(7, "p", id="a number"),
        pytest.param(["a"], "p[0]", id="a bare string in the list"),
        pytest.param([{"text": "a"}], "p[0].type", id="no type"),
        pytest.param([{"type": "input_smell"}], "p[0].type", id="unknown type"),
        pytest.param([{"type": "input_text"}], "p[0].text", id="no text"),
        pytest.param([{"type": "input_text", "text": 7}], "p[0].text", id="text is a number"),
        pytest.param(
            [{"type": "input_text", "text": ""}, {"type": "refusal"}], "p[1].refusal", id="second part"
        ),
        pytest.param([{"type": "input_image", "file_id": "f"}], "p[0].file_id", id="an uploaded image"),
        pytest.param([{"type": "input_file", "file_id": "f"}], "p[0].file_id", id="an uploaded file"),
        pytest.param([{"type": "file", "file": {"file_id": "f"}}], "p[0].file.file_id", id="as in Chat"),
        pytest.param([{"type": "input_image"}], "p[0].image_url", id="no image"),
        pytest.param([{"type": "input_image", "image_url": 7}], "p[0].image_url", id="image is a number"),
        pytest.param(
            [{"type": "input_image", "image_url": "ftp://a"}], "p[0].image_url", id="another scheme"
        ),
        pytest.param(
            [{"type": "input_image", "image_url": "data:image/png,x"}], "p[0].image_url", id="no base64"
        ),
        pytest.param([{"type": "input_image", "image_url": "data:;base64,"}], "p[0].image_url", id="no data"),
        pytest.param(
            [{"type": "image_url", "image_url": {}}], "p[0].image_url.url", id="Chat's image, no URL"
        ),
        pytest.param([{"type": "input_file"}], "p[0].file_url", id="no file"),
        pytest.param([{"type": "input_audio"}], "p[0].input_audio", id="no audio"),
        pytest.param(
            [{"type": "input_audio", "input_audio": {}}], "p[0].input_audio.data", id="no audio data"
        ),
        pytest.param([{"type": "input_video"}], "p[0].video_url", id="no video"),
    ],
)
def test_malformed_part_names_its_field(content: object, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decode_content(content, "p")
    assert refused.value.param == param
