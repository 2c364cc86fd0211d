"""The scripts' headers are their contract with the loader."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from service.store.scripts import script

NAMES = sorted(path.name.removesuffix(".lua") for path in (files("service.store") / "lua").iterdir()
               if path.name.endswith(".lua"))  # fmt: skip


@pytest.mark.parametrize(
    ("name", "fixed", "in_group"),
    [
        ("acquire", 4, 3),
        ("release", 5, 0),
        ("abandon", 2, 3),
        ("admit", 3, 0),
        ("settle", 5, 0),
        ("renew", 1, 0),
        ("inspect", 0, 2),
        ("reset", 1, 0),
    ],
)
def test_headers_declare_the_keys(name: str, fixed: int, in_group: int):
    one = script(name)
    assert (one.fixed_keys, one.keys_in_group) == (fixed, in_group)


@pytest.mark.parametrize(("count", "is_allowed"), [(3, False), (4, True), (5, False), (7, True), (10, True)])
def test_groups_repeat(count: int, is_allowed: bool):
    if is_allowed:
        script("acquire").check_keys(count)
    else:
        with pytest.raises(ValueError, match=r"acquire\.lua takes 4 keys and 3 for each"):
            script("acquire").check_keys(count)


@pytest.mark.parametrize("name", NAMES)
def test_every_script_has_a_header_and_declares_its_keys(name: str):
    one = script(name)
    body = (files("service.store") / "lua" / f"{name}.lua").read_text()
    assert body.startswith(f"-- {name}: ")
    assert one.fixed_keys + one.keys_in_group > 0
    assert re.search(r"^-- .*Returns", body, re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_keys_of_one_script_share_one_tag(name: str):
    """Redis Cluster refuses a script whose keys lie in several slots."""
    body = (files("service.store") / "lua" / f"{name}.lua").read_text()
    header = body[: body.index("-- ARGV") if "-- ARGV" in body else body.index("-- Returns")]
    assert len(set(re.findall(r"\{[^}]+\}", header))) <= 1


def test_a_missing_script_is_an_error():
    with pytest.raises(FileNotFoundError):
        script("nothing")
