"""The pure core is covered whole, lines and branches, by its own tests. Run by `make test` after the suite.

python tests/core_coverage.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "COVERAGE_FILE": str(Path(folder) / "core")}
        measure = [sys.executable, "-m", "coverage", "run", "--branch", "--source=service/core", "-m"]
        tests = subprocess.run(
            [*measure, "pytest", "tests/core", "-p", "no:cacheprovider"], env=environ, check=False
        )
        if tests.returncode:
            return tests.returncode
        report = [
            sys.executable,
            "-m",
            "coverage",
            "report",
            "--skip-covered",
            "--show-missing",
            "--fail-under=100",
        ]
        return subprocess.run(report, env=environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
