"""The signature that the gateway puts on thinking blocks.

Anthropic signs its thinking and clients send the signature back untouched. MiMo signs nothing, but clients
drop or refuse a thinking block whose signature is empty. Ours is a mark and a digest of the text, so that a
later request tells whether a block came from here or from another vendor, after a change of model. It is no
secret and proves nothing."""

from __future__ import annotations

from hashlib import sha256

_MARK = "mimo-gw-v1:"
_DIGEST_CHARACTERS = 32


class Signer:
    """The signature of a text that comes in pieces. Linear in the text, keeps none of it."""

    def __init__(self) -> None:
        self._hash = sha256()

    def feed(self, text: str) -> None:
        self._hash.update(text.encode())

    def signature(self) -> str:
        """ASCII without quotes or backslashes: it needs no escaping in JSON."""
        return _MARK + self._hash.hexdigest()[:_DIGEST_CHARACTERS]


def signature_of(text: str) -> str:
    """The signature of a thinking block with this text; never empty, the same for the same text."""
    signer = Signer()
    signer.feed(text)
    return signer.signature()


def is_own_signature(signature: str | None) -> bool:
    """True when this gateway wrote the signature, whatever became of the text beside it."""
    return signature is not None and signature.startswith(_MARK)
