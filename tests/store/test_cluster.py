"""Slots, redirections and the map, without servers. With servers: test_failover.py, and the contracts."""

from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import ConnectionError

from service.store.cluster import ClusterLines, SlotMap, decode_slots, slot_of
from service.store.resp import NotSent, Redirected
from service.store.wire import Wire

ONE, TWO = ("10.0.0.1", 6379), ("10.0.0.2", 6379)
SLOTS_REPLY = [
    [8192, 16383, [b"10.0.0.2", 6379, b"id2"], [b"10.0.0.3", 6379, b"id3"]],
    [0, 8191, [b"", 6379, b"id1"]],
]


class ScriptedWire(Wire):
    """Answers by a function, at once."""

    def __init__(self, answer) -> None:
        super().__init__()
        self._answer = answer

    def send_for(self, future, command) -> None:
        reply = self._answer(command)
        if isinstance(reply, Exception):
            future.set_exception(reply)
        else:
            future.set_result(reply)


class Nodes:
    """What each address answers, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[str, int], tuple]] = []
        self.answers: dict = {}
        self.tasks: set[asyncio.Task] = set()

    def lines(self) -> ClusterLines:
        def spawn(work, /, *, name):
            task = asyncio.ensure_future(work)
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

        return ClusterLines([ONE], self._dial_to, spawn=spawn)

    def _dial_to(self, address):
        async def dial():
            if address not in self.answers:
                raise ConnectionRefusedError
            return ScriptedWire(lambda command: self._answer(address, command))

        return dial

    def _answer(self, address, command):
        self.asked.append((address, command))
        if command == ("CLUSTER", "SLOTS"):
            return SLOTS_REPLY
        answer = self.answers[address]
        return answer(command) if callable(answer) else answer


def test_the_map_finds_the_master_of_a_slot():
    slots = decode_slots(SLOTS_REPLY, asked=ONE)
    assert slots.master_of(0) == slots.master_of(8191) == ONE
    assert slots.master_of(8192) == slots.master_of(16383) == TWO
    assert SlotMap((100,), (200,), (ONE,)).master_of(99) is None
    assert SlotMap((100,), (200,), (ONE,)).master_of(201) is None
    assert decode_slots([], asked=ONE) == SlotMap()


def test_a_commands_slot_is_its_first_keys():
    assert slot_of(("GET", "foo")) == 12182
    assert slot_of(("EVALSHA", "digest", 2, "a{foo}", "b{foo}", "argument")) == 12182
    assert slot_of(("DEL", b"foo")) == 12182


async def test_without_a_map_a_command_was_not_sent_and_recovering_asks_for_one():
    nodes = Nodes()
    nodes.answers = {ONE: b"one", TWO: b"two"}
    lines = nodes.lines()
    with pytest.raises(NotSent) as caught:
        await lines.send(("GET", "foo"))
    assert await lines.recover(caught.value)
    assert await lines.send(("GET", "foo")) == b"two"
    lines.close()


async def test_the_map_is_asked_once_for_all_who_wait():
    nodes = Nodes()
    nodes.answers = {ONE: b"one", TWO: b"two"}
    lines = nodes.lines()
    assert all(await asyncio.gather(*(lines.recover(ConnectionError("x")) for _ in range(10))))
    assert [command for _, command in nodes.asked] == [("CLUSTER", "SLOTS")]
    lines.close()


async def test_ask_goes_elsewhere_this_once():
    nodes = Nodes()
    nodes.answers = {ONE: b"one", TWO: b"two"}
    lines = nodes.lines()
    await lines.recover(NotSent("x"))
    assert await lines.recover(Redirected("ASK 12182 10.0.0.1:6379"))
    assert await lines.send(("GET", "foo")) == b"one"
    assert nodes.asked[-2:] == [(ONE, ("ASKING",)), (ONE, ("GET", "foo"))]
    assert await lines.send(("GET", "foo")) == b"two"
    lines.close()


async def test_a_node_that_is_gone_is_no_obstacle_to_the_map():
    nodes = Nodes()
    nodes.answers = {ONE: b"one", TWO: b"two"}
    lines = nodes.lines()
    await lines.recover(NotSent("x"))
    del nodes.answers[ONE]
    lines._lines[ONE].drop()
    assert await lines.recover(ConnectionError("x"))
    assert await lines.send(("GET", "foo")) == b"two"
    lines.close()


async def test_other_errors_are_not_worth_another_try():
    lines = Nodes().lines()
    assert not await lines.recover(ValueError())
    lines.close()
