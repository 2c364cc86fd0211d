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
    """Fits ports.Ids: 24 hexadecimal digits, as `call_` ids have in OpenAI's and MiMo's answers."""

    def new(self, prefix: str) -> str:
        return prefix + secrets.token_hex(12)
