"""Time that stands still until it is turned, and ids from a counter."""

from __future__ import annotations


class FakeClock:
    """Fits ports.Clock."""

    def __init__(self, *, unix_s: float = 1_790_000_000.0) -> None:
        self.passed_s = 0.0
        self._unix_s = unix_s

    def monotonic_s(self) -> float:
        return self.passed_s

    def unix_s(self) -> float:
        return self._unix_s + self.passed_s

    def turn(self, seconds: float) -> None:
        self.passed_s += seconds


class CountingIds:
    """Fits ports.Ids: `call_000000000000000000000001` and so on."""

    def __init__(self) -> None:
        self.count = 0

    def new(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count:024d}"
