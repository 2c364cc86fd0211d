"""Streams in both roles: what the client is sent, and what an upstream's chunks mean."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx
import openai
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from service.core.completion import AnswerHead, collect
from service.core.dialects.openai_chat.response import decode_completion
from service.core.dialects.openai_chat.stream import StreamDecoder, StreamEncoder
from service.core.errors import (
    ContentFiltered,
    Overloaded,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamUnavailable,
)
from service.core.events import (
    Citation,
    Event,
    Failed,
    Finish,
    FinishReason,
    Notice,
    ReasoningDelta,
    TextDelta,
    ToolCallCut,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
    UsageReport,
)
from service.core.pipeline import AnswerSource
from tests.grammar.events import check_events, normalised
from tests.grammar.openai_chat import check_stream
from tests.strategies import event_streams

HEAD = AnswerHead(answer_id="chatcmpl-1", model="mimo-v2.6-pro", created_at_s=1_790_000_000)
USAGE = Usage(input_tokens=10, output_tokens=5, cached_tokens=4, reasoning_tokens=2)
STOP, LENGTH, TOOL_CALLS, FILTERED = (
    Finish(reason)
    for reason in (
        FinishReason.STOP,
        FinishReason.LENGTH,
        FinishReason.TOOL_CALLS,
        FinishReason.CONTENT_FILTER,
    )
)


def call(index: int, *fragments: str, name: str = "f", is_complete: bool = True) -> list[Event]:
    events: list[Event] = [ToolCallStart(index, f"c{index}", name)]
    events += [ToolCallDelta(index, fragment) for fragment in fragments]
    return [*events, ToolCallEnd(index)] if is_complete else events


def encoded(events: list[Event], *, includes_usage: bool = False, **options: Any) -> bytes:
    encoder = StreamEncoder(HEAD, includes_usage=includes_usage, **options)
    return b"".join(map(encoder.feed, events))


def accumulated(chunks: list[dict[str, Any]]) -> ChatCompletion:
    """What the openai package makes of the chunks, each of which fits its type."""
    state = ChatCompletionStreamState()
    for chunk in chunks:
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    return state.current_completion_snapshot


# --- server role --------------------------------------------------------------------------------------------


def test_a_whole_stream_byte_for_byte() -> None:
    raw = encoded([ReasoningDelta("hm"), TextDelta('"hé"\n'), UsageReport(USAGE), STOP], includes_usage=True)
    head = (
        '{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1790000000,"model":"mimo-v2.6-pro",'
        '"choices":['
    )

    def line(delta: str, finish: str = "null") -> str:
        choice = f'{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}'
        return f'data: {head}{choice}],"usage":null}}\n\n'

    usage = (
        '{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,'
        '"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}}'
    )
    assert raw.decode() == (
        line('{"role":"assistant","content":""}')
        + line('{"reasoning_content":"hm"}')
        + line('{"content":"\\"hé\\"\\n"}')
        + line("{}", '"stop"')
        + f'data: {head}],"usage":{usage}}}\n\n'
        + "data: [DONE]\n\n"
    )


@pytest.mark.parametrize(
    ("events", "deltas"),
    [
        pytest.param([TextDelta("a"), STOP], [{"content": "a"}], id="text"),
        pytest.param([ReasoningDelta("r"), STOP], [{"reasoning_content": "r"}], id="reasoning"),
        pytest.param([STOP], [], id="an empty answer still has its role"),
        pytest.param(
            [Notice("leak_removed"), TextDelta("a"), STOP], [{"content": "a"}], id="notices are ours"
        ),
        pytest.param(
            [TextDelta("a"), Notice("leak_removed"), STOP], [{"content": "a"}], id="in the middle, too"
        ),
        pytest.param(
            [*call(0, '{"a":', "1}"), TOOL_CALLS],
            [
                {
                    "tool_calls": [
                        {
                            "index": 0,
                            "id": "c0",
                            "type": "function",
                            "function": {"name": "f", "arguments": ""},
                        }
                    ]
                },
                {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]},
                {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
            ],
            id="a call",
        ),
        pytest.param(
            [Citation("https://x", "X", "about x"), STOP],
            [
                {
                    "annotations": [
                        {
                            "index": 0,
                            "type": "url_citation",
                            "url_citation": {
                                "url": "https://x",
                                "title": "X",
                                "start_index": 0,
                                "end_index": 0,
                                "summary": "about x",
                            },
                        }
                    ]
                }
            ],
            id="a source",
        ),
    ],
)
def test_deltas(events: list[Event], deltas: list[dict[str, Any]]) -> None:
    chunks = check_stream(encoded(events))
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": ""},
        *deltas,
        {},
    ]


@pytest.mark.parametrize(
    ("events", "word"),
    [
        pytest.param([STOP], "stop", id="stop"),
        pytest.param([LENGTH], "length", id="length"),
        pytest.param([FILTERED], "content_filter", id="content filter"),
        pytest.param([*call(0, "{}"), TOOL_CALLS], "tool_calls", id="calls"),
        pytest.param([*call(0, "{}"), STOP], "tool_calls", id="a stop after calls asks for their results"),
        pytest.param([TOOL_CALLS], "stop", id="no call to answer"),
        pytest.param([*call(0, "{}"), LENGTH], "length", id="cut after a call"),
        pytest.param([*call(0, "{", is_complete=False), LENGTH], "length", id="cut inside a call"),
        pytest.param(
            [*call(0, "{", is_complete=False), TOOL_CALLS], "length", id="a cut call is not to be run"
        ),
    ],
)
def test_finish_reason(events: list[Event], word: str) -> None:
    *_, last = check_stream(encoded(events))
    assert last["choices"][0]["finish_reason"] == word


def test_usage_is_told_only_where_it_was_asked_for_and_is_known() -> None:
    report: list[Event] = [UsageReport(Usage(input_tokens=1, is_estimated=True)), UsageReport(USAGE), STOP]
    assert all("usage" not in chunk for chunk in check_stream(encoded(report)))
    *_, last = check_stream(encoded(report, includes_usage=True))
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 15
    *_, last = check_stream(encoded([STOP], includes_usage=True))
    assert last["choices"][0]["finish_reason"] == "stop"


def test_a_freeform_call_is_given_out_raw_and_whole() -> None:
    events = [
        *call(0, '{"input":', '"*** <&\\n"}', name="patch"),
        *call(1, '{"a":1}', name="f"),
        *call(2, '{"x":1}', name="patch"),
        TOOL_CALLS,
    ]
    chunks = check_stream(encoded(events, custom_tools=("patch",)))
    calls = [chunk["choices"][0]["delta"].get("tool_calls", [{}])[0] for chunk in chunks]
    custom = [item for item in calls if item.get("type") == "custom"]
    assert custom == [
        {"index": 0, "id": "c0", "type": "custom", "custom": {"name": "patch", "input": "*** <&\n"}},
        {"index": 2, "id": "c2", "type": "custom", "custom": {"name": "patch", "input": '{"x":1}'}},
    ]


def test_a_freeform_call_that_was_cut_is_not_given_out() -> None:
    events = [TextDelta("a"), *call(0, '{"inp', name="patch", is_complete=False), LENGTH]
    chunks = check_stream(encoded(events, custom_tools={"patch"}))
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, "length"]


@pytest.mark.parametrize("name", ["f", "patch"])
def test_what_follows_a_call_that_was_cut_is_given_out(name: str) -> None:
    cut = call(0, '{"inp', name=name, is_complete=False)
    events = [*cut, ToolCallCut(0), TextDelta("a"), *call(1, "{}"), Finish(FinishReason.LENGTH)]
    raw = encoded(events, custom_tools={"patch"}).decode()
    assert '"content":"a"' in raw
    assert '{"index":1,"function":{"arguments":"{}"}}' in raw
    assert '"type":"custom"' not in raw
    assert '"finish_reason":"length"' in raw


def test_an_answer_with_a_cut_call_never_ends_as_calls_to_execute() -> None:
    assert (
        '"finish_reason":"length"' in encoded([*call(0), ToolCallCut(0), TextDelta("a"), TOOL_CALLS]).decode()
    )


@pytest.mark.parametrize("before", [[], [TextDelta("a")], [Notice("leak_removed")]])
def test_a_failure_is_the_last_line(before: list[Event]) -> None:
    raw = encoded([*before, UsageReport(USAGE), Failed(Overloaded("Draining."))], includes_usage=True)
    *_, last = check_stream(raw)
    assert last == {
        "error": {"message": "Draining.", "type": "server_error", "param": None, "code": "overloaded"}
    }
    assert b"[DONE]" not in raw


def test_a_ping_is_a_comment() -> None:
    encoder = StreamEncoder(HEAD, includes_usage=False)
    assert encoder.ping() == b": ping\n\n"
    raw = encoder.ping() + encoder.feed(TextDelta("a")) + encoder.ping() + encoder.feed(STOP)
    assert len(check_stream(raw)) == 3


def test_a_model_s_name_needs_no_escaping_of_ours() -> None:
    head = AnswerHead(answer_id='%s"', model="100%b\\", created_at_s=0)
    encoder = StreamEncoder(head, includes_usage=True)
    raw = b"".join(map(encoder.feed, [*call(0, "{}"), UsageReport(USAGE), TOOL_CALLS]))
    assert {(chunk["id"], chunk["model"]) for chunk in check_stream(raw)} == {('%s"', "100%b\\")}


@given(event_streams())
def test_every_stream_keeps_the_grammar(events: list[Event]) -> None:
    for includes_usage in (False, True):
        chunks = check_stream(encoded(events, includes_usage=includes_usage))
        assert ("error" in chunks[-1]) == isinstance(events[-1], Failed)


@given(event_streams(can_fail=False))
def test_the_openai_package_reads_the_same_answer(events: list[Event]) -> None:
    answer = collect(events)
    got = accumulated(check_stream(encoded(events, includes_usage=True)))
    message = got.choices[0].message
    assert (message.content or "") == answer.text
    assert getattr(message, "reasoning_content", "") == answer.reasoning
    calls = [(c.id, c.function.name, c.function.arguments) for c in message.tool_calls or ()]  # type: ignore[union-attr]
    assert calls == [(c.call_id, c.name, c.arguments) for c in answer.tool_calls]
    assert (got.usage is None) == (answer.usage is None)
    assert (got.id, got.model, got.created) == ("chatcmpl-1", HEAD.model, HEAD.created_at_s)


def client(body: bytes) -> openai.OpenAI:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    http = httpx.Client(transport=httpx.MockTransport(answer))
    return openai.OpenAI(api_key="k", base_url="http://gateway/v1", max_retries=0, http_client=http)


def test_the_openai_package_raises_on_a_failure_in_the_stream() -> None:
    raw = encoded([TextDelta("a"), Failed(Overloaded("Draining."))])
    with client(raw) as sdk:
        stream = sdk.chat.completions.create(model="m", messages=[], stream=True)
        assert next(stream).choices[0].delta.role == "assistant"
        assert next(stream).choices[0].delta.content == "a"
        with pytest.raises(openai.APIError, match="Draining"):
            next(stream)


def test_the_openai_package_reads_a_stream_with_pings_to_its_end() -> None:
    encoder = StreamEncoder(HEAD, includes_usage=True)
    events = [TextDelta("a"), UsageReport(USAGE), STOP]
    raw = b"".join(encoder.ping() + encoder.feed(event) for event in events)
    with client(raw) as sdk:
        chunks = list(sdk.chat.completions.create(model="m", messages=[], stream=True))
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 15


# --- client role --------------------------------------------------------------------------------------------


def chunk(delta: Any, finish: str | None = None, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    value = {"id": "a1", "object": "chat.completion.chunk", "choices": [choice], **fields}
    return b"data: " + orjson.dumps(value) + b"\n\n"


def usage_chunk(**usage: Any) -> bytes:
    return b"data: " + orjson.dumps({"id": "a1", "choices": [], "usage": usage}) + b"\n\n"


DONE = b"data: [DONE]\n\n"
OPENAI_USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "total_tokens": 15,
    "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": None},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
NULLS = {"role": None, "content": None, "reasoning_content": None, "tool_calls": None}


def decoded(raw: bytes) -> list[Event]:
    decoder = StreamDecoder()
    return decoder.feed(raw) + decoder.finish()


def test_a_stream_of_mimo() -> None:
    """The six steps of mimo-api.md 1.5, nulls and all."""
    raw = b"".join(
        [
            chunk({"role": "assistant", "content": "", "tool_calls": None, "reasoning_content": None}),
            chunk({**NULLS, "reasoning_content": "Let me "}),
            chunk({**NULLS, "reasoning_content": "see."}),
            chunk({**NULLS, "content": "It "}),
            chunk({**NULLS, "content": "is."}),
            chunk(NULLS, "stop", usage=None),
            usage_chunk(**OPENAI_USAGE),
            DONE,
        ]
    )
    decoder = StreamDecoder()
    assert decoder.feed(raw) == [
        ReasoningDelta("Let me "),
        ReasoningDelta("see."),
        TextDelta("It "),
        TextDelta("is."),
        UsageReport(USAGE),
        STOP,
    ]
    assert decoder.is_done
    assert decoder.finish() == []


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(chunk({"content": "a"}, "stop") + DONE, [TextDelta("a"), STOP], id="no usage at all"),
        pytest.param(
            chunk({"content": "a"}, "stop", usage=OPENAI_USAGE) + DONE,
            [TextDelta("a"), UsageReport(USAGE), STOP],
            id="usage on the finish chunk",
        ),
        pytest.param(
            chunk({"content": "a"}, usage={"prompt_tokens": 1}) + chunk({}, "stop", usage=OPENAI_USAGE),
            [TextDelta("a"), UsageReport(USAGE), STOP],
            id="usage on every chunk: the last one counts",
        ),
        pytest.param(
            usage_chunk(**OPENAI_USAGE) + chunk({"content": "a"}, "stop") + DONE,
            [TextDelta("a"), UsageReport(USAGE), STOP],
            id="usage first",
        ),
        pytest.param(
            chunk({"content": "a"}, "stop"), [TextDelta("a"), STOP], id="no [DONE]: the finish is enough"
        ),
        pytest.param(
            chunk({"content": "a"}, "stop") + DONE + chunk({"content": "b"}) + DONE,
            [TextDelta("a"), STOP],
            id="nothing after the end",
        ),
        pytest.param(
            chunk({}, "stop", usage=OPENAI_USAGE) + usage_chunk(prompt_tokens=99) + DONE,
            [UsageReport(USAGE), STOP],
            id="usage twice: the finish is given out with the first",
        ),
        pytest.param(
            chunk({"content": "a"}, "stop", usage="?") + DONE, [TextDelta("a"), STOP], id="usage that is none"
        ),
        pytest.param(
            chunk({"content": "a"}, "stop", usage={"prompt_tokens": "9", "prompt_tokens_details": None}),
            [TextDelta("a"), UsageReport(Usage()), STOP],
            id="counts that are none",
        ),
        pytest.param(
            chunk({"reasoning": "r"}, "stop"), [ReasoningDelta("r"), STOP], id="reasoning's other name"
        ),
        pytest.param(
            chunk({"content": [{"type": "text", "text": "a"}, {"text": 5}, "b"]}, "stop"),
            [TextDelta("a"), STOP],
            id="content as parts",
        ),
        pytest.param(
            chunk({"content": 5, "reasoning_content": {}}, "stop"), [STOP], id="content that is none"
        ),
        pytest.param(chunk({"refusal": "No."}, "stop"), [TextDelta("No."), STOP], id="a refusal is said"),
        pytest.param(chunk(None, "stop"), [STOP], id="a delta null"),
        pytest.param(chunk({"content": "a"}, "length"), [TextDelta("a"), LENGTH], id="length"),
        pytest.param(chunk({}, "max_tokens"), [LENGTH], id="length in another word"),
        pytest.param(chunk({}, "content_filter"), [FILTERED], id="content filter"),
        pytest.param(chunk({}, "eos"), [STOP], id="an unknown word is a stop"),
        pytest.param(chunk({}, "tool_calls"), [STOP], id="calls announced and none made"),
        pytest.param(
            chunk({}, "repetition_truncation") + usage_chunk(**OPENAI_USAGE),
            [Notice("repetition_truncated"), UsageReport(USAGE), LENGTH],
            id="a loop that MiMo cut",
        ),
        pytest.param(
            chunk({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}, 5]})
            + chunk({"content": "a", "tool_calls": {}}, "tool_calls"),
            [
                ToolCallStart(0, "c", "f"),
                ToolCallDelta(0, "{}"),
                Notice("garbage_skipped", "tool_call"),
                ToolCallEnd(0),
                TextDelta("a"),
                TOOL_CALLS,
            ],
            id="text after a call",
        ),
        pytest.param(
            chunk({"function_call": {"name": "f", "arguments": '{"a":'}})
            + chunk({"function_call": {"arguments": "1}"}}, "function_call"),
            [
                ToolCallStart(0, "call_a1_0", "f"),
                ToolCallDelta(0, '{"a":'),
                ToolCallDelta(0, "1}"),
                ToolCallEnd(0),
                TOOL_CALLS,
            ],
            id="the legacy call",
        ),
        pytest.param(
            chunk(
                {
                    "annotations": [
                        {
                            "type": "url_citation",
                            "url": "https://x",
                            "title": "X",
                            "summary": "s",
                            "logo_url": None,
                        },
                        {"type": "url_citation", "url_citation": {"url": "https://y", "title": None}},
                        {"title": "no url"},
                        "?",
                    ]
                }
            )
            + chunk({"content": "a", "annotations": None}, "stop"),
            [Citation("https://x", "X", "s"), Citation("https://y"), TextDelta("a"), STOP],
            id="sources in MiMo's shape and OpenAI's",
        ),
        pytest.param(
            chunk({"content": "a"})
            + b'data: {"choices":[]}\n\ndata: {"choices":["?"]}\n\n'
            + chunk({}, "stop"),
            [TextDelta("a"), STOP],
            id="chunks without a choice",
        ),
        pytest.param(
            b": ping\n\n" + chunk({"content": "a"}) + b"data: oops\n\ndata: [1]\n\n" + chunk({}, "stop"),
            [
                TextDelta("a"),
                Notice("garbage_skipped", "chunk"),
                Notice("garbage_skipped", "chunk"),
                STOP,
            ],
            id="garbage among chunks is skipped",
        ),
        pytest.param(
            b'\n{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}',
            [TextDelta("a"), STOP],
            id="a whole answer where a stream was asked for",
        ),
    ],
)
def test_chunks_and_what_they_mean(raw: bytes, expected: list[Event]) -> None:
    events = decoded(raw)
    assert events == expected
    check_events(events)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(b"", [], id="nothing"),
        pytest.param(b": ping\n\n", [], id="a comment alone"),
        pytest.param(chunk({"content": "a"}), [TextDelta("a")], id="no finish_reason"),
        pytest.param(
            chunk({"content": "a"}) + DONE, [TextDelta("a")], id="[DONE] alone does not make it whole"
        ),
        pytest.param(
            chunk({"content": "a"}, usage=OPENAI_USAGE),
            [TextDelta("a"), UsageReport(USAGE)],
            id="the usage so far is kept",
        ),
        pytest.param(
            chunk({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}]}),
            [ToolCallStart(0, "c", "f"), ToolCallDelta(0, "{")],
            id="a call that was cut",
        ),
    ],
)
def test_a_stream_that_breaks_off_has_no_finish(raw: bytes, expected: list[Event]) -> None:
    assert decoded(raw) == expected
    source = AnswerSource(StreamDecoder())
    events = source.feed(raw) + source.finish()
    assert isinstance(events[-1], Failed)
    assert isinstance(events[-1].error, UpstreamProtocolError)
    assert normalised(events[:-1]) == normalised(expected)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        pytest.param(
            {"code": "429", "message": "Too many requests", "type": "limitation"},
            UpstreamRateLimited,
            "",
            id="429",
        ),
        pytest.param(
            {"code": "400", "message": "Param Incorrect", "param": "`text` is not set", "type": ""},
            UpstreamRefused,
            "Param Incorrect: `text` is not set",
            id="MiMo's reason stands in param",
        ),
        pytest.param({"code": "421", "message": "blocked"}, ContentFiltered, "blocked", id="moderation"),
        pytest.param({"code": 503, "message": "busy"}, UpstreamUnavailable, "busy", id="a number"),
        pytest.param("boom", UpstreamUnavailable, "boom", id="a string"),
        pytest.param({"type": "server_error"}, UpstreamUnavailable, "", id="a word"),
    ],
)
def test_an_error_in_the_stream_is_a_failure(error: object, kind: type[Exception], text: str) -> None:
    decoder = StreamDecoder()
    events = decoder.feed(
        chunk({"content": "a"}, usage=OPENAI_USAGE)
        + b"data: "
        + orjson.dumps({"error": error})
        + b"\n\n"
        + DONE
    )
    assert events[:2] == [TextDelta("a"), UsageReport(USAGE)]
    failed = events[2]
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, kind)
    assert text in str(failed.error)
    assert decoder.is_done
    assert decoder.finish() == []
    check_events(events)


@pytest.mark.parametrize(
    "raw", [b"<html>502</html>", b"data: <html>\n\ndata: </html>\n\n", b'{"error":{"code":"500"}}']
)
def test_what_is_no_stream_fails(raw: bytes) -> None:
    source = AnswerSource(StreamDecoder())
    events = source.feed(raw) + source.finish()
    assert isinstance(events[-1], Failed)


def test_a_stream_of_garbage_alone_says_so() -> None:
    events = decoded(b"data: oops\n\n")
    assert isinstance(events[-1], Failed)
    assert "not the stream" in str(events[-1].error)


def test_the_end_is_given_out_with_the_usage_and_not_before() -> None:
    decoder = StreamDecoder()
    assert decoder.feed(chunk({"content": "a"}, "stop")) == [TextDelta("a")]
    assert not decoder.is_done
    assert decoder.feed(usage_chunk(**OPENAI_USAGE)) == [UsageReport(USAGE), STOP]
    assert not decoder.is_done
    assert decoder.feed(DONE) == []
    assert decoder.is_done


def test_an_event_without_its_blank_line_counts_at_the_end() -> None:
    decoder = StreamDecoder()
    assert decoder.feed(chunk({"content": "a"}, "stop") + DONE.rstrip()) == [TextDelta("a")]
    assert decoder.finish() == [STOP]


def test_a_whole_answer_in_place_of_a_stream_is_bounded() -> None:
    source = AnswerSource(StreamDecoder(max_bytes=10))
    events = source.feed(b'{"choices": [1, 2, 3]}')
    assert isinstance(events[-1], Failed)
    assert "larger than 10 bytes" in str(events[-1].error)


# --- anything at all ----------------------------------------------------------------------------------------

_KEYS = st.sampled_from(
    [
        *(
            "choices",
            "delta",
            "message",
            "content",
            "reasoning_content",
            "reasoning",
            "tool_calls",
            "function",
        ),
        *(
            "custom",
            "name",
            "arguments",
            "input",
            "id",
            "index",
            "finish_reason",
            "usage",
            "error",
            "refusal",
        ),
        *(
            "annotations",
            "url",
            "url_citation",
            "function_call",
            "prompt_tokens",
            "code",
            "type",
            "param",
            "text",
        ),
    ]
)
_WORDS = st.sampled_from(["", "a", "stop", "length", "tool_calls", "{}", "429"])
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 5) | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)
_DELTAS = st.dictionaries(_KEYS, _VALUES, max_size=4)


@given(st.lists(_VALUES | st.builds(lambda delta: {"choices": [{"delta": delta}]}, _DELTAS), max_size=5))
def test_whatever_the_chunks_hold_the_events_keep_their_laws(values: list[Any]) -> None:
    raw = b"".join(b"data: " + orjson.dumps(value) + b"\n\n" for value in values)
    source = AnswerSource(StreamDecoder())
    events = source.feed(raw) + source.finish()
    check_events(events, checks_arguments=False)


@given(
    _VALUES | st.builds(lambda message: {"choices": [{"message": message}]}, _DELTAS), st.binary(max_size=20)
)
def test_whatever_the_body_holds_it_gives_lawful_events(value: Any, garbage: bytes) -> None:
    for body in (orjson.dumps(value), garbage):
        events = decode_completion(body)
        check_events(events, checks_arguments=False)
