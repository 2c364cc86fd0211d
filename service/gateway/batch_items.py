"""One item of a batch answered, by the path of a live request: admit -> lease -> open -> events -> settle."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import structlog

from service.config import ApiKey
from service.core.batches import BatchKind, Claim, ItemResult, ItemStatus, Later, LoadedItem, after_failure
from service.core.completion import AnswerHead, Completion
from service.core.conversation import Conversation
from service.core.dialects.anthropic_messages import batches as anthropic
from service.core.dialects.anthropic_messages.response import encode_completion as encode_message
from service.core.dialects.openai_chat import batches as openai
from service.core.dialects.openai_chat.errors import encode_error
from service.core.dialects.openai_responses import batches as responses
from service.core.errors import GatewayError, Internal
from service.gateway.chat import Chat
from service.gateway.ports import Clock, Ids
from service.telemetry.metrics import Metrics
from service.telemetry.record import RequestRecord
from service.telemetry.tracing import PASSING_ON, Tracing

log = structlog.get_logger()

_HEAD_PREFIX = {BatchKind.MESSAGES: "msg_", BatchKind.CHAT: "chatcmpl-", BatchKind.RESPONSES: "resp_"}


class _Asked(NamedTuple):
    """A decoded request, and how the body of its answer is written."""

    conversation: Conversation
    encode: Callable[[Completion, AnswerHead], bytes]


class ItemRunner:
    """Runs items. An item never stands in the queue for an account: live requests, which do, come first."""

    def __init__(
        self,
        *,
        chat: Chat,
        metrics: Metrics,
        clock: Clock,
        ids: Ids,
        max_tries: int,
        tracing: Tracing = PASSING_ON,
    ) -> None:
        self._chat = chat
        self._metrics = metrics
        self._tracing = tracing
        self._clock = clock
        self._ids = ids
        self._max_tries = max_tries

    async def run(self, claim: Claim, key: ApiKey, item: LoadedItem) -> ItemResult | Later:
        """The item's result, or when to try again. Raises nothing but what cancels it."""
        record = RequestRecord(
            request_id=self._ids.new("req_"),
            route="batches",
            method="POST",
            started_at_s=self._clock.monotonic_s(),
            key_id=key.key_id,
            key_name=key.name,
            bytes_in=len(item.body or b""),
            trace=self._tracing.begin("", ""),
            batch_id=claim.batch_id,
        )
        try:
            outcome = await self._outcome(claim, key, item, record)
        finally:
            duration_s = self._clock.monotonic_s() - record.started_at_s
            self._metrics.observe(record, duration_s=duration_s)
            self._tracing.finish(record, duration_s=duration_s)
        self._tell(claim, record, outcome, duration_s)
        return outcome

    async def _outcome(
        self, claim: Claim, key: ApiKey, item: LoadedItem, record: RequestRecord
    ) -> ItemResult | Later:
        try:
            return await self._answered(claim, key, item, record)
        except GatewayError as error:
            failure = error
        except Exception as error:
            log.error("batch_item_failed", batch_id=claim.batch_id, error_type=type(error).__name__)
            failure = Internal()
        record.error, record.status = failure, _status(failure)
        jitter = hash(record.request_id) % 1000 / 1000
        later = after_failure(failure, tries=claim.tries, max_tries=self._max_tries, jitter=jitter)
        return later or self.failed(item, failure, request_id=record.request_id)

    async def _answered(
        self, claim: Claim, key: ApiKey, item: LoadedItem, record: RequestRecord
    ) -> ItemResult:
        asked = self._asked(item)
        async with self._chat.open(asked.conversation, key=key, record=record, queue_s=0.0) as answer:
            completion = await answer.complete()
        head = AnswerHead(
            answer_id=self._ids.new(_HEAD_PREFIX[item.kind]),
            model=answer.model,
            created_at_s=int(self._clock.unix_s()),
        )
        body = asked.encode(completion, head)
        record.status, record.bytes_out = 200, len(body)
        if item.kind is BatchKind.MESSAGES:
            line = anthropic.success_line(item.custom_id, body)
        else:
            line = self._line(item, 200, body, record.request_id)
        return ItemResult(status=ItemStatus.SUCCEEDED, line=line, usage=completion.usage)

    def _asked(self, item: LoadedItem) -> _Asked:
        """Raises InvalidRequest."""
        body = item.body or b""
        match item.kind:
            case BatchKind.MESSAGES:
                return _Asked(anthropic.decode_params(body), encode_message)
            case BatchKind.CHAT:
                conversation = openai.decode_params(body)
                return _Asked(conversation, partial(openai.encode_answer, conversation=conversation))
            case BatchKind.RESPONSES:
                request = responses.decode_params(body)
                encode = partial(responses.encode_answer, request=request, new_id=self._ids.new)
                return _Asked(request.conversation, encode)

    def _line(self, item: LoadedItem, status: int, body: bytes, request_id: str) -> bytes:
        line_id = self._ids.new("batch_req_")
        return openai.answer_line(
            item.custom_id, line_id=line_id, status=status, request_id=request_id, body=body
        )

    def failed(self, item: LoadedItem, error: GatewayError, *, request_id: str) -> ItemResult:
        """The result of an item that is over without an answer."""
        if item.kind is BatchKind.MESSAGES:
            line = anthropic.error_line(item.custom_id, error, request_id=request_id)
        else:
            status, body = encode_error(error)
            line = self._line(item, status, body, request_id)
        return ItemResult(status=ItemStatus.ERRORED, line=line)

    def _tell(
        self, claim: Claim, record: RequestRecord, outcome: ItemResult | Later, duration_s: float
    ) -> None:
        facts: dict[str, object] = {
            "request_id": record.request_id,
            "batch_id": claim.batch_id,
            "number": claim.number,
            "key_id": claim.key_id,
            "account": record.account,
            "total_ms": round(duration_s * 1000, 1),
            "outcome": str(outcome.status) if isinstance(outcome, ItemResult) else "again",
        }
        if record.error is not None:
            facts["error_kind"] = str(record.error.kind)
        if isinstance(outcome, Later):
            facts["wait_s"] = round(outcome.wait_s, 1)
        log.info("batch_item", **facts)


def _status(error: GatewayError) -> int:
    return encode_error(error)[0]
