"""The three dialects as a client sees them: where to send a text, and where an error says what."""

from __future__ import annotations

from dataclasses import dataclass

MODEL = "mimo-v2.6-pro"


@dataclass(frozen=True)
class Dialect:
    """One dialect. `limit_header` is the name of a rate-limit header, with what it tells in between."""

    name: str
    path: str
    limit_header: str

    def ask(self, text: str, **more: object) -> dict:
        if self.name == "responses":
            return {"model": MODEL, "input": text, "store": False, **more}
        body = {"model": MODEL, "messages": [{"role": "user", "content": text}], **more}
        return {"max_tokens": 1000, **body} if self.name == "messages" else body

    def header(self, which: str, fact: str) -> str:
        return self.limit_header.format(which=which, fact=fact)


DIALECTS = [
    Dialect("chat", "/v1/chat/completions", "x-ratelimit-{fact}-{which}"),
    Dialect("responses", "/v1/responses", "x-ratelimit-{fact}-{which}"),
    Dialect("messages", "/v1/messages", "anthropic-ratelimit-{which}-{fact}"),
]
