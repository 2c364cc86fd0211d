"""A running gateway asked by its own OpenAPI document.

schemathesis makes thousands of requests of it, right and wrong ones, and looks whether every answer is as the
document says, and none a server error."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from tests.clients.processes import API_KEY, Running, gateway_process, write_config

pytestmark = pytest.mark.slow  # some eight thousand requests take half a minute

ADMIN_KEY = "an-admin-key-for-schemathesis"
COMMAND = Path(sysconfig.get_path("scripts")) / "schemathesis"
# What the document cannot say: which models, files and ids there are, and rules between fields. And the
# gateway takes fields that no schema names, as the APIs that it speaks do.
NOT_CHECKED = ("positive_data_acceptance", "negative_data_rejection")


@pytest.fixture(scope="module")
def whole_gateway(tmp_path_factory: pytest.TempPathFactory, simulator: Running) -> Iterator[Running]:
    """A gateway with an account of each kind and an admin key."""
    folder = tmp_path_factory.mktemp("schemathesis")
    config = write_config(folder, simulator, "platform", "studio", tools={"web_search": "allowed"})
    with (
        mock.patch.dict(os.environ, {"MIMO_ADMIN_KEY": ADMIN_KEY, "MIMO_SECRET_KEY": "pepper"}),
        gateway_process(folder, config) as running,
    ):
        yield running


def asked(gateway: Running, folder: Path, key: str, *options: str, but_not: tuple[str, ...] = ()) -> str:
    """What schemathesis says at its end. The same requests each time."""
    words = [
        *("run", f"{gateway.base_url}/openapi.json", "-H", f"Authorization: Bearer {key}"),
        *("--generation-deterministic", "--no-shrink", "--max-examples", "3"),
        *("--phases", "coverage,fuzzing", "--suppress-health-check", "all", "--warnings", "off"),
        *("--exclude-checks", ",".join((*NOT_CHECKED, *but_not)), *options),
    ]
    done = subprocess.run(
        [COMMAND, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


def operations_asked(report: str) -> int:
    """How many operations were asked."""
    return next(int(line.split()[1]) for line in report.splitlines() if line.startswith("  Tested:"))


def test_public_routes_keep_to_the_document(whole_gateway: Running, tmp_path: Path) -> None:
    report = asked(whole_gateway, tmp_path, API_KEY, "--exclude-path-regex", "^/admin")
    assert operations_asked(report) > 40
    log = whole_gateway.log_file.read_text()
    assert '"event":"handler_failed"' not in log
    assert '"event":"request_ended"' in log


def test_admin_routes_keep_to_the_document(whole_gateway: Running, tmp_path: Path) -> None:
    """Wrong keys are not tried: five of them close the door for a minute. And an account may have the name of
    a route beside it, whose methods are then its own."""
    report = asked(
        whole_gateway,
        tmp_path,
        ADMIN_KEY,
        *("--include-path-regex", "^/admin", "--exclude-path-regex", "/playground/|/api/session$"),
        but_not=("ignored_auth", "allow_header_conformance"),
    )
    assert operations_asked(report) > 15
    assert '"event":"handler_failed"' not in whole_gateway.log_file.read_text()
