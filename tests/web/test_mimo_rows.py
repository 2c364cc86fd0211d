"""Every row of the tables of mimo-api.md 2.2, 3 and 4.2, through each dialect that can express it, over whole
gateways and against the simulator's strict validator. A case's id names its row."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.web import rows_leaks, rows_reasoning, rows_strictness
from tests.web.mimo_rows import ROWS, ROWS_PER_TABLE, Case
from tests.web.rig import Start

CASES = [*rows_reasoning.cases(), *rows_strictness.cases(), *rows_leaks.cases()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_row(start: Start, case: Case) -> None:
    async with start("platform", options=case.options) as rig:
        await case.run(rig)


def test_the_tables_have_so_many_rows() -> None:
    """Counted in mimo-api.md; a row that is added there is added here."""
    assert Counter(row.rpartition(".")[0] for row in ROWS) == ROWS_PER_TABLE


def test_every_row_is_tried_through_each_dialect_that_can_express_it() -> None:
    expected = {(row, path) for row, (_, dialects) in ROWS.items() for path in dialects}
    assert {(case.row, case.path) for case in CASES} == expected


def test_no_two_cases_are_called_the_same() -> None:
    assert [name for name, count in Counter(case.id for case in CASES).items() if count > 1] == []
