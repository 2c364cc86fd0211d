"""A Redis Cluster on wires: each command goes to the master that holds its key's slot.

The map of slots is asked of any node that answers. A node that no longer holds a slot says so (MOVED: the
map is old; ASK: the slot is moving, this once go there), and a node that is gone shows itself by a broken
wire: then the map is asked again, once for all who wait, and the command is sent once more."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redis.crc import key_slot
from redis.exceptions import ConnectionError, RedisError

from service.store.race import first_answer
from service.store.resp import Command, NotSent, Redirected, Reply
from service.store.wire import Dial, Line, Spawn

Address = tuple[str, int]

_SCRIPT_COMMANDS = ("EVALSHA", "EVAL")
_MAP_TIMEOUT_S = 0.2


@dataclass(frozen=True, slots=True)
class SlotMap:
    """`starts` in order; the range from `starts[i]` ends at `ends[i]` and belongs to `masters[i]`."""

    starts: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    masters: tuple[Address, ...] = ()

    def master_of(self, slot: int) -> Address | None:
        place = bisect_right(self.starts, slot) - 1
        return self.masters[place] if place >= 0 and slot <= self.ends[place] else None


def decode_slots(reply: Reply, *, asked: Address) -> SlotMap:
    """CLUSTER SLOTS' reply. A node without an address of its own is the one that was asked."""
    ranges = sorted(
        (start, end, (master[0].decode() if master[0] else asked[0], master[1]))
        for start, end, master, *_ in reply
    )
    starts, ends, masters = zip(*ranges, strict=True) if ranges else ((), (), ())
    return SlotMap(starts, ends, masters)


def slot_of(command: Command) -> int:
    """By the first key: a script's fourth word, any other command's second. All keys share one tag."""
    key = command[3] if command[0] in _SCRIPT_COMMANDS else command[1]
    return int(key_slot(key if isinstance(key, bytes) else str(key).encode()))


class ClusterLines:
    """One line per master, made when first needed. Has the interface of `Line`."""

    def __init__(self, seeds: Sequence[Address], dial_to: Callable[[Address], Dial], *, spawn: Spawn) -> None:
        self._seeds = tuple(seeds)
        self._dial_to = dial_to
        self._spawn = spawn
        self._slots = SlotMap()
        self._lines: dict[Address, Line] = {}
        self._asking: dict[int, Address] = {}
        self._turn = 0
        self._mapping: asyncio.Future[None] | None = None

    def send(self, command: Command) -> asyncio.Future[Reply]:
        """The reply to come. Fails with Redirected or ConnectionError where `recover` helps."""
        slot = slot_of(command)
        moving_to = self._asking.pop(slot, None)
        if moving_to is not None:
            line = self._line(moving_to)
            line.send(("ASKING",)).add_done_callback(_ignore)
            return line.send(command)
        master = self._slots.master_of(slot)
        if master is None:
            future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
            future.set_exception(NotSent("no master known for the slot"))
            return future
        return self._line(master).send(command)

    def send_anywhere(self, command: Command) -> asyncio.Future[Reply]:
        """A command that needs no key, to some node; another one each time, since one may be gone."""
        nodes = tuple(dict.fromkeys((*self._slots.masters, *self._seeds)))
        self._turn += 1
        return self._line(nodes[self._turn % len(nodes)]).send(command)

    async def recover(self, error: Exception) -> bool:
        """Make a second try worth it; False when it is not."""
        if isinstance(error, Redirected) and error.is_asking:
            self._asking[error.slot] = (error.host, error.port)
            return True
        if isinstance(error, Redirected | ConnectionError):
            await self._map_anew()
            return True
        return False

    @property
    def in_flight(self) -> int:
        """Commands whose reply is awaited, of all nodes."""
        return sum(line.in_flight for line in tuple(self._lines.values()))

    def suspect(self, *, sent_at_s: float) -> None:
        for line in self._lines.values():
            line.suspect(sent_at_s=sent_at_s)

    def close(self) -> None:
        for line in self._lines.values():
            line.close()

    def _line(self, address: Address) -> Line:
        if address not in self._lines:
            self._lines[address] = Line(self._dial_to(address), spawn=self._spawn)
        return self._lines[address]

    async def _map_anew(self) -> None:
        if self._mapping is None:
            self._mapping = asyncio.get_running_loop().create_future()
            self._spawn(self._ask_for_map(self._mapping), name="redis_slots")
        await asyncio.shield(self._mapping)

    async def _ask_for_map(self, told: asyncio.Future[None]) -> None:
        try:
            known = dict.fromkeys((*self._slots.masters, *self._seeds))
            slots = await first_answer([self._slots_by(address) for address in known])
            if slots is not None:
                self._slots = slots
                self._forget_others()
        finally:
            self._mapping = None
            if not told.done():
                told.set_result(None)

    async def _slots_by(self, address: Address) -> SlotMap | None:
        try:
            async with asyncio.timeout(_MAP_TIMEOUT_S):
                slots = decode_slots(await self._line(address).send(("CLUSTER", "SLOTS")), asked=address)
                return slots if slots.starts else None
        except (RedisError, OSError, TimeoutError):
            return None

    def _forget_others(self) -> None:
        for address in set(self._lines) - {*self._slots.masters, *self._seeds}:
            self._lines.pop(address).close()


def _ignore(done: asyncio.Future[Reply]) -> None:
    if not done.cancelled():
        done.exception()
