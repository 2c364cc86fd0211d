"""`GET /open-apis/bot/config`: the studio's models; retired ids have a `redirectTo` (mimo-api.md, 5.7)."""

from __future__ import annotations

from service.simulator.studio import envelope
from service.simulator.world import World

ULTRASPEED = "mimo-v2.6-pro-ultraspeed-studio"
REDIRECTS = {
    "mimo-v2.5-pro": "mimo-v2.6-pro",
    "mimo-v2.5": "mimo-v2.6-flash",
    "mimo-v2.1-pro": "mimo-v2.6-pro",
    "mimo-v2-pro": "mimo-v2.6-pro",
    "mimo-v2-flash": "mimo-v2.6-flash",
}
_NAMES = {
    ULTRASPEED: "MiMo-V2.6-Pro-UltraSpeed",
    "mimo-v2.6-pro": "MiMo-V2.6-Pro",
    "mimo-v2.6-flash": "MiMo-V2.6-Flash",
}


def chat_model(world: World, name: object, *, is_fast: bool) -> str:
    """The model that answers: itself, or the one a retired id leads to. Raises Refusal.

    The UltraSpeed model lives under `/fastchat` and nothing else does; a mix-up is refused inside a 200.
    """
    if not isinstance(name, str) or (name not in _NAMES and name not in REDIRECTS):
        raise envelope.fail(200, code=4004, message="model not found")
    if is_fast != (name == ULTRASPEED):
        raise envelope.fail(200, code=4005, message="model not served on this path")
    return REDIRECTS.get(name, name)


def bot_config() -> dict[str, object]:
    """`data` of the answer: chat entries, redirects and one entry of another page."""
    entries = [_entry(model, name, redirect=None) for model, name in _NAMES.items()]
    entries += [_entry(model, model, redirect=target) for model, target in REDIRECTS.items()]
    speech = _entry("mimo-v2.5-tts", "MiMo-V2.5-TTS", redirect=None)
    return {"modelConfigListNg": [*entries, {**speech, "pageType": "tts", "isDefault": False}]}


def _entry(model: str, name: str, *, redirect: str | None) -> dict[str, object]:
    entry: dict[str, object] = {
        "name": name,
        "model": model,
        "pageType": "chat",
        "isDefault": model == "mimo-v2.6-pro",
        "isNew": redirect is None,
        "isOmni": True,
        "intro": f"{name} (simulated)",
        "generation": {"temperature": 0.8, "topP": 0.95, "maxTokens": 131_072},
        "features": {"webSearch": 1, "thinking": True, "scene": None},
        "fileUpload": {"maxCount": 10, "maxSizeMb": 100},
    }
    if redirect is not None:
        entry["redirectTo"] = redirect
    return entry
