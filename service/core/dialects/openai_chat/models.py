"""The models list in OpenAI's shape, with the limits that clients look for."""

from __future__ import annotations

from collections.abc import Iterable

from service.core.models import ModelFacts


def encode_model(facts: ModelFacts, *, created_at_s: int = 0) -> bytes:
    """The body of `GET /v1/models/{id}`."""
    raise NotImplementedError


def encode_models(models: Iterable[ModelFacts], *, created_at_s: int = 0) -> bytes:
    """The body of `GET /v1/models`, in the order given."""
    raise NotImplementedError
