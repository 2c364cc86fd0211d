"""docs/simulator.md lists every word, preset, kind of garbage and option."""

import dataclasses
import re
from pathlib import Path

import pytest

from service.simulator.directives import WORDS
from service.simulator.leaks import LEAKS
from service.simulator.options import DEMO_PLATFORM, DEMO_STUDIO, SimulatorOptions
from service.simulator.playback import GARBAGE

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()
NAMED = set(re.findall(r"`([a-z_0-9]+)", PAGE))


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(WORDS, id="words"),
        pytest.param(LEAKS.keys(), id="leaks"),
        pytest.param(GARBAGE.keys(), id="garbage"),
        pytest.param(
            {field.name for field in dataclasses.fields(SimulatorOptions) if field.init}
            - {"platform", "studio"},
            id="options",
        ),
    ],
)
def test_page_names(names):
    assert sorted(set(names) - NAMED) == []


def test_page_shows_the_credentials():
    for account in DEMO_PLATFORM:
        assert account.api_key in PAGE
    for session in DEMO_STUDIO:
        assert session.service_token in PAGE
        assert session.ph in PAGE
