"""Write dashboard.json and prometheusrule.yaml. A test holds them in step."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import yaml

HERE = Path(__file__).parent
WIDTH, HEIGHT = 24, 8
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

# A variable that is "All" matches series without the label, too: there is no namespace outside Kubernetes.
NS = 'namespace=~"$namespace"'
SHORT: Mapping[str, str] = {
    "ns": NS,
    "requests": f'{NS}, route=~"$route", route!="ops", model=~"$model"',
    "genai": f'{NS}, gen_ai_operation_name=~"$route", gen_ai_request_model=~"$model"',
    "model": f'{NS}, gen_ai_request_model=~"$model"',
    "account": f'{NS}, account=~"$account"',
    "r": "$__rate_interval",
}
VARIABLES = {
    "namespace": "label_values(mgw_build_info, namespace)",
    "route": f'label_values(mgw_requests_total{{{NS}, route!="ops"}}, route)',
    "model": f"label_values(mgw_requests_total{{{NS}}}, model)",
    "account": f"label_values(mgw_account_state{{{NS}}}, account)",
}
OPTIONS: Mapping[str, Mapping[str, object]] = {
    "stat": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"},
    "state-timeline": {"mergeValues": True, "showValue": "never", "legend": {"displayMode": "list"}},
    "timeseries": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
}


def expression(text: str) -> str:
    """A query of panels.yaml in full."""
    return re.sub(r"%(\w+)", lambda found: SHORT[found[1]], text.strip())


def panel(one: Mapping[str, Any]) -> dict[str, object]:
    """One entry of panels.yaml as Grafana wants it, without its place."""
    kind, is_stacked = one.get("kind", "timeseries"), one.get("stacked", False)
    custom: dict[str, object] = {}
    if kind == "timeseries":
        custom = {
            "lineWidth": 1,
            "showPoints": "never",
            "fillOpacity": 20 if is_stacked else 5,
            "stacking": {"mode": "normal" if is_stacked else "none"},
        }
    return {
        "title": one["title"],
        "description": one.get("text", ""),
        "type": kind,
        "datasource": SOURCE,
        "fieldConfig": {
            "defaults": {"unit": one.get("unit", "short"), "min": 0, "custom": custom},
            "overrides": [],
        },
        "options": OPTIONS[kind],
        "targets": [
            {"refId": chr(65 + number), "expr": expression(query), "legendFormat": legend}
            for number, (legend, query) in enumerate(one["queries"].items())
        ],
    }


def placed(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
    """Every panel with its place: rows from top to bottom, panels from left to right."""
    panels: list[dict[str, object]] = []
    y = 0
    for row in rows:
        place = {"x": 0, "y": y, "w": WIDTH, "h": 1}
        panels.append(
            {"type": "row", "title": row["row"], "collapsed": False, "panels": [], "gridPos": place}
        )
        x, y = 0, y + 1
        for one in row["panels"]:
            width = one.get("width", 8)
            if x + width > WIDTH:
                x, y = 0, y + HEIGHT
            panels.append({**panel(one), "gridPos": {"x": x, "y": y, "w": width, "h": HEIGHT}})
            x += width
        y += HEIGHT
    return [{"id": number, **one} for number, one in enumerate(panels, 1)]


def variable(name: str, query: str) -> dict[str, object]:
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def dashboard(rows: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    source = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    return {
        "uid": "mimo-gateway",
        "title": "MiMo Gateway",
        "tags": ["mimo-gateway", "llm"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "templating": {"list": [source, *(variable(*one) for one in VARIABLES.items())]},
        "panels": placed(rows),
    }


def prometheusrule(rules: str) -> str:
    """rules.yaml as the Prometheus operator's resource."""
    body = rules[rules.index("groups:") :]
    head = (
        "# Made of rules.yaml by generate.py: change that one.\n"
        "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: mimo-gateway\n"
        "  labels:\n    app.kubernetes.io/name: mimo-gateway\n    release: prometheus\nspec:\n"
    )
    return head + "".join(f"  {line}" if line.strip() else line for line in body.splitlines(keepends=True))


def outputs() -> dict[Path, bytes]:
    """Every made file with its content."""
    rows = yaml.safe_load((HERE / "panels.yaml").read_text())
    page = orjson.dumps(dashboard(rows), option=orjson.OPT_INDENT_2) + b"\n"
    rule = prometheusrule((HERE / "rules.yaml").read_text())
    return {HERE / "dashboard.json": page, HERE / "prometheusrule.yaml": rule.encode()}


if __name__ == "__main__":
    for path, content in outputs().items():
        path.write_bytes(content)
