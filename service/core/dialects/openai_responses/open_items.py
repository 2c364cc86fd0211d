"""Items while they are being answered: the events each makes of its deltas, and the item it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import orjson

from service.core.dialects.openai_responses.freeform import FreeformInput
from service.core.dialects.openai_responses.output import (
    COMPLETED,
    IN_PROGRESS,
    INCOMPLETE,
    Item,
    NewId,
    Seal,
    action_item,
    citation_annotations,
    custom_item,
    function_item,
    message_item,
    reasoning_item,
    search_item,
    text_part,
    whole_arguments,
)
from service.core.dialects.openai_responses.tools import ClientTool, Shape
from service.core.events import Citation


class EventWriter:
    """Numbers the events and makes them bytes."""

    def __init__(self, *, first_number: int = 0) -> None:
        self.next_number = first_number

    def event(self, name: str, body: Mapping[str, object]) -> bytes:
        number, self.next_number = self.next_number, self.next_number + 1
        rest = orjson.dumps(body)[1:]
        kind = name.encode()
        return b'event: %b\ndata: {"type":"%b","sequence_number":%d,%b\n\n' % (kind, kind, number, rest)

    @staticmethod
    def delta_template(name: str, body: Mapping[str, object]) -> bytes:
        """The bytes of a delta event with two holes: `%d` for its number, `%b` for the delta as JSON."""
        kind, rest = name.encode(), orjson.dumps(body)[1:-1].replace(b"%", b"%%")
        return b'event: %b\ndata: {"type":"%b","sequence_number":%%d,%b,"delta":%%b}\n\n' % (kind, kind, rest)

    def delta(self, template: bytes, text: str) -> bytes:
        number, self.next_number = self.next_number, self.next_number + 1
        return template % (number, orjson.dumps(text))


class OpenItem(Protocol):
    """An item that is being answered."""

    def opened(self) -> bytes: ...

    def add(self, text: str) -> bytes: ...

    def done(self, status: str) -> tuple[bytes, Item]:
        """The closing events and the finished item."""
        ...

    def cut(self) -> tuple[bytes, Item]:
        """What there is of it, with status incomplete; no closing event."""
        ...


class OpenReasoning:
    def __init__(self, writer: EventWriter, index: int, item_id: str, seal: Seal | None) -> None:
        self._writer, self._index, self._id, self._seal = writer, index, item_id, seal
        self._pieces: list[str] = []
        self._place = {"item_id": item_id, "output_index": index, "summary_index": 0}
        self._template = writer.delta_template("response.reasoning_summary_text.delta", self._place)

    def opened(self) -> bytes:
        item = reasoning_item(self._id, "", IN_PROGRESS)
        part = {"type": "summary_text", "text": ""}
        return _added(self._writer, self._index, item) + self._writer.event(
            "response.reasoning_summary_part.added", self._place | {"part": part}
        )

    def add(self, text: str) -> bytes:
        self._pieces.append(text)
        return self._writer.delta(self._template, text)

    def done(self, status: str) -> tuple[bytes, Item]:
        text = "".join(self._pieces)
        sealed = self._seal(text) if self._seal else None
        item = reasoning_item(self._id, text, status, sealed=sealed)
        part = {"type": "summary_text", "text": text}
        event = self._writer.event
        return (
            event("response.reasoning_summary_text.done", self._place | {"text": text})
            + event("response.reasoning_summary_part.done", self._place | {"part": part})
            + _item_done(self._writer, self._index, item),
            item,
        )

    def cut(self) -> tuple[bytes, Item]:
        return b"", reasoning_item(self._id, "".join(self._pieces), INCOMPLETE)


class OpenMessage:
    def __init__(
        self, writer: EventWriter, index: int, item_id: str, citations: Sequence[Citation] = ()
    ) -> None:
        self._writer, self._index, self._id, self._citations = writer, index, item_id, citations
        self._pieces: list[str] = []
        self._place = {"item_id": item_id, "output_index": index, "content_index": 0}
        self._template = writer.delta_template("response.output_text.delta", self._place | {"logprobs": []})

    def opened(self) -> bytes:
        item = message_item(self._id, [], IN_PROGRESS)
        return _added(self._writer, self._index, item) + self._writer.event(
            "response.content_part.added", self._place | {"part": text_part("")}
        )

    def add(self, text: str) -> bytes:
        self._pieces.append(text)
        return self._writer.delta(self._template, text)

    def done(self, status: str) -> tuple[bytes, Item]:
        text = "".join(self._pieces)
        annotations = citation_annotations(self._citations, text)
        part = text_part(text, annotations)
        item = message_item(self._id, [part], status)
        event = self._writer.event
        out = [
            event(
                "response.output_text.annotation.added",
                self._place | {"annotation_index": number, "annotation": annotation},
            )
            for number, annotation in enumerate(annotations)
        ]
        out.append(event("response.output_text.done", self._place | {"text": text, "logprobs": []}))
        out.append(event("response.content_part.done", self._place | {"part": part}))
        out.append(_item_done(self._writer, self._index, item))
        return b"".join(out), item

    def cut(self) -> tuple[bytes, Item]:
        return b"", message_item(self._id, [text_part("".join(self._pieces))], INCOMPLETE)


class _OpenFunction:
    def __init__(self, writer: EventWriter, index: int, item_id: str, call_id: str, tool: ClientTool) -> None:
        self._writer, self._index, self._id = writer, index, item_id
        self._call_id, self._tool = call_id, tool
        self._pieces: list[str] = []
        self._place = {"item_id": item_id, "output_index": index}
        self._template = writer.delta_template("response.function_call_arguments.delta", self._place)

    def opened(self) -> bytes:
        return _added(self._writer, self._index, self._item("", IN_PROGRESS))

    def add(self, text: str) -> bytes:
        self._pieces.append(text)
        return self._writer.delta(self._template, text)

    def done(self, status: str) -> tuple[bytes, Item]:
        out = b"" if self._pieces else self.add(whole_arguments(""))
        arguments = "".join(self._pieces)
        item = self._item(arguments, COMPLETED)
        # `name` is what MiMo's own wire has here, and some clients read it.
        body = self._place | {"name": self._tool.name, "arguments": arguments}
        out += self._writer.event("response.function_call_arguments.done", body)
        return out + _item_done(self._writer, self._index, item), item

    def cut(self) -> tuple[bytes, Item]:
        return b"", self._item("".join(self._pieces), INCOMPLETE)

    def _item(self, arguments: str, status: str) -> Item:
        return function_item(self._id, self._call_id, self._tool, arguments, status)


class _OpenCustom:
    def __init__(self, writer: EventWriter, index: int, item_id: str, call_id: str, tool: ClientTool) -> None:
        self._writer, self._index, self._id = writer, index, item_id
        self._call_id, self._tool = call_id, tool
        self._input = FreeformInput()
        self._pieces: list[str] = []
        self._place = {"item_id": item_id, "output_index": index}
        self._template = writer.delta_template("response.custom_tool_call_input.delta", self._place)

    def opened(self) -> bytes:
        return _added(self._writer, self._index, self._item("", IN_PROGRESS))

    def add(self, text: str) -> bytes:
        return self._add_input(self._input.feed(text))

    def done(self, status: str) -> tuple[bytes, Item]:
        out = self._add_input(self._input.finish())
        text = "".join(self._pieces)
        item = self._item(text, COMPLETED)
        out += self._writer.event("response.custom_tool_call_input.done", self._place | {"input": text})
        return out + _item_done(self._writer, self._index, item), item

    def cut(self) -> tuple[bytes, Item]:
        return b"", self._item("".join(self._pieces), INCOMPLETE)

    def _add_input(self, text: str) -> bytes:
        if not text:
            return b""
        self._pieces.append(text)
        return self._writer.delta(self._template, text)

    def _item(self, text: str, status: str) -> Item:
        return custom_item(self._id, self._call_id, self._tool, text, status)


class _OpenAction:
    """A call whose item type has no deltas: nothing is shown before its end."""

    def __init__(
        self, writer: EventWriter, index: int, new_id: NewId, call_id: str, tool: ClientTool
    ) -> None:
        self._writer, self._index, self._new_id = writer, index, new_id
        self._call_id, self._tool = call_id, tool
        self._pieces: list[str] = []

    def opened(self) -> bytes:
        return b""

    def add(self, text: str) -> bytes:
        self._pieces.append(text)
        return b""

    def done(self, status: str) -> tuple[bytes, Item]:
        item = action_item(self._new_id, self._call_id, self._tool, "".join(self._pieces))
        if item["type"] == "function_call":
            shown, call = self._as_function(str(item["id"]))
            closing, item = call.done(status)
            return shown + closing, item
        added = _added(self._writer, self._index, item | {"status": IN_PROGRESS})
        return added + _item_done(self._writer, self._index, item), item

    def cut(self) -> tuple[bytes, Item]:
        shown, call = self._as_function(self._new_id("fc_"))
        return shown, call.cut()[1]

    def _as_function(self, item_id: str) -> tuple[bytes, _OpenFunction]:
        """The same call shown as a plain function call, with the arguments so far."""
        call = _OpenFunction(self._writer, self._index, item_id, self._call_id, self._tool)
        return b"".join([call.opened(), *map(call.add, self._pieces)]), call


def open_call(writer: EventWriter, index: int, call_id: str, tool: ClientTool, new_id: NewId) -> OpenItem:
    """The open item of a call, by the tool's shape."""
    if tool.shape is Shape.FUNCTION:
        return _OpenFunction(writer, index, new_id("fc_"), call_id, tool)
    if tool.shape is Shape.CUSTOM:
        return _OpenCustom(writer, index, new_id("ctc_"), call_id, tool)
    return _OpenAction(writer, index, new_id, call_id, tool)


def whole_search(
    writer: EventWriter, index: int, item_id: str, sources: Sequence[Citation], *, shows_sources: bool
) -> tuple[bytes, Item]:
    """A search, of which the upstream tells when it is over, and the finished item."""
    place = {"item_id": item_id, "output_index": index}
    begun = search_item(item_id, (), IN_PROGRESS, shows_sources=False)
    item = search_item(item_id, sources, COMPLETED, shows_sources=shows_sources)
    stages = (f"response.web_search_call.{stage}" for stage in (IN_PROGRESS, "searching", COMPLETED))
    out = _added(writer, index, begun) + b"".join(writer.event(stage, place) for stage in stages)
    return out + _item_done(writer, index, item), item


def _added(writer: EventWriter, index: int, item: Item) -> bytes:
    return writer.event("response.output_item.added", {"output_index": index, "item": item})


def _item_done(writer: EventWriter, index: int, item: Item) -> bytes:
    return writer.event("response.output_item.done", {"output_index": index, "item": item})
