"""Media for a model that does not read it: refused, with the models that do, or answered by one of them.

A conversation that is handed to a stand-in stays with it as long as the media stands in its history:
otherwise it would change models from turn to turn, and lose its prompt cache each time."""

from __future__ import annotations

from collections.abc import Collection

from service.config import ApiKey, TextModels
from service.core.conversation import Conversation, Media, MediaKind, Turn
from service.core.errors import InvalidRequest
from service.core.models import facts_of, readers
from service.core.notes import Note, NoteKind
from service.core.upstreams.repair import media_of, turns_since_answer

_KINDS = frozenset(MediaKind) - {MediaKind.FILE}  # files become text, which every model reads


def stand_in(
    conversation: Conversation, model: str, *, offered: Collection[str], key: ApiKey, policy: TextModels
) -> tuple[str, list[str]]:
    """The model that answers: `model`, or one of `offered` that reads what it does not and that the key may
    use, which is noted.

    Media of earlier turns is no reason to refuse: it is described then. Raises InvalidRequest that names the
    field and the models that would do."""
    known = facts_of(model).media
    if known.issuperset(_KINDS) or not (unread := _unread(conversation.turns, known)):
        return model, []
    usable = [one for one in offered if not key.models or one in key.models]
    able = readers({media.kind for media in unread}, usable, model)
    if policy is TextModels.STAND_IN and able:
        words = f"{model} does not read {_kinds(unread)}: {able[0]} answers"
        return able[0], [Note(words, NoteKind.VALUE_CHANGED)]
    new = _unread(turns_since_answer(conversation.turns), known)
    if not new:
        return model, []
    able = readers({media.kind for media in new}, usable, model)
    also = f"These models do: {', '.join(able)}." if able else "No model that you may use does."
    raise InvalidRequest(
        f"The model {model} does not take {_kinds(new)} input. {also}",
        param=new[0].at or "messages",
        code="unsupported_media",
    )


def _unread(turns: Collection[Turn], known: Collection[MediaKind]) -> list[Media]:
    every = (media for turn in turns for media in media_of(turn))
    return [media for media in every if media.kind in _KINDS and media.kind not in known]


def _kinds(found: list[Media]) -> str:
    return " and ".join(dict.fromkeys(str(media.kind) for media in found))
