"""compose.yaml and what it mounts: files that exist, settings that agree with one another."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.config_loader import load
from tests.k8s.tools import ROOT, run

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
NGINX = (ROOT / "deploy" / "nginx.conf").read_text()


def config():
    return load((ROOT / "deploy" / "config.json").read_bytes())


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def test_every_file_that_is_mounted_exists() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), source
            else:
                assert source in COMPOSE["volumes"]


def test_every_container_is_locked_down() -> None:
    for name, service in SERVICES.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_every_image_names_its_version() -> None:
    for service in SERVICES.values():
        name, _, version = service["image"].rpartition(":")
        assert name
        assert version != "latest"


def test_services_depend_on_services_that_are_there_and_say_when_they_are_well() -> None:
    for service in SERVICES.values():
        needed = service.get("depends_on", {})
        assert set(needed) <= SERVICES.keys()
        for name, how in needed.items() if isinstance(needed, dict) else ():
            has_check = "healthcheck" in SERVICES[name] or name.startswith("gateway")
            assert how["condition"] != "service_healthy" or has_check


def test_grace_period_outlasts_the_drain() -> None:
    timeouts = config().timeouts
    for name in ("gateway-1", "gateway-2"):
        assert seconds(SERVICES[name]["stop_grace_period"]) >= timeouts.propagation_s + timeouts.drain_s + 10


def test_every_host_of_the_configurations_is_a_service() -> None:
    prometheus = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())
    targets = prometheus["scrape_configs"][0]["static_configs"][0]["targets"]
    listen = config().listen
    assert targets == [f"gateway-{number}:{listen.ops_port}" for number in (1, 2)]
    assert re.findall(r"server (gateway-\d):(\d+)", NGINX) == [
        (f"gateway-{number}", str(listen.port)) for number in (1, 2)
    ]
    assert {account.base_url for account in config().mimo_accounts} == {"http://simulator:8090"}
    assert config().redis_url.reveal() == "redis://redis:6379/0"


def test_provisioned_data_source_and_dashboard_are_where_grafana_looks() -> None:
    folder = ROOT / "deploy" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((folder / "dashboards" / "mimo-gateway.yaml").read_text())["providers"]
    mounted = [volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]]
    assert f"{provider['options']['path']}/mimo-gateway.json" in mounted


def test_balancer_lets_through_what_the_gateway_takes_and_waits_longer_than_it() -> None:
    told = dict(
        re.findall(r"^\s+(proxy_\w+|client_max_body_size|keepalive_timeout) (\S+);$", NGINX, re.MULTILINE)
    )
    timeouts, limits = config().timeouts, config().limits
    assert told["proxy_buffering"] == told["proxy_request_buffering"] == "off"
    assert seconds(told["proxy_read_timeout"]) >= timeouts.total_s
    assert int(told["client_max_body_size"].removesuffix("m")) << 20 >= limits.max_body_bytes
    assert seconds(told["keepalive_timeout"]) < 75, "the gateway's own, in service/app.py"


@pytest.mark.slow
def test_prometheus_reads_its_configuration(tmp_path: Path) -> None:
    """Slow: a process."""
    text = (ROOT / "deploy" / "prometheus.yml").read_text()
    rules = ROOT / "k8s" / "observability" / "rules.yaml"
    path = tmp_path / "prometheus.yml"
    path.write_text(text.replace("/etc/prometheus/rules.yaml", str(rules)))
    assert "SUCCESS" in run("promtool", "check", "config", str(path))


def test_ports_of_the_machine_are_given_once_and_the_inner_ones_to_itself_alone() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert max(Counter(ports).values()) == 1
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == ["8080:8080"]
