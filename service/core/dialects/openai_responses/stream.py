"""Events -> the stream of `POST /v1/responses`.

Sequence: response.created, (queued, for a background request,) in_progress; then the items, one open at a
time, each from output_item.added to output_item.done with the events of its type between; last exactly one of
response.completed, .incomplete and .failed with the whole response. Every event has the next
`sequence_number`, from 0.

What opens and closes an item: a delta of another kind, the start of a call, its end, the end of the answer.
Calls that the answer's end cuts off get no output_item.done: clients run a call when they see that, and half
of a patch or a command must not run. The final response holds them with status incomplete. A failure closes
nothing; the failed response holds what there is.

A web search is shown whole, by an item of its own, before whatever comes after its sources; the first message
after it has them as annotations. Calls of local_shell, shell and apply_patch have no deltas in this dialect:
they come whole at their end.

Source: openai-python 3.52 response_*_event.py and lib/streaming/responses, what Codex 0.169 and the Vercel
AI SDK need (summary_index, arguments, logprobs, annotations), read 2026-11-20."""

from __future__ import annotations

from service.core.completion import AnswerHead
from service.core.dialects.openai_responses.errors import response_error
from service.core.dialects.openai_responses.open_items import (
    EventWriter,
    OpenItem,
    OpenMessage,
    OpenReasoning,
    open_call,
    whole_search,
)
from service.core.dialects.openai_responses.output import (
    COMPLETED,
    FAILED,
    IN_PROGRESS,
    Item,
    NewId,
    ResponseFrame,
    Seal,
    ended_status,
)
from service.core.dialects.openai_responses.request import ResponsesRequest
from service.core.errors import GatewayError
from service.core.events import (
    Citation,
    Event,
    Failed,
    Finish,
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
from service.core.sse import encode_comment

_PING = encode_comment("ping")


class StreamEncoder:
    """One answer's events in, bytes for the client out. Text is kept in pieces and joined once: linear.

    `new_id` makes an id of a prefix (`msg_`, `rs_`, `fc_`, …); `seal` turns reasoning into the opaque
    `encrypted_content` for clients that ask for it."""

    def __init__(
        self, head: AnswerHead, request: ResponsesRequest, *, new_id: NewId, seal: Seal | None = None
    ) -> None:
        self._frame = ResponseFrame(head, request)
        self._bridge = request.bridge
        self._is_background = request.is_background
        self._new_id = new_id
        self._seal = seal if request.wants_sealed_reasoning else None
        self._writer = EventWriter()
        self._open: OpenItem | None = None
        self._open_kind: type | None = None
        self._output: list[Item] = []
        self._shows_sources = request.wants_sources
        self._found: list[Citation] = []  # by a search that is not shown yet
        self._uncited: list[Citation] = []
        self._usage: Usage | None = None
        self._response: dict[str, object] | None = None

    @property
    def response(self) -> dict[str, object] | None:
        """The final response object, for the store; None before the end."""
        return self._response

    @property
    def output(self) -> list[Item]:
        """The output items that are finished."""
        return self._output

    @property
    def next_sequence_number(self) -> int:
        return self._writer.next_number

    def snapshot(self, status: str) -> dict[str, object]:
        """The response as it stands, with the finished items: for polling (in_progress), or cancelled."""
        return self._frame.response(status, self._output, usage=self._usage)

    def start(self) -> bytes:
        """The events before the first item. The first `feed` sends them too; b"" once they are sent."""
        if self._writer.next_number:
            return b""
        event, response = self._writer.event, self._frame.response
        if not self._is_background:
            body = {"response": response(IN_PROGRESS)}
            return event("response.created", body) + event("response.in_progress", body)
        queued = {"response": response("queued")}
        return (
            event("response.created", queued)
            + event("response.queued", queued)
            + event("response.in_progress", {"response": response(IN_PROGRESS)})
        )

    def ping(self) -> bytes:
        """A comment: readers skip it, proxies see a living connection."""
        return _PING

    def feed(self, event: Event) -> bytes:
        """The bytes that show `event`: b"" for one the dialect does not show."""
        if self._open is not None:
            if isinstance(event, ToolCallDelta):
                return self._open.add(event.fragment)
            if isinstance(event, TextDelta | ReasoningDelta) and self._open_kind is type(event):
                return self._open.add(event.text)
        return self._turn(event)

    def _turn(self, event: Event) -> bytes:
        """Every event that is not one more delta of the open item."""
        match event:
            case TextDelta() | ReasoningDelta():
                return self._begin_text(event)
            case ToolCallStart():
                return self._begin_call(event)
            case ToolCallEnd():
                return self._close(COMPLETED, is_complete=True)
            case ToolCallCut():
                return self._close(COMPLETED)
            case Citation():
                self._found.append(event)
                return b"" if self._open_kind is ToolCallStart else self._close(COMPLETED)
            case UsageReport():
                self._usage = event.usage
            case Finish():
                return self._finish(event)
            case Failed():
                return self._fail(event.error)
            case Notice() | ToolCallDelta():  # pragma: no branch - the last of them
                pass  # a notice is never shown; a delta without a start has no place
        return b""

    def _begin_text(self, event: TextDelta | ReasoningDelta) -> bytes:
        out = self.start() + self._close(COMPLETED) + self._searched()
        index = len(self._output)
        item: OpenItem
        if isinstance(event, TextDelta):
            item = OpenMessage(self._writer, index, self._new_id("msg_"), self._uncited)
            self._uncited = []
        else:
            item = OpenReasoning(self._writer, index, self._new_id("rs_"), self._seal)
        self._open, self._open_kind = item, type(event)
        return out + item.opened() + item.add(event.text)

    def _begin_call(self, event: ToolCallStart) -> bytes:
        out = self.start() + self._close(COMPLETED) + self._searched()
        tool = self._bridge.client_tool(event.name)
        item = open_call(self._writer, len(self._output), event.call_id, tool, self._new_id)
        self._open, self._open_kind = item, ToolCallStart
        return out + item.opened()

    def _searched(self) -> bytes:
        """The item of the search that gave the sources since the last one; b"" when there was none."""
        if not self._found:
            return b""
        found, self._found = self._found, []
        self._uncited += found
        index, item_id = len(self._output), self._new_id("ws_")
        out, item = whole_search(self._writer, index, item_id, found, shows_sources=self._shows_sources)
        self._output.append(item)
        return out

    def _close(self, status: str, *, is_complete: bool = False) -> bytes:
        """Finish the open item, if there is one. A call that is not complete is cut instead."""
        item, kind = self._open, self._open_kind
        if item is None:
            return b""
        self._open = self._open_kind = None
        is_cut = kind is ToolCallStart and not is_complete
        out, finished = item.cut() if is_cut else item.done(status)
        self._output.append(finished)
        return out

    def _finish(self, finish: Finish) -> bytes:
        status = ended_status(finish)
        out = self.start() + self._close(status) + self._searched()
        self._response = self._frame.response(status, self._output, usage=self._usage, finish=finish)
        return out + self._writer.event(f"response.{status}", {"response": self._response})

    def _fail(self, error: GatewayError) -> bytes:
        out = self.start()
        output = self._output
        if self._open is not None:
            shown, item = self._open.cut()
            out += shown
            output = [*output, item]
        self._response = self._frame.response(FAILED, output, usage=self._usage, error=response_error(error))
        return out + self._writer.event("response.failed", {"response": self._response})
