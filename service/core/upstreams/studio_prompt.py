"""A conversation flattened into the one `query` string that the studio wire has.

Form, kept stable so that earlier turns stay byte-identical from one request to the next:

    <system> … </system>           system text and how to call the tools, when there are any
    <conversation>
    <user> … </user>
    <assistant> … </assistant>     earlier calls as MiMoML inside, as the model itself would have written them
    <tool_results> … </tool_results>
    </conversation>
    (one closing line that says whose turn it is)

A lone user turn without system text and tools is sent as it is. Turns that go on from a conversation which
the studio holds come in the same form without the instructions: those stand where the conversation began."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from service.core.conversation import (
    Conversation,
    Media,
    Part,
    Role,
    Text,
    ToolCall,
    ToolChoiceMode,
    ToolResult,
    Turn,
)
from service.core.mimoml.render import defuse_urls, render_calls, render_results, render_tools
from service.core.upstreams.instructions import choice_instruction, format_instruction
from service.core.web_search import WEB_SEARCH, domain_instruction


def render_query(conversation: Conversation, *, offers_tools: bool, goes_on: bool = False) -> str:
    """The whole prompt. `offers_tools` False (`tools.mode: off`) leaves the tools out of it. `goes_on`: the
    turns follow on what the studio holds.

    With tools on offer, literal URLs are broken up: the studio would fetch the page and answer from it
    instead of calling the client's tool (mimo-api.md 5.3)."""
    offers = _offers(conversation, offers_tools)
    instructions = instructions_of(conversation, offers_tools=offers_tools)
    turns = conversation.turns if goes_on else _split_system(conversation.turns)[1]
    if not instructions and len(turns) == 1 and turns[0].role is Role.USER:
        return _user_text(turns[0])
    # Pieces, joined once: a prompt may be tens of megabytes, and no section of it is copied on the way.
    pieces = list(_section("system", instructions)) if instructions and not goes_on else []
    pieces.append("<conversation>\n")
    pieces.extend(_turns(turns, conversation))
    pieces.append("</conversation>\n")
    pieces.append(_closing(conversation, turns, offers=offers))
    query = "".join(pieces)
    return defuse_urls(query) if offers else query


def instructions_of(conversation: Conversation, *, offers_tools: bool) -> str:
    """The leading system turns, the form of the answer, the sites of a search, and the tools with how to call
    them; "" for none."""
    head, _ = _split_system(conversation.turns)
    search = conversation.extra.get(WEB_SEARCH)
    sites = domain_instruction(search) if isinstance(search, Mapping) else ""
    instructions = [*head, format_instruction(conversation.response_format), sites]
    if _offers(conversation, offers_tools):
        instructions.append(render_tools(conversation.tools, conversation.tool_choice))
    return "\n\n".join(filter(None, instructions))


def _offers(conversation: Conversation, offers_tools: bool) -> bool:
    return (
        offers_tools and bool(conversation.tools) and conversation.tool_choice.mode is not ToolChoiceMode.NONE
    )


def _split_system(turns: tuple[Turn, ...]) -> tuple[list[str], tuple[Turn, ...]]:
    """The leading system turns' texts, and the turns after them."""
    head: list[str] = []
    for i, turn in enumerate(turns):
        if turn.role is not Role.SYSTEM:
            return head, turns[i:]
        head.append(turn.text)
    return head, ()


def _section(name: str, body: str) -> tuple[str, str, str]:
    return f"<{name}>\n", body, f"\n</{name}>\n"


def _turns(turns: tuple[Turn, ...], conversation: Conversation) -> Iterator[str]:
    for turn in turns:
        match turn.role:
            case Role.SYSTEM:
                yield from _section("system", turn.text)
            case Role.USER:
                yield from _section("user", _user_text(turn))
            case Role.ASSISTANT:
                yield from _section("assistant", _assistant_text(turn, conversation))
            case Role.TOOL:  # pragma: no branch - the last of a closed set, as mypy knows
                results = [part for part in turn.parts if isinstance(part, ToolResult)]
                yield from _section("tool_results", render_results(results))


def _user_text(turn: Turn) -> str:
    return "\n\n".join(filter(None, map(_shown, turn.parts)))


def _shown(part: Part) -> str:
    """A user part as text. Media travels beside the query; a mark says where it stood."""
    if isinstance(part, Text):
        return part.text
    if isinstance(part, Media):
        return f"[attached {part.kind}: {part.filename}]" if part.filename else f"[attached {part.kind}]"
    return ""


def _assistant_text(turn: Turn, conversation: Conversation) -> str:
    calls = [part for part in turn.parts if isinstance(part, ToolCall)]
    pieces = [turn.text] if turn.text else []
    if calls:
        pieces.append(render_calls(calls, conversation.tools))
    return "\n".join(pieces)


def _closing(conversation: Conversation, turns: tuple[Turn, ...], *, offers: bool) -> str:
    if turns and turns[-1].role is Role.TOOL:
        words = "The tool results above answer your calls. Go on as the assistant."
    else:
        words = "Write the assistant's next message, without any tag around it."
    return f"{words} {choice_instruction(conversation.tool_choice)}".rstrip() if offers else words
