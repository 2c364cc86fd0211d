"""Content at rest: compressed, then sealed with AES-256-GCM: Redis never holds a prompt in the clear.

The key is derived by HKDF-SHA256 from the digest of the owner's API key and the server's secret, if there is
one (MIMO_SECRET_KEY): a key of its own for each object. What that protects: a dump, a backup or a foreigner
with Redis alone reads nothing, as long as the digest or the secret is not in Redis. The secret never is. Of a
key of the configuration Redis holds the first 16 digits of the digest only; of an issued key (`keys create`)
it holds all of it, so what issued keys own is protected by the secret alone: set one. What it does not
protect: whoever has the configuration (or the API key) and Redis reads the content, and so does whoever
controls the gateway's process; and without the secret an API key that can be guessed opens what it owns. Each
value is bound to its place: one that was moved to another object, number or field does not open.
"""

from __future__ import annotations

import os
import zlib
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from service.core.batches import ContentUnreadable

_NONCE_BYTES = 12
_LEVEL = 1  # fast: JSON shrinks to a third or less at 100 MB/s
_VERSION = b"\x01"


def is_sealed(value: bytes) -> bool:
    """Whether it is a seal's work, and not deflated: a zlib stream begins otherwise."""
    return value.startswith(_VERSION)


class Sealer:
    """Seals for one owner and one object (a batch, a file). Cheap to make: keys are remembered."""

    __slots__ = ("_aead", "_object_id")

    def __init__(self, *, key_sha256: str, object_id: str, server_secret: str = "") -> None:
        self._aead = _aead(key_sha256, object_id, server_secret)
        self._object_id = object_id

    def seal(self, content: bytes, *, place: str) -> bytes:
        """`place` says where in the object the value will stand."""
        nonce = os.urandom(_NONCE_BYTES)
        packed = zlib.compress(content, _LEVEL)
        return _VERSION + nonce + self._aead.encrypt(nonce, packed, self._bound_to(place))

    def open(self, sealed: bytes, *, place: str) -> bytes:
        """Raises ContentUnreadable: it was changed, moved, or sealed with another key."""
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return zlib.decompress(self._aead.decrypt(nonce, body, self._bound_to(place)))
        except (InvalidTag, ValueError, zlib.error):
            raise ContentUnreadable from None

    def _bound_to(self, place: str) -> bytes:
        return f"{self._object_id} {place}".encode()


@lru_cache(maxsize=512)
def _aead(key_sha256: str, object_id: str, server_secret: str) -> AESGCM:
    derivation = HKDF(
        algorithm=SHA256(),
        length=32,
        salt=server_secret.encode("utf-8", "surrogatepass") or None,
        info=f"mimo-gateway content 1 {object_id}".encode(),
    )
    return AESGCM(derivation.derive(key_sha256.encode()))
