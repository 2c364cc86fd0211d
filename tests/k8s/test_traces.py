"""The component that sends spans to a collector."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from service.telemetry.tracing import is_wanted
from tests.k8s.tools import K8S, run


@pytest.mark.slow
def test_every_gateway_process_sends_spans_and_is_let_out_to_the_collector(tmp_path: Path) -> None:
    """Slow: kustomize builds it."""
    folder = K8S / "overlays" / "production"
    listing = yaml.safe_load((folder / "kustomization.yaml").read_text())
    listing["components"] = [*listing.get("components", []), "../../components/traces"]
    built = list(yaml.safe_load_all(with_listing(tmp_path, folder, listing)))
    pods = [one for one in built if one["kind"] == "Deployment"]
    assert len(pods) == 2
    for deployment in pods:
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        environ = {pair["name"]: pair.get("value", "") for pair in container["env"]}
        assert is_wanted(environ), deployment["metadata"]["name"]
        port = int(environ["OTEL_EXPORTER_OTLP_ENDPOINT"].rpartition(":")[2])
    (policy,) = [
        one for one in built if one["kind"] == "NetworkPolicy" and one["metadata"]["name"] == "mimo-gateway"
    ]
    assert port in {rule["port"] for egress in policy["spec"]["egress"] for rule in egress["ports"]}


def with_listing(place: Path, folder: Path, listing: dict) -> str:
    """What kustomize makes of a copy of the tree whose overlay lists something more."""
    copy = place / "k8s"
    shutil.copytree(K8S, copy)
    overlay = copy / folder.relative_to(K8S)
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(listing))
    return run("kubectl", "kustomize", str(overlay))
