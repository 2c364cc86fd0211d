"""The chat use case on in-memory ports: what is tried, what is shown, what is charged, on every ending."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from service.config import Account, AccountKind, ApiKey
from service.config_loader import accounts as load_accounts
from service.config_loader import api_keys
from service.core.conversation import Conversation, Role, Text, ToolChoice, ToolSpec, Turn
from service.core.errors import (
    GatewayError,
    ModelNotFound,
    NoAccount,
    PermissionDenied,
    RateLimited,
    UpstreamAccountError,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from service.core.events import (
    Event,
    Failed,
    Finish,
    FinishReason,
    Notice,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
    UsageReport,
)
from service.core.leases import AccountState
from service.core.policy import RetryBudget
from service.gateway.background import Background
from service.gateway.chat import Chat, ChatPolicy
from service.gateway.holdings import Holdings
from service.gateway.models import Models
from service.telemetry.record import RequestRecord
from tests.fakes.accounts import FakeAccounts
from tests.fakes.clock import CountingIds, FakeClock
from tests.fakes.limits import FakeLedger, FakeLimits
from tests.fakes.stored import FakeModelCatalogue
from tests.fakes.upstream import FakeUpstream, Script

KEY = api_keys("sk-test")[0]
HELLO = Conversation(
    model="mimo-v2.6-pro", turns=(Turn(role=Role.USER, parts=(Text(text="Hello"),)),), streams=True
)
USAGE = Usage(input_tokens=10, output_tokens=5)
DONE: tuple[Event, ...] = (UsageReport(USAGE), Finish(FinishReason.STOP))
GOOD = Script(batches=[[TextDelta("Hi")], [TextDelta(" there"), *DONE]])


@dataclass
class World:
    """A Chat, and all that it talks to."""

    scripts: list[Script] = field(default_factory=list)
    names: Sequence[str] = ("one", "two", "three")
    policy: ChatPolicy = field(default_factory=lambda: ChatPolicy(queue_s=0.0))

    def __post_init__(self) -> None:
        self.configured: tuple[Account, ...] = load_accounts(
            [{"name": name, "api_key": f"sk-{name}", "max_concurrency": 1} for name in self.names]
        )
        self.clock = FakeClock()
        self.accounts = FakeAccounts(self.clock.monotonic_s)
        self.limits = FakeLimits(self.clock.monotonic_s)
        self.ledger = FakeLedger(accounts=self.accounts, limits=self.limits)
        self.upstream = FakeUpstream(self.scripts)
        self.background = Background()
        self.holdings = Holdings()
        upstreams = {AccountKind.PLATFORM: self.upstream}
        self.chat = Chat(
            upstreams=upstreams,
            accounts=self.accounts,
            limits=self.limits,
            ledger=self.ledger,
            models=Models(self.configured, upstreams, FakeModelCatalogue()),
            background=self.background,
            holdings=self.holdings,
            clock=self.clock,
            ids=CountingIds(),
            policy=self.policy,
        )
        self.record = RequestRecord(request_id="req_1", route="chat", started_at_s=0.0)

    async def events(self, conversation: Conversation = HELLO, key: ApiKey = KEY) -> list[Event]:
        """Everything the client is shown, in one list."""
        async with self.chat.open(conversation, key=key, record=self.record) as answer:
            return [event async for batch in answer.batches() for event in batch]

    async def settled(self) -> None:
        """Wait for what the request left behind; then nothing may be held any more."""
        await self.background.drain(timeout_s=1)
        health = await self.accounts.health(self.configured)
        assert sum(one.leases for one in health) == 0
        assert not self.holdings.leases
        assert not self.holdings.admissions
        assert self.upstream.open_calls == 0

    async def states(self) -> dict[str, AccountState]:
        return {one.account_name: one.state for one in await self.accounts.health(self.configured)}


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_answer_is_given_read_by_read_and_charged() -> None:
    world = World([GOOD])
    events = await world.events()
    assert text_of(events) == "Hi there"
    assert events[-1] == Finish(FinishReason.STOP)
    await world.settled()
    (settled,) = world.ledger.settled
    assert settled.usage == USAGE
    assert settled.model == "mimo-v2.6-pro"
    assert world.record.outcome == "ok"
    assert [attempt.result for attempt in world.record.attempts] == ["ok"]
    assert (world.record.connect_s, world.record.retries_refused) == (0.25, 0)
    assert world.record.sieve_held_chars is None, "no tools, no sieve"


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(UpstreamUnavailable("down", status=503), id="503"),
        pytest.param(UpstreamRateLimited("fast", status=429), id="429"),
        pytest.param(UpstreamAccountError("key", status=401), id="401"),
        pytest.param(UpstreamProtocolError("html"), id="no answer of the wire"),
    ],
)
async def test_failure_before_the_first_event_moves_on_to_another_account(refusal: GatewayError) -> None:
    world = World([Script(refusal=refusal), GOOD])
    assert text_of(await world.events()) == "Hi there"
    assert len(set(world.upstream.opened)) == 2
    await world.settled()


@pytest.mark.parametrize(
    "start",
    [
        pytest.param([Failed(UpstreamUnavailable("broke"))], id="the stream begins with an error"),
        pytest.param(
            [Notice("garbage_skipped", "chat"), Failed(UpstreamUnavailable("broke"))], id="after a notice"
        ),
        pytest.param([Finish(FinishReason.STOP)], id="the answer is empty"),
        pytest.param([*DONE], id="the answer is empty but counted"),
        pytest.param([], id="the connection just closes"),
    ],
)
async def test_bad_start_moves_on_as_long_as_nothing_was_shown(start: list[Event]) -> None:
    world = World([Script(batches=[start]), GOOD])
    assert text_of(await world.events()) == "Hi there"
    await world.settled()


async def test_empty_answer_of_the_last_attempt_is_the_answer() -> None:
    world = World([Script(batches=[DONE])] * 3)
    assert await world.events() == list(DONE)
    await world.settled()


async def test_three_attempts_at_most() -> None:
    world = World([Script(refusal=UpstreamUnavailable("down", status=503))] * 4, names=("a", "b", "c", "d"))
    with pytest.raises(UpstreamUnavailable):
        await world.events()
    assert len(world.upstream.opened) == 3
    await world.settled()


async def test_request_that_is_wrong_itself_is_not_tried_twice() -> None:
    world = World([Script(refusal=UpstreamRefused("Param Incorrect", status=400))])
    with pytest.raises(UpstreamRefused):
        await world.events()
    await world.settled()
    assert set((await world.states()).values()) == {AccountState.READY}


async def test_one_account_alone_is_tried_again() -> None:
    world = World([Script(refusal=UpstreamUnavailable("down", status=503)), GOOD], names=("only",))
    assert text_of(await world.events()) == "Hi there"


async def test_trouble_of_every_account_is_told_without_its_details() -> None:
    world = World([Script(refusal=UpstreamAccountError("sk-secret expired", status=401))] * 3)
    with pytest.raises(NoAccount) as caught:
        await world.events()
    assert "sk-secret" not in str(caught.value)
    await world.settled()
    assert AccountState.QUARANTINED in set((await world.states()).values())


async def test_no_new_attempt_begins_after_the_time_for_retries() -> None:
    world = World([Script(refusal=UpstreamUnavailable("down", status=503)), GOOD])
    world.clock.turn(500)
    with pytest.raises(UpstreamUnavailable):
        await world.events()


@pytest.mark.parametrize(
    "breakage",
    [
        pytest.param(Script(batches=[[TextDelta("Hi")]], cut=UpstreamProtocolError("cut")), id="cut"),
        pytest.param(Script(batches=[[TextDelta("Hi")]]), id="closed without an end"),
        pytest.param(
            Script(batches=[[TextDelta("Hi"), Failed(UpstreamUnavailable("x"))]]), id="told in-band"
        ),
    ],
)
async def test_failure_after_the_first_event_is_the_last_event(breakage: Script) -> None:
    world = World([breakage])
    events = await world.events()
    assert events[0] == TextDelta("Hi")
    assert isinstance(events[-1], Failed)
    assert len(world.upstream.opened) == 1
    assert world.record.error is not None
    await world.settled()
    (settled,) = world.ledger.settled
    assert settled.usage.is_estimated, "what was shown is booked, by estimate"
    assert settled.usage.output_tokens > 0


async def test_usage_is_estimated_when_the_upstream_tells_none() -> None:
    world = World([Script(batches=[[TextDelta("word " * 100), Finish(FinishReason.STOP)]])])
    events = await world.events()
    report = events[-2]
    assert isinstance(report, UsageReport)
    assert report.usage.is_estimated
    assert 80 <= report.usage.output_tokens <= 160


async def test_client_that_leaves_closes_the_upstream_and_frees_the_lease() -> None:
    world = World([Script(batches=[[TextDelta("Hi")]], stalls=True)])
    request = asyncio.ensure_future(world.events())
    for _ in range(20):  # turns of the loop: enough to reach the stall
        await asyncio.sleep(0)
    assert world.upstream.open_calls == 1
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert world.record.is_cancelled
    await world.settled()


async def test_client_that_leaves_before_the_first_word_is_charged_its_prompt() -> None:
    world = World([Script(stalls=True)])
    request = asyncio.ensure_future(world.events())
    for _ in range(20):  # turns of the loop: enough to reach the stall
        await asyncio.sleep(0)
    assert world.upstream.open_calls == 1
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    await world.settled()
    (settled,) = world.ledger.settled
    assert settled.usage.input_tokens > 0
    assert (settled.usage.output_tokens, settled.usage.is_estimated) == (0, True)


async def test_failure_before_the_first_word_charges_nothing() -> None:
    world = World([Script(cut=UpstreamProtocolError("cut"))] * 3)
    with pytest.raises(GatewayError):
        await world.events()
    await world.settled()
    assert [one.usage.total_tokens for one in world.ledger.settled] == [0]


async def test_consumer_that_stops_reading_frees_everything() -> None:
    world = World([Script(batches=[[TextDelta("Hi")], [TextDelta("more")]], stalls=True)])
    async with world.chat.open(HELLO, key=KEY, record=world.record) as answer:
        batches = answer.batches()
        assert await anext(batches) == [TextDelta("Hi")]
        await batches.aclose()
    await world.settled()


async def test_unknown_model_is_refused_before_anything_is_taken() -> None:
    world = World()
    with pytest.raises(ModelNotFound):
        await world.events(replace(HELLO, model="gpt-9"))
    await world.settled()
    assert not world.ledger.settled


async def test_key_is_kept_to_its_models() -> None:
    world = World([GOOD])
    key = replace(KEY, models=("mimo-v2.6-flash",))
    with pytest.raises(PermissionDenied) as caught:
        await world.events(key=key)
    assert caught.value.param == "model"


async def test_key_over_its_limit_reaches_no_account() -> None:
    world = World([GOOD, GOOD])
    key = replace(KEY, requests_per_minute=1)
    await world.events(key=key)
    world.record = RequestRecord(request_id="req_2", route="chat", started_at_s=0.0)
    with pytest.raises(RateLimited):
        await world.events(key=key)
    assert len(world.upstream.opened) == 1
    await world.settled()


async def test_retired_name_is_answered_with_a_note() -> None:
    world = World([GOOD])
    await world.events(replace(HELLO, model="mimo-v2-pro"))
    assert world.upstream.conversations[0].model == "mimo-v2.6-pro"
    assert any("mimo-v2-pro" in note for note in world.record.notes)


async def test_notices_are_counted_and_never_shown() -> None:
    world = World([Script(batches=[[Notice("call_found", "mimoml"), TextDelta("x")], [*DONE]])])
    events = await world.events()
    assert not any(isinstance(event, Notice) for event in events)
    assert world.record.sieve == {("call_found", "mimoml"): 1}


async def test_second_call_is_left_out_when_one_was_asked_for() -> None:
    calls: list[Event] = [
        ToolCallStart(0, "call_a", "f"),
        ToolCallDelta(0, "{}"),
        ToolCallEnd(0),
        ToolCallStart(1, "call_b", "f"),
        ToolCallDelta(1, "{}"),
        ToolCallEnd(1),
        Finish(FinishReason.TOOL_CALLS),
    ]
    world = World([Script(batches=[calls])])
    asked = replace(HELLO, tools=(ToolSpec(name="f"),), tool_choice=ToolChoice(allows_parallel=False))
    events = await world.events(asked)
    assert [event.index for event in events if isinstance(event, ToolCallStart)] == [0]


async def test_whole_answer_raises_what_broke_it() -> None:
    world = World([Script(batches=[[TextDelta("Hi")]], cut=UpstreamProtocolError("cut"))])
    async with world.chat.open(HELLO, key=KEY, record=world.record) as answer:
        with pytest.raises(UpstreamProtocolError):
            await answer.complete()
    await world.settled()


async def test_round_robin_spreads_requests_over_the_accounts() -> None:
    world = World([Script(batches=GOOD.batches) for _ in range(9)])
    for number in range(9):
        world.record = RequestRecord(request_id=f"req_{number}", route="chat", started_at_s=0.0)
        await world.events()
        await world.settled()
    assert sorted(world.upstream.opened.count(name) for name in world.names) == [3, 3, 3]


def with_retries(world: World, saved: float) -> World:
    """The same world, whose process may retry `saved` times before it must earn more."""
    budget = RetryBudget(now_s=0.0, max_saved=saved)
    world.chat._parts = replace(world.chat._parts, retries=budget)
    return world


async def fail_once(world: World, number: int) -> None:
    """One request in an outage, with accounts whose breakers would let it through."""
    world.record = RequestRecord(request_id=f"req_{number}", route="chat", started_at_s=0.0)
    for name in world.names:
        await world.accounts.reset(name)
    with pytest.raises(UpstreamUnavailable):
        await world.events()
    await world.settled()


async def test_outage_of_the_upstream_is_not_made_worse_by_retries() -> None:
    world = with_retries(World([Script(refusal=UpstreamUnavailable("down", status=503))] * 60), 2.0)
    for number in range(20):
        await fail_once(world, number)
    assert len(world.upstream.opened) in (20 + 2 + 1, 20 + 2 + 2)


async def test_account_at_fault_is_left_whatever_the_budget_says() -> None:
    world = with_retries(World([Script(refusal=UpstreamUnavailable("down", status=503))]), 0.0)
    await fail_once(world, 1)
    assert world.record.retries_refused == 1
    world.scripts[:] = [Script(refusal=UpstreamRateLimited("fast", status=429)), GOOD]
    world.record = RequestRecord(request_id="req_2", route="chat", started_at_s=0.0)
    assert text_of(await world.events()) == "Hi there"


async def test_empty_answer_stands_when_no_retry_is_left() -> None:
    world = with_retries(World([Script(batches=[DONE])]), 0.0)
    assert await world.events() == list(DONE)


async def test_second_attempt_has_what_the_first_left_of_the_time() -> None:
    policy = ChatPolicy(queue_s=0.0, max_attempts=2, begin_within_s=150.02)
    world = World(
        [Script(refusal=UpstreamUnavailable("down", status=503)), Script(stalls=True)], policy=policy
    )
    world.clock.turn(149.9)
    with pytest.raises(UpstreamTimeout) as caught:
        await world.events()
    assert caught.value.phase == "begin"
    await world.settled()
