"""An account's credentials in what a user copied out of their own browser: a Cookie header, a cURL command,
or a key of the official API.

Source of the cookies' names: mimo-api.md 5.1, read 2026-11-20. The browsers' forms of "Copy as cURL" are
Chrome's and Firefox's for POSIX shells (single quotes, or `$'…'` with escapes) and for cmd (carets).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

from service.core.errors import InvalidRequest

MAX_CHARS = 64 << 10
_API_KEY = re.compile(r"(?:sk|tp|ttp)-[!-~]+")
# The configuration's key -> the names that the cookie goes by.
_COOKIES: Mapping[str, tuple[str, ...]] = {
    "service_token": ("serviceToken", "xiaomichatbot_serviceToken"),
    "user_id": ("userId",),
    "xiaomichatbot_ph": ("xiaomichatbot_ph",),
}
_KEY_HEADER = re.compile(
    r"[\s'\"](?:authorization:\s*bearer\s+|(?:x-)?api-key:\s*)((?:sk|tp|ttp)-[^\s'\"]+)", re.IGNORECASE
)
_ORIGIN = re.compile(r"https?://[^\s/?#'\"\\@]+", re.IGNORECASE)
_QUERY_PH = re.compile(r"[?&]xiaomichatbot_ph=([^&\s'\"#]+)")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})|\\(.)", re.DOTALL)


def decode_pasted(text: str) -> dict[str, str]:
    """The credentials as keys of an entry of `mimo_accounts`.

    Raises InvalidRequest, whose message names what is missing and repeats nothing of the text."""
    text = text.strip()
    if len(text) > MAX_CHARS:
        raise InvalidRequest(f"The text is longer than {MAX_CHARS} characters.")
    if _API_KEY.fullmatch(text):
        return {"api_key": text}
    plain = _without_shell_quoting(text)
    if plain.startswith("curl") and (key := _KEY_HEADER.search(plain)) is not None:
        return {"api_key": key[1]}
    found = {name: value for name, cookies in _COOKIES.items() if (value := _cookie(plain, cookies))}
    if "xiaomichatbot_ph" not in found and (in_query := _QUERY_PH.search(plain)):
        found["xiaomichatbot_ph"] = unquote(in_query[1])
    if missing := [cookies[0] for name, cookies in _COOKIES.items() if name not in found]:
        raise InvalidRequest(
            f"The text has no {' and no '.join(missing)}. Copy the Cookie header, or a request as cURL, "
            "of a chat request in the browser's network tab: page scripts do not see serviceToken."
        )
    return found


def pasted_origin(text: str) -> str:
    """The scheme and host that a copied cURL command calls; "" when the text is none."""
    plain = _without_shell_quoting(text.strip()[:MAX_CHARS])
    found = _ORIGIN.search(plain) if plain.startswith("curl") else None
    return found[0] if found else ""


def _without_shell_quoting(text: str) -> str:
    if not text.startswith("curl"):
        return text
    if '^"' in text:  # cmd: every special character has a caret
        return re.sub(r"\^(.)", r"\1", text, flags=re.DOTALL)
    return _ESCAPE.sub(_unescaped, text) if "$'" in text else text


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    return chr(int(code, 16)) if code else str(match[3])


def _cookie(text: str, names: tuple[str, ...]) -> str:
    """The cookie's value, without the double quotes that some are stored in."""
    for name in names:
        # A cookie begins the text, or follows a blank, a semicolon, or the quote that opens a header.
        found = re.search(rf"(?:^|[\s;:'\"]){name}=\\?\"?([^;\s'\"\\]+)", text)
        if found:
            return found[1]
    return ""
