"""Conversations in the studio are deleted after their answers, off the client's path."""

from __future__ import annotations

from typing import Any

import pytest

from service.config import Storage
from service.simulator import Simulator
from tests.web.rig import Rig, Start


async def ask(rig: Rig, text: str = "Hello") -> None:
    body = {"model": "mimo-v2.6-pro", "messages": [{"role": "user", "content": text}]}
    async with rig.http.post(rig.url("/v1/chat/completions"), json=body) as response:
        await response.read()


def bodies(simulator: Simulator, endpoint: str) -> list[Any]:
    return [entry.body for entry in simulator.record.requests if entry.endpoint == endpoint]


@pytest.mark.parametrize("text", ["Hello", "[[sim: cut_after=2]]"])
async def test_conversations_are_deleted_when_they_are_over(start: Start, text: str) -> None:
    """At the latest when the gateway stops; no test waits for the interval."""
    async with start("studio") as rig:
        simulator = rig.simulator
        await ask(rig, text)
        await ask(rig)
        assert not bodies(simulator, "studio_delete")
    used = {body["conversationId"] for body in bodies(simulator, "studio_chat")}
    (deleted,) = bodies(simulator, "studio_delete")
    assert set(deleted) == used
    assert len(used) >= 2


async def test_the_conversation_of_speech_is_deleted_too(start: Start) -> None:
    async with start("studio") as rig:
        simulator = rig.simulator
        spoken = {"model": "tts-1", "voice": "alloy", "input": "Hi", "response_format": "wav"}
        async with rig.http.post(rig.url("/v1/audio/speech"), json=spoken) as response:
            assert response.status == 200
    ((deleted,),) = bodies(simulator, "studio_delete")
    assert deleted == bodies(simulator, "studio_save")[0]["conversationId"]


async def test_they_stay_where_the_configuration_says_so(start: Start) -> None:
    async with start("studio", storage=Storage(deletes_studio_conversations=False)) as rig:
        simulator = rig.simulator
        await ask(rig)
    assert not bodies(simulator, "studio_delete")


async def test_a_deletion_that_fails_troubles_nobody(start: Start) -> None:
    async with start("studio") as rig:
        simulator = rig.simulator
        await ask(rig)
        simulator.play("[[sim: endpoint=studio_delete status=500]]")
    assert len(bodies(simulator, "studio_delete")) == 1
