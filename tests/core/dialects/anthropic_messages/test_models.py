"""The models list and the token count, read by the real package's own types."""

from __future__ import annotations

import orjson
from anthropic.types import MessageTokensCount, ModelInfo

from service.core.dialects.anthropic_messages.models import encode_model, encode_models, encode_token_count
from service.core.models import ModelFacts

PRO = ModelFacts(model_id="mimo-v2.6-pro", context_tokens=1000, max_output_tokens=100)
FLASH = ModelFacts(model_id="mimo-v2.6-flash")


def test_model() -> None:
    info = ModelInfo.model_validate_json(encode_model(PRO, created_at_s=1_760_000_000), strict=False)
    assert (info.id, info.max_input_tokens, info.max_tokens) == ("mimo-v2.6-pro", 1000, 100)
    assert info.created_at.isoformat() == "2025-10-09T08:53:20+00:00"


def test_models_come_on_one_page() -> None:
    page = orjson.loads(encode_models([PRO, FLASH]))
    assert [ModelInfo.model_validate(item).id for item in page["data"]] == [PRO.model_id, FLASH.model_id]
    assert (page["first_id"], page["last_id"], page["has_more"]) == (PRO.model_id, FLASH.model_id, False)


def test_no_models() -> None:
    assert orjson.loads(encode_models([])) == {
        "data": [],
        "has_more": False,
        "first_id": None,
        "last_id": None,
    }


def test_token_count_has_both_names() -> None:
    body = encode_token_count(42)
    assert MessageTokensCount.model_validate_json(body).input_tokens == 42
    assert orjson.loads(body) == {"input_tokens": 42, "total_tokens": 42}
