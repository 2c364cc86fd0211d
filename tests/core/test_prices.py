"""What answers cost, by the shipped table and by an operator's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.core.events import Usage
from service.core.prices import SHIPPED, Price, Prices

PRO, FLASH, ULTRA = "mimo-v2.6-pro", "mimo-v2.6-flash", "mimo-v2.6-pro-ultraspeed"
MILLION = 1_000_000


@pytest.mark.parametrize(
    ("usage", "micro_usd"),
    [
        pytest.param(Usage(), 0, id="nothing"),
        pytest.param(Usage(input_tokens=MILLION), 435_000, id="a million tokens in"),
        pytest.param(Usage(input_tokens=MILLION, cached_tokens=MILLION), 3_600, id="all from the cache"),
        pytest.param(
            Usage(output_tokens=MILLION, reasoning_tokens=900_000), 870_000, id="reasoning is output"
        ),
        pytest.param(Usage(input_tokens=MILLION, image_tokens=900_000), 435_000, id="media are input"),
        pytest.param(Usage(searches=1000), 5_000_000, id="a thousand searches"),
        pytest.param(Usage(input_tokens=MILLION, searches=1), 440_000, id="a search comes on top"),
        pytest.param(Usage(input_tokens=5, cached_tokens=9), 0, id="more cached than sent is never negative"),
    ],
)
def test_cost(usage: Usage, micro_usd: int) -> None:
    assert SHIPPED.cost_micro_usd(PRO, usage) == micro_usd


def test_prices_are_those_of_the_page() -> None:
    assert SHIPPED.price_of(PRO) == Price(input_usd=0.435, cached_usd=0.0036, output_usd=0.87)
    assert SHIPPED.price_of(FLASH) == Price(input_usd=0.14, cached_usd=0.0028, output_usd=0.28)
    assert SHIPPED.price_of(ULTRA) == Price(input_usd=4.35, cached_usd=0.036, output_usd=8.7)
    assert SHIPPED.dated == "2026-10-01"


def test_sound_that_is_written_down_costs_by_the_second_and_speech_is_free() -> None:
    assert SHIPPED.cost_micro_usd("mimo-v2.5-asr", Usage(audio_ms=3_600_000)) == 74_000
    assert SHIPPED.cost_micro_usd("mimo-v2.5-asr", Usage(audio_ms=1_000)) == 21
    assert SHIPPED.cost_micro_usd("mimo-v2.5-tts", Usage(input_tokens=500, output_tokens=900)) == 0


def test_an_unknown_model_costs_what_the_best_one_costs() -> None:
    assert SHIPPED.price_of("mimo-v9") == SHIPPED.price_of(PRO)


def test_media_may_have_a_price_of_their_own() -> None:
    price = Price(input_usd=1, cached_usd=0.5, output_usd=0, media_usd=3)
    table = SHIPPED.overridden(Prices(models={PRO: price}))
    assert (
        table.cost_micro_usd(PRO, Usage(input_tokens=10, image_tokens=2, video_tokens=1, audio_tokens=1))
        == 18
    )
    # Of what came from the cache nobody says how much was media: what was missed is charged first.
    assert table.cost_micro_usd(PRO, Usage(input_tokens=10, cached_tokens=8, image_tokens=5)) == 10


def test_without_an_operators_word_the_table_is_the_shipped_one() -> None:
    assert SHIPPED.overridden(Prices()) is SHIPPED


def test_an_operators_prices_stand_beside_the_shipped_ones() -> None:
    own = Price(input_usd=1, cached_usd=1, output_usd=1)
    table = SHIPPED.overridden(Prices(models={PRO: own}))
    assert (table.price_of(PRO), table.price_of(FLASH)) == (own, SHIPPED.price_of(FLASH))
    assert table.thousand_searches_usd == SHIPPED.thousand_searches_usd
    assert (table.dated, table.source) == (
        SHIPPED.dated,
        f"{SHIPPED.source}, with prices of the configuration",
    )


def test_an_operator_says_where_the_numbers_are_from() -> None:
    said = Prices(dated="2026-11-20", source="our contract", thousand_searches_usd=0.0)
    table = SHIPPED.overridden(said)
    assert table == replace(SHIPPED, dated="2026-11-20", source="our contract", thousand_searches_usd=0.0)
