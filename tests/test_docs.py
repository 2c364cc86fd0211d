"""The pages say what the code says: settings, metrics, error statuses, routes, and links that lead on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from service.config import Account, ApiKey, Config, Secret
from service.config_loader import ConfigError, accounts, api_keys, load
from service.core.dialects.anthropic_messages import errors as anthropic_messages
from service.core.dialects.openai_chat import errors as openai_chat
from service.core.dialects.openai_responses import errors as openai_responses
from service.core.errors import Kind
from service.telemetry.log import FIELDS
from service.telemetry.metrics import Metrics
from service.web.routes import OPEN_PATHS, add_routes

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
DIALECTS = {
    "openai_chat": openai_chat.STATUS,
    "openai_responses": openai_responses.STATUS,
    "anthropic_messages": anthropic_messages.STATUS,
}


def section(page: str, heading: str) -> str:
    """The text under the heading (given with its signs), to the next heading of its level or above."""
    text = (DOCS / page).read_text()
    level = heading.index(" ")
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{level}}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/{page} has no heading {heading!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row that begins with code, without the code's marks."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def first_cells(text: str) -> list[str]:
    return [cells[0] for cells in rows(text)]


# --- configuration ------------------------------------------------------------------------------------------

SECTIONS: Mapping[str, Any] = {f.name: f.default for f in fields(Config) if is_dataclass(f.default)}


def default_of(f: Field[Any]) -> str:
    value = f.default_factory() if f.default_factory is not MISSING else f.default
    if isinstance(value, Secret):
        value = value.reveal()
    return orjson.dumps(value).decode()


@pytest.mark.parametrize("name", SECTIONS)
def test_every_setting_of_a_section_is_listed_with_its_default(name: str) -> None:
    told = {cells[0]: cells[2] for cells in rows(section("configuration.md", f"## `{name}`"))}
    assert told == {f.name: default_of(f) for f in fields(SECTIONS[name])}


def known_keys(mistake: ConfigError) -> list[str]:
    return str(mistake).rpartition("known: ")[2].split(", ")


def test_every_top_level_key_is_listed() -> None:
    with pytest.raises(ConfigError) as caught:
        load(b'{"x": 1}')
    assert sorted(first_cells(section("configuration.md", "## The file"))) == known_keys(caught.value)


def test_every_key_of_an_api_key_is_listed() -> None:
    with pytest.raises(ConfigError) as caught:
        api_keys([{"key": "a", "x": 1}])
    assert sorted(first_cells(section("configuration.md", "## `api_keys`"))) == known_keys(caught.value)
    assert {f.name for f in fields(ApiKey)} <= set(known_keys(caught.value))


def test_every_key_of_an_account_is_listed() -> None:
    known: set[str] = set()
    for own in ("api_key", "service_token"):
        with pytest.raises(ConfigError) as caught:
            accounts([{own: "a", "x": 1}])
        known.update(known_keys(caught.value))
    assert set(first_cells(section("configuration.md", "## `mimo_accounts`"))) == known
    assert {f.name for f in fields(Account)} - {"kind"} <= known


def test_every_environment_variable_is_listed() -> None:
    """Those that the command line and the loader read by name."""
    text = "".join((ROOT / "service" / name).read_text() for name in ("__main__.py", "config_loader.py"))
    read = set(re.findall(r'environ(?:\.get\(|\[)"([A-Z_]+)"', text))
    assert set(first_cells(section("configuration.md", "## Environment"))) == read


def test_the_pages_examples_load() -> None:
    examples = re.findall(r"```json\n(.*?)```", (DOCS / "configuration.md").read_text(), re.DOTALL)
    assert examples
    for example in examples:
        load(example.encode(), resolve=_without_references)


def _without_references(value: object) -> object:
    """References name files that are not here: any string does."""
    if isinstance(value, list):
        return [_without_references(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() in ({"from_file"}, {"from_env"}):
        return "x" + re.sub(r"\W", "", str(next(iter(value.values()))))
    return {name: _without_references(item) for name, item in value.items()}


# --- metrics and logs ---------------------------------------------------------------------------------------


def test_every_metric_is_listed_and_no_other() -> None:
    assert sorted(first_cells((DOCS / "metrics.md").read_text())) == sorted(Metrics().names())


def test_every_metrics_labels_are_told() -> None:
    told = {cells[0]: cells[2] for cells in rows((DOCS / "metrics.md").read_text())}
    metrics = Metrics()
    for family in _declared(metrics):
        name, names = family
        assert told[name] == (", ".join(names) or "–"), name


def _declared(metrics: Metrics) -> Iterator[tuple[str, tuple[str, ...]]]:
    suffixes = {"counter": "_total", "info": "_info"}
    for value in vars(metrics).values():
        metric = getattr(value, "metric", value)
        names = getattr(metric, "_labelnames", None)
        if names is not None:
            yield metric._name + suffixes.get(metric._type, ""), tuple(names)


def test_every_log_field_is_listed() -> None:
    told = {name for cell in first_cells(section("operations.md", "## Logs")) for name in cell.split("`, `")}
    assert told == FIELDS - {"timestamp"}, "that one becomes `ts`"


# --- dialects -----------------------------------------------------------------------------------------------


def test_every_error_has_its_status_in_each_dialect() -> None:
    told = {cells[0]: cells[1:4] for cells in rows(section("dialects.md", "## Errors"))}
    assert told == {str(kind): [str(status[kind]) for status in DIALECTS.values()] for kind in Kind}


def registered() -> set[str]:
    app = web.Application()
    add_routes(app)
    return {
        f"{route.method} {route.resource.canonical}"
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }


def is_admin(route: str) -> bool:
    return route.partition(" ")[2].startswith("/admin")


def test_every_route_is_listed_and_no_other() -> None:
    told = set(first_cells(section("dialects.md", "## Routes")))
    assert told == {route for route in registered() if not is_admin(route)}


def test_every_admin_route_is_listed_on_its_page() -> None:
    told = set(first_cells(section("admin.md", "## Routes")))
    assert told == {route for route in registered() if is_admin(route)}


def test_routes_without_a_key_are_told_as_such() -> None:
    open_rows = {cells[0] for cells in rows(section("dialects.md", "## Routes")) if "no key" in cells[1]}
    assert open_rows == {route for route in registered() if route.partition(" ")[2] in OPEN_PATHS}


# --- links and dates ----------------------------------------------------------------------------------------

PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "CHANGELOG.md", ROOT / "README.md"])


def targets(page: Path) -> Iterator[str]:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    return (found for found in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in found)


def anchors(page: Path) -> set[str]:
    """The headings as GitHub links to them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in targets(page):
        name, _, anchor = target.partition("#")
        path = (page.parent / name) if name else page
        assert path.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(path), f"{page.name}: {target}"


def test_decisions_are_numbered_without_a_gap_and_have_the_three_parts() -> None:
    pages = sorted((DOCS / "decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        headings = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)
        assert headings[:3] == ["Context", "Choice", "What it costs"], page.name


def test_every_decision_is_reachable_from_the_architecture() -> None:
    linked = {Path(target).name for target in targets(DOCS / "architecture.md")}
    assert {page.name for page in (DOCS / "decisions").glob("*.md")} <= linked
