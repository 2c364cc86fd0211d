"""Who calls: an API key as shown -> the key we know, by digest."""

from __future__ import annotations

from collections.abc import Iterable

from service.config import ApiKey, key_digest
from service.core.errors import Unauthenticated


class KeyRing:
    """The configuration's keys. Looked up by SHA-256, so that no comparison leaks how much of a key was
    right.
    """

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        self.replace(keys)

    def replace(self, keys: Iterable[ApiKey]) -> None:
        """From now on these are the keys."""
        self._by_digest = {key.key_sha256: key for key in keys}

    def with_id(self, key_id: str) -> ApiKey | None:
        """The key that work was left by; None when this process does not know it (any more)."""
        return next((key for key in self._by_digest.values() if key.key_id == key_id), None)

    def find(self, presented: str | None) -> ApiKey:
        """The key that was shown. Raises Unauthenticated; the message never repeats it."""
        if not presented:
            raise Unauthenticated(
                "No API key was sent. Send it as 'Authorization: Bearer KEY', 'x-api-key' or 'api-key'.",
                code="missing_api_key",
            )
        key = self._by_digest.get(key_digest(presented))
        if key is None:
            raise Unauthenticated("The API key is not known to this gateway.", code="invalid_api_key")
        return key
