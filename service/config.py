"""The configuration: frozen dataclasses. `service.config_loader` reads them from JSON and checks them.

Every field carries its unit in its name, and its range or form as metadata (`min`, `above`, `max` for
numbers; `form`, a key of `config_values.FORMS`, for strings and for the items of lists). A part of the
program receives its own small section, never the whole. Secrets are `Secret` values: they show themselves
only when asked by name, never in a repr, a log or an error. docs/configuration.md lists every key; a test
holds the two together."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from service.core.prices import UNCHANGED, Prices


class Secret:
    """A string that shows itself only when asked by name."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(other._value.encode(), self._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)


def key_digest(key: str) -> str:
    """SHA-256 of an API key as lower-case hex: the form `key_sha256` of the configuration holds.

    Any string has one: aiohttp hands bytes of a header that are no UTF-8 over as lone surrogates.
    """
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class AccountKind(StrEnum):
    """PLATFORM: the official API, by key. STUDIO: the web chat wire, by the user's own session."""

    PLATFORM = "platform"
    STUDIO = "studio"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key that clients show. Only its digest is kept. A limit of None is no limit; 0 refuses everything.

    `models` () means: every model that is offered.
    """

    name: str = field(metadata={"form": "label"})
    key_sha256: str
    requests_per_minute: int | None = field(default=None, metadata={"min": 0})
    tokens_per_minute: int | None = field(default=None, metadata={"min": 0})
    max_concurrency: int | None = field(default=None, metadata={"min": 0})
    budget_usd: float | None = field(default=None, metadata={"min": 0})
    models: tuple[str, ...] = field(default=(), metadata={"form": "model"})
    loop_guard: bool | None = None
    web_search: bool | None = None

    @property
    def key_id(self) -> str:
        """What logs and Redis keys call it: the first 16 hex digits of the digest."""
        return self.key_sha256[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """A key that was made while the gateway runs: kept in Redis, not in a file. `created_at_s`: Unix time.

    `shown` is what lists show of it: its prefix and its last four characters, "" where nobody kept them."""

    key: ApiKey
    created_at_s: int
    shown: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A credential of ours at an upstream. `base_url` is the host's root, without a trailing slash or /v1.

    Platform accounts have `api_key`; studio accounts have the three cookie values of the user's own
    session. `models` () means: whatever the upstream lists. `weight` 2 makes an account come round twice as
    often as 1. `login_time` is the operator's note of when the session began."""

    name: str = field(metadata={"form": "name"})
    kind: AccountKind
    base_url: str
    api_key: Secret | None = None
    service_token: Secret | None = None
    user_id: Secret | None = None
    xiaomichatbot_ph: Secret | None = None
    max_concurrency: int = field(default=8, metadata={"min": 1})
    requests_per_minute: int | None = field(default=None, metadata={"min": 1})
    tokens_per_minute: int | None = field(default=None, metadata={"min": 1})
    weight: int = field(default=1, metadata={"min": 1, "max": 16})
    models: tuple[str, ...] = field(default=(), metadata={"form": "model"})
    enabled: bool = True
    login_time: str = ""

    @property
    def credentials(self) -> tuple[str, ...]:
        """What must never be told to anybody but the upstream."""
        held = (self.api_key, self.service_token, self.xiaomichatbot_ph)
        return tuple(secret.reveal() for secret in held if secret is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAccount:
    """An account that an operator added while the gateway runs: kept in Redis, its secrets sealed.

    Times are Unix time; `secret_at_s` is when the credential was given. `is_readable` False: it was sealed
    under another MIMO_SECRET_KEY; the account then has no secret and is not enabled. `shown` is the masked
    credential, which is kept in the clear."""

    account: Account
    created_at_s: int
    secret_at_s: int
    shown: str
    is_readable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelved:
    """What Redis has of accounts: those that were added, and the settings laid over those of the file."""

    added: tuple[StoredAccount, ...] = ()
    changes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where the server listens. `ops_port` None: probes and /metrics on `port` only."""

    # A server in a container must be reachable from outside it.
    host: str = field(default="0.0.0.0", metadata={"form": "host"})  # noqa: S104
    port: int = field(default=8080, metadata={"min": 0, "max": 65535})
    ops_port: int | None = field(default=None, metadata={"min": 0, "max": 65535})


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds.

    `connect_s` is for the upstream's TCP and TLS handshakes. `first_byte_s` counts from the request's last
    byte to the answer's first, for streams; `idle_s` between two reads; `total_s` over the whole answer.
    `queue_s` is how long a request waits for a free account; after `keepalive_s` of silence the client is
    sent a comment or a ping; `propagation_s` is how long a process that was told to stop still accepts
    requests, so that balancers notice; `drain_s` is what open streams get after that; `body_s` is what a
    client has for sending its request; `media_s` is what the server behind a media URL has for sending it;
    `write_s` is what a client has for taking what is written to it before its connection is cut; `redis_s`
    is what a call to Redis may take before the request goes on without it.
    """

    connect_s: float = field(default=10.0, metadata={"above": 0})
    first_byte_s: float = field(default=180.0, metadata={"above": 0})
    idle_s: float = field(default=180.0, metadata={"above": 0})
    total_s: float = field(default=3600.0, metadata={"above": 0})
    queue_s: float = field(default=10.0, metadata={"min": 0})
    keepalive_s: float = field(default=15.0, metadata={"above": 0})
    propagation_s: float = field(default=5.0, metadata={"min": 0})
    drain_s: float = field(default=600.0, metadata={"min": 0})
    body_s: float = field(default=60.0, metadata={"above": 0})
    media_s: float = field(default=20.0, metadata={"above": 0})
    write_s: float = field(default=60.0, metadata={"above": 0})
    redis_s: float = field(default=0.25, metadata={"above": 0})


class ToolsMode(StrEnum):
    """AUTO offers declared tools in the prompt on studio accounts; OFF does not."""

    AUTO = "auto"
    OFF = "off"


class WebSearch(StrEnum):
    """Whether requests may have MiMo search the web."""

    OFF = "off"
    ALLOWED = "allowed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """`mode`: how tools are offered where the wire has no field for them. `web_search`: whether requests
    may have MiMo search the web, which is billed apart."""

    mode: ToolsMode = ToolsMode.AUTO
    web_search: WebSearch = WebSearch.OFF


class TextModels(StrEnum):
    """What becomes of media that the asked model does not read. REFUSE: a 400 that says which models do;
    STAND_IN: one of those answers."""

    REFUSE = "refuse"
    STAND_IN = "stand_in"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSettings:
    """`text_models`: what becomes of media for a model that does not read it."""

    text_models: TextModels = TextModels.REFUSE


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """How long Redis keeps what: 30 days of messages and responses, 7 of reasoning, 29 of batches.

    `deletes_studio_conversations`: what the gateway asked does not stay in the history of a studio's user.
    """

    messages_ttl_s: int = field(default=30 * 86400, metadata={"min": 60})
    responses_ttl_s: int = field(default=30 * 86400, metadata={"min": 60})
    reasoning_ttl_s: int = field(default=7 * 86400, metadata={"min": 60})
    batches_ttl_s: int = field(default=29 * 86400, metadata={"min": 60})
    deletes_studio_conversations: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """What is particular to studio accounts.

    `reuse_conversations`: an answered conversation stays at the studio for `reuse_ttl_s`, and a request that
    goes on from exactly it sends only what is new. `probe_interval_s`: how often the session of each account
    in use is looked at; 0: never.
    """

    reuse_conversations: bool = False
    reuse_ttl_s: int = field(default=3600, metadata={"min": 60})
    probe_interval_s: float = field(default=300.0, metadata={"min": 0})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what a client may send, and on the attempts made for one request. `max_media_bytes`: what
    the media URLs of one request may hold together."""

    max_body_bytes: int = field(default=16 << 20, metadata={"min": 1024})
    max_media_bytes: int = field(default=32 << 20, metadata={"min": 1024})
    max_attempts: int = field(default=3, metadata={"min": 1, "max": 10})


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """`cors_origins` lists the origins a browser may call from; () answers no preflight at all.

    `allow_private_media_hosts` names hosts whose media URLs are fetched although their addresses are private.
    `trusts_forwarded_proto`: a proxy of yours sets X-Forwarded-Proto, and clients cannot; URLs that answers
    hold then have its scheme. `sends_trace_context`: platform accounts are told of the request's trace
    (`traceparent`, `tracestate`). `studio_user_agent` is what studio accounts are called with: our own name,
    not a browser's.
    """

    cors_origins: tuple[str, ...] = field(default=(), metadata={"form": "origin"})
    allow_private_media_hosts: tuple[str, ...] = field(default=(), metadata={"form": "host"})
    trusts_forwarded_proto: bool = False
    sends_trace_context: bool = True
    studio_user_agent: str = field(
        default="mimo-gateway/0.1 (+studio wire, own session)", metadata={"form": "header"}
    )


class LogLevel(StrEnum):
    """The least severe lines that are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What is written to standard output. `opentelemetry_names`: its words for fields, where it has some."""

    level: LogLevel = LogLevel.INFO
    opentelemetry_names: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload:
    """A running gateway looks at its configuration's files every `watch_s` seconds; 0: only at SIGHUP."""

    watch_s: float = field(default=2.0, metadata={"min": 0})


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """How batches are run.

    `runs_in_serve` False leaves them to `mimo-gateway worker` processes. `max_in_flight` is how many items
    one process runs at once; `reserve_ratio` is the part of the accounts' slots that batches leave to live
    requests. An item that fails is tried `max_tries` times in all; one whose workers vanish `max_deaths`
    times is given up. A worker that was silent for `silent_s` has vanished. A batch may run for `open_s`, and
    hold `max_items` requests in `max_bytes`.
    """

    runs_in_serve: bool = True
    max_in_flight: int = field(default=8, metadata={"min": 1, "max": 1000})
    reserve_ratio: float = field(default=0.25, metadata={"min": 0, "max": 1})
    max_tries: int = field(default=5, metadata={"min": 1, "max": 100})
    max_deaths: int = field(default=5, metadata={"min": 1, "max": 100})
    silent_s: float = field(default=15.0, metadata={"min": 1})
    open_s: int = field(default=86400, metadata={"min": 60})
    max_items: int = field(default=100_000, metadata={"min": 1})
    max_bytes: int = field(default=256 << 20, metadata={"min": 1024})


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopGuard:
    """Ends an answer that repeats itself. Off unless asked for; a key or a request may say otherwise.

    `max_reasoning_tokens`: what a guarded answer may think, counted as four characters a token.
    """

    enabled: bool = False
    max_reasoning_tokens: int | None = field(default=None, metadata={"min": 1})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    """`shows_alone`: an answer that is thinking and nothing else is given out as text as well."""

    shows_alone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration. `is_demo`: no file was given; the simulator is the upstream. `secret_key` is
    the environment's MIMO_SECRET_KEY, never the file's; "" when there is none. `admin_key` is the digest of
    the key that opens the admin page, "" when there is none: then nothing of it is open.

    `models` () offers whatever the upstreams list. `model_aliases` come before the shipped ones; an empty
    target switches off what its pattern matches.
    """

    api_keys: tuple[ApiKey, ...]
    mimo_accounts: tuple[Account, ...]
    models: tuple[str, ...] = field(default=(), metadata={"form": "model"})
    model_aliases: Mapping[str, str] = field(default_factory=dict)
    redis_url: Secret = field(default=Secret("embedded"))
    listen: Listen = Listen()
    timeouts: Timeouts = Timeouts()
    tools: Tools = Tools()
    media: MediaSettings = MediaSettings()
    storage: Storage = Storage()
    studio: Studio = Studio()
    limits: Limits = Limits()
    security: Security = Security()
    log: Log = Log()
    reload: Reload = Reload()
    batches: Batches = Batches()
    loop_guard: LoopGuard = LoopGuard()
    reasoning: Reasoning = Reasoning()
    prices: Prices = UNCHANGED
    admin_key: Secret = field(default=Secret(""))
    is_demo: bool = False
    secret_key: Secret = field(default=Secret(""))
