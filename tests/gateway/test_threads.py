"""Studio conversations that go on, on in-memory ports: what is sought, claimed, kept, and when nothing is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from service.config import Account, AccountKind, ApiKey
from service.config_loader import accounts as load_accounts
from service.config_loader import api_keys
from service.core.conversation import (
    Conversation,
    Media,
    MediaKind,
    Reasoning,
    ResponseFormat,
    ResponseFormatKind,
    Role,
    Sampling,
    Text,
    ToolCall,
    ToolChoice,
    ToolChoiceMode,
    ToolResult,
    ToolSpec,
    Turn,
)
from service.core.errors import (
    GatewayError,
    UpstreamAccountError,
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
    ReasoningDelta,
    TextDelta,
    ToolCallCut,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from service.core.upstreams.studio_thread import Thread, lost
from service.gateway.background import Background
from service.gateway.chat import Chat, ChatPolicy
from service.gateway.holdings import Holdings
from service.gateway.models import Models
from service.gateway.threads import Tidying
from service.telemetry.record import RequestRecord
from tests.fakes.accounts import FakeAccounts
from tests.fakes.clock import CountingIds, FakeClock
from tests.fakes.limits import FakeLedger, FakeLimits
from tests.fakes.stored import FakeModelCatalogue
from tests.fakes.threads import FakeThreads
from tests.fakes.upstream import FakeUpstream, Script

KEY, OTHER = api_keys("sk-one,sk-two")
STOP = Finish(FinishReason.STOP)
FIRST = Thread(conversation_id="1" * 32, dialog_id="101")
SECOND = Thread(conversation_id="1" * 32, dialog_id="102")
FRESH = Thread(conversation_id="2" * 32, dialog_id="201")
TOOL = ToolSpec(name="f", parameters={"type": "object"})


def said(role: Role, *parts: Any) -> Turn:
    return Turn(role=role, parts=tuple(Text(text=part) if isinstance(part, str) else part for part in parts))


def asked(*turns: Turn, **fields: Any) -> Conversation:
    return replace(Conversation(model="mimo-v2.6-pro", turns=turns, streams=True), **fields)


def answer(text: str, thread: Thread | None = FIRST) -> Script:
    return Script(batches=[[TextDelta(text[:1])], [TextDelta(text[1:]), STOP]], thread=thread)


HI = said(Role.USER, "Hi")
HELLO = said(Role.ASSISTANT, "Hello")
AND = said(Role.USER, "And?")


@dataclass
class World:
    """A Chat over studio accounts, and all that it talks to."""

    scripts: list[Script] = field(default_factory=list)
    names: Sequence[str] = ("one",)
    others: Sequence[dict[str, str]] = ()
    reuses: bool = True

    def __post_init__(self) -> None:
        session = {"service_token": "token-of-a-test", "user_id": "10001", "xiaomichatbot_ph": "cGg="}
        self.configured: tuple[Account, ...] = load_accounts(
            [*({"name": name, **session, "max_concurrency": 4} for name in self.names), *self.others]
        )
        self.clock = FakeClock()
        self.accounts = FakeAccounts(self.clock.monotonic_s)
        limits = FakeLimits(self.clock.monotonic_s)
        self.upstream = FakeUpstream(self.scripts)
        self.threads = FakeThreads(self.clock.monotonic_s)
        self.background = Background()
        upstreams = {AccountKind.STUDIO: self.upstream, AccountKind.PLATFORM: self.upstream}
        self.chat = Chat(
            upstreams=upstreams,
            accounts=self.accounts,
            limits=limits,
            ledger=FakeLedger(accounts=self.accounts, limits=limits),
            threads=self.threads if self.reuses else None,
            models=Models(self.configured, upstreams, FakeModelCatalogue()),
            background=self.background,
            holdings=Holdings(),
            clock=self.clock,
            ids=CountingIds(),
            policy=ChatPolicy(queue_s=0.0),
        )
        self.record = RequestRecord(request_id="req_1", route="chat", started_at_s=0.0)

    async def ask(self, conversation: Conversation, key: ApiKey = KEY) -> list[Event]:
        """All that the client is shown; what the request left behind is done."""
        self.record = RequestRecord(request_id="req_1", route="chat", started_at_s=0.0)
        async with self.chat.open(conversation, key=key, record=self.record) as open_answer:
            events = [event async for batch in open_answer.batches() for event in batch]
        await self.background.drain(timeout_s=5)
        return events

    @property
    def sent(self) -> list[tuple[Thread | None, tuple[Turn, ...]]]:
        """What each attempt went on from, and the turns that it sent."""
        conversations = (conversation.turns for conversation in self.upstream.conversations)
        return list(zip(self.upstream.threads, conversations, strict=True))


async def test_a_follow_up_sends_only_what_is_new() -> None:
    world = World([answer("Hello"), answer("More", SECOND), answer("Yet more")])
    await world.ask(asked(HI))
    assert world.record.thread_result == ""
    await world.ask(asked(HI, HELLO, AND))
    assert world.record.thread_result == "continued"
    more, last = said(Role.ASSISTANT, "More"), said(Role.USER, "On")
    await world.ask(asked(HI, HELLO, AND, more, last))
    assert world.sent == [(None, (HI,)), (FIRST, (AND,)), (SECOND, (last,))]


async def test_without_the_setting_nothing_is_kept() -> None:
    world = World([answer("Hello"), answer("More")], reuses=False)
    await world.ask(asked(HI))
    await world.ask(asked(HI, HELLO, AND))
    assert [thread for thread, _ in world.sent] == [None, None]
    assert world.threads.waiting == {}
    assert world.record.thread_result == ""


@pytest.mark.parametrize(
    "history",
    [
        pytest.param([said(Role.USER, "Hi!"), HELLO, AND], id="an edited question"),
        pytest.param([HI, said(Role.ASSISTANT, "Hello!"), AND], id="an edited answer"),
        pytest.param([said(Role.SYSTEM, "Be brief"), HI, HELLO, AND], id="another system text"),
        pytest.param([HI, HELLO, HELLO, AND], id="one turn more"),
        pytest.param([HELLO, AND], id="one turn less"),
        pytest.param([HI, AND], id="no answer"),
        pytest.param([HI, HELLO], id="nothing new"),
    ],
)
async def test_an_edited_history_is_sent_whole(history: list[Turn]) -> None:
    world = World([answer("Hello"), answer("More")])
    await world.ask(asked(HI))
    await world.ask(asked(*history))
    assert world.sent[1] == (None, tuple(history))
    assert len(world.threads.waiting) >= 1  # the first still waits


@pytest.mark.parametrize(
    "fields", [{"tools": (TOOL,)}, {"sampling": Sampling(temperature=0.1)}, {"model": "mimo-v2.6-flash"}]
)
async def test_other_settings_are_another_conversation(fields: dict[str, Any]) -> None:
    world = World([answer("Hello"), answer("More")])
    await world.ask(asked(HI))
    await world.ask(asked(HI, HELLO, AND, **fields))
    assert world.sent[1] == (None, (HI, HELLO, AND))
    assert world.record.thread_result == "missed"


async def test_another_key_sends_the_whole_prompt() -> None:
    world = World([answer("Hello"), answer("More"), answer("More")])
    await world.ask(asked(HI))
    await world.ask(asked(HI, HELLO, AND), key=OTHER)
    await world.ask(asked(HI, HELLO, AND))
    assert [thread for thread, _ in world.sent] == [None, None, FIRST]


async def test_another_account_sends_the_whole_prompt() -> None:
    world = World([answer("Hello"), answer("More")], names=("one", "two"))
    await world.ask(asked(HI))
    (place,) = world.threads.waiting
    held_by = place[1]
    other = next(account.name for account in world.configured if account.name != held_by)
    taken = [
        await world.accounts.acquire(
            [account for account in world.configured if account.name == held_by], lease_id=f"l{number}"
        )
        for number in range(4)
    ]
    await world.ask(asked(HI, HELLO, AND))
    assert world.upstream.opened == [held_by, other]
    assert world.sent[1] == (None, (HI, HELLO, AND))
    for lease in taken:
        await world.accounts.release(lease)


async def test_a_regenerated_answer_is_a_branch_of_its_own() -> None:
    """The studio's conversation went on: what begins where it was is sent whole."""
    world = World([answer("Hello"), answer("One", SECOND), answer("Two", FRESH), answer("x"), answer("y")])
    await world.ask(asked(HI))
    await world.ask(asked(HI, HELLO, AND))
    await world.ask(asked(HI, HELLO, AND))
    assert world.sent[2] == (None, (HI, HELLO, AND))
    on = said(Role.USER, "On")
    await world.ask(asked(HI, HELLO, AND, said(Role.ASSISTANT, "Two"), on))
    await world.ask(asked(HI, HELLO, AND, said(Role.ASSISTANT, "One"), on))
    assert world.sent[3:] == [(FRESH, (on,)), (SECOND, (on,))]


async def test_its_time_runs_out() -> None:
    world = World([answer("Hello"), answer("More")])
    await world.ask(asked(HI))
    world.clock.turn(3601)
    await world.ask(asked(HI, HELLO, AND))
    assert world.sent[1] == (None, (HI, HELLO, AND))


# --- what the client makes of the answer --------------------------------------------------------------------

CALLED: list[Event] = [
    TextDelta("Let me look."),
    ToolCallStart(0, "call_1", "f"),
    ToolCallDelta(0, '{"a": '),
    ToolCallDelta(0, '"é"}'),
    ToolCallEnd(0),
    Finish(FinishReason.TOOL_CALLS),
]


async def test_tool_results_are_what_is_new() -> None:
    world = World([Script(batches=[[ReasoningDelta("hm"), *CALLED]], thread=FIRST), answer("Done", SECOND)])
    await world.ask(asked(HI, tools=(TOOL,), uses_sieve=False))
    call = ToolCall(call_id="call_1", name="f", arguments='{"a":"\\u00e9"}')
    results = said(Role.TOOL, ToolResult(call_id="call_1", parts=(Text(text="ok"),)))
    turns = (HI, said(Role.ASSISTANT, Reasoning(text="another hm"), "Let me look.", call), results)
    await world.ask(asked(*turns, tools=(TOOL,), uses_sieve=False))
    assert world.sent[1] == (FIRST, (results,))


@pytest.mark.parametrize(
    "batches",
    [
        pytest.param([[TextDelta("Hey"), Finish(FinishReason.LENGTH)]], id="cut by its length"),
        pytest.param([[TextDelta("Hey"), Finish(FinishReason.CONTENT_FILTER)]], id="moderation"),
        pytest.param([[TextDelta("Hey"), Finish(FinishReason.STOP, "END")]], id="a stop sequence"),
        pytest.param(
            [[ToolCallStart(0, "c", "f"), ToolCallCut(0), TextDelta("Hello"), STOP]],
            id="a call that broke off",
        ),
        pytest.param([[TextDelta("Hello"), Failed(UpstreamUnavailable("x"))]], id="a failure"),
        pytest.param([[ReasoningDelta("hm"), STOP]], id="thinking and nothing else"),
    ],
)
async def test_an_answer_that_is_not_whole_is_not_gone_on_with(batches: list[list[Event]]) -> None:
    world = World([Script(batches=batches, thread=FIRST)] * 3)
    await world.ask(asked(HI))
    assert world.threads.waiting == {}


async def test_one_call_out_of_several_is_not_gone_on_with() -> None:
    world = World([Script(batches=[CALLED], thread=FIRST)])
    single = ToolChoice(mode=ToolChoiceMode.AUTO, allows_parallel=False)
    await world.ask(asked(HI, tools=(TOOL,), tool_choice=single, uses_sieve=False))
    assert world.threads.waiting == {}


async def test_an_answer_of_immense_length_is_not_gone_on_with() -> None:
    world = World(
        [Script(batches=[[TextDelta("x" * (3 << 20))], [TextDelta("x" * (3 << 20)), STOP]], thread=FIRST)]
    )
    await world.ask(asked(HI))
    assert world.threads.waiting == {}


async def test_an_answer_that_was_asked_for_twice_is_not_gone_on_with() -> None:
    """The studio holds turns that the client has never seen."""
    world = World([answer("No"), answer('{"a": 1}', FRESH)])
    await world.ask(asked(HI, response_format=ResponseFormat(kind=ResponseFormatKind.JSON_OBJECT)))
    assert len(world.sent) == 2
    assert world.threads.waiting == {}


async def test_a_client_that_leaves_ends_it() -> None:
    world = World([Script(batches=[[TextDelta("H")]], stalls=True, thread=FIRST)])
    async with world.chat.open(asked(HI), key=KEY, record=world.record) as open_answer:
        await anext(open_answer)
    await world.background.drain(timeout_s=5)
    assert world.threads.waiting == {}


def lead_to_the_holder(world: World) -> str:
    """What the real pool does by itself: it finds the account under the sticky key that `seek` gives."""
    ((_, name, history),) = world.threads.waiting
    world.accounts._local._sticky[f"{KEY.key_sha256} {history}"] = name
    return name


# --- failures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "gone",
    [
        pytest.param(Script(refusal=lost()), id="refused at once"),
        pytest.param(Script(batches=[[Failed(lost())]]), id="told in the stream"),
    ],
)
async def test_a_lost_conversation_is_sent_whole_on_the_same_account(gone: Script) -> None:
    world = World([answer("Hello"), gone, answer("More", FRESH), answer("Yet more")], names=("one", "two"))
    await world.ask(asked(HI))
    held_by = lead_to_the_holder(world)
    events = await world.ask(asked(HI, HELLO, AND))
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "More"
    assert world.sent[1:] == [(FIRST, (AND,)), (None, (HI, HELLO, AND))]
    assert world.upstream.opened == [held_by] * 3
    assert world.record.thread_result == "lost"
    assert all(health.state == "ready" for health in await world.accounts.health(world.configured))
    on = said(Role.USER, "On")
    lead_to_the_holder(world)
    await world.ask(asked(HI, HELLO, AND, said(Role.ASSISTANT, "More"), on))
    assert world.sent[3] == (FRESH, (on,))  # the whole prompt's answer may be gone on with


@pytest.mark.parametrize("error", [UpstreamRateLimited("x"), UpstreamUnavailable("x", status=503)])
async def test_another_account_tries_with_the_whole_prompt(error: GatewayError) -> None:
    world = World([answer("Hello"), Script(refusal=error), answer("More", FRESH)], names=("one", "two"))
    await world.ask(asked(HI))
    held_by = lead_to_the_holder(world)
    await world.ask(asked(HI, HELLO, AND))
    assert world.sent[1:] == [(FIRST, (AND,)), (None, (HI, HELLO, AND))]
    assert world.upstream.opened[1] == held_by != world.upstream.opened[2]


async def test_a_store_that_is_away_drops_the_conversation() -> None:
    world = World([answer("Hello"), answer("More", FRESH)])
    world.threads.is_away = True
    await world.ask(asked(HI))
    assert world.upstream.dropped == [FIRST]
    await world.ask(asked(HI, HELLO, AND))
    assert world.sent[1] == (None, (HI, HELLO, AND))


async def test_platform_accounts_know_nothing_of_it() -> None:
    platform = {"name": "key", "api_key": "sk-x"}
    world = World([answer("Hello")], names=(), others=[platform])
    await world.ask(asked(HI))
    assert world.threads.waiting == {}
    assert world.upstream.threads == [None]


async def test_in_a_mixed_pool_what_the_platform_answered_is_not_kept() -> None:
    platform = {"name": "key", "api_key": "sk-x"}
    world = World([answer("Hello"), answer("Hello")], others=[platform])
    await world.ask(asked(HI))
    await world.ask(asked(HI))
    assert sorted(world.upstream.opened) == ["key", "one"]
    assert [place[1] for place in world.threads.waiting] == ["one"]


async def test_long_conversations_are_hashed_off_the_loop() -> None:
    image = Media(kind=MediaKind.IMAGE, data="A" * (600 << 10))
    result = ToolResult(call_id="c", parts=(Text(text="x"), image))
    call = ToolCall(call_id="c", name="f", arguments="{}")
    first = (said(Role.USER, image), said(Role.ASSISTANT, call, Reasoning(text="r")), said(Role.TOOL, result))
    world = World([answer("Hello"), answer("More")])
    await world.ask(asked(*first))
    await world.ask(asked(*first, HELLO, AND))
    assert world.sent[1] == (FIRST, (AND,))


# --- what waited in vain ------------------------------------------------------------------------------------


class FakeHistory:
    """Fits ports.StudioHistory."""

    def __init__(self) -> None:
        self.deleted: list[tuple[str, tuple[str, ...]]] = []
        self.error: GatewayError | None = None

    async def delete(self, account: Account, conversation_ids: Sequence[str]) -> None:
        if self.error is not None:
            raise self.error
        self.deleted.append((account.name, tuple(conversation_ids)))


FAILS_FOR_A_WHILE: list[GatewayError] = [
    UpstreamUnavailable("x"),
    UpstreamUnavailable("x", status=503),
    UpstreamTimeout(waited_s=1, phase="idle"),
    UpstreamRateLimited("x", status=429),
    UpstreamAccountError("x", status=401),
]


async def waited_in_vain() -> tuple[World, FakeHistory, Tidying]:
    world, history = World(others=[{"name": "key", "api_key": "sk-x"}]), FakeHistory()
    await world.threads.keep(KEY, world.configured[0], "h", FIRST)
    return world, history, Tidying(world.threads, history, lambda: world.configured)


@pytest.mark.parametrize("error", FAILS_FOR_A_WHILE, ids=repr)
async def test_what_waited_in_vain_is_deleted_once_it_can_be(error: GatewayError) -> None:
    world, history, tidying = await waited_in_vain()
    await tidying.look()
    assert history.deleted == []
    world.clock.turn(3600 + 601)
    history.error = error
    await tidying.look()
    history.error = None
    await tidying.look()
    assert history.deleted == []
    world.clock.turn(301)
    await tidying.look()
    await tidying.look()
    assert history.deleted == [("one", (FIRST.conversation_id,))]


@pytest.mark.parametrize("error", [UpstreamRefused("x", status=400), UpstreamUnavailable("4041", status=200)])
async def test_a_deletion_that_is_refused_is_not_tried_for_ever(error: GatewayError) -> None:
    world, history, tidying = await waited_in_vain()
    world.clock.turn(3600 + 601)
    history.error = error
    await tidying.look()
    history.error = None
    world.clock.turn(86_400)
    await tidying.look()
    assert history.deleted == []


async def test_half_a_history_passes_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that differ only in what could not be read must not meet."""

    def broken(self: object, turns: object) -> None:
        raise RecursionError

    monkeypatch.setattr("service.core.upstreams.studio_thread.History.add", broken)
    world = World([answer("Hello"), answer("More")])
    await world.ask(asked(HI))
    assert world.threads.waiting == {}
    await world.ask(asked(HI, HELLO, AND))
    assert world.sent[1] == (None, (HI, HELLO, AND))
