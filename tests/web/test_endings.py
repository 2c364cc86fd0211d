"""How answers end, in each dialect's own words: MiMo's finish values, moderation, silence, thinking alone."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from service.config import Reasoning
from tests.web.rig import Rig, Start

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
PATHS = [pytest.param(path, id=path.rsplit("/", 1)[1]) for path in (CHAT, MESSAGES, RESPONSES)]
STREAMS = [pytest.param(False, id="whole"), pytest.param(True, id="stream")]


def body(path: str, text: str, **more: object) -> dict[str, Any]:
    ask = [{"role": "user", "content": text}]
    named = {"input": ask} if path == RESPONSES else {"messages": ask}
    return {"model": "mimo-v2.6-pro", "max_tokens": 500, **named, **more} | (
        {"max_output_tokens": 500} if path == RESPONSES else {}
    )


async def post(rig: Rig, path: str, text: str, *, streams: bool, status: int = 200) -> Any:
    """The answer's last word on itself: the whole body, or the events that a stream gave."""
    request = body(path, text, stream=streams)
    if path == RESPONSES:
        del request["max_tokens"]
    async with rig.http.post(rig.url(path), json=request) as response:
        raw = await response.read()
        assert response.status == status, raw
        if not streams or status != 200:
            return orjson.loads(raw)
    return [orjson.loads(line[6:]) for line in raw.split(b"\n") if line.startswith(b"data: {")]


def ending(path: str, answer: Any) -> str | None:
    """finish_reason, stop_reason, or status with its reason."""
    if path == CHAT:
        chunks = answer if isinstance(answer, list) else [answer]
        choices = [choice for chunk in chunks for choice in chunk.get("choices", ())]
        return next(
            (choice["finish_reason"] for choice in reversed(choices) if choice["finish_reason"]), None
        )
    if path == MESSAGES:
        if not isinstance(answer, list):
            return answer["stop_reason"]
        return next(event["delta"]["stop_reason"] for event in answer if event["type"] == "message_delta")
    response = answer[-1]["response"] if isinstance(answer, list) else answer
    details = response.get("incomplete_details")
    return f"{response['status']}: {details['reason']}" if details else response["status"]


def shown_text(path: str, answer: Any) -> str:
    if path == CHAT:
        return answer["choices"][0]["message"]["content"] or ""
    if path == MESSAGES:
        return "".join(block.get("text", "") for block in answer["content"])
    items = [item for item in answer["output"] if item["type"] == "message"]
    return "".join(part["text"] for item in items for part in item["content"])


def upstream_calls(rig: Rig) -> int:
    record = rig.simulator.record
    return len(record.of("chat_completions")) + len(record.of("studio_chat"))


ENDINGS = {
    "length": {CHAT: "length", MESSAGES: "max_tokens", RESPONSES: "incomplete: max_output_tokens"},
    "repetition_truncation": {
        CHAT: "length",
        MESSAGES: "max_tokens",
        RESPONSES: "incomplete: max_output_tokens",
    },
    "content_filter": {
        CHAT: "content_filter",
        MESSAGES: "refusal",
        RESPONSES: "incomplete: content_filter",
    },
    "a_word_of_next_year": {CHAT: "stop", MESSAGES: "end_turn", RESPONSES: "completed"},
}


@pytest.mark.parametrize("streams", STREAMS)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("word", ENDINGS)
async def test_finish_value_becomes_a_word_of_the_dialect(
    start: Start, word: str, path: str, streams: bool
) -> None:
    async with start("platform", "platform-2") as rig:
        answer = await post(rig, path, f"Tell me a story [[sim: finish={word}]]", streams=streams)
        assert ending(path, answer) == ENDINGS[word][path]
        assert upstream_calls(rig) == 1, "never failed over"


@pytest.mark.parametrize("streams", STREAMS)
@pytest.mark.parametrize("path", PATHS)
async def test_421_is_told_as_moderation_and_never_failed_over(
    start: Start, path: str, streams: bool
) -> None:
    async with start("platform", "platform-2") as rig:
        answer = await post(rig, path, "Hello [[sim: sensitive]]", streams=streams, status=400)
        assert "moderation" in answer["error"]["message"]
        if path != MESSAGES:
            assert answer["error"]["code"] == "content_filter"
        assert upstream_calls(rig) == 1


@pytest.mark.parametrize("streams", STREAMS)
@pytest.mark.parametrize("path", PATHS)
async def test_sensitive_frame_of_the_studio_ends_as_filtered(start: Start, path: str, streams: bool) -> None:
    async with start("studio") as rig:
        answer = await post(rig, path, "Hello [[sim: sensitive]]", streams=streams)
        assert ending(path, answer) == ENDINGS["content_filter"][path]
        assert upstream_calls(rig) == 1


async def notes_of(rig: Rig, path: str, text: str, *, streams: bool) -> str:
    request = body(path, text, stream=streams)
    request.pop("max_tokens" if path == RESPONSES else "max_output_tokens", None)
    async with rig.http.post(rig.url(path), json=request) as response:
        assert response.status == 200
        await response.read()
        return response.headers.get("x-mimo-gateway-notes", "")


@pytest.mark.parametrize("path", PATHS)
async def test_loop_that_mimo_cut_is_told_to_the_client(start: Start, path: str) -> None:
    async with start("platform") as rig:
        text = "Tell me a story [[sim: finish=repetition_truncation]]"
        assert "repeated itself" in await notes_of(rig, path, text, streams=False)


@pytest.mark.parametrize("streams", STREAMS)
@pytest.mark.parametrize("path", PATHS)
async def test_truncated_input_of_the_studio_is_told_and_counted(
    start: Start, path: str, streams: bool
) -> None:
    async with start("studio") as rig:
        notes = await notes_of(rig, path, "Hello [[sim: tips]]", streams=streams)
        assert "the studio cut the input" in notes
        answer = await post(rig, path, "Hello [[sim: tips]]", streams=False)
        assert "tip" not in shown_text(path, answer)
        text = rig.gateway.services.metrics.render().decode()
        assert 'mgw_sieve_events_total{event="input_truncated",format="studio"} 2.0' in text


@pytest.mark.parametrize("streams", STREAMS)
@pytest.mark.parametrize("path", PATHS)
async def test_answer_without_text_or_call_is_tried_again(rig: Rig, path: str, streams: bool) -> None:
    answer = await post(rig, path, 'Hello [[sim: empty notice="" times=1]]', streams=streams)
    assert ending(path, answer) in ("stop", "end_turn", "completed")
    assert upstream_calls(rig) == 2
    await rig.nothing_is_held()


# --- thinking alone -----------------------------------------------------------------------------------------

ALONE = '[[sim: say="" reasoning="It is 42."]]'


def counted(rig: Rig) -> float:
    metrics = rig.gateway.services.metrics
    metrics.render()
    return sum(child._value.get() for child in metrics.reasoning_only.values())


@pytest.mark.parametrize("path", PATHS)
async def test_answer_that_is_thinking_alone_is_counted(rig: Rig, path: str) -> None:
    answer = await post(rig, path, f"What is it? {ALONE}", streams=False)
    assert shown_text(path, answer) == ""
    assert upstream_calls(rig) == 1
    await post(rig, path, "Hello", streams=False)
    assert counted(rig) == 1


@pytest.mark.parametrize("kind", ["platform", "studio"])
@pytest.mark.parametrize("path", PATHS)
async def test_thinking_alone_is_shown_as_text_by_policy(start: Start, path: str, kind: str) -> None:
    async with start(kind, reasoning=Reasoning(shows_alone=True)) as rig:
        answer = await post(rig, path, f"What is it? {ALONE}", streams=False)
        assert shown_text(path, answer) == "It is 42."
        assert counted(rig) == 1
        answer = await post(rig, path, 'Hello [[sim: say="Hi." reasoning="A greeting."]]', streams=False)
        assert shown_text(path, answer) == "Hi."
        assert counted(rig) == 1


@pytest.mark.parametrize("streams", STREAMS)
async def test_more_stop_sequences_than_mimo_takes_are_found_here(rig: Rig, streams: bool) -> None:
    text = 'Count [[sim: say="one two three four five six"]]'
    request = body(CHAT, text, stop=["1", "2", "3", "4", " five"], stream=streams)
    async with rig.http.post(rig.url(CHAT), json=request) as response:
        assert response.status == 200
        raw = await response.read()
    assert b"four" in raw
    assert b"five" not in raw
    assert b'"finish_reason":"stop"' in raw
