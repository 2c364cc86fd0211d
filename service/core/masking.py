"""Credentials taken out of what an upstream says: it may quote what it was sent, in several spellings."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

MASK = "***"


def masked(text: str, secrets: Iterable[str]) -> str:
    """`text` without the secrets: as they are, as a URL has them, and with slashes escaped as in JSON."""
    for secret in secrets:
        if secret:
            for form in {secret, quote(secret, safe=""), secret.replace("/", "\\/")}:
                text = text.replace(form, MASK)
    return text
