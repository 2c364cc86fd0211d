"""What the handlers share: the use cases and small settings, under typed keys of the application and the
request."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiohttp import web

from service.config import ApiKey, Limits, Security, Timeouts
from service.gateway.admin import Admin
from service.gateway.background import Background
from service.gateway.background_responses import BackgroundResponses
from service.gateway.batches import Batches
from service.gateway.chat import Chat
from service.gateway.files import Files
from service.gateway.keyring import KeyRing
from service.gateway.models import Models
from service.gateway.ports import Clock, Ids, Objects, StoreHealth
from service.gateway.responses import Responses
from service.gateway.speech import Speech
from service.gateway.tokenizer import TokenCounter
from service.gateway.usage import UsageReports
from service.telemetry.metrics import Metrics
from service.telemetry.record import RequestRecord
from service.telemetry.tracing import Tracing
from service.web.drain import OpenRequests


@dataclass(slots=True, kw_only=True)
class Services:
    """Everything a handler may use. `is_draining` turns true when the process was told to stop,
    `was_ready` when Redis answered for the first time."""

    chat: Chat
    models: Models
    keyring: KeyRing
    store_health: StoreHealth
    objects: Objects
    responses: Responses
    background_responses: BackgroundResponses
    batches: Batches
    files: Files
    speech: Speech
    usage: UsageReports
    admin: Admin
    metrics: Metrics
    tracing: Tracing
    background: Background
    clock: Clock
    ids: Ids
    timeouts: Timeouts
    limits: Limits
    security: Security
    token_counter: TokenCounter = field(default_factory=TokenCounter)
    open_requests: OpenRequests = field(default_factory=OpenRequests)
    is_draining: bool = False
    was_ready: bool = False


SERVICES: web.AppKey[Services] = web.AppKey("services", Services)
RECORD: web.RequestKey[RequestRecord] = web.RequestKey("record", RequestRecord)
API_KEY: web.RequestKey[ApiKey] = web.RequestKey("api_key", ApiKey)
