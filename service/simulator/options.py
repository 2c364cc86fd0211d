"""What a simulator accepts and how strict it is: accounts, models, limits, switches. All of it data."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedModel:
    """A model id and what it takes. `purpose`: chat, tts or asr. `media`: kinds beside text that it reads."""

    id: str
    purpose: str = "chat"
    media: frozenset[str] = frozenset({"image", "audio", "video"})
    max_output_tokens: int = 131_072
    default_max_output_tokens: int = 131_072


CURRENT_MODELS = (
    SimulatedModel(id="mimo-v2.6-pro"),
    SimulatedModel(id="mimo-v2.6-flash"),
    SimulatedModel(id="mimo-v2.6-pro-ultraspeed"),
    SimulatedModel(id="mimo-v2.5-asr", purpose="asr", media=frozenset({"audio"})),
    SimulatedModel(id="mimo-v2.5-tts", purpose="tts", media=frozenset()),
    SimulatedModel(id="mimo-v2.5-tts-voiceclone", purpose="tts", media=frozenset()),
    SimulatedModel(id="mimo-v2.5-tts-voicedesign", purpose="tts", media=frozenset()),
)
# Shut off on 2026-10-21 (mimo-api.md, section 1.2). A test that needs a text-only model adds them back.
V25_MODELS = (
    SimulatedModel(id="mimo-v2.5-pro", media=frozenset()),
    SimulatedModel(id="mimo-v2.5", default_max_output_tokens=32_768),
)
RETIRED_MODELS = frozenset(
    {"mimo-v2-pro", "mimo-v2-omni", "mimo-v2-flash", "mimo-v2-tts", "mimo-v2.5-pro", "mimo-v2.5"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an account may do at once and per minute; None is no limit.

    A request over a limit gets 429. `retry_after_s` None sends no Retry-After, as the real platform does.
    """

    max_concurrency: int | None = None
    requests_per_minute: int | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformAccount:
    """One key of the official API. `models` None: it serves every model of the simulator."""

    name: str
    api_key: str
    limits: Limits = Limits()
    models: frozenset[str] | None = None
    has_web_search: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StudioSession:
    """One browser session of the web chat. `ph` is base64 and may hold `/`, `+` and `=`."""

    name: str
    service_token: str
    user_id: str
    ph: str
    limits: Limits = Limits()


DEMO_PLATFORM = (
    PlatformAccount(name="platform-1", api_key="sk-simulator-1"),
    PlatformAccount(name="platform-2", api_key="sk-simulator-2"),
)
DEMO_STUDIO = (
    StudioSession(
        name="studio-1",
        service_token="simulator-token-1",  # noqa: S106  # a demo value that opens nothing
        user_id="10001",
        ph="c2ltdWxhdG9yLTE/+w==",
    ),
    StudioSession(
        name="studio-2",
        service_token="simulator-token-2",  # noqa: S106  # a demo value that opens nothing
        user_id="10002",
        ph="c2ltdWxhdG9yLTI/+w==",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorOptions:
    """Everything that can be chosen at the start. The defaults are the demo's, and the strictest reading.

    `script` holds directives (docs/simulator.md) that every answering request obeys, before its own.
    """

    platform: tuple[PlatformAccount, ...] = DEMO_PLATFORM
    studio: tuple[StudioSession, ...] = DEMO_STUDIO
    models: tuple[SimulatedModel, ...] = CURRENT_MODELS
    script: tuple[str, ...] = ()
    # strictness of the platform, where the reference leaves it open
    accepts_x_api_key: bool = False
    accepts_empty_reasoning: bool = True
    accepts_max_tokens: bool = False
    accepts_media_in_tool_results: bool = False
    data_prefix_on_stream_errors: bool = True
    messages_input_includes_cached: bool = False
    # the studio
    studio_hold_s: float = 30.0  # how long the socket stays open after the finish frame
    studio_notice: str = "getTimeInfo"  # "" sends no tool notice
    studio_parse_polls: int = 2  # resource/parse answers with an id on this try
    tts_polls: int = 2  # generateStatus says success on this try
    studio_fetches_urls: bool = False  # a literal URL in the prompt keeps the model from calling tools
    lost_studio_conversations: str = (
        "refused"  # or "begun_anew", silently: what the real studio does is unknown
    )
    # form and bounds
    piece_characters: int = 8  # of text per event
    created_at_s: int = 1_790_000_000  # the `created` of every answer: the clock stays out of the bytes
    max_stall_s: float = 600.0
    max_body_bytes: int = 64 << 20
    max_records: int = 2_000
    max_record_bytes: int = 64 << 20
    models_by_id: dict[str, SimulatedModel] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "models_by_id", {model.id: model for model in self.models})
