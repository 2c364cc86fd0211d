"""How the process ends, and how it takes over a changed configuration file while it runs.

The end, in order: readiness says no; the port stays open for `timeouts.propagation_s`, since balancers look
only now and then; the port is closed; open requests run on for `timeouts.drain_s`; what is open then is
told so in its dialect's own words. Leases and admissions go back as each request ends."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import structlog

from service.app import Gateway
from service.config import Config
from service.config_values import ConfigError
from service.telemetry.metrics import Metrics

log = structlog.get_logger()

# For the last words of what the deadline ended: a client that does not read them is cut off.
_LAST_WORDS_S = 2.0
_LINGER_S = 2.0
_HASH_DIGITS = 12

# What a running process takes over; the rest of the configuration needs a new one.
RELOADED = frozenset({"api_keys", "mimo_accounts", "models", "model_aliases", "limits", "prices"})


async def drain(gateway: Gateway, *, propagation_s: float) -> None:
    """From the signal until nothing is open any more, or the deadline has ended it."""
    services, drain_s = gateway.services, gateway.config.timeouts.drain_s
    requests = services.open_requests
    services.is_draining = True
    services.metrics.draining.set(1)
    log.info("drain_began", streams=len(requests), waited_s=propagation_s)
    await asyncio.sleep(propagation_s)
    await gateway.listener.stop()
    # A balancer learns by the closed port; until it has, its idle connections may still bring requests.
    await asyncio.sleep(_LINGER_S if propagation_s else 0.0)
    await gateway.listener.close_idle()
    ended = 0
    is_done, _ = await asyncio.gather(
        requests.wait_empty(timeout_s=drain_s), services.background_responses.drain(timeout_s=drain_s)
    )
    if not is_done:
        ended = requests.end_all()
        await requests.wait_empty(timeout_s=_LAST_WORDS_S)
    log.info("drain_ended", streams=ended)


# --- reloading ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Source:
    """Where the configuration comes from. `files`: every file it was read from, to be watched."""

    read: Callable[[], Config]
    files: Callable[[], Iterable[Path]]


class Reloader:
    """Takes over the configuration when its files change, or when told to. A bad file changes nothing."""

    def __init__(
        self, source: Source, config: Config, apply: Callable[[Config], None], metrics: Metrics
    ) -> None:
        self._source = source
        self._config = config
        self._apply = apply
        self._metrics = metrics
        self._seen = self._loaded = _signature(source.files())
        self._tell_hash()

    def look(self) -> None:
        """For `background.repeat`. A change is taken over once the files have stood still for one interval:
        whoever writes them may be half way through."""
        now = _signature(self._source.files())
        is_steady = now == self._seen
        self._seen = now
        if is_steady and now != self._loaded:
            self.reload(reason="file")

    def reload(self, *, reason: str) -> bool:
        """Read the files now. False when they are no configuration: the old one stays."""
        self._loaded = self._seen = _signature(self._source.files())
        try:
            config = self._source.read()
        except ConfigError as error:
            self._metrics.config_reloads["refused",].inc()
            log.error("config_reloaded", outcome="refused", reason=reason, notes=[str(error)])
            return False
        changed = [f.name for f in fields(Config) if getattr(config, f.name) != getattr(self._config, f.name)]
        outcome = "applied" if changed else "unchanged"
        if changed:
            self._apply(config)
            self._config = config
        self._metrics.config_reloads[outcome,].inc()
        self._tell_hash()
        restart = [f"needs a restart: {name}" for name in changed if name not in RELOADED]
        taken = [f"taken over: {name}" for name in changed if name in RELOADED]
        log.info("config_reloaded", outcome=outcome, reason=reason, notes=taken + restart)
        return True

    def _tell_hash(self) -> None:
        digest = hashlib.sha256()
        for path in self._source.files():
            if path.is_file():
                digest.update(path.read_bytes())
        self._metrics.config_info.info({"sha256": digest.hexdigest()[:_HASH_DIGITS]})


def _signature(files: Iterable[Path]) -> tuple[tuple[str, int, int, int], ...]:
    """What changes when a file does, without reading it; a ConfigMap's symbolic link is followed."""
    found = []
    for path in files:
        try:
            stat = path.stat()
        except OSError:
            found.append((str(path), 0, 0, 0))
        else:
            found.append((str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)
