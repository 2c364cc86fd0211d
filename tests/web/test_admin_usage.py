"""`GET /admin/api/usage`: what clients used, as JSON and CSV, for who has the admin key."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from service.config_loader import api_keys
from service.core.prices import SHIPPED
from tests.web.admin import Fleet, Operator, fleet_of

KEYS = api_keys([{"name": "anna", "key": "sk-anna"}, {"name": "bert", "key": "sk-bert"}])
PRO, FLASH = "mimo-v2.6-pro", "mimo-v2.6-flash"


@pytest.fixture
async def fleet(clean_redis: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    """Two workers. Anna asks each of them once, Bert the second one; all of it is booked."""
    async with fleet_of(clean_redis, tmp_path, size=2, api_keys=KEYS) as fleet:
        one, other = fleet.operators
        for operator, key, model in ((one, "anna", PRO), (other, "anna", FLASH), (other, "bert", PRO)):
            url = f"{operator.gateway.base_url}/v1/chat/completions"
            body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
            headers = {"Authorization": f"Bearer sk-{key}"}
            async with operator.http.post(url, json=body, headers=headers) as response:
                assert response.status == 200
        for _ in range(2000):
            if (await one.ok("GET", "/usage"))["totals"]["requests"] == 3:
                break
            await asyncio.sleep(0.01)
        yield fleet


def _day_before(day: str) -> str:
    """A run may pass midnight."""
    return (date.fromisoformat(day) - timedelta(days=1)).isoformat()


@pytest.fixture
def operator(fleet: Fleet) -> Operator:
    return fleet.operator


async def test_both_workers_requests_stand_in_one_report(fleet: Fleet) -> None:
    for operator in fleet.operators:
        report = await operator.ok("GET", "/usage?group_by=model")
        assert [(row["model"], row["requests"]) for row in report["rows"]] == [(FLASH, 1), (PRO, 2)]
        by_day = await operator.ok("GET", "/usage")
        assert {row["day"] for row in by_day["rows"]} <= {by_day["to"], _day_before(by_day["to"])}
        assert report["totals"]["output_tokens"] == sum(row["output_tokens"] for row in report["rows"])
        assert report["totals"]["cost_micro_usd"] > 0
        assert report["price_table"] == {"dated": SHIPPED.dated, "source": SHIPPED.source}


async def test_reports_are_of_one_key_and_by_key(operator: Operator) -> None:
    by_key = await operator.ok("GET", "/usage?group_by=key,model")
    assert [(row["key"], row["model"]) for row in by_key["rows"]] == [
        ("anna", FLASH),
        ("anna", PRO),
        ("bert", PRO),
    ]
    of_bert = await operator.ok("GET", f"/usage?key={by_key['rows'][2]['key_id']}&group_by=key")
    assert [(row["key"], row["requests"]) for row in of_bert["rows"]] == [("bert", 1)]


async def test_a_key_that_is_gone_keeps_its_name(operator: Operator) -> None:
    config = operator.gateway.config
    operator.gateway.reconfigure(replace(config, api_keys=KEYS[:1]))
    report = await operator.ok("GET", "/usage?group_by=key")
    assert [row["key"] for row in report["rows"]] == ["anna", "bert"]


async def test_csv_is_a_file_for_a_spreadsheet(operator: Operator) -> None:
    async with operator.http.get(operator.url("/usage?format=csv&group_by=key")) as response:
        assert response.content_type == "text/csv"
        assert response.headers["Content-Disposition"].startswith('attachment; filename="usage-')
        rows = list(csv.DictReader(io.StringIO(await response.text())))
    assert [(row["key"], row["requests"]) for row in rows] == [("anna", "2"), ("bert", "1")]


@pytest.mark.parametrize(
    ("query", "param"),
    [("from=x", "from"), ("group_by=hour", "group_by"), ("format=xml", "format"), ("to=2026-13-01", "to")],
)
async def test_a_mistake_is_told_by_its_word(operator: Operator, query: str, param: str) -> None:
    status, answer = await operator.call("GET", f"/usage?{query}")
    assert (status, answer["error"]["param"]) == (400, param)


async def test_usage_is_for_who_has_the_admin_key(operator: Operator) -> None:
    status, _ = await operator.call("GET", "/usage", headers={"Authorization": "Bearer sk-anna"})
    assert status == 401
