"""The platform's odd error bodies: string codes, empty type, the reason in `param` (mimo-api.md, 1.9)."""

from __future__ import annotations

import orjson

from service.simulator.directives import NO_DIRECTIVE, Directive
from service.simulator.engine import EVENT_STREAM, Refusal
from service.simulator.world import World

PARAM_INCORRECT = "Param Incorrect"
REASONING_MISSING = "The reasoning_content in the thinking mode must be passed back to the API."

# status -> (code, message, param, type); a param of None is not sent
_BODIES: dict[int, tuple[str, str, str | None, str]] = {
    400: ("400", PARAM_INCORRECT, PARAM_INCORRECT, ""),
    401: ("401", "Invalid API Key", "Please provide valid API Key", "invalid_key"),
    402: ("402", "Insufficient account balance", "", "insufficient_balance"),
    403: ("illegal_access", "Illegal access", "", ""),
    404: ("404", "Not Found", "", ""),
    421: ("421", "The request was rejected because it was considered high risk", "", "content_filter"),
    429: ("429", "Too many requests", None, "limitation"),
    500: ("500", "Internal Server Error", "", ""),
    503: ("503", "Service overloaded, please try again later", "", ""),
}


class Wrong(Exception):
    """The validator's objection: a status and the useful text, which the platform puts in `param`."""

    def __init__(self, param: str, *, status: int = 400, message: str = PARAM_INCORRECT) -> None:
        super().__init__(param)
        self.param = param
        self.status = status
        self.message = message


class Unsupported(Wrong):
    """A Responses feature that the platform does not have: its own error body, unlike all others."""

    def __init__(self, message: str) -> None:
        super().__init__("", message=message)


def error_json(status: int, directive: Directive = NO_DIRECTIVE) -> bytes:
    """The error body of a status, each part replaced by the directive's word where it has one."""
    code, message, param, kind = _BODIES.get(status, (str(status), f"HTTP {status}", "", ""))
    told_param = directive.text("param")
    body = {"code": directive.text("code") or code, "message": directive.text("message") or message}
    if told_param is not None or param is not None:
        body["param"] = told_param if told_param is not None else (param or "")
    body["type"] = kind if directive.text("type") is None else (directive.text("type") or "")
    return orjson.dumps({"error": body})


def refusal(world: World, status: int, *, streams: bool, directive: Directive = NO_DIRECTIVE) -> Refusal:
    """The error as the platform sends it: on a streaming request with `data:` in front, status and all."""
    body = error_json(status, directive)
    if streams and world.options.data_prefix_on_stream_errors:
        return Refusal(status, b"data:" + body + b"\n\n", content_type=EVENT_STREAM)
    return Refusal(status, body)


def wrong_request(world: World, wrong: Wrong, *, streams: bool) -> Refusal:
    words = {"param": wrong.param, "message": wrong.message}
    if isinstance(wrong, Unsupported):
        words |= {"code": "responses_feature_not_supported", "type": "unsupported_feature"}
    return refusal(world, wrong.status, streams=streams, directive=Directive(words))


def error_frame(text: str) -> bytes:
    """An error inside a stream that began with 200."""
    words = {"message": text, "param": text}
    return b"data: " + error_json(500, Directive(words)) + b"\n\n"
