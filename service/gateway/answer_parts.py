"""What every answer works with, and how often and how long it tries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.config import AccountKind
from service.core.policy import RetryBudget
from service.core.prices import SHIPPED, PriceTable
from service.gateway.background import Background
from service.gateway.holdings import Holdings
from service.gateway.ports import Accounts, Clock, Ids, Ledger, ReasoningMemory, Threads, Upstream


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatPolicy:
    """How often and how long one request tries. `queue_s`: how long it waits for a free account; no new
    attempt begins later than `retry_within_s` after the request came, and a stream that was tried again must
    begin within `begin_within_s` of it: the attempts share one deadline. `prices`: what it is charged by. An
    agent may go on at once, at another worker: the end of an answer with calls waits `keep_within_s`, no
    longer, for its reasoning to be kept."""

    max_attempts: int = 3
    queue_s: float = 10.0
    retry_within_s: float = 200.0
    begin_within_s: float = 300.0
    keep_within_s: float = 0.05
    offers_tools_on_studio: bool = True
    shows_lone_reasoning: bool = False
    prices: PriceTable = SHIPPED


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerParts:
    """What every Answer works with."""

    upstreams: Mapping[AccountKind, Upstream]
    accounts: Accounts
    ledger: Ledger
    reasoning: ReasoningMemory
    background: Background
    holdings: Holdings
    clock: Clock
    ids: Ids
    retries: RetryBudget
    threads: Threads | None = None  # None: studio conversations are not gone on with
