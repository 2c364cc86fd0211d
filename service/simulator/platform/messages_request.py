"""`POST /anthropic/v1/messages`, the request: validator and reading (mimo-api.md, 1.7, 2.1 and 3)."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from service.simulator.brain import Ask, SeenMedia, Tool
from service.simulator.directives import split_directives
from service.simulator.options import SimulatedModel, SimulatorOptions
from service.simulator.platform import rules
from service.simulator.platform.errors import REASONING_MISSING, Wrong
from service.simulator.platform.media import seen_base64, seen_media
from service.simulator.platform.rules import NO_IMAGE_SUPPORT, NOT_PRESENT, NOT_SET, as_array, as_object

_MEDIA = frozenset({"image", "audio", "video"})


def check_messages(body: Mapping[str, object], model: SimulatedModel, options: SimulatorOptions) -> Ask:
    """The body as an Ask. Raises Wrong."""
    rules.check_parameters(body, rules.MESSAGES_PARAMETERS, rules.MESSAGES_RANGES)
    thinks = rules.check_thinking(body)
    messages = as_array(body.get("messages"), "messages")
    if not messages:
        raise Wrong("messages must not be empty")
    reader = _BlockReader(model, options, thinks=thinks)
    if body.get("system") is not None:
        reader.system(body["system"])
    for index, message in enumerate(messages):
        reader.read(as_object(message, f"messages[{index}]"), f"messages[{index}]")
    text, blocks = split_directives(reader.text)
    limit = body.get("max_tokens")
    parts = (body.get("tools") or [], body.get("system") or "", messages)
    return Ask(
        model=model.id,
        text=text,
        blocks=blocks,
        prompt=b"".join(map(orjson.dumps, parts)),
        thinks=thinks,
        tools=_tools(body),
        results=tuple(reader.results),
        media=tuple(reader.media),
        allows_parallel=_allows_parallel(body),
        max_tokens=limit if isinstance(limit, int) else None,
        stop=rules.check_stop("stop_sequences", body.get("stop_sequences")),
    )


def _tools(body: Mapping[str, object]) -> tuple[Tool, ...]:
    if "tools" not in body:
        return ()
    tools = []
    for index, item in enumerate(as_array(body["tools"], "tools")):
        where = f"tools[{index}]"
        tool = as_object(item, where)
        if tool.get("type", "custom") != "custom":
            raise Wrong(f"{where}.type must be custom")
        schema = as_object(tool.get("input_schema"), f"{where}.input_schema")
        if schema.get("type") != "object":
            raise Wrong(f"{where}.input_schema.type must be object")
        tools.append(Tool(rules.check_tool_name(tool.get("name"), f"{where}.name"), schema))
    return tuple(tools)


def _allows_parallel(body: Mapping[str, object]) -> bool:
    """Any choice but auto is taken for auto; its flag for single calls counts."""
    choice = body.get("tool_choice")
    return not (isinstance(choice, Mapping) and choice.get("disable_parallel_tool_use") is True)


class _BlockReader:
    """Walks the messages once: checks each block, and keeps what the model would answer to."""

    def __init__(self, model: SimulatedModel, options: SimulatorOptions, *, thinks: bool) -> None:
        self._model = model
        self._options = options
        self._thinks = thinks
        self._names: dict[str, str] = {}
        self.text = ""
        self.results: list[tuple[str, str]] = []
        self.media: list[SeenMedia] = []

    def system(self, system: object) -> None:
        if isinstance(system, str):
            return
        for index, item in enumerate(as_array(system, "system")):
            block = as_object(item, f"system[{index}]")
            if block.get("type") != "text":
                raise Wrong(f"system[{index}].type must be text")
            self._text_of(block, f"system[{index}]")

    def read(self, message: Mapping[str, object], where: str) -> None:
        role, content = message.get("role"), message.get("content")
        if role not in ("user", "assistant", "system"):
            raise Wrong(f"{where}.role is not supported")
        if role == "assistant":
            self.results, self.media = [], []
        if content is None:
            raise Wrong(NOT_PRESENT)
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        texts: list[str] = []
        kinds: set[str] = set()
        for index, item in enumerate(as_array(blocks, f"{where}.content")):
            block = as_object(item, f"{where}.content[{index}]")
            kinds.add(str(block.get("type")))
            texts += self._block(block, f"{where}.content[{index}]", str(role))
        if self._thinks and "tool_use" in kinds and "thinking" not in kinds:
            raise Wrong(REASONING_MISSING)
        if kinds <= _MEDIA:
            raise Wrong(NOT_SET)
        if role == "user" and texts:
            self.text = "\n".join(texts)

    def _block(self, block: Mapping[str, object], where: str, role: str) -> list[str]:
        kind = block.get("type")
        if kind == "text":
            return [self._text_of(block, where)]
        if kind in _MEDIA:
            self._media(str(kind), block, where)
        elif kind == "thinking" and role == "assistant":
            self._thinking(block)
        elif kind == "tool_use" and role == "assistant":
            self._tool_use(block, where)
        elif kind == "tool_result" and role == "user":
            self._tool_result(block, where)
        else:
            raise Wrong(f"{where}.type {kind} is not supported")
        return []

    def _text_of(self, block: Mapping[str, object], where: str) -> str:
        text = block.get("text")
        if not isinstance(text, str) or not text:
            raise Wrong(NOT_SET)
        return text

    def _thinking(self, block: Mapping[str, object]) -> None:
        """An empty block is refused like an empty text: the strict reading of section 2.1."""
        thinking = block.get("thinking")
        if not isinstance(thinking, str) or not thinking:
            raise Wrong(REASONING_MISSING if self._thinks else NOT_SET)

    def _tool_use(self, block: Mapping[str, object], where: str) -> None:
        call_id, name = block.get("id"), block.get("name")
        if not isinstance(call_id, str) or not call_id:
            raise Wrong(f"{where}.id is not set")
        if not isinstance(name, str) or not name:
            raise Wrong(f"{where}.name is not set")
        as_object(block.get("input"), f"{where}.input")
        self._names[call_id] = name

    def _tool_result(self, block: Mapping[str, object], where: str) -> None:
        call_id, content = block.get("tool_use_id"), block.get("content")
        if not isinstance(call_id, str) or not call_id:
            raise Wrong(f"{where}.tool_use_id is not set")
        texts = [content] if isinstance(content, str) else []
        if isinstance(content, list):
            for index, item in enumerate(content):
                part = as_object(item, f"{where}.content[{index}]")
                texts += self._result_part(part, f"{where}.content[{index}]")
            if not texts:
                raise Wrong(NOT_SET)
        self.results.append((self._names.get(call_id, "tool"), "\n".join(texts)))

    def _result_part(self, part: Mapping[str, object], where: str) -> list[str]:
        if part.get("type") == "text":
            return [self._text_of(part, where)]
        if part.get("type") not in _MEDIA or not self._options.accepts_media_in_tool_results:
            raise Wrong(NOT_SET)
        self._media(str(part["type"]), part, where)
        return []

    def _media(self, kind: str, block: Mapping[str, object], where: str) -> None:
        if kind not in self._model.media:
            raise Wrong(NO_IMAGE_SUPPORT, status=404, message=NO_IMAGE_SUPPORT)
        source = as_object(block.get("source"), f"{where}.source")
        if source.get("type") == "url":
            self.media.append(seen_media(kind, source.get("url"), f"{where}.source.url"))
        elif source.get("type") == "base64":
            where = f"{where}.source.data"
            self.media.append(seen_base64(kind, source.get("media_type"), source.get("data"), where))
        else:
            raise Wrong(f"{where}.source.type must be base64 or url")
