"""The models list in OpenAI's shape, with the limits that clients look for.

Source: openai-python 3.52 types/model.py, read 2026-11-20. `context_length` and `max_output_tokens` are the
names that agents read them under elsewhere; OpenAI has none."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from service.core.models import ModelFacts

OWNER = "xiaomi"


def encode_model(facts: ModelFacts, *, created_at_s: int = 0) -> bytes:
    """The body of `GET /v1/models/{id}`. `created_at_s` is Unix time, 0 where nobody knows."""
    return orjson.dumps(_model(facts, created_at_s))


def encode_models(models: Iterable[ModelFacts], *, created_at_s: int = 0) -> bytes:
    """The body of `GET /v1/models`, in the order given."""
    return orjson.dumps({"object": "list", "data": [_model(facts, created_at_s) for facts in models]})


def _model(facts: ModelFacts, created_at_s: int) -> dict[str, object]:
    return {
        "id": facts.model_id,
        "object": "model",
        "created": created_at_s,
        "owned_by": OWNER,
        "context_length": facts.context_tokens,
        "max_output_tokens": facts.max_output_tokens,
    }
