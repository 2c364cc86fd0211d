"""What an account's studio holds already: uploads by the account, their content and the model they were
read for.

Kept in the process, bounded and with an end: an upload that is sent twice costs seconds, not correctness,
so the workers need not share it. An agent's conversation stays on its account (sticky), and each of its
turns brings the same images again: that is what this is for."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from service.config import Account
from service.core.upstreams.mimo_studio import UploadTarget

MAX_UPLOADS = 2048
UPLOAD_TTL_S = 3600.0
_Key = tuple[str, str, bytes, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An uploaded file that the studio has read."""

    target: UploadTarget
    media_id: str
    tokens: int


class Uploads:
    """A bounded map whose entries end after `ttl_s`; the longest unused goes first."""

    def __init__(
        self,
        *,
        max_uploads: int = MAX_UPLOADS,
        ttl_s: float = UPLOAD_TTL_S,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_uploads = max_uploads
        self._ttl_s = ttl_s
        self._monotonic_s = monotonic_s
        self._kept: OrderedDict[_Key, tuple[float, Upload]] = OrderedDict()

    def find(self, account: Account, sha256: bytes, model: str) -> Upload | None:
        """The upload that is still known, or None."""
        key = _key(account, sha256, model)
        kept = self._kept.get(key)
        if kept is None:
            return None
        ends_at_s, upload = kept
        if ends_at_s <= self._monotonic_s():
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return upload

    def keep(self, account: Account, sha256: bytes, model: str, upload: Upload) -> None:
        self._kept[_key(account, sha256, model)] = (self._monotonic_s() + self._ttl_s, upload)
        if len(self._kept) > self._max_uploads:
            self._kept.popitem(last=False)


def _key(account: Account, sha256: bytes, model: str) -> _Key:
    """The studio's user, not the account's name: a name may be given to another session later."""
    user_id = account.user_id.reveal() if account.user_id is not None else account.name
    return account.base_url, user_id, sha256, model
