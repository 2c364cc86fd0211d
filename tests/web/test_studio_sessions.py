"""Sessions of studio accounts that end, and errors inside a 200, in every phase of every endpoint."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest
import structlog

from service.app import running
from service.config import Studio
from service.core.leases import AccountHealth, AccountState
from tests.web.rig import Rig, Start

IMAGE = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)).decode()
SEE = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": IMAGE}}]


async def health(rig: Rig) -> AccountHealth:
    return (await rig.gateway.services.chat.accounts.health(rig.gateway.config.mimo_accounts))[0]


async def reached(rig: Rig, state: AccountState) -> AccountHealth:
    """Wait for the account's state: it is booked off the client's path, or by a probe."""
    for _ in range(6000):
        if (found := await health(rig)).state is state:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(f"the account is not {state}")


async def chat(rig: Rig, content: object) -> int:
    body = {"model": "mimo-v2.6-pro", "messages": [{"role": "user", "content": content}]}
    async with rig.http.post(rig.url("/v1/chat/completions"), json=body) as response:
        await response.read()
        return response.status


async def speak(rig: Rig, content: object) -> int:
    body = {"model": "tts-1", "voice": "alloy", "input": "Hi", "response_format": "wav"}
    async with rig.http.post(rig.url("/v1/audio/speech"), json=body) as response:
        await response.read()
        return response.status


PHASES = [
    pytest.param("studio_chat", chat, "hi", id="the chat"),
    pytest.param("studio_upload_info", chat, SEE, id="the first step of an upload"),
    pytest.param("studio_parse", chat, SEE, id="its last step"),
    pytest.param("studio_save", speak, "", id="speech: the conversation"),
    pytest.param("studio_tts", speak, "", id="speech: the task"),
    pytest.param("studio_tts_status", speak, "", id="speech: its end"),
]


@pytest.mark.parametrize("form", ["status=401", "json200 status=401", "status=302"])
@pytest.mark.parametrize(("endpoint", "ask", "content"), PHASES)
async def test_an_ended_session_is_noticed_in_every_phase(
    start: Start, form: str, endpoint: str, ask, content: object
) -> None:
    async with start("studio") as rig:
        rig.simulator.play(f"[[sim: endpoint={endpoint} {form}]]")
        assert await ask(rig, content) == 503
        assert (await reached(rig, AccountState.EXPIRED)).reason == "session_expired"


@pytest.mark.parametrize("code", [500, 4999])
@pytest.mark.parametrize(("endpoint", "ask", "content"), PHASES)
async def test_another_error_inside_a_200_is_an_error_and_no_answer(
    start: Start, code: int, endpoint: str, ask, content: object
) -> None:
    async with start("studio") as rig:
        rig.simulator.play(f"[[sim: endpoint={endpoint} json200 status=500 code={code}]]")
        assert await ask(rig, content) == 502
        await rig.nothing_is_held()
        assert (await health(rig)).state in (AccountState.READY, AccountState.OPEN)


@pytest.mark.parametrize("status", [401, 403, 503])
async def test_the_storage_of_uploads_says_nothing_of_the_session(start: Start, status: int) -> None:
    async with start("studio") as rig:
        rig.simulator.play(f"[[sim: endpoint=studio_put status={status}]]")
        assert await chat(rig, SEE) == 502
        await rig.nothing_is_held()
        assert (await health(rig)).state is AccountState.READY


async def test_a_deletion_refused_inside_a_200_is_told(start: Start) -> None:
    with structlog.testing.capture_logs() as logged:
        async with start("studio") as rig:
            await chat(rig, "hi")
            rig.simulator.play("[[sim: endpoint=studio_delete json200 status=500]]")
    assert "studio_tidying_failed" in [line["event"] for line in logged]


async def test_the_probe_finds_an_ended_session_that_nobody_uses(start: Start, tmp_path: Path) -> None:
    """One worker asks for both; the other knows of it at once."""
    async with start("studio", studio=Studio(probe_interval_s=0.2)) as rig:
        async with running(rig.gateway.config, data_dir=tmp_path) as second:
            await rig.simulator.record.wait(lambda record: bool(record.of("studio_user")), timeout_s=60)
            assert (await health(rig)).state is AccountState.READY
            rig.simulator.play("[[sim: endpoint=studio_user status=401]]")
            await reached(rig, AccountState.EXPIRED)
            accounts = second.services.chat.accounts
            (seen,) = await accounts.health(rig.gateway.config.mimo_accounts)
            assert seen.state is AccountState.EXPIRED
            assert await chat(rig, "hi") == 503
        assert not rig.simulator.record.of("studio_chat")
