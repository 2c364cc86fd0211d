"""The grammar of an OpenAI Chat stream, as a checker for every stream that any test produces.

    stream  = comment* ( error | first ( delta | comment )* ( error | ending ) )
    first   = a chunk whose delta is {"role": "assistant", "content": ""}
    delta   = content | reasoning_content | annotations | a call's start | a call's fragment | a custom call
    ending  = finish chunk, usage chunk when usage was asked for and is known, [DONE]

Every frame is one `data:` line or one comment, and a blank line. All chunks share id, model and time. Calls
have contiguous indexes; fragments belong to the last one; their arguments are one JSON object each, unless
the last was cut, which `finish_reason` then says. Usage is asked for in all chunks or in none. Nothing
follows an error: `[DONE]` would call it a success.

Source: openai-python 3.52 types/chat/chat_completion_chunk.py and _streaming.py, read 2026-11-20.
"""

from __future__ import annotations

from typing import Any

import orjson

Chunk = dict[str, Any]

_CHUNK_FIELDS = {"id", "object", "created", "model", "choices"}
_DELTA_FIELDS = {"content", "reasoning_content", "annotations", "tool_calls"}
_FINISH_REASONS = {"stop", "length", "tool_calls", "content_filter"}
_USAGE_FIELDS = {
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "prompt_tokens_details",
    "completion_tokens_details",
}


def check_stream(raw: bytes) -> list[Chunk]:
    """The JSON objects of a whole stream, an error included, comments and `[DONE]` not. Raises
    AssertionError naming the first breach."""
    checker = _Checker()
    chunks: list[Chunk] = []
    for number, payload in enumerate(_payloads(raw)):
        try:
            checker.feed(payload)
        except AssertionError as breach:
            raise AssertionError(f"frame {number} ({payload[:200]!r}): {breach}") from None
        if payload != b"[DONE]":
            chunks.append(orjson.loads(payload))
    assert checker.has_ended, f"the stream ends without [DONE] or error, after {len(chunks)} chunks"
    return chunks


def _payloads(raw: bytes) -> list[bytes]:
    """What stands behind `data: ` in each frame."""
    assert b"\r" not in raw, "a CR in the stream: lines end with LF"
    *frames, rest = raw.split(b"\n\n")
    assert not rest, f"the stream breaks off inside a frame: {rest[:80]!r}"
    payloads = []
    for frame in frames:
        assert b"\n" not in frame, f"a frame of several lines: {frame[:80]!r}"
        if frame.startswith(b":"):
            continue
        assert frame.startswith(b"data: "), f"neither a data line nor a comment: {frame[:80]!r}"
        payloads.append(frame[6:])
    return payloads


class _Checker:
    def __init__(self) -> None:
        self.has_ended = False
        self._head: tuple[object, ...] | None = None
        self._has_role = False
        self._tells_usage = False
        self._has_usage = False
        self._finish_reason: str | None = None
        self._citation_count = 0
        self._calls: list[list[str]] = []
        self._custom: set[int] = set()

    def feed(self, payload: bytes) -> None:
        assert not self.has_ended, "something follows the end of the stream"
        if payload == b"[DONE]":
            assert self._finish_reason is not None, "[DONE] without a finish chunk"
            self.has_ended = True
            return
        chunk = orjson.loads(payload)
        assert isinstance(chunk, dict), "no JSON object"
        if "error" in chunk:
            self._error(chunk)
            return
        self._fields(chunk)
        if not chunk["choices"]:
            self._usage(chunk)
            return
        assert not self._has_usage, "a chunk after the usage chunk"
        assert self._finish_reason is None, "a delta after the finish chunk"
        self._choice(chunk["choices"])

    def _error(self, chunk: Chunk) -> None:
        assert set(chunk) == {"error"}, "an error stands alone"
        assert set(chunk["error"]) == {"message", "type", "param", "code"}, "an error of another shape"
        assert chunk["error"]["message"], "an error without a message"
        assert self._finish_reason is None, "an error after the finish chunk"
        self.has_ended = True

    def _fields(self, chunk: Chunk) -> None:
        assert set(chunk) - {"usage"} == _CHUNK_FIELDS, f"fields {sorted(chunk)}"
        assert chunk["object"] == "chat.completion.chunk", chunk["object"]
        head = (chunk["id"], chunk["created"], chunk["model"])
        if self._head is None:
            self._head, self._tells_usage = head, "usage" in chunk
            delta = chunk["choices"][0]["delta"]
            assert delta == {"role": "assistant", "content": ""}, "the first chunk must bring the role alone"
        assert head == self._head, "id, created or model changed"
        assert ("usage" in chunk) == self._tells_usage, "usage in some chunks only"
        if chunk["choices"] and self._tells_usage:
            assert chunk["usage"] is None, "usage before the usage chunk"

    def _usage(self, chunk: Chunk) -> None:
        assert self._finish_reason is not None, "usage before the finish chunk"
        assert not self._has_usage, "usage twice"
        assert self._tells_usage, "usage that nobody asked for"
        told = set(chunk["usage"]) - {"web_search_usage"}  # MiMo's own, of an answer that searched
        assert told == _USAGE_FIELDS, f"usage fields {sorted(chunk['usage'])}"
        total = chunk["usage"]["prompt_tokens"] + chunk["usage"]["completion_tokens"]
        assert chunk["usage"]["total_tokens"] == total, "usage does not add up"
        self._has_usage = True

    def _choice(self, choices: list[Chunk]) -> None:
        assert len(choices) == 1, f"{len(choices)} choices"
        choice = choices[0]
        assert set(choice) == {"index", "delta", "logprobs", "finish_reason"}, (
            f"choice fields {sorted(choice)}"
        )
        assert choice["index"] == 0, "a choice other than the first"
        delta, reason = choice["delta"], choice["finish_reason"]
        if reason is not None:
            assert delta == {}, "the finish chunk has a delta"
            self._finish(reason)
        elif "role" not in delta:
            self._delta(delta)
        else:
            assert not self._has_role, "a role again"
            self._has_role = True

    def _finish(self, reason: str) -> None:
        assert reason in _FINISH_REASONS, f"unknown finish_reason {reason}"
        self._finish_reason = reason
        is_cut = reason in ("length", "content_filter")
        assert is_cut or (reason == "tool_calls") == bool(self._calls), (
            f"{reason} after {len(self._calls)} calls"
        )
        for index, pieces in enumerate(self._calls):
            if index in self._custom or (is_cut and index == len(self._calls) - 1):
                continue
            try:
                arguments = orjson.loads("".join(pieces))
            except orjson.JSONDecodeError:
                arguments = None
            assert isinstance(arguments, dict), f"the arguments of call {index} are no JSON object"

    def _delta(self, delta: Chunk) -> None:
        assert len(delta) == 1, f"delta fields {sorted(delta)}"
        ((key, value),) = delta.items()
        assert key in _DELTA_FIELDS, f"unknown delta field {key}"
        assert value, f"an empty {key}"
        if key == "annotations":
            for annotation in value:
                assert annotation["index"] == self._citation_count, "annotations out of order"
                self._citation_count += 1
                assert annotation["type"] == "url_citation", annotation
                assert {"url", "title", "start_index", "end_index"} <= set(annotation["url_citation"])
        elif key == "tool_calls":
            assert len(value) == 1, "several calls in one delta"
            self._call(value[0])
        else:
            assert isinstance(value, str), f"{key} is no string"

    def _call(self, call: Chunk) -> None:
        if "id" not in call:
            assert set(call) == {"index", "function"}, f"fragment fields {sorted(call)}"
            assert call["index"] == len(self._calls) - 1, "a fragment of a call that is not the last one"
            assert call["index"] not in self._custom, "a fragment of a custom call"
            assert set(call["function"]) == {"arguments"}, "a fragment with more than arguments"
            assert call["function"]["arguments"], "an empty fragment"
            self._calls[-1].append(call["function"]["arguments"])
            return
        assert call["index"] == len(self._calls), f"call index {call['index']} after {len(self._calls)} calls"
        assert call["id"], "a call without an id"
        if call["type"] == "custom":
            assert set(call["custom"]) == {"name", "input"}, "a custom call of another shape"
            self._custom.add(call["index"])
        else:
            assert call["type"] == "function", call["type"]
            assert set(call["function"]) == {"name", "arguments"}, "a call of another shape"
            assert call["function"]["name"], "a call without a name"
            assert call["function"]["arguments"] == "", "a call's start with arguments"
        self._calls.append([])
