"""The values that background responses are kept and stopped with, between the workers that share them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class StopWord(StrEnum):
    """What a worker may ask of the runner of a background response. DELETE: stop, and keep nothing."""

    CANCEL = "cancel"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptEvents:
    """Some whole events of one response's stream. `entry_id` is where to go on reading."""

    entry_id: str
    events: bytes
    is_last: bool = False
