"""The grammar of an Anthropic Messages stream, as a checker for every stream that any test produces.

    stream  = ping* ( error | message_start ( ping | block )* ending )
    block   = content_block_start ( content_block_delta | ping )* content_block_stop
    (a server_tool_use block is followed by the web_search_tool_result of its id, which comes whole)
    ending  = message_delta ping* message_stop | error

One block is open at a time, indexes count up from 0; `error` may cut the stream anywhere and nothing
follows it or `message_stop`. Deltas fit their block and are never empty (but `partial_json` may be);
thinking ends with exactly one non-empty signature. The arguments of a call are one JSON object, or "" for
none, unless the call is the last block of an answer that was cut. `stop_reason` agrees with the blocks.

Source: anthropic 2.11.0, types/raw_*_event.py; Anthropic, "Streaming Messages"; read 2026-11-20.
"""

from __future__ import annotations

from typing import Any

import orjson

Frame = dict[str, Any]

_DELTAS_BY_BLOCK = {
    "text": {"text_delta": "text"},
    "thinking": {"thinking_delta": "thinking", "signature_delta": "signature"},
    "tool_use": {"input_json_delta": "partial_json"},
    "server_tool_use": {"input_json_delta": "partial_json"},
    "web_search_tool_result": {},
}
_BLOCK_FIELDS = {
    "text": {"type", "text"},
    "thinking": {"type", "thinking", "signature"},
    "tool_use": {"type", "id", "name", "input"},
    "server_tool_use": {"type", "id", "name", "input"},
    "web_search_tool_result": {"type", "tool_use_id", "content"},
}
_STOP_REASONS = {"end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"}
_ERROR_TYPES = {
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "timeout_error",
    "api_error",
    "overloaded_error",
}


def check_stream(raw: bytes) -> list[Frame]:
    """The frames of a whole stream, pings included. Raises AssertionError naming the first breach."""
    frames = _frames(raw)
    checker = _Checker()
    for number, frame in enumerate(frames):
        try:
            checker.feed(frame)
        except AssertionError as breach:
            raise AssertionError(f"frame {number} ({_shown(frame)}): {breach}") from None
    assert checker.has_ended, f"the stream ends without message_stop or error, after {len(frames)} frames"
    return frames


def _frames(raw: bytes) -> list[Frame]:
    assert raw.endswith(b"\n\n"), f"the stream does not end with a blank line: {raw[-60:]!r}"
    frames = []
    for piece in raw.removesuffix(b"\n\n").split(b"\n\n"):
        if piece.startswith(b":"):
            continue
        lines = piece.split(b"\n")
        assert len(lines) == 2, f"not an event line and a data line: {piece[:200]!r}"
        assert lines[0].startswith(b"event: "), f"no event line: {piece[:200]!r}"
        assert lines[1].startswith(b"data: "), f"no data line: {piece[:200]!r}"
        frame = orjson.loads(lines[1][6:])
        assert isinstance(frame, dict), f"data is no object: {piece[:200]!r}"
        name = lines[0][7:].decode()
        assert frame.get("type") == name, f"event {name!r} with type {frame.get('type')!r}"
        frames.append(frame)
    return frames


def _shown(frame: Frame) -> str:
    text = orjson.dumps(frame).decode()
    return text if len(text) <= 120 else text[:120] + "…"


class _Checker:
    def __init__(self) -> None:
        self.has_ended = False
        self._has_started = False
        self._has_stopped = False  # message_delta was seen
        self._blocks: list[Frame] = []  # the content_block of each start
        self._is_open = False
        self._is_signed = False
        self._arguments: list[str] = []  # of each tool_use block, joined

    def feed(self, frame: Frame) -> None:
        assert not self.has_ended, "a frame after the end"
        kind = frame["type"]
        feeder = getattr(self, f"_{kind}", None)
        assert feeder is not None, "an event that is not of this dialect"
        if kind not in ("ping", "error", "message_start"):
            assert self._has_started, "before message_start"
        if kind not in ("ping", "error", "message_stop"):
            assert not self._has_stopped, "after message_delta"
        feeder(frame)

    def _ping(self, frame: Frame) -> None:
        assert frame == {"type": "ping"}, "a ping with fields"

    def _error(self, frame: Frame) -> None:
        error = frame["error"]
        assert set(frame) <= {"type", "error", "request_id"}, "unknown fields in the error event"
        assert error["type"] in _ERROR_TYPES, f"unknown error type {error['type']!r}"
        assert isinstance(error["message"], str), "the error has no message"
        assert error["message"], "the error's message is empty"
        self.has_ended = True

    def _message_start(self, frame: Frame) -> None:
        assert not self._has_started, "a second message_start"
        self._has_started = True
        message = frame["message"]
        expected: Frame = {
            "type": "message",
            "role": "assistant",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }
        found = {key: message.get(key, "absent") for key in expected}
        assert found == expected, f"message_start says {found}"
        assert isinstance(message["id"], str), "the message has no id"
        assert message["id"], "the message's id is empty"
        assert isinstance(message["model"], str), "the message has no model"
        _check_usage(message["usage"])

    def _content_block_start(self, frame: Frame) -> None:
        assert not self._is_open, "a block starts while another is open"
        assert frame["index"] == len(self._blocks), f"index {frame['index']} instead of {len(self._blocks)}"
        block = frame["content_block"]
        assert block["type"] in _BLOCK_FIELDS, f"block type {block['type']!r}"
        assert set(block) == _BLOCK_FIELDS[block["type"]], f"fields {sorted(block)}"
        searched = self._blocks[-1]["id"] if self._last_is("server_tool_use") else None
        assert block.get("tool_use_id") == searched, f"{block['type']} after a search {searched!r}"
        if block["type"] == "web_search_tool_result":
            _check_sources(block["content"])
        elif block["type"] in ("tool_use", "server_tool_use"):
            assert block["input"] == {}, "input must start empty"
            assert block["id"], "the call has no id"
            assert block["name"], "the call has no name"
            assert all(block["id"] != other.get("id") for other in self._blocks), "a call's id comes twice"
        else:
            assert not any(value for key, value in block.items() if key != "type"), "a block must start empty"
        self._blocks.append(block)
        self._arguments.append("")
        self._is_open, self._is_signed = True, False

    def _content_block_delta(self, frame: Frame) -> None:
        delta, deltas = frame["delta"], _DELTAS_BY_BLOCK[self._open_block(frame)["type"]]
        if delta["type"] == "citations_delta":
            assert self._last_is("text"), "a citation outside a text"
            _check_citation(delta["citation"])
            return
        assert delta["type"] in deltas, f"{delta['type']} in a {self._blocks[-1]['type']} block"
        assert not self._is_signed, "a delta after the signature"
        field = deltas[delta["type"]]
        assert set(delta) == {"type", field}, f"fields {sorted(delta)}"
        assert isinstance(delta[field], str), f"{field} is no string"
        if field == "partial_json":
            self._arguments[-1] += delta[field]
        else:
            assert delta[field], f"an empty {delta['type']}"
        self._is_signed = field == "signature"

    def _content_block_stop(self, frame: Frame) -> None:
        block = self._open_block(frame)
        assert set(frame) == {"type", "index"}, f"fields {sorted(frame)}"
        if block["type"] == "thinking":
            assert self._is_signed, "a thinking block without a signature"
        if block["type"] == "server_tool_use":
            _check_arguments(self._arguments[-1])
        self._is_open = False

    def _message_delta(self, frame: Frame) -> None:
        assert not self._is_open, "message_delta while a block is open"
        assert not self._last_is("server_tool_use"), "a search without a result"
        self._has_stopped = True
        delta = frame["delta"]
        reason, sequence = delta["stop_reason"], delta["stop_sequence"]
        assert set(delta) <= {"stop_reason", "stop_sequence", "stop_details"}, f"fields {sorted(delta)}"
        assert reason in _STOP_REASONS, f"stop_reason {reason!r}"
        assert isinstance(sequence, str) == (reason == "stop_sequence"), (
            f"{reason} with sequence {sequence!r}"
        )
        is_cut = reason in ("max_tokens", "refusal")
        calls = [number for number, block in enumerate(self._blocks) if block["type"] == "tool_use"]
        assert is_cut or bool(calls) == (reason == "tool_use"), f"{reason} with {len(calls)} calls"
        for number in calls:
            if not (is_cut and number == len(self._blocks) - 1):
                _check_arguments(self._arguments[number])
        _check_usage(frame["usage"])

    def _message_stop(self, frame: Frame) -> None:
        assert frame == {"type": "message_stop"}, "message_stop with fields"
        assert self._has_stopped, "message_stop without message_delta"
        self.has_ended = True

    def _last_is(self, kind: str) -> bool:
        return bool(self._blocks) and self._blocks[-1]["type"] == kind

    def _open_block(self, frame: Frame) -> Frame:
        assert self._is_open, "no block is open"
        assert frame["index"] == len(self._blocks) - 1, f"index {frame['index']} is not the open block's"
        return self._blocks[-1]


def _check_sources(content: list[Frame]) -> None:
    assert content, "a search that found nothing"
    for result in content:
        assert set(result) == {"type", "url", "title", "encrypted_content", "page_age"}, f"{sorted(result)}"
        assert result["type"] == "web_search_result", f"source of type {result['type']!r}"
        assert result["encrypted_content"], "a source without content to send back"


def _check_citation(citation: Frame) -> None:
    assert set(citation) == {"type", "url", "title", "encrypted_index", "cited_text"}, f"{sorted(citation)}"
    assert citation["type"] == "web_search_result_location", f"citation of type {citation['type']!r}"


def _check_arguments(text: str) -> None:
    try:
        value = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        raise AssertionError(f"a complete call's arguments are not JSON: {text[:120]!r}") from None
    assert isinstance(value, dict), f"a call's arguments are no object: {text[:120]!r}"


def _check_usage(usage: Frame) -> None:
    for key in ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"):
        assert isinstance(usage.get(key), int), f"usage.{key} is {usage.get(key)!r}"
        assert usage[key] >= 0, f"usage.{key} is {usage[key]}"
