"""Processes that live as long as the test run."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.clients.processes import Running, gateway_process, started, write_config


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("simulator")
    with started(folder, "simulator", "simulator", ready_path="/simulator/record") as running:
        yield running


@pytest.fixture(scope="session", params=["platform", "studio"])
def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, simulator: Running
) -> Iterator[Running]:
    """A gateway whose only account is of one upstream kind: every test runs over both."""
    folder = tmp_path_factory.mktemp(f"gateway-{request.param}")
    with gateway_process(folder, write_config(folder, simulator, request.param)) as running:
        yield running
        lines = running.log_file.read_text().splitlines()
    secrets = re.compile(r"simulator-token-1|sk-simulator-1|sk-mimo|c2ltdWxhdG9y")
    leaked = [line for line in lines if secrets.search(line)]
    assert not leaked, leaked[:3]
