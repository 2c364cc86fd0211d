"""Notes are words for a header."""

from __future__ import annotations

from service.core.dialects.anthropic_messages.reading import Reading


def test_notes_are_header_safe_and_come_once() -> None:
    reading = Reading()
    for detail in ("web_search_20250305", "a\r\nset-cookie: x, é", "web_search_20250305", "y" * 100):
        reading.note("dropped", detail)
    assert reading.notes == (
        "dropped:web_search_20250305",
        "dropped:a_set-cookie_x_",
        "dropped:" + "y" * 64,
    )
