"""Where the driven packages live: `.agents/` of the checkout, which git ignores. Installed once by name."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import orjson

_HERE = Path(__file__).parent
_FOLDER = _HERE.parents[2] / ".agents"
_NODE = _FOLDER / "node"
_VENV = _FOLDER / "venv"
NODE_MODULES = _NODE / "node_modules"
PYTHON = _VENV / "bin" / "python"


def install() -> dict[str, str]:
    """Everything installed; the versions by package name."""
    _install_node()
    _install_python()
    return _node_versions() | _python_versions()


def _install_node() -> None:
    wanted = (_HERE / "package.json").read_bytes()
    if _is_done(_NODE, wanted):
        return
    _NODE.mkdir(parents=True, exist_ok=True)
    (_NODE / "package.json").write_bytes(wanted)
    subprocess.run(["npm", "install", "--no-audit", "--no-fund"], cwd=_NODE, check=True)
    (_NODE / ".installed").write_bytes(wanted)


def _install_python() -> None:
    wanted = (_HERE / "requirements.txt").read_bytes()
    if _is_done(_VENV, wanted):
        return
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", str(_VENV)], check=True)
    subprocess.run(
        [str(PYTHON), "-m", "pip", "install", "-q", "-r", str(_HERE / "requirements.txt")], check=True
    )
    (_VENV / ".installed").write_bytes(wanted)


def _is_done(folder: Path, wanted: bytes) -> bool:
    mark = folder / ".installed"
    return mark.exists() and mark.read_bytes() == wanted


def _node_versions() -> dict[str, str]:
    names = orjson.loads((_HERE / "package.json").read_bytes())["dependencies"]
    return {
        name: orjson.loads((NODE_MODULES / name / "package.json").read_bytes())["version"] for name in names
    }


def _python_versions() -> dict[str, str]:
    listed = subprocess.run(
        [str(PYTHON), "-m", "pip", "list", "--format", "json"], capture_output=True, check=True
    )
    return {f"py:{one['name']}": one["version"] for one in orjson.loads(listed.stdout)}


def program(name: str) -> str:
    """A command line that npm installed."""
    found = shutil.which(name, path=str(NODE_MODULES / ".bin"))
    assert found is not None, f"{name} is not installed"
    return found
