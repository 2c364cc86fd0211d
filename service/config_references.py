"""Secrets kept outside the configuration file: `{"from_file": "/run/secrets/key"}` or `{"from_env": "NAME"}`.

Either may stand wherever the configuration has a string. So the file itself can lie in a ConfigMap or a
repository, and what is secret comes from a mounted Secret (which a running gateway notices when it changes)
or from the environment (which it cannot)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from service.config_values import ConfigError

FROM_FILE, FROM_ENV = "from_file", "from_env"
_MAX_BYTES = 64 << 10


class References:
    """Replaces references by what they name. `files` lists every file that the last `resolve` met."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.files: list[Path] = []

    def resolve(self, value: object) -> object:
        """The same JSON value without references. Raises ConfigError, naming where the reference stands."""
        self.files = [Path(name) for name in _file_names(value)]
        return self._resolved(value, "")

    def _resolved(self, value: object, path: str) -> object:
        if isinstance(value, list):
            return [self._resolved(item, f"{path}[{i}]") for i, item in enumerate(value)]
        if not isinstance(value, dict):
            return value
        if (name := _target(value, FROM_FILE)) is not None:
            return _content(Path(name), path)
        if (name := _target(value, FROM_ENV)) is not None:
            if name not in self._environ:
                raise ConfigError(f"{path}: the environment has no variable {name}")
            return self._environ[name].strip()
        return {key: self._resolved(item, f"{path}.{key}" if path else key) for key, item in value.items()}


def _target(value: Mapping[str, object], word: str) -> str | None:
    name = value.get(word)
    return name if len(value) == 1 and isinstance(name, str) else None


def _file_names(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _file_names(item)
    elif isinstance(value, dict):
        name = _target(value, FROM_FILE)
        if name is not None:
            yield name
        else:
            yield from _file_names(list(value.values()))


def _content(file: Path, path: str) -> str:
    """What the file holds, without the line end that editors and `echo` leave."""
    try:
        with file.open("rb") as opened:
            content = opened.read(_MAX_BYTES + 1)
        text = content.decode().strip()
    except OSError as error:
        raise ConfigError(f"{path}: {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: {file} is not UTF-8 text") from None
    if len(content) > _MAX_BYTES:
        raise ConfigError(f"{path}: {file} is longer than {_MAX_BYTES} bytes")
    return text
