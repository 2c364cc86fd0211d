"""What is kept of responses: chains in two round trips, items by id, and the words when something is gone."""

from __future__ import annotations

import orjson
import pytest

from service.core.conversation import Role
from service.core.dialects.openai_responses.request import ResponsesRequest, decode_request
from service.core.errors import InvalidRequest, NotFound, StoreUnavailable
from service.gateway.responses import Prepared, Responses, decode_stored
from tests.fakes.clock import CountingIds
from tests.fakes.stored import FakeObjects

MINE = "key-1"


class World:
    """The use cases over objects in memory, and answers made by hand."""

    def __init__(self) -> None:
        self.objects = FakeObjects()
        self.ids = CountingIds()
        self.responses = Responses(objects=self.objects, ids=self.ids)

    async def prepare(self, text: object, *, key_id: str = MINE, **more: object) -> Prepared:
        return await self.responses.prepare(asked(text, **more), key_id=key_id)

    async def answered(self, text: str, answer: str, **more: object) -> str:
        """One turn, kept; its response id."""
        prepared = await self.prepare(text, **more)
        message = {
            "id": self.ids.new("msg_"),
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": answer, "annotations": []}],
        }
        return await self.kept(prepared, [message])

    async def kept(self, prepared: Prepared, output: list[dict], status: str = "completed") -> str:
        response = {"id": self.ids.new("resp_"), "status": status, "output": output}
        assert await self.responses.keep(prepared, response, key_id=MINE)
        return response["id"]


def asked(text: object, **more: object) -> ResponsesRequest:
    return decode_request(orjson.dumps({"model": "m", "input": text} | more))


def said(prepared: Prepared) -> list[tuple[Role, str]]:
    return [(turn.role, turn.text) for turn in prepared.request.conversation.turns]


async def test_request_without_a_past_asks_the_store_nothing() -> None:
    world = World()
    prepared = await world.prepare("Hello")
    assert said(prepared) == [(Role.USER, "Hello")]
    assert world.objects.loads == 0


async def test_chain_of_any_length_is_loaded_in_two_round_trips() -> None:
    world = World()
    response_id = None
    for number in range(5):
        more = {"previous_response_id": response_id} if response_id else {}
        response_id = await world.answered(f"question {number}", f"answer {number}", **more)
    world.objects.loads = 0
    prepared = await world.prepare("and?", previous_response_id=response_id)
    assert [text for _, text in said(prepared)] == [
        *(f"{kind} {number}" for number in range(5) for kind in ("question", "answer")),
        "and?",
    ]
    assert world.objects.loads == 2
    assert len(prepared.chain) == 5


async def test_instructions_are_not_carried_over() -> None:
    world = World()
    first = await world.answered("Hi", "Hello", instructions="Be brief")
    prepared = await world.prepare("Go on", previous_response_id=first)
    assert Role.SYSTEM not in [role for role, _ in said(prepared)]


async def test_call_that_was_cut_is_left_out_of_the_history() -> None:
    world = World()
    call = {"type": "function_call", "name": "f", "call_id": "c1", "arguments": '{"a', "id": "fc_1"}
    first = await world.kept(
        await world.prepare("Hi"), [call | {"status": "incomplete"}], status="incomplete"
    )
    prepared = await world.prepare("Go on", previous_response_id=first)
    assert said(prepared) == [(Role.USER, "Hi"), (Role.USER, "Go on")]


async def test_unknown_foreign_and_deleted_previous_responses_are_one_refusal() -> None:
    world = World()
    first = await world.answered("Hi", "Hello")
    second = await world.answered("Hi", "Hello", previous_response_id=first)
    await world.responses.delete(await world.responses.load(first, key_id=MINE), key_id=MINE)
    for response_id, key_id in (
        ("resp_unknown", MINE),
        ("x" * 999, MINE),
        (second, "key-2"),  # somebody else's
        (first, MINE),  # deleted
        (second, MINE),  # its chain is broken: half a history would be a wrong one
    ):
        with pytest.raises(InvalidRequest) as caught:
            await world.prepare("Go on", previous_response_id=response_id, key_id=key_id)
        assert caught.value.code == "previous_response_not_found"
        assert caught.value.param == "previous_response_id"
        assert "not found" in caught.value.message


async def test_response_that_still_runs_cannot_be_continued() -> None:
    world = World()
    first = await world.kept(await world.prepare("Hi"), [], status="in_progress")
    with pytest.raises(InvalidRequest, match="still in_progress") as caught:
        await world.prepare("Go on", previous_response_id=first)
    assert caught.value.param == "previous_response_id"


async def test_references_are_filled_in_from_output_and_input_items() -> None:
    world = World()
    prepared = await world.prepare("Hi")
    (asked_item,) = prepared.new_items
    reasoning = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    await world.kept(prepared, [reasoning])
    world.objects.loads = 0
    input_items = [
        {"type": "item_reference", "id": asked_item["id"]},
        {"type": "item_reference", "id": "rs_1"},
        {"role": "user", "content": "Go on"},
    ]
    again = await world.prepare(input_items)
    assert again.request.conversation.turns[1].reasoning == "hm"
    assert said(again)[0] == (Role.USER, "Hi")
    assert world.objects.loads == 2


async def test_reference_that_is_not_kept_is_refused_unless_it_is_reasoning() -> None:
    world = World()
    with pytest.raises(InvalidRequest) as caught:
        await world.prepare([{"type": "item_reference", "id": "msg_gone"}, {"role": "user", "content": "x"}])
    assert caught.value.code == "item_not_found"
    prepared = await world.prepare(
        [{"type": "item_reference", "id": "rs_gone"}, {"role": "user", "content": "x"}]
    )
    assert prepared.request.notes == ("input[0] dropped: the referenced reasoning is not stored",)


async def test_store_false_keeps_nothing_but_reads_the_past() -> None:
    world = World()
    first = await world.answered("Hi", "Hello")
    prepared = await world.prepare("Go on", previous_response_id=first, store=False)
    assert len(said(prepared)) == 3
    assert (prepared.items, prepared.new_items) == ((), ())


async def test_items_that_came_with_an_id_are_kept_in_the_response_only() -> None:
    """They are our own output sent back, kept already, or a client's private names."""
    world = World()
    message = {"id": "msg_own", "role": "user", "content": "Hi"}
    prepared = await world.prepare([message, {"role": "user", "content": "there"}])
    await world.kept(prepared, [])
    kept_items = [name[2] for name in world.objects.bodies if name[0] == "item"]
    assert kept_items == [item["id"] for item in prepared.new_items]
    assert [item["id"] for item in prepared.items] == ["msg_own", *kept_items]


async def test_stored_response_is_what_was_encoded() -> None:
    world = World()
    response_id = await world.answered("Hi", "Hello")
    stored = await world.responses.load(response_id, key_id=MINE)
    assert decode_stored(stored.encoded()) == stored
    assert orjson.loads(stored.body) == stored.response
    assert (stored.is_running, stored.is_background) == (False, False)


async def test_unknown_response_is_not_found_in_openai_s_words() -> None:
    with pytest.raises(NotFound, match=r"Response with id 'resp_1' not found\."):
        await World().responses.load("resp_1", key_id=MINE)


async def test_deleting_forgets_the_items_too() -> None:
    world = World()
    response_id = await world.answered("Hi", "Hello")
    await world.responses.delete(await world.responses.load(response_id, key_id=MINE), key_id=MINE)
    assert world.objects.bodies == {}


async def test_without_redis_an_answer_is_given_and_a_past_is_not_made_up() -> None:
    world = World()
    first = await world.answered("Hi", "Hello")
    world.objects.is_away = True
    prepared = await world.prepare("Hello")
    assert not await world.responses.keep(
        prepared, {"id": "resp_1", "status": "completed", "output": []}, key_id=MINE
    )
    with pytest.raises(StoreUnavailable):
        await world.prepare("Go on", previous_response_id=first)
    with pytest.raises(StoreUnavailable):
        await world.responses.load(first, key_id=MINE)
