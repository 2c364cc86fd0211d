"""The task of every script here: a tool is called, its result comes back, the answer quotes it."""

from __future__ import annotations

import os

BASE_URL = os.environ["GATEWAY_URL"]
KEY = os.environ["GATEWAY_KEY"]
MODEL = "mimo-v2.6-pro"
QUESTION = "What is the weather in Paris?"
asked: list[str] = []


def get_weather(city: str) -> str:
    """The weather of a city."""
    asked.append(city)
    return f"21 degrees in {city}"


def check(text: str) -> None:
    assert asked == ["Paris"], f"the tool was called with {asked}"
    assert "21 degrees in Paris" in text, f"the answer does not quote the tool: {text}"
    print(text)
