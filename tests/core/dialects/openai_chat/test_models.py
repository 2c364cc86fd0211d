"""The models list in OpenAI's shape."""

from __future__ import annotations

import orjson
from openai.types import Model

from service.core.dialects.openai_chat.models import encode_model, encode_models
from service.core.models import FACTS, ModelFacts

FACTS_OF_ONE = ModelFacts(model_id="m", context_tokens=8, max_output_tokens=4)
ONE = {
    "id": "m",
    "object": "model",
    "created": 7,
    "owned_by": "xiaomi",
    "context_length": 8,
    "max_output_tokens": 4,
}


def test_one_model() -> None:
    raw = encode_model(FACTS_OF_ONE, created_at_s=7)
    assert orjson.loads(raw) == ONE
    assert Model.model_validate_json(raw, strict=True).id == "m"


def test_a_list_keeps_its_order() -> None:
    assert orjson.loads(encode_models([FACTS_OF_ONE], created_at_s=7)) == {"object": "list", "data": [ONE]}
    listed = orjson.loads(encode_models(FACTS.values()))["data"]
    assert [entry["id"] for entry in listed] == list(FACTS)
