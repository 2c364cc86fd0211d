"""Reasoning as an opaque blob that the client keeps for us (`reasoning.encrypted_content`).

`mgw1.` and base64url of nonce and ciphertext: AES-256-GCM over the deflated text, under a key derived from
the caller's own API key. So every worker opens it, no secret of the server's is needed, and another caller's
blob stays shut. A blob says nothing to who does not hold the key; who holds it wrote the conversation anyway.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import zlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PREFIX = "mgw1."
MAX_TEXT_BYTES = 8 << 20  # the key's owner could seal a bomb: no more than this is ever inflated
_NONCE_BYTES = 12
_INFO = b"mimo-gateway sealed reasoning v1"


class Sealer:
    """Seals and opens for one API key, as the caller presented it. The key is derived when first needed."""

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key
        self._derived: AESGCM | None = None

    def seal(self, text: str) -> str:
        """The blob for `text`; another one each time."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        deflated = zlib.compress(text.encode("utf-8", "surrogatepass"))
        sealed = nonce + self._cipher().encrypt(nonce, deflated, PREFIX.encode())
        return PREFIX + base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def unseal(self, blob: str) -> str | None:
        """The text of a blob that `seal` made under the same API key; None for anything else."""
        if not blob.startswith(PREFIX):
            return None
        body = blob[len(PREFIX) :]
        try:
            sealed = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
            deflated = self._cipher().decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], PREFIX.encode())
            return _inflated(deflated)
        except (binascii.Error, ValueError, InvalidTag, zlib.error):
            return None

    def _cipher(self) -> AESGCM:
        if self._derived is None:
            derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=_INFO).derive
            self._derived = AESGCM(derive(self._api_key.encode("utf-8", "surrogatepass")))
        return self._derived


def _inflated(deflated: bytes) -> str | None:
    inflater = zlib.decompressobj()
    data = inflater.decompress(deflated, MAX_TEXT_BYTES)
    return None if inflater.unconsumed_tail else data.decode("utf-8", "surrogatepass")
