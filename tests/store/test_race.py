"""The first good answer wins, and nobody is left running."""

from __future__ import annotations

import asyncio

from service.store.race import first_answer


async def test_the_first_that_is_not_none_wins_and_the_rest_end():
    ended = []

    async def asking(answer, pause_turns):
        try:
            for _ in range(pause_turns):
                await asyncio.sleep(0)
            return answer
        finally:
            ended.append(answer)

    assert await first_answer([asking(None, 1), asking("slow", 1000), asking("quick", 5)]) == "quick"
    assert set(ended) == {None, "quick", "slow"}
    assert await first_answer([asking(None, 1), asking(None, 2)]) is None
    assert await first_answer([]) is None
