"""`mimo-gateway usage`: what an operator types, and what the ledger shows."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from service.__main__ import main
from service.core.events import Usage
from service.core.leases import Admission, Lease
from service.gateway.background import Background
from service.store.accounts import RedisAccounts
from service.store.client import StoreSettings, connect
from service.store.ledger import RedisLedger
from service.store.limits import RedisLimits
from tests.web.rig import PATIENCE_S

TODAY = datetime.now(UTC).date()
OF_TODAY = ("--from", str(TODAY), "--to", str(TODAY))


@pytest.fixture
def config_file(tmp_path: Path, clean_redis: str) -> Path:
    path = tmp_path / "config.json"
    path.write_bytes(orjson.dumps({"api_keys": "sk-mimo", "mimo_accounts": [], "redis_url": clean_redis}))
    return path


@pytest.fixture
async def ledger(clean_redis: str):
    """Two keys' requests: `anna` two of pro, `bert` one of flash, all today."""
    background = Background()
    store = connect(clean_redis, spawn=background.spawn, settings=StoreSettings.within(PATIENCE_S))
    accounts, limits = (
        RedisAccounts(store, spawn=background.spawn),
        RedisLimits(store, spawn=background.spawn),
    )
    books = RedisLedger(store, accounts=accounts, limits=limits, today=lambda: TODAY)
    for number, (name, model) in enumerate([("anna", "pro"), ("anna", "pro"), ("bert", "flash")]):
        await books.settle(
            Admission(key_id=f"{name}-id", key_name=name, request_id=f"r{number}"),
            Lease(lease_id=f"l{number}", account_name="a"),
            usage=Usage(input_tokens=1000, output_tokens=10),
            model=model,
            cost_micro_usd=1_500_000,
        )
    await background.drain(timeout_s=5)
    await store.aclose()


def types(config_file: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["usage", *words, "--config", str(config_file)])
    return code, capsys.readouterr().out


@pytest.fixture
def shown(ledger: None, config_file: Path, capsys: pytest.CaptureFixture[str]):
    return lambda *words: types(config_file, capsys, *words)


def test_a_table_of_days_and_models_with_its_total_and_prices(shown) -> None:
    code, text = shown("--to", str(TODAY))
    assert code == 0
    head, flash, pro, total, note = text.splitlines()
    assert head.split() == [
        *("day", "model", "requests", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens"),
        "cost_usd",
    ]
    assert flash.split() == [str(TODAY), "flash", "1", "1,000", "0", "10", "0", "1.500000"]
    assert pro.split() == [str(TODAY), "pro", "2", "2,000", "0", "20", "0", "3.000000"]
    assert total.split() == ["total", "3", "3,000", "0", "30", "0", "4.500000"]
    assert note.startswith(f"{TODAY - timedelta(days=29)} to {TODAY} (UTC). Prices of 2026-10-01: ")


def test_csv_is_read_by_a_spreadsheet(shown) -> None:
    code, text = shown("--by", "key", "--format", "csv", "--to", str(TODAY))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert code == 0
    assert [(row["key"], row["key_id"], row["requests"], row["cost_micro_usd"]) for row in rows] == [
        ("anna", "anna-id", "2", "3000000"),
        ("bert", "bert-id", "1", "1500000"),
    ]


def test_json_is_what_the_admin_api_answers(shown) -> None:
    code, text = shown("--key", "anna", "--by", "model", "--format", "json", *OF_TODAY)
    facts = orjson.loads(text)
    assert code == 0
    assert (facts["from"], facts["to"], facts["group_by"]) == (str(TODAY), str(TODAY), ["model"])
    assert [(row["model"], row["requests"]) for row in facts["rows"]] == [("pro", 2)]
    assert facts["totals"]["cost_micro_usd"] == 3_000_000


def test_nothing_used_is_a_total_of_nothing(shown) -> None:
    code, text = shown("--to", "2026-01-31", "--by", "key")
    assert code == 0
    assert text.splitlines()[1].split() == ["total", "0", "0", "0", "0", "0", "0.000000"]


def test_a_word_that_cannot_be_read_is_told(shown) -> None:
    assert shown("--by", "week") == (2, "group_by must be some of day, model, key, with commas.\n")
    assert shown("--from", "monday") == (2, "from must be a day such as 2026-11-20.\n")


def test_a_redis_that_is_away_is_told(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config_file.write_bytes(
        orjson.dumps({"api_keys": "sk-mimo", "mimo_accounts": [], "redis_url": "redis://127.0.0.1:1"})
    )
    code, text = types(config_file, capsys)
    assert (code, text) == (1, "Redis does not answer; `mimo-gateway doctor` says more.\n")
