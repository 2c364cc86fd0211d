"""Content parts: text, pictures, sound, video and files, by URL and by base64."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.conversation import Media, MediaKind, Text
from service.core.dialects.openai_chat.parts import ALL_PARTS, decode_content, encode_content
from service.core.errors import InvalidRequest

AT = "messages[0].content"


def decode(part: object) -> Text | Media:
    (decoded,) = decode_content([part], AT, ALL_PARTS)
    return decoded


def image(url: object, **fields: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **fields}}


def audio(data: object, **fields: Any) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": data, **fields}}


def video(url: object, **fields: Any) -> dict[str, Any]:
    return {"type": "video_url", "video_url": {"url": url}, **fields}


def file(**fields: Any) -> dict[str, Any]:
    return {"type": "file", "file": fields}


def picture(**fields: Any) -> Media:
    return Media(kind=MediaKind.IMAGE, **fields)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        pytest.param({"type": "text", "text": ""}, Text(text=""), id="an empty text"),
        pytest.param({"type": "refusal", "refusal": "No."}, Text(text="No."), id="a refusal"),
        pytest.param(
            image("https://x.org/a.png?b=c#d"), picture(url="https://x.org/a.png?b=c#d"), id="a URL"
        ),
        pytest.param(image("HTTP://x.org"), picture(url="HTTP://x.org"), id="a scheme in capitals"),
        pytest.param(
            {"type": "image_url", "image_url": "https://x.org/a"},
            picture(url="https://x.org/a"),
            id="a bare URL",
        ),
        pytest.param(
            image("https://x.org/a", detail="low"), picture(url="https://x.org/a", detail="low"), id="detail"
        ),
        pytest.param(
            image("data:image/PNG;base64,aGk="), picture(data="aGk=", mime_type="image/png"), id="a data URL"
        ),
        pytest.param(image("data:;base64,aGk="), picture(data="aGk="), id="a data URL without a type"),
        pytest.param(
            image("data:image/svg+xml;charset=utf-8;base64,aGk="),
            picture(data="aGk=", mime_type="image/svg+xml"),
            id="a data URL with parameters",
        ),
        pytest.param(
            image("data:image/png;base64,aGkh\r\naGk=\n"),
            picture(data="aGkhaGk=", mime_type="image/png"),
            id="base64 in lines",
        ),
        pytest.param(
            audio("aGk=", format="wav"),
            Media(kind=MediaKind.AUDIO, data="aGk=", mime_type="audio/wav"),
            id="sound as OpenAI sends it",
        ),
        pytest.param(
            audio("aGk=", format="MP3"),
            Media(kind=MediaKind.AUDIO, data="aGk=", mime_type="audio/mpeg"),
            id="mp3 has another type name",
        ),
        pytest.param(audio("aGk="), Media(kind=MediaKind.AUDIO, data="aGk="), id="sound without a format"),
        pytest.param(
            audio("data:audio/ogg;base64,aGk=", format="wav"),
            Media(kind=MediaKind.AUDIO, data="aGk=", mime_type="audio/ogg"),
            id="the data URL knows better than the format",
        ),
        pytest.param(
            audio("https://x.org/a.mp3"),
            Media(kind=MediaKind.AUDIO, url="https://x.org/a.mp3"),
            id="MiMo's sound URL",
        ),
        pytest.param(
            video("https://x.org/a.mp4", fps=2, media_resolution="max"),
            Media(
                kind=MediaKind.VIDEO,
                url="https://x.org/a.mp4",
                options={"fps": 2, "media_resolution": "max"},
            ),
            id="MiMo's video",
        ),
        pytest.param(
            {"type": "video_url", "video_url": "data:video/mp4;base64,aGk="},
            Media(kind=MediaKind.VIDEO, data="aGk=", mime_type="video/mp4"),
            id="a video as data",
        ),
        pytest.param(
            file(filename="a.md", file_data="aGk="),
            Media(kind=MediaKind.FILE, data="aGk=", filename="a.md"),
            id="a file as the seed sends it",
        ),
        pytest.param(
            file(file_data="data:application/pdf;base64,aGk="),
            Media(kind=MediaKind.FILE, data="aGk=", mime_type="application/pdf"),
            id="a file as OpenAI's examples send it",
        ),
        pytest.param(
            file(file_data="https://x.org/a.pdf", file_id=None),
            Media(kind=MediaKind.FILE, url="https://x.org/a.pdf"),
            id="a file by URL",
        ),
    ],
)
def test_a_part(part: object, expected: Text | Media) -> None:
    assert decode(part) == expected


@pytest.mark.parametrize(
    ("part", "param", "message"),
    [
        pytest.param({"type": "image_url"}, "image_url", "Missing", id="no picture"),
        pytest.param({"type": "image_url", "image_url": None}, "image_url", "got null", id="a picture null"),
        pytest.param({"type": "image_url", "image_url": {}}, "image_url.url", "Missing", id="no URL"),
        pytest.param(image(5), "image_url.url", "expected a string", id="a URL that is a number"),
        pytest.param(image(""), "image_url.url", "must start with", id="an empty URL"),
        pytest.param(image("ftp://x.org/a"), "image_url.url", "must start with", id="another scheme"),
        pytest.param(image("file:///etc/passwd"), "image_url.url", "must start with", id="a file URL"),
        pytest.param(image("aGk="), "image_url.url", "must start with", id="bare base64 of a picture"),
        pytest.param(image("https://"), "image_url.url", "no host", id="a URL without a host"),
        pytest.param(image("https:///a"), "image_url.url", "no host", id="a URL with a path alone"),
        pytest.param(image("https://x.org/a b"), "image_url.url", "holds blanks", id="a URL with a blank"),
        pytest.param(
            image("https://x.org/a", detail=1), "image_url.detail", "expected a string", id="detail"
        ),
        pytest.param(image("data:image/png,aGk="), "image_url.url", "data URL must look", id="not base64"),
        pytest.param(image("data:image/png;base64"), "image_url.url", "data URL must look", id="no comma"),
        pytest.param(image("data:image;base64,aGk="), "image_url.url", "no valid MIME", id="half a type"),
        pytest.param(
            image(f"data:image/{'x' * 300};base64,aGk="),
            "image_url.url",
            "no valid MIME",
            id="a type without end",
        ),
        pytest.param(
            image("data:text/plain;base64,aGk="), "image_url.url", "expected 'image/", id="not a picture"
        ),
        pytest.param(image("data:image/png;base64,"), "image_url.url", "base64", id="no data"),
        pytest.param(image("data:image/png;base64,aGk"), "image_url.url", "base64", id="padding missing"),
        pytest.param(image("data:image/png;base64,aGk=="), "image_url.url", "base64", id="padding too long"),
        pytest.param(
            image("data:image/png;base64,a==="), "image_url.url", "base64", id="nothing but padding"
        ),
        pytest.param(image("data:image/png;base64,aG=k"), "image_url.url", "base64", id="padding inside"),
        pytest.param(image("data:image/png;base64,aG!="), "image_url.url", "base64", id="not the alphabet"),
        pytest.param(image("data:image/png;base64,aG_-"), "image_url.url", "base64", id="the URL alphabet"),
        pytest.param(image("data:image/png;base64,aGké"), "image_url.url", "base64", id="not ASCII"),
        pytest.param(image("data:image/png;base64,aG k"), "image_url.url", "base64", id="a blank"),
        pytest.param({"type": "input_audio"}, "input_audio", "Missing", id="no sound"),
        pytest.param(audio("not base64", format="wav"), "input_audio.data", "base64", id="bad sound"),
        pytest.param(audio("aGk=", format="a/b"), "input_audio.format", "'mp3'", id="a format that is none"),
        pytest.param(
            audio("aGk=", format=1), "input_audio.format", "expected a string", id="a format number"
        ),
        pytest.param(video("https://x.org/v", fps=0), "fps", "minimum", id="too few frames"),
        pytest.param(video("https://x.org/v", fps="2"), "fps", "decimal number", id="frames as a string"),
        pytest.param(
            video("https://x.org/v", media_resolution=1), "media_resolution", "string", id="resolution"
        ),
        pytest.param(
            {"type": "video_url", "video_url": 1}, "video_url", "expected an object", id="a video number"
        ),
        pytest.param({"type": "file"}, "file", "Missing", id="no file"),
        pytest.param(file(), "file.file_data", "Missing", id="a file without data"),
        pytest.param(file(file_id="file-1"), "file.file_id", "'file_data'", id="a file by id"),
        pytest.param(file(file_data=5), "file.file_data", "expected a string", id="data that is a number"),
        pytest.param(file(file_data="???"), "file.file_data", "base64", id="bad data"),
        pytest.param(
            file(file_data="aGk=", filename=1), "file.filename", "expected a string", id="a name number"
        ),
        pytest.param({"type": "refusal"}, "refusal", "Missing", id="a refusal without words"),
        pytest.param({"type": 5}, "type", "expected a string", id="a type that is a number"),
        pytest.param({"type": ["text"]}, "type", "expected a string", id="a type that is a list"),
    ],
)
def test_a_mistake_names_its_field(part: object, param: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(part)
    assert caught.value.param == f"{AT}[0].{param}"
    assert message in caught.value.message
    assert len(caught.value.message) < 400


@given(st.binary(min_size=1, max_size=60))
def test_all_base64_is_taken(raw: bytes) -> None:
    data = base64.b64encode(raw).decode()
    assert decode(file(file_data=data)) == Media(kind=MediaKind.FILE, data=data)


@pytest.mark.parametrize(
    ("media", "part"),
    [
        pytest.param(
            picture(data="aGk="), image("data:image/png;base64,aGk="), id="a picture of unknown type"
        ),
        pytest.param(
            picture(url="https://x.org", detail="high"), image("https://x.org", detail="high"), id="detail"
        ),
        pytest.param(
            Media(kind=MediaKind.AUDIO, data="aGk=", mime_type="audio/wav"),
            audio("data:audio/wav;base64,aGk="),
            id="sound, in MiMo's form",
        ),
        pytest.param(Media(kind=MediaKind.AUDIO, data="aGk="), audio("aGk="), id="sound of unknown type"),
        pytest.param(
            Media(kind=MediaKind.VIDEO, data="aGk=", options={"fps": 1, "other": 2}),
            video("data:video/mp4;base64,aGk=", fps=1),
            id="video keeps the options that the wire knows",
        ),
        pytest.param(
            Media(kind=MediaKind.FILE, data="aGk=", filename="a"),
            file(filename="a", file_data="aGk="),
            id="a file",
        ),
    ],
)
def test_media_is_encoded(media: Media, part: dict[str, Any]) -> None:
    assert encode_content([media]) == [part]


def test_text_is_encoded_as_a_string_where_it_is_alone() -> None:
    assert encode_content([]) == ""
    assert encode_content([Text(text="a")]) == "a"
    assert encode_content([Text(text="a"), Text(text="b")]) == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b"},
    ]
