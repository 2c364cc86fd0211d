"""`POST /v1/responses`, the request: validator and reading (mimo-api.md, section 1.6). Stateless."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from service.simulator.brain import Ask, SeenMedia, Tool, found_json_schema
from service.simulator.directives import split_directives
from service.simulator.options import SimulatedModel
from service.simulator.platform import rules
from service.simulator.platform.errors import Unsupported, Wrong
from service.simulator.platform.media import seen_media
from service.simulator.platform.rules import NO_IMAGE_SUPPORT, NOT_SET, as_array, as_object

EFFORTS = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra"})
_ROLES = frozenset({"user", "assistant", "system", "developer"})
_MEDIA_FIELDS = {"input_image": "image_url", "input_audio": "audio_url", "input_video": "video_url"}
_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})


def check_responses(body: Mapping[str, object], model: SimulatedModel) -> Ask:
    """The body as an Ask. Raises Wrong; Unsupported for tools beyond functions."""
    rules.check_parameters(body, rules.RESPONSES_PARAMETERS, rules.RESPONSES_RANGES)
    wants_json = _wants_json(body)
    reader = _ItemReader(model)
    reader.read(body.get("input"))
    text, blocks = split_directives(reader.text)
    limit = body.get("max_output_tokens")
    parts = (body.get("tools") or [], body.get("instructions") or "", body.get("input"))
    instructions = body.get("instructions") if isinstance(body.get("instructions"), str) else ""
    return Ask(
        model=model.id,
        text=text,
        blocks=blocks,
        prompt=b"".join(map(orjson.dumps, parts)),
        thinks=_thinks(body),
        tools=_tools(body),
        results=tuple(reader.results),
        media=tuple(reader.media),
        wants_json=wants_json,
        json_schema=found_json_schema(f"{instructions}\n{reader.text}") if wants_json else None,
        max_tokens=limit if isinstance(limit, int) else None,
    )


def _thinks(body: Mapping[str, object]) -> bool:
    """On unless the effort is none; no other effort makes a difference."""
    reasoning = body.get("reasoning")
    if reasoning is None:
        return True
    effort = as_object(reasoning, "reasoning").get("effort")
    if effort is not None and effort not in EFFORTS:
        raise Wrong("reasoning.effort is not supported")
    return effort != "none"


def _wants_json(body: Mapping[str, object]) -> bool:
    if body.get("text") is None:
        return False
    form = as_object(as_object(body["text"], "text").get("format", {"type": "text"}), "text.format")
    if form.get("type") not in ("text", "json_object"):
        raise Wrong("text.format.type must be text or json_object")
    return form["type"] == "json_object"


def _tools(body: Mapping[str, object]) -> tuple[Tool, ...]:
    tools = []
    for index, item in enumerate(as_array(body.get("tools") or [], "tools")):
        tool = as_object(item, f"tools[{index}]")
        if tool.get("type") != "function":
            raise Unsupported(f"tool type '{tool.get('type')}' is not supported by this gateway phase.")
        name = rules.check_tool_name(tool.get("name"), f"tools[{index}].name")
        tools.append(Tool(name, rules.check_schema(tool.get("parameters"), f"tools[{index}].parameters")))
    return tuple(tools)


class _ItemReader:
    """Walks the input items once."""

    def __init__(self, model: SimulatedModel) -> None:
        self._model = model
        self._names: dict[str, str] = {}
        self.text = ""
        self.results: list[tuple[str, str]] = []
        self.media: list[SeenMedia] = []

    def read(self, items: object) -> None:
        if isinstance(items, str) and items:
            self.text = items
            return
        found = as_array(items, "input")
        if not found:
            raise Wrong("input must not be empty")
        for index, item in enumerate(found):
            self._item(as_object(item, f"input[{index}]"), f"input[{index}]")

    def _item(self, item: Mapping[str, object], where: str) -> None:
        kind = item.get("type", "message")
        if kind == "message":
            self._message(item, where)
        elif kind in ("function_call", "custom_tool_call"):
            self._call(item, where)
        elif kind in _OUTPUTS:
            self._output(item, where)
        elif kind not in ("reasoning", "agent_message", "additional_tools"):
            raise Wrong(f"{where}.type {kind} is not supported")

    def _message(self, item: Mapping[str, object], where: str) -> None:
        role = item.get("role")
        if role not in _ROLES:
            raise Wrong(f"{where}.role is not supported")
        if role == "assistant":
            self.results, self.media = [], []
        text = self._content(item.get("content"), f"{where}.content")
        if role == "user":
            self.text = text

    def _call(self, item: Mapping[str, object], where: str) -> None:
        call_id, name = item.get("call_id"), item.get("name")
        if not isinstance(call_id, str) or not call_id or not isinstance(name, str) or not name:
            raise Wrong(f"{where} needs call_id and name")
        self.results, self.media = [], []
        self._names[call_id] = name

    def _output(self, item: Mapping[str, object], where: str) -> None:
        call_id = item.get("call_id")
        if not isinstance(call_id, str) or not call_id:
            raise Wrong(f"{where}.call_id is not set")
        output = item.get("output")
        self.results.append((self._names.get(call_id, "tool"), self._content(output, f"{where}.output")))

    def _content(self, content: object, where: str) -> str:
        if isinstance(content, str):
            return content
        texts = []
        for index, item in enumerate(as_array(content, where)):
            part = as_object(item, f"{where}[{index}]")
            kind = str(part.get("type"))
            if kind in ("input_text", "output_text"):
                texts.append(_text_of(part))
            elif kind in _MEDIA_FIELDS:
                self._seen(kind, part, f"{where}[{index}]")
            else:
                raise Wrong(f"{where}[{index}].type {kind} is not supported")
        if not texts:
            raise Wrong(NOT_SET)
        return "\n".join(texts)

    def _seen(self, kind: str, part: Mapping[str, object], where: str) -> None:
        name = kind.removeprefix("input_")
        if name not in self._model.media:
            raise Wrong(NO_IMAGE_SUPPORT, status=404, message=NO_IMAGE_SUPPORT)
        field = _MEDIA_FIELDS[kind]
        self.media.append(seen_media(name, part.get(field), f"{where}.{field}"))


def _text_of(part: Mapping[str, object]) -> str:
    text = part.get("text")
    if not isinstance(text, str) or not text:
        raise Wrong(NOT_SET)
    return text
