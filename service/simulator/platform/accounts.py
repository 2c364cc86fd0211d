"""Who calls, and which model he wants: the platform's keys and model names."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from aiohttp import web

from service.simulator.engine import Refusal
from service.simulator.options import RETIRED_MODELS, PlatformAccount, SimulatedModel
from service.simulator.platform.errors import Wrong, refusal
from service.simulator.world import Account, World


def authenticate(world: World, request: web.Request) -> PlatformAccount:
    """The account of `api-key` or `Authorization: Bearer`. Raises Refusal 401; `x-api-key` is an option."""
    headers = request.headers
    key = headers.get("api-key") or headers.get("Authorization", "").removeprefix("Bearer ").strip()
    if not key and world.options.accepts_x_api_key:
        key = headers.get("x-api-key", "")
    account = world.platform_by_key.get(key)
    if account is None:
        raise refusal(world, 401, streams=False)
    return account


def decode_body(raw: bytes) -> dict[str, object]:
    """The JSON object of a request. Raises Wrong."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Wrong("Invalid JSON body") from error
    if not isinstance(body, dict):
        raise Wrong("The body must be a JSON object")
    return body


def wants_stream(raw_body: Mapping[str, object]) -> bool:
    return raw_body.get("stream") is True


def find_model(
    world: World, account: Account, body: Mapping[str, object], *, purposes: tuple[str, ...] = ("chat",)
) -> SimulatedModel:
    """The model of the body. Raises Wrong: 404 for a retired id, 400 for one that never was."""
    name = body.get("model")
    if not isinstance(name, str) or not name:
        raise Wrong("model is not set")
    model = world.options.models_by_id.get(name)
    if model is None and name in RETIRED_MODELS:
        raise Wrong("Unsupported model", status=404, message="Unsupported model")
    if model is None or model.purpose not in purposes:
        raise Wrong(f"Not supported model {name}")
    served = account.models if isinstance(account, PlatformAccount) else None
    if served is not None and name not in served:
        raise Wrong("Unsupported model", status=404, message="Unsupported model")
    return model


def model_list(world: World, account: PlatformAccount) -> bytes:
    """`GET /v1/models`: no `created`, no lengths; speech models stand among the others."""
    data = [
        {"id": model.id, "object": "model", "owned_by": "xiaomi"}
        for model in world.options.models
        if account.models is None or model.id in account.models
    ]
    return orjson.dumps({"object": "list", "data": data})


__all__ = ["Refusal", "authenticate", "decode_body", "find_model", "model_list", "wants_stream"]
