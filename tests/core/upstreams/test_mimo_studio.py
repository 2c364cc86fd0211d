"""The studio wire's requests and its answers that are no stream (mimo-api.md 5)."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.conversation import (
    Conversation,
    Media,
    MediaKind,
    Role,
    Sampling,
    Text,
    Thinking,
    ToolChoice,
    ToolChoiceMode,
    ToolResult,
    ToolSpec,
    Turn,
)
from service.core.errors import (
    ContextOverflow,
    GatewayError,
    InvalidRequest,
    UpstreamAccountError,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamUnavailable,
)
from service.core.policy import SESSION_EXPIRED, penalty_of
from service.core.upstreams.mimo_studio import (
    StudioRequest,
    UploadTarget,
    decode_data,
    decode_error,
    decode_models,
    decode_parse,
    decode_session,
    decode_upload_info,
    encode_request,
    media_filename,
    media_object,
    parse_path,
    with_media,
)
from service.core.upstreams.studio_thread import Thread
from service.core.web_search import WEB_SEARCH

IMAGE = Media(kind=MediaKind.IMAGE, data="aGk=", mime_type="image/png")
AUDIO = Media(kind=MediaKind.AUDIO, data="aGk=", mime_type="audio/wav")
HELLO = Conversation(model="mimo-v2.6-pro", turns=(Turn(role=Role.USER, parts=(Text(text="hello"),)),))


def encoded(conversation: Conversation, *, offers_tools: bool = True) -> StudioRequest:
    return encode_request(
        conversation, message_id="a" * 32, conversation_id="b" * 32, offers_tools=offers_tools
    )


def model_config(conversation: Conversation) -> dict[str, object]:
    config = encoded(conversation).body["modelConfig"]
    assert isinstance(config, dict)
    return config


# --- requests -----------------------------------------------------------------------------------------------


def test_the_least_request() -> None:
    request = encoded(HELLO)
    assert request == StudioRequest(
        path="/open-apis/bot/chat",
        body={
            "msgId": "a" * 32,
            "conversationId": "b" * 32,
            "query": "hello",
            "isEditedQuery": False,
            "modelConfig": {
                "model": "mimo-v2.6-pro",
                "enableThinking": True,
                "webSearchStatus": "disabled",
            },
            "multiMedias": [],
        },
    )


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("mimo-v2.6-flash", "/open-apis/bot/chat"),
        ("mimo-v2.6-pro-ultraspeed-studio", "/fastchat/open-apis/bot/chat"),
        ("mimo-v9", "/open-apis/bot/chat"),
    ],
)
def test_the_fast_model_has_a_path_of_its_own(model: str, path: str) -> None:
    assert encoded(replace(HELLO, model=model)).path == path


@pytest.mark.parametrize(
    ("thinking", "is_on"),
    [(Thinking.DEFAULT, True), (Thinking.ENABLED, True), (Thinking.DISABLED, False)],
)
def test_thinking(thinking: Thinking, is_on: bool) -> None:
    assert model_config(replace(HELLO, thinking=thinking))["enableThinking"] is is_on


@pytest.mark.parametrize(
    ("tool", "status"),
    [
        (None, "disabled"),
        ({"type": "web_search"}, "auto"),
        ({"type": "web_search", "force_search": True}, "enabled"),
    ],
)
def test_web_search(tool: dict[str, object] | None, status: str) -> None:
    extra = {} if tool is None else {WEB_SEARCH: tool}
    conversation = replace(HELLO, extra=extra)
    assert model_config(conversation)["webSearchStatus"] == status
    assert [note.split(":")[0] for note in encoded(conversation).notes] == (
        [] if tool is None else ["the studio searches by itself"]
    )


def test_no_search_where_no_tool_may_be_called() -> None:
    none = ToolChoice(mode=ToolChoiceMode.NONE)
    conversation = replace(HELLO, extra={WEB_SEARCH: {"type": "web_search"}}, tool_choice=none)
    assert model_config(conversation)["webSearchStatus"] == "disabled"


def test_the_sites_of_a_search_are_asked_for_in_the_prompt() -> None:
    tool = {"type": "web_search", "allowed_domains": ["example.com"]}
    query = str(encoded(replace(HELLO, extra={WEB_SEARCH: tool})).body["query"])
    assert "use these sites only: example.com." in query


def test_sampling_is_sent_as_far_as_the_wire_knows_it_and_the_rest_is_told() -> None:
    sampling = Sampling(
        temperature=2.0, top_p=0.5, max_output_tokens=5, presence_penalty=1, frequency_penalty=None
    )
    request = encoded(replace(HELLO, sampling=sampling, extra={"seed": 1}))
    config = request.body["modelConfig"]
    assert isinstance(config, dict)
    assert (config["temperature"], config["topP"]) == (1.5, 0.5)
    assert request.notes == (
        "temperature 2.0 became 1.5",
        "the studio wire has no output limit; max_tokens was left out",
        "the studio wire has no penalties; they were left out",
        "seed is not a parameter of MiMo and was left out",
    )


def test_a_request_that_goes_on_names_the_answer_before() -> None:
    thread = Thread(conversation_id="c" * 32, dialog_id="8675309")
    request = encode_request(HELLO, message_id="m" * 32, conversation_id="c" * 32, thread=thread)
    assert request.body["previousDialogueId"] == "8675309"
    assert request.body["query"] == "hello"


def test_tools_that_are_switched_off_are_told() -> None:
    conversation = replace(HELLO, tools=(ToolSpec(name="look"),))
    request = encoded(conversation, offers_tools=False)
    assert request.notes == ("tools are switched off on studio accounts (tools.mode: off)",)
    assert request.body["query"] == "hello"
    assert encoded(conversation).notes == ()


def test_media_is_listed_in_prompt_order_and_put_in_by_its_upload() -> None:
    turns = (
        Turn(role=Role.USER, parts=(IMAGE, Text(text="see"))),
        Turn(role=Role.TOOL, parts=(ToolResult(call_id="c", parts=(AUDIO,)),)),
    )
    request = encoded(Conversation(model="mimo-v2.6-pro", turns=turns))
    assert request.media == (IMAGE, AUDIO)
    body = orjson.loads(with_media(request, [{"url": "1"}, {"url": "2"}]))
    assert body["multiMedias"] == [{"url": "1"}, {"url": "2"}]
    assert request.body["multiMedias"] == []


def test_fresh_media_for_a_text_model_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="does not take image input"):
        encoded(Conversation(model="mimo-v2-pro", turns=(Turn(role=Role.USER, parts=(IMAGE,)),)))


# --- errors -------------------------------------------------------------------------------------------------


def body(**fields: object) -> bytes:
    return orjson.dumps(fields)


LOGIN = {"loginUrl": "https://account.example/login?secret=1"}
ENDED = "The studio session has ended; log out and in again."


@pytest.mark.parametrize(
    ("status", "answer", "kind", "told_status"),
    [
        pytest.param(302, b"", UpstreamAccountError, 401, id="302: not signed in"),
        pytest.param(401, body(**LOGIN), UpstreamAccountError, 401, id="401: expired"),
        pytest.param(200, body(code=401, **LOGIN), UpstreamAccountError, 401, id="loginUrl in a 200"),
        pytest.param(200, body(code=1, data=LOGIN), UpstreamAccountError, 401, id="loginUrl in data"),
        pytest.param(429, b"", UpstreamRateLimited, 429, id="429: limited"),
        pytest.param(503, b"", UpstreamUnavailable, 503, id="503: busy"),
        pytest.param(500, b"<html>", UpstreamUnavailable, 500, id="500 with HTML"),
        pytest.param(451, b"", UpstreamAccountError, 451, id="451: restricted for a while"),
        pytest.param(461, b"", UpstreamAccountError, 461, id="461: restricted for good"),
        pytest.param(403, b"", UpstreamAccountError, 403, id="403"),
        pytest.param(400, body(msg="bad query"), UpstreamRefused, 400, id="400: bad body"),
        pytest.param(400, body(msg="prompt is too long"), ContextOverflow, None, id="400: overflow"),
        pytest.param(404, b"", UpstreamRefused, 404, id="404"),
        pytest.param(200, b"", UpstreamProtocolError, 200, id="an empty 200"),
        pytest.param(200, b"<html>", UpstreamProtocolError, 200, id="HTML in a 200"),
        pytest.param(200, b"[]", UpstreamProtocolError, 200, id="a list in a 200"),
        pytest.param(200, body(code=0, msg="ok"), UpstreamProtocolError, 200, id="success that is no stream"),
        pytest.param(200, body(code=200), UpstreamProtocolError, 200, id="the other success"),
        pytest.param(200, body(code=429), UpstreamRateLimited, 429, id="code 429 in a 200"),
        pytest.param(200, body(code="461"), UpstreamAccountError, 461, id="the code as a string"),
        pytest.param(200, body(code=400, msg="x"), UpstreamRefused, 400, id="code 400 in a 200"),
        pytest.param(200, body(code=500), UpstreamUnavailable, 500, id="code 500 in a 200"),
        pytest.param(200, body(code=6001, msg="x"), UpstreamUnavailable, 200, id="a number of its own"),
        pytest.param(200, body(code=40012), UpstreamUnavailable, 200, id="a longer one"),
        pytest.param(200, body(code={"a": 1}), UpstreamUnavailable, 200, id="a code that is none"),
    ],
)
def test_error_signals(status: int, answer: bytes, kind: type[GatewayError], told_status: int) -> None:
    error = decode_error(status, answer, retry_after_s=7)
    assert type(error) is kind
    assert getattr(error, "status", None) == told_status
    assert "secret" not in error.message


@pytest.mark.parametrize(
    ("status", "answer", "message"),
    [
        (401, body(msg="who?"), ENDED),
        (400, body(msg="bad query"), "The studio refused the request: bad query"),
        (400, body(message="bad query"), "The studio refused the request: bad query"),
        (400, b"", "The studio refused the request: 400"),
        (200, body(code=6001, msg="x"), "The studio answered with error 6001: x"),
    ],
)
def test_what_the_client_is_told(status: int, answer: bytes, message: str) -> None:
    assert decode_error(status, answer).message == message


def test_an_ended_session_is_told_from_a_refused_key() -> None:
    """The pool shows it as expired, and what to do about it is another thing."""
    penalty = penalty_of(decode_error(401, b""))
    assert penalty is not None
    assert penalty.reason == SESSION_EXPIRED


@pytest.mark.parametrize(("status", "told_s"), [(429, 7.0), (503, 7.0), (400, None), (461, None)])
def test_retry_after_is_kept_where_waiting_helps(status: int, told_s: float | None) -> None:
    assert decode_error(status, b"", retry_after_s=7).retry_after_s == told_s
    assert decode_error(200, body(code=429), retry_after_s=7).retry_after_s == 7


@pytest.mark.slow
@given(
    st.integers(100, 599),
    st.binary(max_size=30)
    | st.dictionaries(
        st.sampled_from(["code", "msg", "message", "data", "loginUrl"]),
        st.none()
        | st.booleans()
        | st.integers(-9999, 99999)
        | st.text(max_size=5)
        | st.lists(st.none(), max_size=1),
    ).map(orjson.dumps),
)
def test_any_answer_is_an_error_of_ours(status: int, answer: bytes) -> None:
    """Slow: a hundred random bodies."""
    assert isinstance(decode_error(status, answer), GatewayError)


# --- the small endpoints ------------------------------------------------------------------------------------


def envelope(data: object, code: object = 0) -> bytes:
    return body(code=code, msg="", data=data)


@pytest.mark.parametrize(
    ("answer", "data"),
    [(envelope({"a": 1}), {"a": 1}), (envelope({"a": 1}, 200), {"a": 1}), (envelope(None), {})],
)
def test_envelope(answer: bytes, data: dict[str, object]) -> None:
    assert decode_data(answer) == data


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (envelope({}, 429), UpstreamRateLimited),
        (envelope({}, 7), UpstreamUnavailable),
        (body(data={}), UpstreamProtocolError),
        (b"", UpstreamProtocolError),
        (b"<html>", UpstreamProtocolError),
    ],
)
def test_envelope_of_an_error(answer: bytes, kind: type[GatewayError]) -> None:
    with pytest.raises(kind):
        decode_data(answer)


@pytest.mark.parametrize("name", ["modelConfigListNg", "modelConfigList"])
def test_models_are_the_chat_entries_that_lead_nowhere_else(name: str) -> None:
    entries = [
        {"model": "mimo-v2.6-pro", "pageType": "chat"},
        {"name": "mimo-v2.6-flash"},
        {"model": "mimo-v2-pro", "pageType": "chat", "redirectTo": "mimo-v2.6-pro"},
        {"model": "mimo-image", "pageType": "image"},
        {"model": "mimo-v2.5-tts", "pageType": "chat"},
        {"model": 5},
        "odd",
    ]
    assert decode_models(envelope({name: entries})) == ["mimo-v2.6-pro", "mimo-v2.6-flash"]


@pytest.mark.parametrize("data", [{}, {"modelConfigListNg": {}}, None])
def test_models_that_cannot_be_read(data: object) -> None:
    with pytest.raises(UpstreamProtocolError, match="model list"):
        decode_models(envelope(data))


@pytest.mark.parametrize(
    "data", [{"bannedStatus": "NOT_BANNED"}, {"bannedStatus": None}, {"userId": "1"}, {}]
)
def test_a_live_session(data: dict[str, object]) -> None:
    decode_session(envelope(data))


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (envelope({"bannedStatus": "TEMPORARY"}), 451),
        (envelope({"bannedStatus": "PERMANENT"}), 461),
        (envelope({"bannedStatus": "SOMETHING_NEW"}), 451),
        (envelope({}, 401), 401),
    ],
)
def test_a_session_that_cannot_be_used(answer: bytes, status: int) -> None:
    with pytest.raises(UpstreamAccountError) as caught:
        decode_session(answer)
    assert caught.value.status == status


# --- media upload -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("media", "name"),
    [
        (IMAGE, "image-2.png"),
        (AUDIO, "audio-2.wav"),
        (Media(kind=MediaKind.IMAGE, data="", mime_type="image/jpeg; q=1"), "image-2.jpg"),
        (Media(kind=MediaKind.AUDIO, data="", mime_type="audio/mpeg"), "audio-2.mp3"),
        (Media(kind=MediaKind.VIDEO, data="", mime_type="video/quicktime"), "video-2.mov"),
        (Media(kind=MediaKind.VIDEO, data=""), "video-2.bin"),
        (Media(kind=MediaKind.IMAGE, data="", filename="cat.webp"), "cat.webp"),
    ],
)
def test_uploads_have_a_name(media: Media, name: str) -> None:
    assert media_filename(media, 2) == name


TARGET = UploadTarget(upload_url="http://u/?a=1&b", resource_url="http://r/x?y=1", object_name="o/1 2")


def test_the_third_steps_query_is_escaped() -> None:
    assert parse_path(TARGET.resource_url, TARGET.object_name, "m/1") == (
        "/open-apis/resource/parse?fileUrl=http%3A%2F%2Fr%2Fx%3Fy%3D1&objectName=o%2F1%202&model=m%2F1"
    )


def test_upload_info() -> None:
    data = {"uploadUrl": TARGET.upload_url, "resourceUrl": TARGET.resource_url, "objectName": "o/1 2"}
    assert decode_upload_info(envelope(data)) == TARGET
    for name in data:
        with pytest.raises(UpstreamProtocolError, match="upload answer"):
            decode_upload_info(envelope(data | {name: ""}))


@pytest.mark.parametrize(
    ("answer", "parsed"),
    [
        (envelope({"id": "7", "tokenUsage": 12}), ("7", 12)),
        (envelope({"id": 7}), ("7", 0)),
        (envelope({"id": ""}), None),
        (envelope(None), None),
    ],
)
def test_parsed_media(answer: bytes, parsed: tuple[str, int] | None) -> None:
    assert decode_parse(answer) == parsed


def test_an_empty_file_is_the_clients_mistake() -> None:
    with pytest.raises(InvalidRequest, match="empty"):
        decode_parse(envelope(None, 6002))
    with pytest.raises(UpstreamUnavailable):
        decode_parse(envelope(None, 6003))


@pytest.mark.parametrize(("media", "track"), [(IMAGE, ""), (AUDIO, TARGET.resource_url)])
def test_media_object(media: Media, track: str) -> None:
    assert media_object(media, TARGET, name="n", size_bytes=2, media_id="7", tokens=12) == {
        "mediaType": str(media.kind),
        "fileUrl": TARGET.resource_url,
        "compressedVideoUrl": "",
        "audioTrackUrl": track,
        "name": "n",
        "size": 2,
        "status": "completed",
        "objectName": "o/1 2",
        "tokenUsage": 12,
        "url": "7",
    }
