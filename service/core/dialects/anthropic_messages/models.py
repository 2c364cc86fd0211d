"""The models list and the token count in this dialect's shapes.

Source: anthropic 2.11.0, types/model_info.py, pagination.py and types/message_tokens_count.py;
`total_tokens` from the gateway's earlier answers. Read 2026-11-20.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import orjson

from service.core.models import ModelFacts


def encode_model(facts: ModelFacts, *, created_at_s: int = 0) -> bytes:
    """The body of `GET /v1/models/{id}`. `created_at_s` is Unix time; the epoch says that the day is
    unknown."""
    return orjson.dumps(_model(facts, created_at_s))


def encode_models(models: Iterable[ModelFacts], *, created_at_s: int = 0) -> bytes:
    """The body of `GET /v1/models`: all of them on one page, in the order given."""
    data = [_model(facts, created_at_s) for facts in models]
    return orjson.dumps(
        {
            "data": data,
            "has_more": False,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
        }
    )


def _model(facts: ModelFacts, created_at_s: int) -> dict[str, object]:
    return {
        "type": "model",
        "id": facts.model_id,
        "display_name": facts.model_id,
        "created_at": datetime.fromtimestamp(created_at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
        "max_input_tokens": facts.context_tokens,
        "max_tokens": facts.max_output_tokens,
    }


def encode_token_count(input_tokens: int) -> bytes:
    """The body of `POST /v1/messages/count_tokens`."""
    return orjson.dumps({"input_tokens": input_tokens, "total_tokens": input_tokens})
