"""Which model a client's name means, and what the tables say of each."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.conversation import MediaKind
from service.core.errors import ModelNotFound
from service.core.models import (
    CURRENT_MODELS,
    DEFAULT_ALIASES,
    FACTS,
    RETIRED,
    Resolution,
    facts_of,
    is_chat_model,
    normalised,
    readers,
    resolve,
)

PRO, FLASH, ULTRA = "mimo-v2.6-pro", "mimo-v2.6-flash", "mimo-v2.6-pro-ultraspeed"
OFFERED = (PRO, FLASH, ULTRA)


def served(
    name: str, aliases: dict[str, str] | None = None, offered: tuple[str, ...] = OFFERED
) -> str | None:
    """The model that answers; None when there is none."""
    try:
        return resolve(name, offered, dict(DEFAULT_ALIASES) if aliases is None else aliases).model
    except ModelNotFound:
        return None


@pytest.mark.parametrize(
    ("name", "model"),
    [
        pytest.param(PRO, PRO, id="itself"),
        pytest.param("MiMo-V2.6-Pro", PRO, id="the marketing name"),
        pytest.param("MiMo V2.6 Pro", PRO, id="blanks"),
        pytest.param(" mimo_v2.6_pro ", PRO, id="underscores"),
        pytest.param("mimo-v2-6-pro", PRO, id="hyphen for dot"),
        pytest.param("mimo-2.6-flash", FLASH, id="no v"),
        pytest.param("xiaomi/mimo-v2.6-pro", PRO, id="vendor prefix"),
        pytest.param("openrouter/xiaomi/mimo-v2.6-flash", FLASH, id="two prefixes"),
        pytest.param("mimo-v2.6-pro[1m]", PRO, id="[1m]"),
        pytest.param("Xiaomi/MiMo-V2-6-Pro[1M]", PRO, id="all of it"),
        pytest.param("mimo-v2.6-pro-ultraspeed", ULTRA, id="a longer id is not cut"),
        pytest.param("mimo-v2.5-pro", PRO, id="retired: v2.5-pro"),
        pytest.param("mimo-v2.5", FLASH, id="retired: v2.5"),
        pytest.param("mimo-v2-pro", PRO, id="retired: v2-pro"),
        pytest.param("mimo-v2-omni", FLASH, id="retired: v2-omni"),
        pytest.param("mimo-v2-flash", FLASH, id="retired: v2-flash"),
        pytest.param("xiaomi/MiMo-V2-Pro", PRO, id="retired, in another spelling"),
        pytest.param("claude-sonnet-4-6", PRO, id="Claude"),
        pytest.param("claude-opus-5-20260901[1m]", PRO, id="Claude with a date and [1m]"),
        pytest.param("claude-haiku-4-5", FLASH, id="Claude's small one"),
        pytest.param("claude-3-5-haiku-latest", FLASH, id="the older way to name it"),
        pytest.param("anthropic/claude-sonnet-4-6", PRO, id="Claude with a vendor"),
        pytest.param("Claude-Sonnet-4-6", PRO, id="Claude in capitals"),
        pytest.param("gpt-4o", PRO, id="GPT-4o"),
        pytest.param("gpt-4o-mini", FLASH, id="GPT-4o mini"),
        pytest.param("gpt-4.1-nano", FLASH, id="GPT-4.1 nano"),
        pytest.param("gpt-5-codex", PRO, id="GPT-5 Codex"),
        pytest.param("gpt-5.1-codex-mini", FLASH, id="GPT-5 mini"),
        pytest.param("gpt-3.5-turbo", FLASH, id="GPT-3.5"),
        pytest.param("o3", PRO, id="o3"),
        pytest.param("o4-mini", FLASH, id="o4-mini"),
        pytest.param("gpt-6", None, id="GPT-6 is not aliased"),
        pytest.param("gpt-6-codex", None, id="nor its Codex"),
        pytest.param("mimo-v3-pro", None, id="a model that nobody lists"),
        pytest.param("llama-4", None, id="somebody else's"),
        pytest.param("", None, id="no name"),
        pytest.param("mimo-v2.6-pro-asr", None, id="speech"),
    ],
)
def test_shipped_resolution(name: str, model: str | None) -> None:
    assert served(name) == model


@pytest.mark.parametrize(
    "name", ["mimo-v2-pro", "mimo-v2-flash", "mimo-v2-omni", "mimo-v2.5-pro", "mimo-v2.5", "mimo-v2.6-pro"]
)
def test_every_id_of_the_public_examples_is_answered_from_the_first_second(name: str) -> None:
    assert served(name, offered=CURRENT_MODELS) in CURRENT_MODELS


@pytest.mark.parametrize(
    ("aliases", "name", "model"),
    [
        pytest.param({"mine": PRO}, "mine", PRO, id="exact"),
        pytest.param({"Mine": PRO}, "Mine", PRO, id="exact, as written"),
        pytest.param({"mine": PRO}, "Vendor/MINE", PRO, id="exact, in another spelling"),
        pytest.param({"my-*": FLASH, "my-pro": PRO}, "my-pro", PRO, id="exact before pattern"),
        pytest.param({"a*": PRO, "ab*": FLASH}, "abc", PRO, id="first pattern wins"),
        pytest.param({"GPT-*": PRO}, "gpt-9", PRO, id="a pattern in capitals"),
        pytest.param({"vendor/*": PRO}, "vendor/x", PRO, id="a pattern over the name as sent"),
        pytest.param({"x[1m]*": PRO}, "x[1m]-a", PRO, id="a bracket is a bracket"),
        pytest.param({"x[1m]*": PRO}, "x1", None, id="and no set of letters"),
        pytest.param({"x?": PRO}, "xy", None, id="a question mark is one, too"),
        pytest.param({"x": "MiMo-V2.6-Pro"}, "x", PRO, id="target in another spelling"),
        pytest.param({"x": "mimo-v2-pro"}, "x", PRO, id="target that was retired"),
        pytest.param({"x": "y", "y": PRO}, "x", None, id="aliases of aliases are not followed"),
        pytest.param({"x": "x"}, "x", None, id="an alias of itself"),
        pytest.param({"x": "absent"}, "x", None, id="target that nobody lists"),
        pytest.param({PRO: FLASH}, PRO, PRO, id="an offered id always means itself"),
        pytest.param({"mimo-v2-pro": FLASH}, "mimo-v2-pro", FLASH, id="an exact alias beats a retirement"),
        pytest.param({"mimo-*": FLASH}, "mimo-v2-pro", PRO, id="a pattern does not"),
        pytest.param({"*": FLASH}, "anything", FLASH, id="catch-all"),
    ],
)
def test_configured_aliases(aliases: dict[str, str], name: str, model: str | None) -> None:
    assert served(name, aliases) == model


@pytest.mark.parametrize(
    ("own", "name", "model"),
    [
        pytest.param({"claude-*": ""}, "claude-sonnet-4-6", None, id="a shipped pattern"),
        pytest.param({"claude-*": ""}, "claude-haiku-4-5", None, id="and what a narrower one would catch"),
        pytest.param({"claude-*": ""}, "gpt-4o", PRO, id="others stay"),
        pytest.param({"claude-opus-5": ""}, "claude-opus-5", None, id="one name"),
        pytest.param({"claude-opus-5": ""}, "claude-opus-4", PRO, id="its neighbours stay"),
        pytest.param({"mimo-v2-pro": ""}, "mimo-v2-pro", None, id="a retirement"),
        pytest.param({"*": ""}, "gpt-4o", None, id="all shipped ones"),
        pytest.param({"gpt-4o": PRO, "gpt-*": ""}, "gpt-4o", PRO, id="all but one"),
        pytest.param({PRO: ""}, PRO, PRO, id="never an offered id"),
    ],
)
def test_an_empty_target_switches_off(own: dict[str, str], name: str, model: str | None) -> None:
    shipped = {pattern: to for pattern, to in DEFAULT_ALIASES.items() if pattern not in own}
    assert served(name, own | shipped) == model


@pytest.mark.parametrize(
    ("name", "resolution"),
    [
        (PRO, Resolution(model=PRO)),
        ("MiMo-V2.6-Pro", Resolution(model=PRO, notes=(f"model MiMo-V2.6-Pro read as {PRO}",))),
        (
            "mimo-v2-pro",
            Resolution(model=PRO, notes=(f"model mimo-v2-pro ended on 2026-06-30; {PRO} answers",)),
        ),
        ("gpt-4o", Resolution(model=PRO, notes=(f"model gpt-4o is served by {PRO}",))),
    ],
)
def test_notes_tell_what_was_made_of_the_name(name: str, resolution: Resolution) -> None:
    assert resolve(name, OFFERED, DEFAULT_ALIASES) == resolution


def test_a_note_quotes_no_more_than_a_header_takes() -> None:
    (note,) = resolve("gpt-4\r\nX-Evil: ü" + "x" * 1000, OFFERED, DEFAULT_ALIASES).notes
    assert note.isascii()
    assert note.isprintable()
    assert len(note) < 120


def test_the_error_names_what_the_client_sent() -> None:
    with pytest.raises(ModelNotFound, match="'gpt-4o'") as caught:
        resolve("gpt-4o", ("other",), DEFAULT_ALIASES)
    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")


@given(st.text(max_size=40))
def test_any_name_resolves_or_is_not_found(name: str) -> None:
    assert served(name) in (*OFFERED, None)
    assert normalised(normalised(name)) == normalised(normalised(normalised(name)))


def test_the_first_listed_spelling_needs_no_default() -> None:
    """A listing with capitals is served as it is listed."""
    assert resolve("Foo", ("Foo",), {}).model == "Foo"


# --- the tables ---------------------------------------------------------------------------------------------


def test_tables_hang_together() -> None:
    assert set(CURRENT_MODELS) <= set(FACTS)
    assert {row.successor for row in RETIRED.values()} <= set(CURRENT_MODELS)
    assert set(DEFAULT_ALIASES.values()) <= set(CURRENT_MODELS)
    assert not set(RETIRED) & set(CURRENT_MODELS)
    assert all(normalised(model) == model for model in [*FACTS, *RETIRED])
    assert all(is_chat_model(model) for model in FACTS)


@pytest.mark.parametrize(
    ("model", "is_chat"),
    [
        ("mimo-v2.6-pro", True),
        ("mimo-v2.5-asr", False),
        ("mimo-v2.5-tts", False),
        ("mimo-v2.5-tts-voiceclone", False),
        ("mimo-v2.5-tts-voicedesign", False),
        ("mimo-v2.6-attserver", True),
    ],
)
def test_speech_ids_are_no_chat_models(model: str, is_chat: bool) -> None:
    assert is_chat_model(model) is is_chat


def test_facts_of_known_and_unknown_models() -> None:
    everything = {MediaKind.IMAGE, MediaKind.AUDIO, MediaKind.VIDEO}
    assert facts_of("mimo-v2.5-pro").media == frozenset()
    assert facts_of(PRO).media == everything
    unknown = facts_of("mimo-v9")
    assert (unknown.model_id, unknown.media) == ("mimo-v9", everything)
    assert unknown == replace(facts_of("mimo-v8"), model_id="mimo-v9")


@pytest.mark.parametrize(
    ("model", "kinds", "offered", "found"),
    [
        pytest.param(
            "mimo-v2.5-pro", {MediaKind.IMAGE}, OFFERED, [PRO, FLASH, ULTRA], id="its successor first"
        ),
        pytest.param("mimo-v2-flash", {MediaKind.VIDEO}, OFFERED, [FLASH, PRO, ULTRA], id="of its own kind"),
        pytest.param("mimo-v2-flash", {MediaKind.AUDIO}, (PRO,), [PRO], id="what is offered"),
        pytest.param("mimo-v2.5-pro", {MediaKind.IMAGE}, ("mimo-v2-pro",), [], id="none"),
        pytest.param(
            "mimo-v2.5-pro", {MediaKind.IMAGE}, ("mimo-v3", PRO), [PRO, "mimo-v3"], id="new ones last"
        ),
        pytest.param("mimo-v2.5-pro", {MediaKind.AUDIO}, ("mimo-v2.5-asr",), [], id="no speech model"),
    ],
)
def test_models_that_read_in_place_of_another(
    model: str, kinds: set[MediaKind], offered: tuple[str, ...], found: list[str]
) -> None:
    assert readers(kinds, offered, model) == found


def test_the_table_says_what_the_models_page_says() -> None:
    """mimo-api.md 1.2: context and output of each, and which read media."""
    everything = {MediaKind.IMAGE, MediaKind.AUDIO, MediaKind.VIDEO}
    for model in (PRO, FLASH, ULTRA, "mimo-v2.5"):
        assert facts_of(model).media == everything
    for model in ("mimo-v2.5-pro", "mimo-v2-pro", "mimo-v2-flash"):
        assert facts_of(model).media == set()
    assert {(facts.context_tokens, facts.max_output_tokens) for facts in FACTS.values()} == {
        (1 << 20, 1 << 17)
    }


def test_a_retired_id_that_is_still_offered_says_so() -> None:
    (note,) = resolve("mimo-v2.5-pro", ["mimo-v2.5-pro"], {}).notes
    assert note == "model mimo-v2.5-pro is retired as of 2026-10-21"
    assert resolve("MiMo-V2.5-Pro", ["mimo-v2.5-pro"], {}).notes[1:] == (note,)
    assert resolve(PRO, OFFERED, {}).notes == ()
