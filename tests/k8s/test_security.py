"""A security linter's view of what the overlays bring to a cluster, and of the image."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.k8s.tools import K8S, ROOT, run

pytestmark = pytest.mark.slow


def findings(file: Path, *options: str) -> tuple[int, list[str]]:
    """How many checks passed, and those that failed. Slow: checkov takes seconds to start."""
    report = orjson.loads(run("checkov", "--file", str(file), *options, "--output", "json", "--soft-fail"))
    failed = [f"{one['check_id']} {one['resource']}" for one in report["results"]["failed_checks"]]
    return report["summary"]["passed"], failed


@pytest.mark.parametrize("overlay", ["dev", "production"])
def test_overlays_have_no_findings(overlay: str, tmp_path: Path) -> None:
    manifests = tmp_path / f"{overlay}.yaml"
    manifests.write_text(run("kubectl", "kustomize", str(K8S / "overlays" / overlay)))
    passed, failed = findings(manifests, "--config-file", str(K8S / "checkov.yaml"))
    assert failed == []
    assert passed > 100


def test_image_has_no_findings() -> None:
    passed, failed = findings(ROOT / "Dockerfile", "--framework", "dockerfile", "--skip-download")
    assert failed == []
    assert passed > 20


def test_linter_would_find_a_container_that_may_become_more(tmp_path: Path) -> None:
    manifests = tmp_path / "escalating.yaml"
    built = run("kubectl", "kustomize", str(K8S / "overlays" / "production"))
    manifests.write_text(built.replace("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true"))
    _, failed = findings(manifests, "--config-file", str(K8S / "checkov.yaml"))
    assert any(finding.startswith("CKV_K8S_20 ") for finding in failed)
