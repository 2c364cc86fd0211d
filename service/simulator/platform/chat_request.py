"""`POST /v1/chat/completions`, the request: the strict validator, and what the model is asked.

Source: mimo-api.md, sections 1.4, 2.1 and 3. Where the reference is unsure the strictest reading holds.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from service.simulator.brain import Ask, SeenMedia, Tool, found_json_schema
from service.simulator.directives import Block, split_directives
from service.simulator.options import SimulatedModel, SimulatorOptions
from service.simulator.platform import rules
from service.simulator.platform.errors import REASONING_MISSING, Wrong
from service.simulator.platform.media import seen_media
from service.simulator.platform.rules import NO_IMAGE_SUPPORT, NOT_PRESENT, NOT_SET, as_array, as_object
from service.simulator.wishes import read_wishes

_ROLES = frozenset({"developer", "system", "user", "assistant", "tool"})


def check_chat(
    body: Mapping[str, object], model: SimulatedModel, options: SimulatorOptions, *, has_web_search: bool
) -> Ask:
    """The body as an Ask. Raises Wrong with the text that the platform would put in `param`."""
    allowed = rules.CHAT_PARAMETERS | {"max_tokens"} if options.accepts_max_tokens else rules.CHAT_PARAMETERS
    rules.check_parameters(body, allowed, rules.CHAT_RANGES)
    thinks = rules.check_thinking(body)
    messages = as_array(body.get("messages"), "messages")
    if not messages:
        raise Wrong("messages must not be empty")
    reader = _MessageReader(model, options, thinks=thinks)
    for index, message in enumerate(messages):
        reader.read(as_object(message, f"messages[{index}]"), f"messages[{index}]")
    tools, searches = _tools(body, has_web_search=has_web_search)
    text, blocks = split_directives(reader.text)
    wants_json = _wants_json(body)
    wishes = read_wishes(reader.system_text())
    return Ask(
        model=model.id,
        text=text,
        blocks=blocks,
        prompt=orjson.dumps(body.get("tools") or []) + orjson.dumps(messages),
        thinks=thinks,
        tools=tools,
        searches_web=searches,
        results=tuple(reader.results),
        media=tuple(reader.media),
        forced=wishes.forced,
        allows_parallel=wishes.allows_parallel,
        wants_json=wants_json,
        json_schema=found_json_schema(reader.all_text()) if wants_json else None,
        max_tokens=_max_tokens(body),
        stop=rules.check_stop("stop", body.get("stop")),
    )


def _max_tokens(body: Mapping[str, object]) -> int | None:
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    return limit if isinstance(limit, int) else None


def _wants_json(body: Mapping[str, object]) -> bool:
    if "response_format" not in body:
        return False
    form = as_object(body["response_format"], "response_format")
    if form.get("type") not in ("text", "json_object") or len(form) > 1:
        raise Wrong("response_format.type must be text or json_object")
    return form["type"] == "json_object"


def _tools(body: Mapping[str, object], *, has_web_search: bool) -> tuple[tuple[Tool, ...], bool]:
    """The function tools, and whether web search is among the others. Raises Wrong."""
    if "tools" not in body:
        return (), False
    tools = []
    searches = False
    for index, item in enumerate(as_array(body["tools"], "tools")):
        tool = as_object(item, f"tools[{index}]")
        kind = tool.get("type")
        if kind == "web_search":
            if not has_web_search:
                raise Wrong("web search is not enabled for this account")
            searches = True
            continue
        if kind != "function":
            raise Wrong(f"tools[{index}].type must be function or web_search")
        where = f"tools[{index}].function"
        function = as_object(tool.get("function"), where)
        name = rules.check_tool_name(function.get("name"), f"{where}.name")
        tools.append(Tool(name, rules.check_schema(function.get("parameters"), f"{where}.parameters")))
    return tuple(tools), searches


class _MessageReader:
    """Walks the messages once: checks each, and keeps what the model would answer to."""

    def __init__(self, model: SimulatedModel, options: SimulatorOptions, *, thinks: bool) -> None:
        self._model = model
        self._options = options
        self._thinks = thinks
        self._names: dict[str, str] = {}
        self._texts: list[str] = []
        self._system_texts: list[str] = []
        self.text = ""  # the last user text
        self.results: list[tuple[str, str]] = []  # since the last assistant message
        self.media: list[SeenMedia] = []  # since the last assistant message

    def all_text(self) -> str:
        """What system and user said, in order."""
        return "\n".join(self._texts)

    def system_text(self) -> str:
        return "\n".join(self._system_texts)

    def read(self, message: Mapping[str, object], where: str) -> None:
        role = message.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            raise Wrong(f"{where}.role is not supported")
        if role == "assistant":
            self._assistant(message, where)
        elif role == "tool":
            self._tool(message, where)
        else:
            text = self._content(message, where, takes_media=role == "user")
            self._texts.append(text)
            if role == "user":
                self.text = text
            else:
                self._system_texts.append(text)

    def _assistant(self, message: Mapping[str, object], where: str) -> None:
        self.results, self.media = [], []
        calls = message.get("tool_calls")
        if calls is None or calls == []:
            self._content(message, where, takes_media=False)
            return
        for index, item in enumerate(as_array(calls, f"{where}.tool_calls")):
            self._call(as_object(item, f"{where}.tool_calls[{index}]"), f"{where}.tool_calls[{index}]")
        if "content" in message:
            self._content(message, where, takes_media=False)
        if self._thinks:
            self._check_reasoning(message)

    def _check_reasoning(self, message: Mapping[str, object]) -> None:
        """Section 2.1: the key must be there; that "" passes is a field report, hence the option."""
        reasoning = message.get("reasoning_content")
        if not isinstance(reasoning, str) or not (reasoning or self._options.accepts_empty_reasoning):
            raise Wrong(REASONING_MISSING)

    def _call(self, call: Mapping[str, object], where: str) -> None:
        function = as_object(call.get("function"), f"{where}.function")
        name, call_id = function.get("name"), call.get("id")
        if not isinstance(call_id, str) or not call_id:
            raise Wrong(f"{where}.id is not set")
        if call.get("type", "function") != "function" or not isinstance(name, str) or not name:
            raise Wrong(f"{where}.function.name is not set")
        if not isinstance(function.get("arguments"), str):
            raise Wrong(f"{where}.function.arguments must be a string")
        self._names[call_id] = name

    def _tool(self, message: Mapping[str, object], where: str) -> None:
        call_id = message.get("tool_call_id")
        if not isinstance(call_id, str) or not call_id:
            raise Wrong(f"{where}.tool_call_id is not set")
        takes_media = self._options.accepts_media_in_tool_results
        text = self._content(message, where, takes_media=takes_media)
        self.results.append((self._names.get(call_id, "tool"), text))

    def _content(self, message: Mapping[str, object], where: str, *, takes_media: bool) -> str:
        content = message.get("content")
        if isinstance(content, str):
            return content
        if content is None:
            raise Wrong(NOT_PRESENT)
        texts: list[str] = []
        for index, item in enumerate(as_array(content, f"{where}.content")):
            part = as_object(item, f"{where}.content[{index}]")
            text = self._part(part, f"{where}.content[{index}]", takes_media=takes_media)
            if text is not None:
                texts.append(text)
        if not texts:
            raise Wrong(NOT_SET)
        return "\n".join(texts)

    def _part(self, part: Mapping[str, object], where: str, *, takes_media: bool) -> str | None:
        kind = part.get("type")
        if kind == "text":
            text = part.get("text")
            if not isinstance(text, str) or not text:
                raise Wrong(NOT_SET)
            return text
        if not takes_media:
            raise Wrong(NOT_SET)
        self._media(part, str(kind), where)
        return None

    def _media(self, part: Mapping[str, object], kind: str, where: str) -> None:
        match kind:
            case "image_url" | "video_url":
                url = as_object(part.get(kind), f"{where}.{kind}").get("url")
            case "input_audio":
                url = as_object(part.get(kind), f"{where}.{kind}").get("data")
            case _:
                raise Wrong(f"{where}.type is not supported")
        name = kind.removeprefix("input_").removesuffix("_url")
        if name not in self._model.media:
            raise Wrong(NO_IMAGE_SUPPORT, status=404, message=NO_IMAGE_SUPPORT)
        self.media.append(seen_media(name, url, f"{where}.{kind}"))


__all__ = ["Block", "check_chat"]
