"""The first good answer of several askings at once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def first_answer(askings: Iterable[Coroutine[Any, Any, T | None]]) -> T | None:
    """The first that is not None; None when all are. The others are cancelled and have ended on return."""
    tasks = [asyncio.ensure_future(asking) for asking in askings]
    try:
        for answer in asyncio.as_completed(tasks):
            if (found := await answer) is not None:
                return found
        return None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
