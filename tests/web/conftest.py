"""Fixtures that start whole gateways."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from service.app import running
from service.simulator import Simulator, SimulatorOptions
from tests.web.rig import KEY, Rig, Start, config_for


@pytest.fixture
def start(clean_redis: str, tmp_path: Path) -> Start:
    @asynccontextmanager
    async def started(
        *kinds: str, options: SimulatorOptions | None = None, **more: object
    ) -> AsyncIterator[Rig]:
        async with Simulator.start(options) as simulator:
            config = config_for(simulator, clean_redis, *(kinds or ("platform",)), **more)
            async with (
                running(config, data_dir=tmp_path) as gateway,
                aiohttp.ClientSession(headers=KEY) as http,
            ):
                await gateway.services.models.refresh()
                yield Rig(gateway, simulator, http)

    return started


@pytest.fixture(params=["platform", "studio"])
async def rig(request: pytest.FixtureRequest, start: Start) -> AsyncIterator[Rig]:
    """One gateway per upstream kind."""
    async with start(request.param) as found:
        yield found
