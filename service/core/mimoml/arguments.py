"""The arguments of one call: parameters in, fragments of one JSON object out, by the tool's schema.

A parameter declared a string leaves in escaped pieces as it comes. Where a string is allowed beside null,
or no type is declared, CDATA leaves so too. Everything else is held to its end, brought to its type, and
leaves as one fragment. A key that was there already is dropped: the first wins."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from service.core.conversation import ToolKind, ToolSpec
from service.core.mimoml.elements import plain_text, value_of_elements
from service.core.mimoml.jsontext import JSONValue, Number, decode_loose, encode, escaped, quoted
from service.core.mimoml.names import Names
from service.core.mimoml.schema import Schema, coerced, value_of_text

_CUSTOM_SCHEMA = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}


class Tool:
    """A declared tool, its schema read once. A custom tool is one with one string parameter, `input`."""

    __slots__ = ("is_custom", "name", "names", "required", "schema", "sole_parameter")

    def __init__(self, spec: ToolSpec) -> None:
        self.name = spec.name
        self.is_custom = spec.kind is ToolKind.CUSTOM
        self.schema = Schema(_CUSTOM_SCHEMA if self.is_custom else spec.parameters)
        properties = self.schema.property_names
        self.names = Names(properties)
        self.required = self.schema.required
        # The parameter that text without a name is meant for: the only required one, or the only one.
        candidates = self.required if len(self.required) == 1 else properties
        self.sole_parameter = candidates[0] if len(candidates) == 1 else None

    @classmethod
    def unknown(cls) -> Tool:
        """What a call is read with that names no declared tool."""
        return cls(ToolSpec(name=""))


class Toolbox:
    """The declared tools by name."""

    __slots__ = ("_cache", "_names", "_specs")

    def __init__(self, tools: Iterable[ToolSpec]) -> None:
        self._specs = {spec.name: spec for spec in tools}
        self._names: Names | None = None  # most answers call nothing: read on the first name
        self._cache: dict[str, Tool] = {}

    def find(self, name: str | None) -> Tool | None:
        """The tool that `name` means, None when it means none."""
        if self._names is None:
            self._names = Names(self._specs)
        resolved = self._names.resolved(name) if name else None
        if resolved is None:
            return None
        if resolved not in self._cache:
            self._cache[resolved] = Tool(self._specs[resolved])
        return self._cache[resolved]


class Parameter:
    """One parameter's value on its way into the arguments (a values.Sink)."""

    __slots__ = ("_head", "_is_dropped", "_is_native", "_schema", "_write", "is_streaming", "parts")

    def __init__(
        self, write: Callable[[str], None], head: str | None, schema: Schema, is_native: bool
    ) -> None:
        self._write = write
        self._head = head or ""  # separator, key and colon; None: the value is dropped
        self._is_dropped = head is None
        self._schema = schema
        self._is_native = is_native
        self.parts: list[tuple[bool, str]] = []
        self.is_streaming = False
        if schema.is_string and not self._is_dropped:
            self._open_string()

    @property
    def wants_plain(self) -> bool:
        return self._schema.is_string

    @property
    def is_typed(self) -> bool:
        """No string fits: the value ends at its first closer."""
        return self._schema.types is not None and "string" not in self._schema.types

    def text(self, text: str) -> None:
        """More of the value, outside CDATA."""
        if self.is_streaming:
            self._write(escaped(text))
        elif not self._is_dropped:
            self.parts.append((False, text))

    def cdata(self, text: str) -> None:
        """More of the value, inside CDATA."""
        if self.is_streaming:
            self._write(escaped(text))
        elif not self._is_dropped:
            if not self.parts and self._takes_cdata_as_string():
                self._open_string()
                self._write(escaped(text))
            else:
                self.parts.append((True, text))

    def end(self) -> None:
        """The value is complete."""
        if self.is_streaming:
            self._write('"')
        elif not self._is_dropped:
            self._write(self._head + encode(self._value()))

    def _open_string(self) -> None:
        self.is_streaming = True
        self._write(self._head + '"')

    def _takes_cdata_as_string(self) -> bool:
        types = self._schema.types
        return types is None or types == {"string", "null"}

    def _value(self) -> JSONValue:
        schema = self._schema
        if self.parts and all(is_cdata or not text.strip() for is_cdata, text in self.parts):
            text = "".join(text for is_cdata, text in self.parts if is_cdata)
            if any(is_cdata for is_cdata, _ in self.parts):
                structured = self._structured(text)
                return value_of_text(text, schema, is_cdata=True) if structured is None else structured
        raw = "".join(_as_written(text) if is_cdata else text for is_cdata, text in self.parts)
        structured = self._structured(raw)
        if structured is not None:
            return structured
        return value_of_text(raw if self._is_native else plain_text(raw)[0], schema)

    def _structured(self, raw: str) -> JSONValue:
        """The value of nested elements, None where it is not made of them."""
        schema = self._schema
        if "<" in raw and raw.lstrip()[:1] == "<" and (schema.allows("object") or schema.allows("array")):
            try:
                return value_of_elements(raw, schema)
            except ValueError:
                return None
        return None


class Scraps:
    """Text of a call that belongs to no parameter (a values.Sink), kept or not."""

    __slots__ = ("_keeps", "parts")

    wants_plain = False
    is_streaming = False

    def __init__(self, *, keeps: bool) -> None:
        self._keeps = keeps
        self.parts: list[tuple[bool, str]] = []

    def text(self, text: str) -> None:
        if self._keeps:
            self.parts.append((False, text))

    def cdata(self, text: str) -> None:
        if self._keeps:
            self.parts.append((True, text))


def _as_written(data: str) -> str:
    return "<![CDATA[" + data.replace("]]>", "]]]]><![CDATA[>") + "]]>"


class Arguments:
    """The object of one call. `write` gets its fragments; nothing leaves before the first parameter."""

    __slots__ = ("_tool", "_write", "given")

    def __init__(self, tool: Tool, write: Callable[[str], None]) -> None:
        self._tool = tool
        self._write = write
        self.given: set[str] = set()

    def key(self, name: str) -> str:
        """The declared parameter that `name` means; itself where none is meant."""
        return self._tool.names.resolved(name) or name

    def expects(self, name: str) -> bool:
        """A declared parameter that was not given yet."""
        key = self._tool.names.resolved(name)
        return key is not None and key not in self.given

    def parameter(self, name: str, *, is_native: bool) -> Parameter:
        """The sink for the next parameter's value."""
        key = self.key(name)
        head = None
        if key not in self.given:
            head = ("{" if not self.given else ", ") + quoted(key) + ": "
            self.given.add(key)
        return Parameter(self._write, head, self._tool.schema.member(key), is_native)

    def give(self, name: str, value: JSONValue) -> None:
        """A parameter whose value is known, given once."""
        self._write(("{" if not self.given else ", ") + f"{quoted(name)}: {encode(value)}")
        self.given.add(name)

    def close(self) -> None:
        self._write("}" if self.given else "{}")


def members_of(value: JSONValue, tool: Tool) -> dict[str, JSONValue] | None:
    """What stands behind "arguments" as members: an object, an object as a string, or nothing."""
    if isinstance(value, str) and not isinstance(value, Number):
        try:
            inner = decode_loose(value) if value.strip() else {}
        except ValueError:
            inner = None
        if isinstance(inner, dict) and not (tool.is_custom and "input" not in inner):
            value = inner
        elif tool.sole_parameter is not None:
            value = {tool.sole_parameter: value}
    elif value is None:
        value = {}
    if not isinstance(value, dict):
        return None
    schema = tool.schema
    members: dict[str, JSONValue] = {}
    for key, item in value.items():
        name = tool.names.resolved(key) or key
        members.setdefault(name, coerced(item, schema.member(name)))
    return members
