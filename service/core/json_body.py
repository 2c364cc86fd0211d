"""The JSON body of a request: one object, bounded in depth, and readers of its fields for the dialects."""

from __future__ import annotations


def decode_object(body: bytes, *, max_depth: int = 100) -> dict[str, object]:
    """`body` as one JSON object. Raises InvalidRequest."""
    raise NotImplementedError
