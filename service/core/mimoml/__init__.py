"""The MiMoML side: the streaming sieve, its grammar, argument coercion, and the prompt renderer."""

from __future__ import annotations

from service.core.mimoml.render import (
    defuse_urls,
    disarmed,
    render_calls,
    render_results,
    render_tools,
    restore_urls,
)
from service.core.mimoml.sieve import Sieve, SievePolicy

__all__ = [
    "Sieve",
    "SievePolicy",
    "defuse_urls",
    "disarmed",
    "render_calls",
    "render_results",
    "render_tools",
    "restore_urls",
]
