"""Presets of `tool_leak=…`: the ways in which tool calls were seen to go wrong (mimo-api.md, section 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from service.simulator import markup
from service.simulator.markup import Arguments, json_text


@dataclass(frozen=True, slots=True)
class Leak:
    """What the model says instead of a clean call. Native calls are (name, JSON text, perhaps broken)."""

    text: str = ""
    reasoning: str | None = None
    native: tuple[tuple[str, str], ...] = ()
    finish: str = "stop"
    keeps_text: bool = field(default=False)  # the plain answer follows the leak


def _with_native(name: str, arguments: Arguments) -> Leak:
    # opencodex#5499: the first parameter's opener is missing in the text copy
    text = markup.native_xml(name, arguments).replace(f"<parameter={next(iter(arguments), '')}>", "", 1)
    return Leak(text=text, native=((name, json_text(dict(arguments))),), finish="tool_calls")


def _text_only(name: str, arguments: Arguments) -> Leak:
    return Leak(text=markup.native_xml(name, arguments), finish="tool_calls")


def _text_stop(name: str, arguments: Arguments) -> Leak:
    return Leak(text=markup.native_xml(name, arguments))


def _seam(name: str, arguments: Arguments) -> Leak:
    body = markup.bare_function(name, arguments)
    return Leak(text=body[1:], reasoning="I will call the tool now. " + body[0])


def _none_marker(name: str, arguments: Arguments) -> Leak:
    return Leak(text="<tool_call_none/>", keeps_text=True)


def _attribute(name: str, arguments: Arguments) -> Leak:
    return Leak(text=markup.bare_function(name, arguments))


def _tml(name: str, arguments: Arguments) -> Leak:
    return Leak(text=markup.prefixed_invoke("tml", name, arguments))


def _italic(name: str, arguments: Arguments) -> Leak:
    prefix = "".join(chr(0x1D44E + ord(letter) - ord("a")) for letter in "antml")
    return Leak(text=markup.prefixed_invoke(prefix, name, arguments))


def _escaped(name: str, arguments: Arguments) -> Leak:
    text = markup.native_xml(name, arguments).replace("<", "&lt;").replace(">", "&gt;")
    return Leak(text=text)


def _fenced(name: str, arguments: Arguments) -> Leak:
    return Leak(text=f"A call looks like this:\n\n```xml\n{markup.native_xml(name, arguments)}\n```\n")


def _orphan_think(name: str, arguments: Arguments) -> Leak:
    return Leak(text="</thinking>\n", keeps_text=True)


def _toolcall_shell(name: str, arguments: Arguments) -> Leak:
    return Leak(text=f"<toolcall><shell>{json_text(dict(arguments))}</shell></toolcall>")


def _hermes(name: str, arguments: Arguments) -> Leak:
    return Leak(text=markup.hermes_json(name, arguments))


def _invoke_only(name: str, arguments: Arguments) -> Leak:
    whole = markup.prefixed_invoke("x", name, arguments)
    return Leak(text=whole.split("\n", 1)[1].rsplit("\n", 1)[0])


def _mimoml(name: str, arguments: Arguments) -> Leak:
    return Leak(text=markup.mimoml([(name, arguments)]))


def _in_reasoning(name: str, arguments: Arguments) -> Leak:
    return Leak(reasoning="Let me do it.\n" + markup.native_xml(name, arguments))


def _undeclared(name: str, arguments: Arguments) -> Leak:
    return Leak(text=markup.native_xml("no_such_tool", arguments))


def _stringly(name: str, arguments: Arguments) -> Leak:
    drifted = {key: value if isinstance(value, str) else json_text(value) for key, value in arguments.items()}
    return Leak(native=((name, json_text(drifted)),), finish="tool_calls")


def _bad_arguments(name: str, arguments: Arguments) -> Leak:
    return Leak(native=((name, json_text(dict(arguments))[:-1] + ',"half": '),), finish="tool_calls")


def _extra_arguments(name: str, arguments: Arguments) -> Leak:
    return Leak(native=((name, json_text({**arguments, "undeclared": 1})),), finish="tool_calls")


def _runaway(name: str, arguments: Arguments) -> Leak:
    return Leak(native=((name, json_text(dict(arguments))),) * 30, finish="tool_calls")


LEAKS: Mapping[str, Callable[[str, Arguments], Leak]] = {
    "with_native": _with_native,
    "text_only": _text_only,
    "text_stop": _text_stop,
    "seam": _seam,
    "none_marker": _none_marker,
    "attribute": _attribute,
    "tml": _tml,
    "italic": _italic,
    "escaped": _escaped,
    "fenced": _fenced,
    "orphan_think": _orphan_think,
    "toolcall_shell": _toolcall_shell,
    "hermes": _hermes,
    "invoke_only": _invoke_only,
    "mimoml": _mimoml,
    "in_reasoning": _in_reasoning,
    "undeclared": _undeclared,
    "stringly": _stringly,
    "bad_arguments": _bad_arguments,
    "extra_arguments": _extra_arguments,
    "runaway": _runaway,
}
