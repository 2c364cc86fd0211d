"""Media for models that do not read it: who answers, and what is told when nobody can."""

from __future__ import annotations

import pytest

from service.config import ApiKey, TextModels
from service.core.conversation import Conversation, Media, MediaKind, Part, Role, Text, ToolResult, Turn
from service.core.errors import InvalidRequest
from service.core.notes import Note, NoteKind
from service.gateway.stand_ins import stand_in

PRO, FLASH, OLD = "mimo-v2.6-pro", "mimo-v2.6-flash", "mimo-v2.5-pro"
OFFERED = (PRO, FLASH, OLD)
KEY = ApiKey(name="k", key_sha256="0" * 64)
IMAGE = Media(kind=MediaKind.IMAGE, url="https://a.example/x.png", at="messages[0].content[1].image_url.url")
CLIP = Media(kind=MediaKind.AUDIO, url="https://a.example/x.wav")
FILE = Media(kind=MediaKind.FILE, data="eA==")


def asked(*turns: tuple[Role, Part]) -> Conversation:
    return Conversation(model="m", turns=tuple(Turn(role=role, parts=(part,)) for role, part in turns))


def said(part: Part) -> Conversation:
    return asked((Role.USER, part))


RESULT = ToolResult(call_id="c", parts=(IMAGE,))
HISTORY = asked((Role.USER, IMAGE), (Role.ASSISTANT, Text(text="A dot.")), (Role.USER, Text(text="And?")))


def answering(
    conversation: Conversation,
    policy: TextModels,
    *,
    model: str = OLD,
    offered: tuple[str, ...] = OFFERED,
    key: ApiKey = KEY,
) -> tuple[str, list[str]]:
    return stand_in(conversation, model, offered=offered, key=key, policy=policy)


@pytest.mark.parametrize("policy", TextModels)
@pytest.mark.parametrize(
    ("conversation", "model"),
    [
        pytest.param(said(IMAGE), PRO, id="a model that reads all"),
        pytest.param(said(Text(text="hi")), OLD, id="no media"),
        pytest.param(said(FILE), OLD, id="a file, which becomes text"),
        pytest.param(said(IMAGE), "mimo-v9", id="a model the table does not know"),
    ],
)
def test_nothing_changes_where_all_is_read(
    conversation: Conversation, model: str, policy: TextModels
) -> None:
    assert answering(conversation, policy, model=model) == (model, [])


@pytest.mark.parametrize(
    ("conversation", "words"),
    [
        (said(IMAGE), "image"),
        (said(RESULT), "image"),
        (asked((Role.USER, IMAGE), (Role.USER, CLIP)), "image and audio"),
    ],
)
def test_media_is_refused_with_the_models_that_read_it(conversation: Conversation, words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        answering(conversation, TextModels.REFUSE)
    assert caught.value.message == (
        f"The model {OLD} does not take {words} input. These models do: {PRO}, {FLASH}."
    )
    assert (caught.value.param, caught.value.code) == (IMAGE.at, "unsupported_media")


def test_only_models_that_the_key_may_use_are_named() -> None:
    key = ApiKey(name="k", key_sha256="0" * 64, models=(OLD, FLASH))
    with pytest.raises(InvalidRequest, match=f"These models do: {FLASH}.$"):
        answering(said(IMAGE), TextModels.REFUSE, key=key)
    assert answering(said(IMAGE), TextModels.STAND_IN, key=key)[0] == FLASH


def test_media_of_earlier_turns_is_no_reason_to_refuse() -> None:
    assert answering(HISTORY, TextModels.REFUSE) == (OLD, [])


def test_a_stand_in_answers_and_stays_as_long_as_the_media_does() -> None:
    for conversation in (said(IMAGE), said(RESULT), HISTORY):
        model, notes = answering(conversation, TextModels.STAND_IN)
        assert (model, notes) == (PRO, [f"{OLD} does not read image: {PRO} answers"])
        assert isinstance(notes[0], Note)
        assert notes[0].kind is NoteKind.VALUE_CHANGED


def test_without_a_stand_in_it_is_as_ever() -> None:
    with pytest.raises(InvalidRequest, match=r"No model that you may use does\.$") as caught:
        answering(said(CLIP), TextModels.STAND_IN, offered=(OLD,))
    assert caught.value.param == "messages"
    assert answering(HISTORY, TextModels.STAND_IN, offered=(OLD,)) == (OLD, [])
