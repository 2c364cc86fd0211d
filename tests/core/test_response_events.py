"""The values that workers share about background responses."""

from __future__ import annotations

from service.core.response_events import KeptEvents, StopWord


def test_stop_words_are_the_ones_that_redis_keeps() -> None:
    assert {str(word) for word in StopWord} == {"cancel", "delete"}


def test_events_are_not_the_last_unless_told() -> None:
    assert not KeptEvents(entry_id="1-0", events=b"data: {}\n\n").is_last
