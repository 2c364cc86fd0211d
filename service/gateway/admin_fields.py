"""What an operator sends to change something: known fields only, and mistakes in the API's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from service.config_values import ConfigError
from service.core.errors import InvalidRequest


def refuse_unknown(asked: Mapping[str, object], known: Sequence[str]) -> None:
    """Raises InvalidRequest that names the first field which is not known."""
    for name in asked:
        if name not in known:
            raise InvalidRequest(f"There is no such field; known: {', '.join(known)}.", param=name[:64])


def refused(error: ConfigError, names: Mapping[str, str] | None = None) -> InvalidRequest:
    """In the words of the configuration's reader, which repeat no value. `names`: what the API calls a field
    otherwise than the configuration."""
    path, _, words = str(error).partition(": ")
    field = path.rpartition(".")[2]
    field = (names or {}).get(field, field)
    return InvalidRequest(f"{field}: {words}", param=field)
