"""Values that travel between workers."""

from __future__ import annotations

from service.core.admin import AuditEntry, Heard, Pulse


def test_an_entry_needs_no_detail() -> None:
    assert AuditEntry(time=1.0, who="admin key", action="a", target="t").detail == ""


def test_a_pulse_that_adds_nothing_has_the_number_that_is_never_added() -> None:
    assert Pulse(worker="w", row=b"{}").number == 0


def test_nobody_watches_and_nothing_stops_unless_told() -> None:
    assert Heard() == Heard(is_watched=False, stops=frozenset())
