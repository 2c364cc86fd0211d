"""The event loop's lag: how late a sleeper is woken."""

from __future__ import annotations

import asyncio
import time

import pytest

from service.telemetry import looplag
from service.telemetry.metrics import Metrics


async def test_a_loop_that_was_held_up_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looplag, "_SLEEP_S", 0.001)
    metrics = Metrics()
    await looplag.sample(metrics)
    # What a handler must never do: hold the loop while the sleeper's time comes.
    asyncio.get_running_loop().call_soon(time.sleep, 0.06)
    await looplag.sample(metrics)
    assert metrics.registry.get_sample_value("mgw_event_loop_lag_seconds_count") == 2
    late = metrics.registry.get_sample_value("mgw_event_loop_lag_seconds_bucket", {"le": "0.05"})
    assert late is not None
    assert late <= 1
