"""The manifests: they build, they fit Kubernetes' own schemas, and what they refer to is there."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from service.config import Config
from service.config_loader import load
from service.config_references import References
from tests.k8s.tools import K8S, ROOT, run

Manifest = dict[str, Any]
SECRETS = "/run/secrets/mimo-gateway/"
# The kinds that operators bring; Kubernetes has no schema for them.
FOREIGN = {"ServiceMonitor", "PrometheusRule", "ScaledObject"}
# The version whose schemas are asked: the oldest that is still supported upstream.
SCHEMA = "1.33"

BASE = [
    document
    for path in sorted((K8S / "base").glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for document in yaml.safe_load_all(path.read_text())
]


@cache
def built(overlay: str) -> tuple[Manifest, ...]:
    """The resources of an overlay as `kubectl apply -k` would send them; `base` is read as it stands."""
    if overlay == "base":
        return tuple(BASE)
    return tuple(yaml.safe_load_all(run("kubectl", "kustomize", str(K8S / "overlays" / overlay))))


each_overlay = pytest.mark.parametrize("overlay", ["base", "dev", "production"])


def of_kind(overlay: str, kind: str) -> list[Manifest]:
    return [one for one in built(overlay) if one["kind"] == kind]


def pods(overlay: str) -> Iterator[tuple[str, Manifest]]:
    for one in of_kind(overlay, "Deployment"):
        yield one["metadata"]["name"], one["spec"]["template"]


def configs(overlay: str) -> bytes:
    if overlay == "base":
        return (K8S / "base" / "config.json").read_bytes()
    (found,) = [one for one in of_kind(overlay, "ConfigMap") if one["metadata"]["name"] == "mimo-gateway"]
    return found["data"]["config.json"].encode()


@pytest.mark.slow
@each_overlay
def test_every_manifest_fits_kubernetes_schemas(overlay: str) -> None:
    """Slow: the schemas are large."""
    try:
        validator = importlib.import_module("kubernetes_validate")
    except ImportError:
        pytest.skip("kubernetes-validate is not installed (pip install kubernetes-validate)")
    for manifest in built(overlay):
        if manifest["kind"] not in FOREIGN:
            validator.validate(manifest, SCHEMA, strict=True)


@each_overlay
def test_names_are_unique_and_namespaces_one(overlay: str) -> None:
    names = [(one["kind"], one["metadata"]["name"]) for one in built(overlay)]
    assert len(set(names)) == len(names)
    assert (
        len({one["metadata"].get("namespace") for one in built(overlay) if one["kind"] != "Namespace"}) == 1
    )


@each_overlay
def test_every_container_is_locked_down(overlay: str) -> None:
    for name, pod in pods(overlay):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["automountServiceAccountToken"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]
            assert {"livenessProbe", "readinessProbe"} <= container.keys()


@each_overlay
def test_gateway_runs_as_the_user_of_the_image(overlay: str) -> None:
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert user is not None
    for name, pod in pods(overlay):
        if name.startswith("mimo-gateway"):
            context = pod["spec"]["securityContext"]
            assert (context["runAsUser"], context["runAsGroup"]) == (int(user[1]), int(user[2]))


@each_overlay
def test_selectors_find_their_pods(overlay: str) -> None:
    for one in of_kind(overlay, "Deployment"):
        wanted = one["spec"]["selector"]["matchLabels"].items()
        labels = one["spec"]["template"]["metadata"]["labels"].items()
        assert wanted <= labels
        for spread in one["spec"]["template"]["spec"].get("topologySpreadConstraints", []):
            assert spread["labelSelector"]["matchLabels"].items() <= labels
    for kind, path in (
        ("Service", "selector"),
        ("PodDisruptionBudget", "selector"),
        ("NetworkPolicy", "podSelector"),
    ):
        for one in of_kind(overlay, kind):
            selector = one["spec"][path]
            wanted = selector.get("matchLabels", selector).items()
            found = [name for name, pod in pods(overlay) if wanted <= pod["metadata"]["labels"].items()]
            assert found, f"{kind} {one['metadata']['name']} selects nothing"
            assert kind == "NetworkPolicy" or one["metadata"]["name"].endswith("-ops") or len(found) == 1


@each_overlay
def test_every_port_that_is_named_exists(overlay: str) -> None:
    for name, pod in pods(overlay):
        for container in pod["spec"]["containers"]:
            ports = {port["name"] for port in container.get("ports", [])}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                for how in ("httpGet", "tcpSocket"):
                    if port := container.get(probe, {}).get(how, {}).get("port"):
                        assert port in ports, f"{name} {probe}"
    for service in of_kind(overlay, "Service"):
        wanted = service["spec"]["selector"].items()
        for _, pod in pods(overlay):
            if wanted <= pod["metadata"]["labels"].items():
                ports = {p["name"] for c in pod["spec"]["containers"] for p in c["ports"]}
                assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


@each_overlay
def test_ports_are_those_of_the_configuration(overlay: str, tmp_path: Path) -> None:
    listen = checked(overlay, tmp_path).listen
    for name, pod in pods(overlay):
        if not name.startswith("mimo-gateway"):
            continue
        ports = {p["name"]: p["containerPort"] for c in pod["spec"]["containers"] for p in c["ports"]}
        assert ports["ops"] == listen.ops_port
        assert ports.get("http", listen.port) == listen.port
        assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(listen.ops_port)


def checked(overlay: str, folder: Path) -> Config:
    """The ConfigMap's configuration, read by the program itself; each Secret's key is a file here."""
    text = configs(overlay)
    for number, name in enumerate(secret_keys(overlay)):
        (folder / name).write_text(f"sk-secret-{number}")
    return load(text.replace(SECRETS.encode(), f"{folder}/".encode()), resolve=References({}).resolve)


def secret_keys(overlay: str) -> list[str]:
    return re.findall(rf'"from_file": "{SECRETS}([\w-]+)"', configs(overlay).decode())


@each_overlay
def test_configuration_of_the_config_map_passes_check_config(overlay: str, tmp_path: Path) -> None:
    config = checked(overlay, tmp_path)
    assert config.api_keys
    assert config.mimo_accounts
    assert b"sk-" not in configs(overlay), "no secret stands in a ConfigMap"


@each_overlay
def test_grace_period_outlasts_the_drain(overlay: str, tmp_path: Path) -> None:
    timeouts = checked(overlay, tmp_path).timeouts
    (pod,) = [pod for name, pod in pods(overlay) if name == "mimo-gateway"]
    pre_stop_s = int(pod["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    needed_s = pre_stop_s + timeouts.propagation_s + timeouts.drain_s
    assert pod["spec"]["terminationGracePeriodSeconds"] >= needed_s + 10


def test_secrets_of_the_dev_overlay_hold_every_key_that_is_read() -> None:
    secrets = {one["metadata"]["name"]: one["data"] for one in of_kind("dev", "Secret")}
    assert set(secret_keys("dev")) <= set(secrets["mimo-gateway-credentials"])
    for _, pod in pods("dev"):
        for container in pod["spec"]["containers"]:
            for variable in container.get("env", []):
                reference = variable.get("valueFrom", {}).get("secretKeyRef", {"optional": True})
                if not reference.get("optional"):  # no admin key is everybody's: the page stays shut
                    assert reference["key"] in secrets[reference["name"]]


def test_secrets_of_production_are_told_in_the_docs_and_not_in_the_repository() -> None:
    assert not of_kind("production", "Secret")
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    for name in secret_keys("production"):
        assert f"--from-literal={name}=" in page


@each_overlay
def test_volumes_are_mounted_from_what_exists(overlay: str) -> None:
    maps = {one["metadata"]["name"] for one in of_kind(overlay, "ConfigMap")} | {"mimo-gateway"}
    for name, pod in pods(overlay):
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
        for container in pod["spec"]["containers"]:
            mounts = container.get("volumeMounts", [])
            assert {mount["name"] for mount in mounts} <= volumes.keys(), name
            assert not any("subPath" in mount for mount in mounts), "changes would not come in"
        for volume in volumes.values():
            assert volume.get("configMap", {"name": "mimo-gateway"})["name"] in maps


def test_autoscaler_owns_the_number_of_gateways() -> None:
    (scaler,) = of_kind("production", "HorizontalPodAutoscaler")
    target = scaler["spec"]["scaleTargetRef"]
    (deployment,) = [
        d for d in of_kind("production", "Deployment") if d["metadata"]["name"] == target["name"]
    ]
    assert "replicas" not in deployment["spec"]
    kinds = [metric["type"] for metric in scaler["spec"]["metrics"]]
    assert kinds == ["Resource", "Pods"]


def test_monitor_finds_the_ops_service_and_no_client_does() -> None:
    (monitor,) = of_kind("production", "ServiceMonitor")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    (service,) = [s for s in of_kind("production", "Service") if wanted <= s["metadata"]["labels"].items()]
    assert monitor["spec"]["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}
    (public,) = [s for s in of_kind("production", "Service") if s["metadata"]["name"] == "mimo-gateway"]
    assert [port["targetPort"] for port in public["spec"]["ports"]] == ["http"]


def test_ingress_neither_buffers_nor_gives_up_early(tmp_path: Path) -> None:
    (ingress,) = of_kind("production", "Ingress")
    prefix = "nginx.ingress.kubernetes.io/"
    notes = {name.removeprefix(prefix): value for name, value in ingress["metadata"]["annotations"].items()}
    config = checked("production", tmp_path)
    assert notes["proxy-buffering"] == notes["proxy-request-buffering"] == "off"
    assert int(notes["proxy-read-timeout"]) >= config.timeouts.total_s
    assert int(notes["proxy-body-size"].removesuffix("m")) << 20 >= config.limits.max_body_bytes
    backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    (service,) = [s for s in of_kind("production", "Service") if s["metadata"]["name"] == backend["name"]]
    assert backend["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}


def test_every_file_is_part_of_something() -> None:
    """A manifest that no kustomization names is never applied."""
    for folder in {path.parent for path in K8S.rglob("kustomization.yaml")}:
        listing = yaml.safe_load((folder / "kustomization.yaml").read_text())
        named = set(listing.get("resources", []))
        sources = {"rules.yaml", "rules_test.yaml", "panels.yaml", "kustomization.yaml"}
        assert {path.name for path in folder.glob("*.yaml")} - sources <= named, folder


def test_image_of_every_gateway_container_is_the_one_that_overlays_choose() -> None:
    for overlay in ("dev", "production"):
        images = {
            container["image"]
            for _, pod in pods(overlay)
            for container in pod["spec"]["containers"]
            if not container["image"].startswith("redis:")
        }
        assert len(images) == 1, images
        assert ":" in images.pop()


def test_dashboard_of_the_config_map_is_the_file() -> None:
    (found,) = [m for m in of_kind("production", "ConfigMap") if "dashboard.json" in m["data"]]
    assert orjson.loads(found["data"]["dashboard.json"])["uid"] == "mimo-gateway"
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
