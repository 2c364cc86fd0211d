"""What each MiMo model can do, and how a client's model name finds one. Data, not ifs.

Source: MiMo "Models" and "Model Deprecation" pages of October 2026 (mimo-api.md 1.2), and the ids seen in the
studio (5.7), read 2026-11-20. What they cost: prices.py.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from service.core.conversation import MediaKind
from service.core.errors import ModelNotFound

_ALL_MEDIA = frozenset({MediaKind.IMAGE, MediaKind.AUDIO, MediaKind.VIDEO})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """One model. `accepts_media_in_results`: tool messages may hold media (else it is moved to a user turn).

    `is_fast_in_studio`: the studio serves it under a path of its own.
    """

    model_id: str
    context_tokens: int = 1_048_576
    max_output_tokens: int = 131_072
    media: frozenset[MediaKind] = frozenset()
    accepts_media_in_results: bool = False
    is_fast_in_studio: bool = False


FACTS: Mapping[str, ModelFacts] = {
    facts.model_id: facts
    for facts in (
        ModelFacts(model_id="mimo-v2.6-pro", media=_ALL_MEDIA),
        ModelFacts(model_id="mimo-v2.6-flash", media=_ALL_MEDIA),
        ModelFacts(model_id="mimo-v2.6-pro-ultraspeed", media=_ALL_MEDIA, is_fast_in_studio=True),
        ModelFacts(
            model_id="mimo-v2.6-pro-ultraspeed-studio",
            media=_ALL_MEDIA,
            is_fast_in_studio=True,
        ),
        ModelFacts(model_id="mimo-v2.5-pro"),
        ModelFacts(model_id="mimo-v2.5", media=_ALL_MEDIA),
        # Expired on the platform; the studio's configuration still lists them (mimo-api.md 5.7).
        ModelFacts(model_id="mimo-v2.1-pro"),
        ModelFacts(model_id="mimo-v2-pro"),
        ModelFacts(model_id="mimo-v2-omni", media=_ALL_MEDIA),
        ModelFacts(model_id="mimo-v2-flash"),
    )
}

# What a worker offers before the first discovery has answered.
CURRENT_MODELS = ("mimo-v2.6-pro", "mimo-v2.6-flash")

_NOT_FOR_CHAT = re.compile(r"-(asr|tts)(-|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retirement:
    """Where a retired id leads, and the day its own service ended (ISO date, Beijing)."""

    successor: str
    ended_on: str


RETIRED: Mapping[str, Retirement] = {
    "mimo-v2-pro": Retirement(successor="mimo-v2.6-pro", ended_on="2026-06-30"),
    "mimo-v2-omni": Retirement(successor="mimo-v2.6-flash", ended_on="2026-06-30"),
    "mimo-v2-flash": Retirement(successor="mimo-v2.6-flash", ended_on="2026-06-30"),
    "mimo-v2.1-pro": Retirement(successor="mimo-v2.6-pro", ended_on="2026-06-30"),
    "mimo-v2.5-pro": Retirement(successor="mimo-v2.6-pro", ended_on="2026-10-21"),
    "mimo-v2.5": Retirement(successor="mimo-v2.6-flash", ended_on="2026-10-21"),
}

# First match wins. GPT-6 names are left out on purpose: Codex sends their tools in a form of its own.
DEFAULT_ALIASES: Mapping[str, str] = {
    "claude-*haiku*": "mimo-v2.6-flash",
    "claude-*": "mimo-v2.6-pro",
    "gpt-4*-mini*": "mimo-v2.6-flash",
    "gpt-4*-nano*": "mimo-v2.6-flash",
    "gpt-5*-mini*": "mimo-v2.6-flash",
    "gpt-5*-nano*": "mimo-v2.6-flash",
    "gpt-3.5*": "mimo-v2.6-flash",
    "gpt-4*": "mimo-v2.6-pro",
    "gpt-5*": "mimo-v2.6-pro",
    "o1*": "mimo-v2.6-pro",
    "o3*": "mimo-v2.6-pro",
    "o4-mini*": "mimo-v2.6-flash",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The id to ask the upstream for, and what to tell the client about it."""

    model: str
    notes: tuple[str, ...] = ()


def facts_of(model: str) -> ModelFacts:
    """The facts of `model`. An id that is not in the table is taken for a successor of the current models,
    which read every medium: the upstream knows better than an old table what it must refuse."""
    return FACTS.get(model) or ModelFacts(model_id=model, media=_ALL_MEDIA)


def readers(kinds: Collection[MediaKind], offered: Collection[str], model: str) -> list[str]:
    """The offered models that read all these media, the best stand-in for `model` first: its successor, then
    in the table's order, then those that the table does not know."""
    retired = RETIRED.get(model)
    order = [*((retired.successor,) if retired else ()), *FACTS, *offered]
    able = [one for one in dict.fromkeys(order) if one in offered and facts_of(one).media.issuperset(kinds)]
    return [one for one in able if is_chat_model(one)]


def is_chat_model(model: str) -> bool:
    """False for the speech ids that `/v1/models` lists beside the chat models."""
    return not _NOT_FOR_CHAT.search(model)


def normalised(name: str) -> str:
    """The name as MiMo spells it: lower case, no vendor prefix, no `[1m]`, hyphens, `v` and a dot in the
    version."""
    plain = name.strip().lower().rsplit("/", 1)[-1].removesuffix("[1m]").strip()
    plain = re.sub(r"[\s_]+", "-", plain)
    return re.sub(r"^mimo-v?(\d+)[-.](\d+)(?=-|$)", r"mimo-v\1.\2", plain)


def resolve(name: str, offered: Collection[str], aliases: Mapping[str, str]) -> Resolution:
    """The offered model that `name` means: itself, an alias, another spelling, a retired id's successor.

    `aliases` leads from names to models, `*` in a name standing for any text. An offered id always means
    itself. Then, first match wins: an entry for the very name, another spelling, a retirement, a pattern.
    An entry whose target is empty leads nowhere, which is how a shipped alias is switched off. Aliases of
    aliases are not followed. Raises ModelNotFound.
    """
    plain = normalised(name)
    exact = next((aliases[known] for known in (name, plain) if known in aliases), None)
    if name in offered or exact is None:
        found = _listed(name, plain, offered)
        if found is not None:
            return found
    target = exact if exact is not None else _by_pattern(name, plain, aliases)
    served = _listed(target, normalised(target), offered) if target else None
    if served is None:
        raise ModelNotFound(name)
    return Resolution(model=served.model, notes=(f"model {_shown(name)} is served by {served.model}",))


def _listed(name: str, plain: str, offered: Collection[str]) -> Resolution | None:
    """`name` as an offered id, as another spelling of one, or as a retired id whose successor is offered."""
    retired = RETIRED.get(plain)
    # Some accounts still offer what has ended elsewhere, or will: those who use it should know.
    ended = () if retired is None else (f"model {plain} is retired as of {retired.ended_on}",)
    if name in offered:
        return Resolution(model=name, notes=ended)
    if plain in offered:
        return Resolution(model=plain, notes=(f"model {_shown(name)} read as {plain}", *ended))
    if retired is None or retired.successor not in offered:
        return None
    note = f"model {plain} ended on {retired.ended_on}; {retired.successor} answers"
    return Resolution(model=retired.successor, notes=(note,))


def _by_pattern(name: str, plain: str, aliases: Mapping[str, str]) -> str | None:
    """The target of the first pattern that matches the name as sent (in lower case) or as MiMo spells it."""
    spellings = {name.lower(), plain}
    for pattern, target in aliases.items():
        # fnmatch knows more signs than `*`; here a bracket is a bracket, as in `claude-opus-4[1m]`.
        only_stars = pattern.lower().replace("[", "[[]").replace("?", "[?]")
        if any(fnmatchcase(spelling, only_stars) for spelling in spellings):
            return target
    return None


def _shown(name: str) -> str:
    """The client's own text, made safe for a header: printable ASCII, at most 64 characters."""
    return re.sub(r"[^ -~]", "?", name[:64])
