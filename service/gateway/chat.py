"""One conversation answered: admit -> lease -> open -> events -> settle.

`Chat.open` resolves the model, admits the key and gives an Answer, which runs the attempts (attempts.py).
Settling
never waits on the client's path, and it happens on every ending: leaving the context is what spawns it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType

from service.config import Account, AccountKind, ApiKey
from service.core.conversation import Conversation
from service.core.errors import ModelNotFound, PermissionDenied
from service.core.policy import RetryBudget
from service.core.tokens import quick_prompt_tokens
from service.gateway.allowances import Allowances, with_allowances
from service.gateway.answer_parts import AnswerParts, ChatPolicy
from service.gateway.attempts import Answer
from service.gateway.background import Background
from service.gateway.holdings import Holdings
from service.gateway.models import Models
from service.gateway.ports import Accounts, Clock, Ids, Ledger, Limits, ReasoningMemory, Threads, Upstream
from service.gateway.reasoning import NoMemory, Recollection
from service.gateway.stand_ins import stand_in
from service.gateway.structured import refuse_broken_schema
from service.gateway.threads import following
from service.telemetry.record import RequestRecord

_NOTHING_MORE = Allowances()


class Chat:
    """The use case every dialect and the batch worker go through."""

    def __init__(
        self,
        *,
        upstreams: Mapping[AccountKind, Upstream],
        accounts: Accounts,
        limits: Limits,
        ledger: Ledger,
        models: Models,
        background: Background,
        holdings: Holdings,
        clock: Clock,
        ids: Ids,
        policy: ChatPolicy,
        reasoning: ReasoningMemory | None = None,
        threads: Threads | None = None,
        allowances: Allowances = _NOTHING_MORE,
    ) -> None:
        """`reasoning` None: what models think is not kept. `threads` None: studio conversations are not gone
        on with."""
        self.accounts = accounts
        self.limits = limits
        self.models = models
        self.holdings = holdings
        self.clock = clock
        self.allowances = allowances
        self.policy = policy  # the next request's; a reload replaces it
        self._parts = AnswerParts(
            upstreams=upstreams,
            accounts=accounts,
            ledger=ledger,
            reasoning=reasoning or NoMemory(),
            background=background,
            holdings=holdings,
            clock=clock,
            ids=ids,
            retries=RetryBudget(now_s=clock.monotonic_s()),
            threads=threads,
        )

    def open(
        self,
        conversation: Conversation,
        *,
        key: ApiKey,
        record: RequestRecord,
        queue_s: float | None = None,
    ) -> Opening:
        """`async with chat.open(…) as answer`: resolve the model, admit the key, and settle on leaving,
        whatever happened. `queue_s` in place of the policy's wait for an account.

        Entering raises ModelNotFound, PermissionDenied, NoAccount, RateLimited, StoreUnavailable: all
        before any upstream call."""
        return Opening(self, conversation, key, record, queue_s)

    async def admitted(
        self,
        conversation: Conversation,
        key: ApiKey,
        record: RequestRecord,
        queue_s: float | None = None,
    ) -> Answer:
        """See `open`; the caller closes the Answer."""
        policy = self.policy if queue_s is None else replace(self.policy, queue_s=queue_s)
        resolved, candidates = self._resolved(conversation, key, record)
        await refuse_broken_schema(resolved.response_format)
        # Asked for now, needed when an account is leased: both travel while the key is admitted.
        recollection = Recollection(self._parts.reasoning, self._parts.background, key, resolved, candidates)
        thread = following(
            self._parts.threads,
            self._parts.background,
            key,
            resolved,
            candidates,
            offers_tools=policy.offers_tools_on_studio,
        )
        estimate = quick_prompt_tokens(resolved) if key.tokens_per_minute is not None else 0
        record.admit_at_s = began_s = self.clock.monotonic_s()
        admission = await self.limits.admit(key, request_id=record.request_id, estimated_tokens=estimate)
        record.admit_s = self.clock.monotonic_s() - began_s
        record.admission = admission
        self._parts.retries.earn()
        self.holdings.admissions.add(admission)
        return Answer(
            self._parts,
            resolved,
            candidates,
            admission,
            record,
            key=key,
            recollection=recollection,
            following=thread,
            policy=policy,
        )

    def _resolved(
        self, conversation: Conversation, key: ApiKey, record: RequestRecord
    ) -> tuple[Conversation, list[Account]]:
        record.decoded_at_s = self.clock.monotonic_s()
        record.model_requested = conversation.model
        resolution = self.models.resolve(conversation.model)
        record.model = resolution.model
        record.notes += resolution.notes
        if key.models and resolution.model not in key.models and conversation.model not in key.models:
            raise PermissionDenied(f"This API key may not use the model '{resolution.model}'.", param="model")
        model, notes = stand_in(
            conversation,
            resolution.model,
            offered=self.models.offered,
            key=key,
            policy=self.allowances.text_models,
        )
        record.model = model
        record.notes += notes
        candidates = self.models.accounts_for(model)
        if not candidates:
            raise ModelNotFound(conversation.model)
        conversation, notes = with_allowances(conversation, key, self.allowances)
        record.notes += notes
        record.tools_offered = len(conversation.tools)
        record.streams = conversation.streams
        return replace(conversation, model=model), candidates


class Opening:
    """The context that `Chat.open` gives."""

    def __init__(
        self,
        chat: Chat,
        conversation: Conversation,
        key: ApiKey,
        record: RequestRecord,
        queue_s: float | None,
    ) -> None:
        self._admitted = chat.admitted(conversation, key, record, queue_s)
        self._answer: Answer | None = None

    async def __aenter__(self) -> Answer:
        self._answer = await self._admitted
        return self._answer

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._answer is not None:
            self._answer.close(is_cancelled=isinstance(error, asyncio.CancelledError))


__all__ = ["Answer", "Chat", "ChatPolicy", "Opening"]
