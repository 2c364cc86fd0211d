"""The reasoning that assistant turns with calls must carry, and what was put back where a client lost it.

MiMo refuses a request with thinking on whose history holds a turn with tool calls and no reasoning
(mimo-api.md 2.1). Only such turns are touched: reasoning that nothing asks for would change the cached
prefix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from service.core.conversation import Conversation, Reasoning, Role, Thinking, Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """How many turns with calls came with their reasoning, got it back, or stay without."""

    client_sent: int = 0
    restored: int = 0
    missing: int = 0

    @property
    def note(self) -> str | None:
        """For the notes header; None when nothing was changed."""
        if not self.restored and not self.missing:
            return None
        return (
            f"reasoning of earlier tool calls: {self.client_sent} client_sent, "
            f"{self.restored} restored, {self.missing} missing"
        )


def wanted_call_ids(conversation: Conversation) -> tuple[str, ...]:
    """The first call's id of each turn that lost its reasoning; () where no rule asks for it."""
    if conversation.thinking is Thinking.DISABLED:
        return ()
    turns = (turn for turn in conversation.turns if turn.role is Role.ASSISTANT)
    return tuple(calls[0].call_id for turn in turns if (calls := turn.tool_calls) and not turn.reasoning)


def with_reasoning(
    conversation: Conversation, reasoning_by_call_id: Mapping[str, str]
) -> tuple[Conversation, Replay]:
    """Every turn that `wanted_call_ids` names with its reasoning, where that is known; all else as it was."""
    if conversation.thinking is Thinking.DISABLED:
        return conversation, Replay()
    client_sent = restored = missing = 0
    turns: list[Turn] = []
    for turn in conversation.turns:
        calls = turn.tool_calls if turn.role is Role.ASSISTANT else ()
        if calls and turn.reasoning:
            client_sent += 1
        elif calls and (text := reasoning_by_call_id.get(calls[0].call_id)):
            restored += 1
            turn = replace(turn, parts=(Reasoning(text=text), *turn.parts))
        elif calls:
            missing += 1
        turns.append(turn)
    replay = Replay(client_sent=client_sent, restored=restored, missing=missing)
    return (replace(conversation, turns=tuple(turns)) if restored else conversation), replay
