"""What else to plan for with MiMo's server: the list under the table of mimo-api.md 3. The table itself is in
test_mimo_rows.py, row by row."""

from __future__ import annotations

import pytest

from tests.web.mimo_rows import CHAT, NAMES, posted, refused, request, said
from tests.web.rig import Start


@pytest.mark.parametrize(
    "fault",
    [
        'status=400 param="finishConnect: Connection refused: 10.0.0.1"',
        'status=402 message="Upstream request failed: Insufficient account funds"',
        'status=400 param="Request blocked by risk control"',
        'status=403 code=illegal_access message="Illegal access"',
        "status=429",
        "status=503",
    ],
)
async def test_fault_of_the_account_or_its_host_is_not_the_clients(start: Start, fault: str) -> None:
    async with start("platform", "platform-2") as rig:
        await posted(rig, CHAT, request(CHAT, said(f"Hello [[sim: {fault} times=1]]")))
        first, second = rig.simulator.record.of("chat_completions")
        assert first.account != second.account


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", NAMES, ids=NAMES.get)
async def test_upstreams_own_words_reach_the_client(start: Start, path: str, streams: bool) -> None:
    """MiMo tells the cause in `param`, after `data:` where it was to stream; `message` is always the same."""
    async with start("platform") as rig:
        words = "temperature is not what it seems"
        body = request(path, said(f'Hello [[sim: status=400 param="{words}"]]'), stream=streams)
        error = await refused(rig, path, body, 400)
        assert words in error["message"]
