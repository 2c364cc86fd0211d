"""What each content block becomes, and what is refused with which field's name."""

from __future__ import annotations

import orjson
import pytest

from service.core.conversation import (
    Media,
    MediaKind,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from service.core.dialects.anthropic_messages.blocks import decoded_parts, encoded_part, input_of
from service.core.dialects.anthropic_messages.reading import Reading
from service.core.errors import InvalidRequest

PNG = {"type": "base64", "media_type": "image/png", "data": "aGk="}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "aGk="}
WEB = {"type": "url", "url": "https://example.com/a"}


def image(**more: object) -> dict[str, object]:
    return {"type": "image", "source": PNG, **more}


def decoded(block: object, role: Role = Role.USER) -> list[Part]:
    return decoded_parts([block], "content", role, Reading())


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        pytest.param({"type": "text", "text": "hi"}, Text(text="hi"), id="text"),
        pytest.param(
            {
                "type": "text",
                "text": "hi",
                "cache_control": {"type": "ephemeral", "ttl": "1h"},
                "citations": None,
            },
            Text(text="hi"),
            id="cache_control and citations are ignored",
        ),
        pytest.param({"type": "text", "text": ""}, Text(text=""), id="empty text stays"),
        pytest.param(
            image(), Media(kind=MediaKind.IMAGE, data="aGk=", mime_type="image/png"), id="image as base64"
        ),
        pytest.param(
            {"type": "image", "source": WEB},
            Media(kind=MediaKind.IMAGE, url="https://example.com/a"),
            id="image by URL",
        ),
        pytest.param(
            {"type": "audio", "source": {"type": "base64", "media_type": "audio/wav", "data": "AA=="}},
            Media(kind=MediaKind.AUDIO, data="AA==", mime_type="audio/wav"),
            id="MiMo's audio",
        ),
        pytest.param(
            {"type": "video", "source": {**WEB, "fps": 2, "media_resolution": "low"}},
            Media(
                kind=MediaKind.VIDEO,
                url="https://example.com/a",
                options={"fps": 2, "media_resolution": "low"},
            ),
            id="MiMo's video with its options",
        ),
        pytest.param(
            {"type": "document", "source": PDF, "title": "a.pdf", "context": "for later"},
            Media(
                kind=MediaKind.FILE,
                data="aGk=",
                mime_type="application/pdf",
                filename="a.pdf",
                options={"context": "for later"},
            ),
            id="PDF",
        ),
        pytest.param(
            {"type": "document", "source": WEB},
            Media(kind=MediaKind.FILE, url="https://example.com/a"),
            id="document by URL",
        ),
        pytest.param(
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "body"},
                "title": "T",
                "context": "C",
            },
            Text(text="<document>\n<title>T</title>\n<context>C</context>\nbody\n</document>\n"),
            id="document as text",
        ),
        pytest.param(
            {"type": "document", "source": {"type": "content", "content": "body"}},
            Text(text="<document>\nbody\n</document>\n"),
            id="document as one string of content",
        ),
        pytest.param(
            {
                "type": "search_result",
                "source": "https://e.com",
                "title": "T",
                "content": [{"type": "text", "text": "found"}],
            },
            Text(
                text="<search_result>\n<title>T</title>\n<source>https://e.com</source>\nfound\n</search_result>\n"
            ),
            id="search result",
        ),
        pytest.param(
            {"type": "tool_reference", "tool_name": "WebSearch"},
            Text(text="Tool WebSearch is available.\n"),
            id="tool reference",
        ),
        pytest.param(
            {"type": "compaction", "content": "so far"},
            Text(text="<summary>\nso far\n</summary>\n"),
            id="compaction",
        ),
        pytest.param(
            {
                "type": "browser_state",
                "tabs": [{"tab_id": "1", "title": "News", "url": "https://n", "active": True}],
            },
            Text(text="<browser_state>\nNews\nhttps://n\n</browser_state>\n"),
            id="browser state",
        ),
    ],
)
def test_shown_block_becomes(block: object, expected: Part) -> None:
    assert decoded(block) == [expected]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        pytest.param(
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            Reasoning(text="hm", signature="sig"),
            id="thinking with any vendor's signature",
        ),
        pytest.param(
            {"type": "thinking", "thinking": "hm"}, Reasoning(text="hm"), id="thinking without a signature"
        ),
        pytest.param(
            {"type": "thinking", "thinking": "", "signature": ""},
            Reasoning(text=""),
            id="thinking that was omitted",
        ),
        pytest.param(
            {"type": "redacted_thinking", "data": "blob"},
            Reasoning(text="", signature="blob", is_redacted=True),
            id="redacted thinking",
        ),
        pytest.param(
            {"type": "tool_use", "id": "toolu_1", "name": "Write", "input": {"text": "a\n\t<b> & \\\n"}},
            ToolCall(call_id="toolu_1", name="Write", arguments='{"text":"a\\n\\t<b> & \\\\\\n"}'),
            id="call, exact to the last newline",
        ),
        pytest.param(
            {
                "type": "tool_use",
                "id": "toolu_1",
                "name": "tool_call",
                "input": None,
                "caller": {"type": "direct"},
            },
            ToolCall(call_id="toolu_1", name="tool_call", arguments="{}"),
            id="call of a tool named tool_call, without input",
        ),
    ],
)
def test_said_block_becomes(block: object, expected: Part) -> None:
    assert decoded(block, Role.ASSISTANT) == [expected]


@pytest.mark.parametrize(
    ("fields", "parts", "is_error"),
    [
        pytest.param({"content": "done"}, (Text(text="done"),), None, id="a string"),
        pytest.param({"content": ""}, (Text(text=""),), None, id="an empty string"),
        pytest.param({"content": "bad", "is_error": True}, (Text(text="bad"),), True, id="an error"),
        pytest.param({"content": "ok", "is_error": False}, (Text(text="ok"),), False, id="no error, said so"),
        pytest.param({}, (), None, id="nothing"),
        pytest.param({"content": None}, (), None, id="null"),
        pytest.param(
            {"content": [{"type": "text", "text": "see"}, image()]},
            (Text(text="see"), Media(kind=MediaKind.IMAGE, data="aGk=", mime_type="image/png")),
            None,
            id="text and an image",
        ),
        pytest.param(
            {"content": [{"type": "document", "source": PDF}]},
            (Media(kind=MediaKind.FILE, data="aGk=", mime_type="application/pdf"),),
            None,
            id="a PDF",
        ),
        pytest.param(
            {"content": [{"type": "tool_reference", "tool_name": name} for name in ("A", "B")]},
            (Text(text="Tool A is available.\n"), Text(text="Tool B is available.\n")),
            None,
            id="found tools",
        ),
    ],
)
def test_tool_result_holds(
    fields: dict[str, object], parts: tuple[Text | Media, ...], is_error: bool | None
) -> None:
    block = {
        "type": "tool_result",
        "tool_use_id": "toolu_1",
        "cache_control": {"type": "ephemeral"},
        **fields,
    }
    assert decoded(block) == [ToolResult(call_id="toolu_1", parts=parts, is_error=is_error)]


def test_document_content_keeps_images_between_its_marks() -> None:
    source = {
        "type": "content",
        "content": [{"type": "text", "text": "see "}, image(), {"type": "text", "text": "!"}],
    }
    assert decoded({"type": "document", "source": source}) == [
        Text(text="<document>\nsee "),
        Media(kind=MediaKind.IMAGE, data="aGk=", mime_type="image/png"),
        Text(text="!\n</document>\n"),
    ]


SEARCH = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": [
        {
            "type": "web_search_result",
            "title": "T",
            "url": "https://e.com",
            "encrypted_content": "xx",
            "page_age": "",
        }
    ],
}
FETCH = {
    "type": "web_fetch_tool_result",
    "tool_use_id": "srvtoolu_2",
    "content": {
        "type": "web_fetch_result",
        "url": "https://e.com",
        "content": {"type": "document", "title": "", "source": {"type": "text", "data": "page"}},
    },
}
CODE = {
    "type": "bash_code_execution_tool_result",
    "tool_use_id": "srvtoolu_3",
    "content": {"type": "bash_code_execution_result", "stdout": "out", "stderr": "", "return_code": 0},
}
PDF_FETCH = {"type": "web_fetch_tool_result", "content": {"content": {"source": PDF}}}


@pytest.mark.parametrize(
    ("block", "text", "note"),
    [
        pytest.param(FETCH, "https://e.com\npage", "block-as-text:web_fetch_tool_result", id="web fetch"),
        pytest.param(CODE, "out", "block-as-text:bash_code_execution_tool_result", id="code execution"),
        pytest.param(
            {"type": "mcp_tool_result", "tool_use_id": "x", "content": [{"type": "text", "text": "hi"}]},
            "hi",
            "block-as-text:mcp_tool_result",
            id="MCP",
        ),
        pytest.param(PDF_FETCH, None, "block-as-text:web_fetch_tool_result", id="nothing readable"),
        pytest.param(
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_fetch", "input": {"url": "u"}},
            None,
            "block-dropped:server_tool_use",
            id="a call of a server tool",
        ),
        pytest.param({"type": "fallback"}, None, "block-dropped:fallback", id="fall-back mark"),
    ],
)
def test_history_of_server_tools_is_tolerated_and_noted(
    block: dict[str, object], text: str | None, note: str
) -> None:
    reading = Reading()
    parts = decoded_parts([block], "content", Role.ASSISTANT, reading)
    marked = [] if text is None else [Text(text=f"<{block['type']}>\n{text}\n</{block['type']}>\n")]
    assert (parts, reading.notes) == (marked, (note,))


def test_failed_compaction_says_nothing() -> None:
    assert decoded({"type": "compaction", "content": None}) == []


def test_endless_nesting_in_a_server_tool_result_ends() -> None:
    content: object = "deep"
    for _ in range(50):
        content = {"content": content}
    assert decoded({"type": "x_tool_result", "content": content}) == []


@pytest.mark.parametrize(
    ("content", "role", "param"),
    [
        pytest.param(None, Role.USER, "content", id="no content"),
        pytest.param(7, Role.USER, "content", id="content of a wrong type"),
        pytest.param(["hi"], Role.USER, "content.0", id="a bare string in the list"),
        pytest.param([{"text": "hi"}], Role.USER, "content.0.type", id="no type"),
        pytest.param([{"type": "text"}], Role.USER, "content.0.text", id="text without text"),
        pytest.param([{"type": "text", "text": 1}], Role.USER, "content.0.text", id="text that is a number"),
        pytest.param([{"type": "hologram"}], Role.USER, "content.0.type", id="unknown type"),
        pytest.param(
            [{"type": "container_upload", "file_id": "f"}], Role.USER, "content.0.type", id="upload"
        ),
        pytest.param([{"type": "image"}], Role.USER, "content.0.source", id="image without source"),
        pytest.param(
            [{"type": "image", "source": {"type": "file", "file_id": "f"}}],
            Role.USER,
            "content.0.source.type",
            id="image by file id",
        ),
        pytest.param(
            [{"type": "image", "source": {"type": "base64", "media_type": "image/png"}}],
            Role.USER,
            "content.0.source.data",
            id="base64 without data",
        ),
        pytest.param(
            [{"type": "image", "source": {"type": "url", "url": ""}}],
            Role.USER,
            "content.0.source.url",
            id="empty URL",
        ),
        pytest.param(
            [{"type": "document", "source": {"type": "content", "content": [{"type": "document"}]}}],
            Role.USER,
            "content.0.source.content.0.type",
            id="document in a document",
        ),
        pytest.param(
            [{"type": "thinking", "thinking": "x"}], Role.USER, "content.0", id="thinking of a user"
        ),
        pytest.param([{"type": "tool_use"}], Role.SYSTEM, "content.0", id="call in a system message"),
        pytest.param([{"type": "tool_result"}], Role.ASSISTANT, "content.0", id="result of an assistant"),
        pytest.param([{"type": "tool_result"}], Role.USER, "content.0.tool_use_id", id="result of no call"),
        pytest.param(
            [{"type": "tool_result", "tool_use_id": "t", "is_error": "no"}],
            Role.USER,
            "content.0.is_error",
            id="is_error that is a string",
        ),
        pytest.param(
            [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "tool_use"}]}],
            Role.USER,
            "content.0.content.0.type",
            id="call in a result",
        ),
        pytest.param(
            [{"type": "tool_use", "id": "t", "name": "n", "input": "{}"}],
            Role.ASSISTANT,
            "content.0.input",
            id="input that is a string",
        ),
        pytest.param(
            [{"type": "tool_use", "id": "t"}], Role.ASSISTANT, "content.0.name", id="call without name"
        ),
    ],
)
def test_refused_content_is_named(content: object, role: Role, param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        decoded_parts(content, "content", role, Reading())
    assert raised.value.param == param


# --- the client role ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param('{"a": 1}', {"a": 1}, id="an object"),
        pytest.param("", {}, id="nothing"),
        pytest.param(" \n", {}, id="blank"),
        pytest.param('{"a": ', {"INVALID_JSON": '{"a": '}, id="broken JSON"),
        pytest.param("[1]", {"INVALID_JSON": "[1]"}, id="no object"),
    ],
)
def test_input_of_arguments(arguments: str, expected: dict[str, object]) -> None:
    assert input_of(arguments) == expected


@pytest.mark.parametrize(
    ("kind", "block_type", "mime_type"),
    [
        (MediaKind.IMAGE, "image", "image/png"),
        (MediaKind.AUDIO, "audio", "audio/wav"),
        (MediaKind.VIDEO, "video", "video/mp4"),
        (MediaKind.FILE, "document", "application/pdf"),
    ],
)
def test_media_without_a_type_gets_the_common_one(kind: MediaKind, block_type: str, mime_type: str) -> None:
    block = encoded_part(Media(kind=kind, data="AA=="))
    assert block == {
        "type": block_type,
        "source": {"type": "base64", "media_type": mime_type, "data": "AA=="},
    }


@pytest.mark.parametrize(
    "part",
    [
        Media(
            kind=MediaKind.FILE,
            data="AA==",
            mime_type="application/pdf",
            filename="a",
            options={"context": "c"},
        ),
        Media(kind=MediaKind.VIDEO, url="https://e.com", options={"fps": 2}),
        Reasoning(text="", signature="blob", is_redacted=True),
        Reasoning(text="hm", signature="sig"),
        ToolCall(call_id="c", name="n", arguments='{"a":"\\n"}'),
    ],
)
def test_part_survives_encoding_and_decoding(part: Part) -> None:
    block = orjson.loads(orjson.dumps(encoded_part(part)))
    assert decoded(block, Role.ASSISTANT) == [part]


def test_empty_result_has_no_content() -> None:
    assert encoded_part(ToolResult(call_id="c", parts=())) == {"type": "tool_result", "tool_use_id": "c"}
