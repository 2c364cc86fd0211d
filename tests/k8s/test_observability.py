"""Dashboard and alerts: metrics that exist, rate() over counters, a runbook and a test for each alert."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson
import pytest
import yaml

from service.telemetry.metrics import Metrics
from tests.k8s.tools import OBSERVABILITY, ROOT, run

RULES = yaml.safe_load((OBSERVABILITY / "rules.yaml").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule]
PAGE = orjson.loads((OBSERVABILITY / "dashboard.json").read_bytes())
OTHERS = {
    *("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"),
    *("process_start_time_seconds", "python_gc_collections_total", "scrape_samples_scraped"),
}
WORDS = {
    *("sum", "max", "min", "count", "by", "on", "and", "or", "absent", "rate", "increase", "changes"),
    *("histogram_quantile", "predict_linear", "offset", "unless", "time"),
}


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", OBSERVABILITY / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def queries() -> list[tuple[str, str]]:
    return [
        (panel["title"], target["expr"]) for panel in PAGE["panels"] for target in panel.get("targets", [])
    ]


def expressions() -> list[tuple[str, str]]:
    rules = [rule for group in RULES["groups"] for rule in group["rules"]]
    return queries() + [(rule.get("alert") or rule["record"], rule["expr"]) for rule in rules]


def metrics_of(expression: str) -> set[str]:
    """The names in a query: words outside braces, brackets, quotes and `by (…)`."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]', " ", expression)
    bare = re.sub(r"\b(by|on)\s*\([^)]*\)", " ", bare)
    return set(re.findall(r"(?<![\w.])[a-zA-Z_][\w:]*", bare)) - WORDS


def known_names() -> dict[str, str]:
    """Every queryable name of ours, with its type."""
    found: dict[str, str] = {}
    for family in Metrics().registry.collect():
        suffixes = {"counter": ["_total"], "info": ["_info"], "histogram": ["_bucket", "_sum", "_count"]}
        for suffix in suffixes.get(family.type, [""]):
            found[family.name + suffix] = "counter" if suffix not in ("", "_info") else "gauge"
    return found


RECORDED = {rule["record"] for group in RULES["groups"] for rule in group["rules"] if "record" in rule}


@pytest.mark.parametrize(("title", "expression"), expressions())
def test_every_metric_of_a_query_exists(title: str, expression: str) -> None:
    names = metrics_of(expression)
    assert names
    assert names <= {*known_names(), *OTHERS, *RECORDED}


@pytest.mark.parametrize(("title", "expression"), expressions())
def test_no_query_reads_a_raw_counter(title: str, expression: str) -> None:
    counters = {name for name in metrics_of(expression) if known_names().get(name) == "counter"}
    for name in counters:
        for found in re.finditer(rf"\b{name}\b", expression):
            before = expression[: found.start()]
            assert re.search(r"(rate|increase)\($", before), f"{title}: {name}"
            after = expression[found.end() :]
            assert re.match(r"(\{[^}]*\})?\[", after), f"{title}: {name} has no window"


@pytest.mark.parametrize(("title", "expression"), expressions())
def test_gauges_that_every_pod_reports_are_never_summed_over_pods(title: str, expression: str) -> None:
    for name in ("mgw_account_state", "mgw_account_leases", "mgw_account_lease_limit"):
        for found in re.finditer(rf"\b{name}\b", expression):
            assert re.search(r"max by \([^)]*account[^)]*\) \($", expression[: found.start()]), title


def test_every_metric_that_a_dashboard_can_show_is_on_it() -> None:
    """What is missing on purpose stands here."""
    shown = set().union(*(metrics_of(expression) for _, expression in expressions()))
    shown |= {name.removesuffix(end) for name in shown for end in ("_bucket", "_sum", "_count")}
    assert set(Metrics().names()) - shown == set()


def test_made_files_are_in_step_with_their_sources() -> None:
    for path, content in generator().outputs().items():
        assert path.read_bytes() == content, f"run python k8s/observability/generate.py ({path.name})"


def test_panels_have_ids_and_places_of_their_own() -> None:
    panels = PAGE["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_variable_of_a_query_is_declared() -> None:
    declared = {one["name"] for one in PAGE["templating"]["list"]} | {"__rate_interval"}
    used = {name for _, expression in queries() for name in re.findall(r"\$(\w+)", expression)}
    assert used <= declared


def test_every_alert_has_its_runbook_and_no_runbook_is_left_over() -> None:
    headings = re.findall(r"^### (\w+)$", (ROOT / "docs" / "alerts.md").read_text(), re.MULTILINE)
    assert headings == [alert["alert"] for alert in sorted(ALERTS, key=lambda a: headings.index(a["alert"]))]
    assert len(headings) == len(ALERTS)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_has_a_severity_a_summary_and_a_case(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("page", "ticket")
    assert alert["annotations"]["summary"]
    told = re.search(rf"### {alert['alert']}\n\n(\w+)\.", (ROOT / "docs" / "alerts.md").read_text())
    assert told is not None
    assert told[1].lower() == alert["labels"]["severity"]
    assert f'alertname="{alert["alert"]}"' in (OBSERVABILITY / "rules_test.yaml").read_text()


@pytest.mark.slow
def test_rules_and_their_cases_pass_promtool() -> None:
    """Slow: one case runs over a day's samples."""
    run("promtool", "check", "rules", str(OBSERVABILITY / "rules.yaml"))
    run("promtool", "test", "rules", str(OBSERVABILITY / "rules_test.yaml"))


@pytest.mark.slow
def test_every_query_of_the_dashboard_is_promql(tmp_path: Path) -> None:
    """Slow: a process. Queries become rules, which promtool reads."""
    rules = [
        {"record": f"q{number}", "expr": expression.replace("$__rate_interval", "1m")}
        for number, (_, expression) in enumerate(queries())
    ]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    run("promtool", "check", "rules", str(path))
