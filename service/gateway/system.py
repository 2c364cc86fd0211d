"""The real Clock and Ids: what the ports are in production."""

from __future__ import annotations

import secrets
import time


class SystemClock:
    """Fits ports.Clock."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def unix_s(self) -> float:
        return time.time()  # noqa: TID251 - the one place that the Clock port stands for


class RandomIds:
    """Fits ports.Ids: 24 hexadecimal digits, as `call_` ids have in OpenAI's and MiMo's answers.

    Randomness is fetched for many ids at once: asking the kernel for each one was two per cent of a request.
    """

    _DIGITS = 24
    _IDS_AT_ONCE = 256

    def __init__(self) -> None:
        self._digits = ""
        self._used = 0

    def new(self, prefix: str) -> str:
        if self._used == len(self._digits):
            self._digits, self._used = secrets.token_hex(self._DIGITS // 2 * self._IDS_AT_ONCE), 0
        start, self._used = self._used, self._used + self._DIGITS
        return prefix + self._digits[start : self._used]
