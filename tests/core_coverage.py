"""The pure core is covered whole, lines and branches, by its own tests. Run by `make test` after the suite.

The suite notes for every line which test ran it; here only what the tests of `tests/core` ran counts (and
what ran
at import, which is nobody's). No test runs a second time.

    python tests/core_coverage.py
"""

from __future__ import annotations

import subprocess
import sys

REPORT = [
    *("-m", "coverage", "report", "--include=service/core/*", "--contexts=^(tests/core/.*)?$"),
    *("--skip-covered", "--show-missing", "--fail-under=100"),
]


def main() -> int:
    return subprocess.run([sys.executable, *REPORT], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
