"""The Lua scripts of `store/lua`, read once, each with the number of keys its own header declares.

Header lines that count:
`-- KEYS: 1 mgw:… 2 mgw:…` the fixed keys, over as many lines as needed;
`-- KEYS each: 1 mgw:… 2 mgw:…` a group that follows them any number of times (one per account, say);
`-- USES: window` puts `lua/lib/window.lua` in front.
A call with another count of keys is refused before it is sent: Redis Cluster would route it wrongly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files

_LUA = files("service.store") / "lua"
_HEADER_LINE = re.compile(r"-- (KEYS each|[A-Z]+)\b:?(.*)")
_KEY = re.compile(r"(?<!\S)\d+ mgw:")


@dataclass(frozen=True, slots=True)
class Script:
    """One script. `digest` is what EVALSHA calls it by."""

    name: str
    source: str
    digest: str
    fixed_keys: int
    keys_in_group: int

    def check_keys(self, count: int) -> None:
        """Raises ValueError for a number of keys that the header does not allow."""
        more = count - self.fixed_keys
        fits = more == 0 if self.keys_in_group == 0 else more >= 0 and more % self.keys_in_group == 0
        if not fits:
            each = f" and {self.keys_in_group} for each" if self.keys_in_group else ""
            raise ValueError(f"{self.name}.lua takes {self.fixed_keys} keys{each}, got {count}")


@cache
def script(name: str) -> Script:
    """The script `lua/<name>.lua`."""
    body = (_LUA / f"{name}.lua").read_text(encoding="utf-8")
    sections = _sections(body)
    libraries = [
        (_LUA / "lib" / f"{used}.lua").read_text(encoding="utf-8") for used in sections["USES"].split()
    ]
    source = "\n".join([*libraries, body])
    return Script(
        name=name,
        source=source,
        digest=sha1(source.encode(), usedforsecurity=False).hexdigest(),
        fixed_keys=len(_KEY.findall(sections["KEYS"])),
        keys_in_group=len(_KEY.findall(sections["KEYS each"])),
    )


def _sections(body: str) -> dict[str, str]:
    """The header's sections: each from its own line to the next one's."""
    sections = {"KEYS": "", "KEYS each": "", "USES": ""}
    current = ""
    for line in body.split("\n"):
        if not line.startswith("--"):
            break
        if match := _HEADER_LINE.match(line):
            current = match[1]
            line = match[2]
        if current in sections:
            sections[current] += " " + line
    return sections
