"""`make agents`: real SDKs, frameworks and agent command lines, each on a task of two turns with a tool.

The gateway and the simulator run as processes, as in the tests; every case runs over each upstream kind. What
the model calls is scripted in the prompt (docs/simulator.md). Packages go to .agents/ in the checkout, once.
It prints a table and ends with 1 when a case failed. `python -m tests.clients.agents [name…]` runs some.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.clients.agents.cases import CASES, Case, Outcome
from tests.clients.agents.installed import NODE_MODULES, install
from tests.clients.processes import API_KEY, Running, gateway_process, started, write_config

KINDS = ("platform", "studio")
_TIMEOUT_S = 120


def main(names: list[str]) -> int:
    cases = [case for case in CASES if not names or any(name in case.name for name in names)]
    versions = install()
    outcomes: list[tuple[Case, str, Outcome]] = []
    with tempfile.TemporaryDirectory(prefix="mgw-agents-") as folder:
        root = Path(folder)
        with started(root, "simulator", "simulator", ready_path="/simulator/record") as simulator:
            for kind in KINDS:
                place = root / kind
                place.mkdir()
                with gateway_process(place, write_config(place, simulator, kind)) as gateway:
                    outcomes += [(case, kind, run(case, gateway, place / case.name)) for case in cases]
    tell(outcomes, versions)
    return 1 if any(not outcome.has_passed for _, _, outcome in outcomes) else 0


def run(case: Case, gateway: Running, folder: Path) -> Outcome:
    """One case, in a folder of its own, with nothing of the caller's own accounts in its environment."""
    folder.mkdir()
    command = case.prepare(folder, gateway.base_url)
    kept = ("PATH", "LANG", "NODE_EXTRA_CA_CERTS")
    environ = {name: os.environ[name] for name in kept if name in os.environ}
    environ |= {
        "HOME": str(folder),
        "NODE_PATH": str(NODE_MODULES),
        "GATEWAY_URL": gateway.base_url,
        "GATEWAY_KEY": API_KEY,
        **case.environ(folder, gateway.base_url),
    }
    began_s = time.monotonic()
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environ,
            capture_output=True,
            timeout=_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
        fault = case.fault(folder, done)
        said = (done.stdout + b"\n" + done.stderr).decode("utf-8", "replace")
    except subprocess.TimeoutExpired as error:
        fault = f"no end within {_TIMEOUT_S} s"
        said = ((error.stdout or b"") + b"\n" + (error.stderr or b"")).decode("utf-8", "replace")
    outcome = Outcome(fault=fault, took_s=time.monotonic() - began_s, said=said)
    print(f"{case.name:32} {'ok' if outcome.has_passed else fault}", flush=True)
    return outcome


def tell(outcomes: list[tuple[Case, str, Outcome]], versions: dict[str, str]) -> None:
    for case, kind, outcome in outcomes:
        if not outcome.has_passed:
            print(f"\n--- {case.name} over {kind}: {outcome.fault}\n{outcome.said[-3000:]}")
    print("\n| client | version | platform | studio |\n|---|---|---|---|")
    for case in dict.fromkeys(case for case, _, _ in outcomes):
        by_kind = {kind: outcome for one, kind, outcome in outcomes if one is case}
        cells = [
            f"pass, {by_kind[kind].took_s:.1f} s" if by_kind[kind].has_passed else "**fail**"
            for kind in KINDS
        ]
        print(f"| {case.title} | {versions.get(case.package, '?')} | {' | '.join(cells)} |")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
