"""The admin's use cases, as the web layer takes them."""

from __future__ import annotations

from dataclasses import dataclass

from service.gateway.admin_accounts import AdminAccounts
from service.gateway.admin_api_keys import AdminApiKeys
from service.gateway.admin_audit import Audit
from service.gateway.admin_gate import AdminGate
from service.gateway.admin_overview import AdminOverview
from service.gateway.fleet import Fleet


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """One process's. `playground_secret`: what the playground's key is derived from, the same on every
    worker."""

    playground_secret: str
    gate: AdminGate
    audit: Audit
    fleet: Fleet
    overview: AdminOverview
    accounts: AdminAccounts
    keys: AdminApiKeys
