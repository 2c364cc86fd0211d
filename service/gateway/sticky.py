"""Which conversation a request belongs to, so that its later turns meet the same account: the prompt cache is
prefix-based and fifty to a hundred times cheaper than a miss (mimo-api.md 1.3).

A conversation is told by how it begins: the API key, the model, the system text and the first user turn.
Two callers never share one, since the key is part of it. Only what goes on is bound to an account: first
turns are spread round robin, whatever they say."""

from __future__ import annotations

from hashlib import blake2b

from service.core.conversation import Conversation, Role

_MAX_CHARS = 4096  # of each turn: enough to tell conversations apart, and cheap for long prompts


def is_continued(conversation: Conversation) -> bool:
    """True when the assistant has spoken before."""
    return any(turn.role is Role.ASSISTANT for turn in conversation.turns)


def sticky_key(key_id: str, conversation: Conversation) -> str:
    """32 hexadecimal digits, the same for every turn of one conversation."""
    digest = blake2b(f"{key_id}\0{conversation.model}".encode(), digest_size=16)
    for turn in conversation.turns:
        if turn.role in (Role.SYSTEM, Role.USER):
            digest.update(f"\0{turn.role}\0{turn.text[:_MAX_CHARS]}".encode("utf-8", "surrogatepass"))
        if turn.role is Role.USER:
            break
    return digest.hexdigest()
