"""Media parts: what was sent, of which type, how large."""

from __future__ import annotations

import base64
import binascii

from service.simulator.brain import SeenMedia
from service.simulator.platform.errors import Wrong

IMAGE_TYPES = frozenset({"image/jpeg", "image/jpg", "image/png", "image/gif", "image/webp", "image/bmp"})


def seen_media(kind: str, url: object, where: str) -> SeenMedia:
    """A part given by URL or data URL. Raises Wrong for anything else, or for base64 that is none."""
    if not isinstance(url, str) or not url:
        raise Wrong(f"{where} is not set")
    if url.startswith(("http://", "https://")):
        return SeenMedia(kind, f"{kind}/*", None)
    head, comma, data = url.partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        raise Wrong(f"{where} must be a URL or a base64 data URL")
    return seen_base64(kind, head[5:-7], data, where)


def seen_base64(kind: str, mime_type: object, data: object, where: str) -> SeenMedia:
    """A part given as base64 beside its type. Raises Wrong."""
    if not isinstance(mime_type, str) or not mime_type.startswith(f"{kind}/"):
        raise Wrong(f"{where} has an unsupported media type")
    if kind == "image" and mime_type not in IMAGE_TYPES:
        raise Wrong(f"{where} has an unsupported image type {mime_type}")
    if not isinstance(data, str):
        raise Wrong(f"{where} must be base64")
    try:
        decoded = base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise Wrong(f"{where} is not valid base64") from error
    if not decoded:
        raise Wrong(f"{where} is empty")
    return SeenMedia(kind, mime_type, len(decoded))
