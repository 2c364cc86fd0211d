"""The grammar of OpenAI's Responses stream, as a checker: run it on every stream that a test produces.

Source: openai-python 3.52 response_*_event.py and lib/streaming/responses; what Codex 0.169 and the Vercel AI
SDK insist on; read 2026-11-20.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

_PRELUDES = (
    ["response.created", "response.in_progress"],
    ["response.created", "response.queued", "response.in_progress"],
)
_ENDS = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
}
# The fields of each event beside type and sequence_number: exactly these, each needed by some client.
_FIELDS = {
    "response.output_item.added": {"output_index", "item"},
    "response.output_item.done": {"output_index", "item"},
    "response.content_part.added": {"output_index", "item_id", "content_index", "part"},
    "response.content_part.done": {"output_index", "item_id", "content_index", "part"},
    "response.output_text.delta": {"output_index", "item_id", "content_index", "delta", "logprobs"},
    "response.output_text.done": {"output_index", "item_id", "content_index", "text", "logprobs"},
    "response.output_text.annotation.added": {
        "output_index",
        "item_id",
        "content_index",
        "annotation_index",
        "annotation",
    },
    "response.reasoning_summary_part.added": {"output_index", "item_id", "summary_index", "part"},
    "response.reasoning_summary_part.done": {"output_index", "item_id", "summary_index", "part"},
    "response.reasoning_summary_text.delta": {"output_index", "item_id", "summary_index", "delta"},
    "response.reasoning_summary_text.done": {"output_index", "item_id", "summary_index", "text"},
    "response.function_call_arguments.delta": {"output_index", "item_id", "delta"},
    "response.function_call_arguments.done": {"output_index", "item_id", "arguments", "name"},
    "response.custom_tool_call_input.delta": {"output_index", "item_id", "delta"},
    "response.custom_tool_call_input.done": {"output_index", "item_id", "input"},
    "response.web_search_call.in_progress": {"output_index", "item_id"},
    "response.web_search_call.searching": {"output_index", "item_id"},
    "response.web_search_call.completed": {"output_index", "item_id"},
}
# What comes between added and done of an item, one letter an event; the letters name the events below.
_LETTERS = {
    "response.content_part.added": "a",
    "response.output_text.delta": "d",
    "response.output_text.annotation.added": "n",
    "response.output_text.done": "t",
    "response.content_part.done": "p",
    "response.reasoning_summary_part.added": "a",
    "response.reasoning_summary_text.delta": "d",
    "response.reasoning_summary_text.done": "t",
    "response.reasoning_summary_part.done": "p",
    "response.function_call_arguments.delta": "d",
    "response.function_call_arguments.done": "t",
    "response.custom_tool_call_input.delta": "d",
    "response.custom_tool_call_input.done": "t",
    "response.web_search_call.in_progress": "i",
    "response.web_search_call.searching": "s",
    "response.web_search_call.completed": "c",
}
_PREFIX_BY_TYPE = {
    "message": ("response.content_part.", "response.output_text."),
    "reasoning": ("response.reasoning_summary_",),
    "function_call": ("response.function_call_arguments.",),
    "custom_tool_call": ("response.custom_tool_call_input.",),
    "web_search_call": ("response.web_search_call.",),
}
_BODY_BY_TYPE = {
    "message": "ad+n*tp",
    "reasoning": "ad+tp",
    "function_call": "d+t",
    "custom_tool_call": "d*t",
    "web_search_call": "isc",
}
_CUT_BY_TYPE = {
    "message": "ad*",
    "reasoning": "ad*",
    "function_call": "d*",
    "custom_tool_call": "d*",
    "web_search_call": "isc",
}


def check_stream(raw: bytes, *, first_number: int = 0) -> list[dict[str, Any]]:
    """The events of one whole stream, in order. Raises AssertionError, naming the event, where it is wrong.

    `first_number` is the sequence_number of the first event (0 unless the stream was resumed).
    A lone `error` event is a whole stream too."""
    events = _events(raw)
    _check_numbers(events, first_number)
    if first_number == 0:
        if [event["type"] for event in events] == ["error"]:
            _check_error(events[0])
        else:
            _check_whole(events)
    return events


def _events(raw: bytes) -> list[dict[str, Any]]:
    """Frames of exactly one `event:` and one `data:` line, whose names agree; comments are skipped."""
    assert raw.endswith(b"\n\n"), "the stream does not end with a blank line"
    events = []
    for frame in raw[:-2].split(b"\n\n"):
        if frame.startswith(b":"):
            continue
        lines = frame.split(b"\n")
        assert len(lines) == 2, f"a frame is not one event line and one data line: {frame[:200]!r}"
        assert lines[0].startswith(b"event: "), f"no event line: {frame[:200]!r}"
        assert lines[1].startswith(b"data: "), f"no data line: {frame[:200]!r}"
        event = orjson.loads(lines[1][6:])
        assert event["type"] == lines[0][7:].decode(), f"the event line names another type: {frame[:200]!r}"
        events.append(event)
    assert events, "the stream has no event"
    return events


def _check_numbers(events: list[dict[str, Any]], first: int) -> None:
    numbers = [event.get("sequence_number") for event in events]
    assert numbers == list(range(first, first + len(events))), f"sequence numbers are not in order: {numbers}"


def _check_error(event: dict[str, Any]) -> None:
    assert set(event) == {"type", "sequence_number", "code", "message", "param"}, f"error has {set(event)}"


def _check_whole(events: list[dict[str, Any]]) -> None:
    names = [event["type"] for event in events]
    prelude = next((prelude for prelude in _PRELUDES if names[: len(prelude)] == prelude), None)
    assert prelude is not None, f"the stream does not begin with created and in_progress: {names[:3]}"
    assert names[-1] in _ENDS, f"the stream ends with {names[-1]}"
    assert not set(names[:-1]) & set(_ENDS), "an end is followed by more events"
    responses = [event["response"] for event in (*events[: len(prelude)], events[-1])]
    assert len({response["id"] for response in responses}) == 1, "the response's id changes"
    for response in responses[:-1]:
        assert response["output"] == [], "a response that has just begun has output"
        assert response["status"] in ("queued", "in_progress"), f"it begins as {response['status']}"
    items = _check_items(events[len(prelude) : -1], is_failed=names[-1] == "response.failed")
    _check_end(names[-1], events[-1]["response"], items)


def _check_end(name: str, response: dict[str, Any], items: list[dict[str, Any]]) -> None:
    assert response["status"] == _ENDS[name], f"{name} says {response['status']}"
    assert (response["error"] is not None) == (name == "response.failed"), f"{name}: {response['error']}"
    has_reason = response["incomplete_details"] is not None
    assert has_reason == (name == "response.incomplete"), f"{name}: {response['incomplete_details']}"
    assert response["output"] == items, (
        f"the final output differs from the items: {response['output']} and {items}"
    )
    ids = [item["id"] for item in items]
    assert len(set(ids)) == len(ids), f"two items share an id: {ids}"
    usage = response["usage"]
    if usage is not None:
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"], f"usage {usage}"
        assert "cached_tokens" in usage["input_tokens_details"], f"usage {usage}"
        assert "reasoning_tokens" in usage["output_tokens_details"], f"usage {usage}"


def _check_items(events: list[dict[str, Any]], *, is_failed: bool) -> list[dict[str, Any]]:
    """The items, each as its events tell it. An item without a done is a call that was cut, or the last of a
    failed answer."""
    groups: list[list[dict[str, Any]]] = []
    for event in events:
        fields = _FIELDS.get(event["type"])
        assert fields is not None, f"unknown event {event['type']}"
        assert set(event) == fields | {"type", "sequence_number"}, f"fields of {event}"
        if event["type"] == "response.output_item.added":
            assert event["output_index"] == len(groups), f"output_index of {event}"
            groups.append([event])
        else:
            assert groups, f"{event['type']} comes before any item"
            assert event["output_index"] == len(groups) - 1, f"output_index of {event}"
            groups[-1].append(event)
    return [
        _check_item(group, may_stay_open=is_failed and index == len(groups) - 1)
        for index, group in enumerate(groups)
    ]


def _check_item(group: list[dict[str, Any]], *, may_stay_open: bool) -> dict[str, Any]:
    added = group[0]["item"]
    kind = added["type"]
    assert added["status"] == "in_progress", f"added with status {added['status']}"
    is_done = group[-1]["type"] == "response.output_item.done"
    body = group[1:-1] if is_done else group[1:]
    assert "response.output_item.done" not in [event["type"] for event in body], "events after an item's done"
    if kind not in _BODY_BY_TYPE:  # calls without deltas
        assert is_done, f"{kind} is never done"
        assert not body, f"{kind} has events between: {body}"
        item = group[-1]["item"]
        assert item == added | {"status": "completed"}, f"{item} differs from {added}"
        return dict(item)
    if kind == "web_search_call":
        assert is_done, "a web search is never done"
        added["action"].update(_sources(group[-1]["item"]))
    assert all(event["item_id"] == added["id"] for event in body), f"item_id differs from {added['id']}"
    for event in body:
        assert event["type"].startswith(_PREFIX_BY_TYPE[kind]), f"{event['type']} inside a {kind}"
    order = "".join(_LETTERS[event["type"]] for event in body)
    form = _BODY_BY_TYPE[kind] if is_done else _CUT_BY_TYPE[kind]
    assert re.fullmatch(form, order), f"events of a {kind} are not in order: {[e['type'] for e in body]}"
    item = _told(added, body)
    if is_done:
        _check_done_texts(body, item)
        done = group[-1]["item"]
        without = {key: value for key, value in done.items() if key not in ("status", "encrypted_content")}
        assert without == _without_status(item), f"the done item {done} differs from what was told: {item}"
        assert done["status"] in ("completed", "incomplete"), f"done with status {done['status']}"
        return dict(done)
    assert may_stay_open or kind.endswith("_call"), f"a {kind} is never done"
    return item | {"status": "incomplete"}


def _sources(item: dict[str, Any]) -> dict[str, Any]:
    """What a search's done tells more than its added: the sources, for clients that asked for them."""
    assert item["action"]["type"] == "search", f"action {item['action']}"
    sources = {key: value for key, value in item["action"].items() if key == "sources"}
    assert all(set(source) == {"type", "url"} for source in sources.get("sources", [])), f"{sources}"
    return sources


def _told(added: dict[str, Any], body: list[dict[str, Any]]) -> dict[str, Any]:
    """The item that the deltas and annotations add up to."""
    text = "".join(event["delta"] for event in body if event["type"].endswith(".delta"))
    assert all(event["delta"] for event in body if event["type"].endswith(".delta")), "an empty delta"
    kind = added["type"]
    if kind == "web_search_call":
        return added
    if kind == "function_call":
        assert added["arguments"] == "", f"added with arguments: {added}"
        return added | {"arguments": text}
    if kind == "custom_tool_call":
        assert added["input"] == "", f"added with an input: {added}"
        return added | {"input": text}
    if kind == "reasoning":
        assert added["summary"] == [], f"added with a summary: {added}"
        assert all(event["summary_index"] == 0 for event in body), "summary_index"
        assert body[0]["part"] == {"type": "summary_text", "text": ""}, f"part {body[0]['part']}"
        return added | {"summary": [{"type": "summary_text", "text": text}]}
    assert added["content"] == [], f"added with content: {added}"
    assert all(event["content_index"] == 0 for event in body), "content_index"
    empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    assert body[0]["part"] == empty, f"part {body[0]['part']}"
    annotations = [event["annotation"] for event in body if "annotation" in event]
    numbers = [event["annotation_index"] for event in body if "annotation" in event]
    assert numbers == list(range(len(numbers))), f"annotation indexes {numbers}"
    return added | {"content": [empty | {"text": text, "annotations": annotations}]}


def _without_status(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key != "status"}


def _check_done_texts(body: list[dict[str, Any]], item: dict[str, Any]) -> None:
    part = (item.get("summary") or item.get("content") or [{}])[0]
    expected = {"text": part.get("text"), "arguments": item.get("arguments"), "input": item.get("input")}
    for event in body:
        if event["type"].endswith("part.done"):
            assert event["part"] == part, f"{event['type']} differs from the deltas: {event['part']}"
        elif event["type"].endswith(".done"):
            key = next(key for key in expected if key in event)
            assert event[key] == expected[key], f"{event['type']} differs from the deltas: {event[key]!r}"
