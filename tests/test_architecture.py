"""The shape of the code, as a program: imports point one way, the core is pure, every part has its tests."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SERVICE, CORE = ROOT / "service", ROOT / "service" / "core"

# What the core may import beside itself: values in, values out, no clock, no socket, no chance.
PURE = frozenset(
    {
        *("__future__", "base64", "binascii", "bisect", "collections", "dataclasses", "datetime", "enum"),
        *("fnmatch", "functools", "hashlib", "ipaddress", "itertools", "json_repair", "math", "operator"),
        *("orjson", "re", "string", "sys", "types", "typing", "unicodedata", "urllib.parse"),
    }
)
# Pure modules with impure corners. Of sys only the interpreter's constants and limits are read.
IMPURE_CALLS = frozenset(
    {
        "sys.exit",
        "sys.stdout.write",
        "sys.stderr.write",
        "datetime.now",
        "datetime.today",
        "datetime.utcnow",
        "date.today",
        "open",
        "print",
        "input",
    }
)

MAX_LINES = 400
# Longer modules, each with the reason why it is not two.
LONGER: dict[str, str] = {}


def modules(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*.py")) if path.name != "__init__.py"]


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{shown(path)}: a relative import hides where it leads"
            yield node.module or ""


@pytest.mark.slow
def test_imports_point_one_way() -> None:
    """Slow: a process of its own, since the linter sets up logging for all of it. The contracts stand in
    pyproject.toml."""
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    linted = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize("path", modules(CORE), ids=shown)
def test_the_core_imports_nothing_impure(path: Path) -> None:
    for name in imports(path):
        is_pure = name in PURE or name.partition(".")[0] in PURE - {"urllib.parse"}
        assert is_pure or name.startswith("service.core."), f"{shown(path)} imports {name}"


@pytest.mark.parametrize("path", modules(CORE), ids=shown)
def test_the_core_asks_no_clock_and_opens_nothing(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in IMPURE_CALLS, f"{shown(path)}:{node.lineno} calls {called}"


@pytest.mark.parametrize("path", modules(CORE), ids=shown)
def test_every_module_of_the_core_has_its_test_file_or_package(path: Path) -> None:
    relative = path.relative_to(CORE)
    own = ROOT / "tests" / "core" / relative.parent / f"test_{relative.name}"
    folder = own.parent
    has_package = relative.parent != Path() and folder.is_dir() and any(folder.glob("test_*.py"))
    assert own.is_file() or has_package, f"{shown(own)} is missing"


def test_long_modules_are_listed_with_a_reason() -> None:
    long = {shown(path) for path in modules(SERVICE) if len(path.read_text().splitlines()) > MAX_LINES}
    assert long <= LONGER.keys(), f"longer than {MAX_LINES} lines: {sorted(long - LONGER.keys())}"


def test_the_list_of_long_modules_names_modules() -> None:
    assert not [name for name in LONGER if not (ROOT / name).is_file()]
