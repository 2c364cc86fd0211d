"""What a newcomer does: start without a configuration, run what the start prints and the README shows."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.processes import Running, started

pytestmark = pytest.mark.slow  # a process is started, and its answers come at the speed of a model

README = Path(__file__).parents[2] / "README.md"
PRINTED = re.compile(r"^  (curl .*)$", re.MULTILINE)
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("demo")
    arguments = ("serve", "--host", "127.0.0.1", "--data-dir", str(folder / "data"))
    with started(folder, "demo", *arguments, ready_path="/readyz") as running:
        yield running


def test_start_says_what_it_is_and_how_to_try_it(demo: Running) -> None:
    text = demo.log_file.read_text()
    assert "sk-mimo" in text
    assert "simulator" in text
    assert len(PRINTED.findall(text)) == 3


def test_printed_commands_answer(demo: Running) -> None:
    answers = []
    for line in PRINTED.findall(demo.log_file.read_text()):
        done = subprocess.run(shlex.split(line), capture_output=True, timeout=60, check=True)
        answers.append(done.stdout.decode())
    assert '"mimo-v2.6-pro"' in answers[0]
    assert '"finish_reason":"stop"' in answers[1]
    assert answers[2].endswith("data: [DONE]\n\n")
    assert answers[2].count('"content":"') > 3, "it can be seen streaming"


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("turn", ["first", "second"])
def test_python_of_the_readme_runs_over_both_upstreams(demo: Running, number: int, turn: str) -> None:
    """Two accounts, one of each kind, take turns: run twice, each example meets both."""
    code = PYTHON.findall(README.read_text())[number].replace("http://localhost:8080", demo.base_url)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert b"simulated MiMo model" in done.stdout
