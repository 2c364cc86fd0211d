"""What answers cost: a dated table as data, which an operator may override (`prices` of the configuration).

Source: MiMo "API Pricing" and "Web search" pages of October 2026 (mimo-api.md 1.3), pay as you go, read
2026-11-20. Media tokens have no price of their own there: they are input like any other. Writing to the
cache and speech synthesis are free for now. Xiaomi's batch prices are for a Batch API of theirs: the batches
of this gateway are ordinary requests and cost what those cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from service.core.events import Usage

_USD = {"min": 0}
_MS_PER_HOUR = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars for a million tokens, which is the same number of micro-dollars for one token.

    `media_usd` None: images, sound and video cost what other input costs. `audio_hour_usd` is for an hour of
    sound that is written down.
    """

    input_usd: float = field(metadata=_USD)
    cached_usd: float = field(metadata=_USD)
    output_usd: float = field(metadata=_USD)
    media_usd: float | None = field(default=None, metadata=_USD)
    audio_hour_usd: float = field(default=0.0, metadata=_USD)

    def tokens_micro_usd(self, usage: Usage) -> float:
        """What the tokens and the sound of an answer cost, in millionths of a dollar."""
        missed = max(usage.input_tokens - usage.cached_tokens, 0)
        media = 0 if self.media_usd is None else min(usage.media_tokens, missed)
        return (
            (missed - media) * self.input_usd
            + media * (self.media_usd or 0.0)
            + usage.cached_tokens * self.cached_usd
            + usage.output_tokens * self.output_usd
            + usage.audio_ms * self.audio_hour_usd * 1e6 / _MS_PER_HOUR
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """Prices as of a day. `dated` and `source` are shown beside every sum that was made with them."""

    dated: str
    source: str
    thousand_searches_usd: float
    by_model: Mapping[str, Price]

    def price_of(self, model: str) -> Price:
        """The model's price; an id that is not in the table is taken for a successor of the best model."""
        return self.by_model.get(model, _PRO)

    def cost_micro_usd(self, model: str, usage: Usage) -> int:
        """What the answer cost, in millionths of a dollar, rounded to the nearest."""
        searches = usage.searches * self.thousand_searches_usd * 1000
        return round(self.price_of(model).tokens_micro_usd(usage) + searches)

    def overridden(self, prices: Prices) -> PriceTable:
        """This table with what an operator knows better."""
        if prices == UNCHANGED:
            return self
        searches = prices.thousand_searches_usd
        return replace(
            self,
            dated=prices.dated or self.dated,
            source=prices.source or f"{self.source}, with prices of the configuration",
            thousand_searches_usd=self.thousand_searches_usd if searches is None else searches,
            by_model={**self.by_model, **prices.models},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What an operator pays instead of the list's prices. `models`: id -> its whole price. `dated` (an ISO
    date) and `source` say where the numbers are from; "" leaves what the shipped table says."""

    dated: str = field(default="", metadata={"form": "date"})
    source: str = field(default="", metadata={"form": "words"})
    thousand_searches_usd: float | None = field(default=None, metadata=_USD)
    models: Mapping[str, Price] = field(default_factory=dict)


UNCHANGED = Prices()


_PRO = Price(input_usd=0.435, cached_usd=0.0036, output_usd=0.87)
_FLASH = Price(input_usd=0.14, cached_usd=0.0028, output_usd=0.28)
_ULTRASPEED = Price(input_usd=4.35, cached_usd=0.036, output_usd=8.7)
_FREE = Price(input_usd=0.0, cached_usd=0.0, output_usd=0.0)

SHIPPED = PriceTable(
    dated="2026-10-01",
    source="Xiaomi MiMo API pricing, pay as you go, US dollars",
    thousand_searches_usd=5.0,
    by_model={
        "mimo-v2.6-pro": _PRO,
        "mimo-v2.6-flash": _FLASH,
        "mimo-v2.6-pro-ultraspeed": _ULTRASPEED,
        "mimo-v2.6-pro-ultraspeed-studio": _ULTRASPEED,
        "mimo-v2.5-pro": _PRO,
        "mimo-v2.5": _FLASH,
        "mimo-v2.1-pro": _PRO,
        "mimo-v2-pro": _PRO,
        "mimo-v2-omni": _FLASH,
        "mimo-v2-flash": _FLASH,
        "mimo-v2.5-tts": _FREE,
        "mimo-v2.5-tts-voiceclone": _FREE,
        "mimo-v2.5-tts-voicedesign": _FREE,
        "mimo-v2.5-asr": replace(_FREE, audio_hour_usd=0.074),
    },
)
