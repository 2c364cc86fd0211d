"""How late the event loop is: waiting before a handler runs, which no timer inside it can see."""

from __future__ import annotations

import asyncio

from service.telemetry.metrics import Metrics

INTERVAL_S = 0.25
_SLEEP_S = 0.1


async def sample(metrics: Metrics) -> None:
    """Sleep a while and book how late the waking was."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await asyncio.sleep(_SLEEP_S)
    metrics.loop_lag_s.observe(max(loop.time() - began_s - _SLEEP_S, 0.0))
