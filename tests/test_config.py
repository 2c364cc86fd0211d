"""The configuration: every mistake is told by its path and by what is allowed; no secret is ever told."""

from __future__ import annotations

import traceback
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.config import (
    Account,
    AccountKind,
    ApiKey,
    Batches,
    Config,
    Limits,
    Listen,
    Log,
    LogLevel,
    LoopGuard,
    MediaSettings,
    Reasoning,
    Reload,
    Secret,
    Security,
    Storage,
    Studio,
    TextModels,
    Timeouts,
    Tools,
    ToolsMode,
    key_digest,
)
from service.config_loader import (
    DEMO_API_KEY,
    REDIS_SCHEMES,
    ConfigError,
    accounts,
    api_keys,
    demo,
    load,
    overridden,
)
from service.config_values import FORMS
from service.core.prices import Price, Prices

ROOT = Path(__file__).parent.parent
PLATFORM = {"api_key": "sk-platform-1"}
STUDIO = {"service_token": "token-1", "user_id": "1001", "xiaomichatbot_ph": "cGg/+w=="}
MINIMAL: dict[str, Any] = {"api_keys": "sk-a", "mimo_accounts": [PLATFORM]}


def loaded(**changes: object) -> Config:
    return load(orjson.dumps(MINIMAL | changes))


def mistake(**changes: object) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(**changes)
    return str(caught.value)


def account(**entry: object) -> Account:
    return accounts([entry])[0]


# --- what loads ---------------------------------------------------------------------------------------------


def test_the_shipped_example_loads_unchanged() -> None:
    config = load((ROOT / "config.example.json").read_bytes())
    (one,) = config.mimo_accounts
    assert [key.key_sha256 for key in config.api_keys] == [key_digest("sk-mimo"), key_digest("sk-another")]
    assert (one.kind, one.enabled, one.login_time) == (AccountKind.STUDIO, True, "04-26 17:00")
    assert [
        secret.reveal() for secret in (one.service_token, one.user_id, one.xiaomichatbot_ph) if secret
    ] == [
        "eyJ...",
        "123456",
        "abc123...",
    ]
    assert config.models == ()


def test_two_keys_are_enough() -> None:
    config = loaded()
    assert config == Config(api_keys=config.api_keys, mimo_accounts=config.mimo_accounts)
    assert config.redis_url.reveal() == "embedded"
    assert not config.is_demo


def test_every_section_loads() -> None:
    config = loaded(
        models=["mimo-v2.6-pro"],
        model_aliases={"claude-*": "", "mine": "mimo-v2.6-pro"},
        redis_url="rediss://user:pass@redis:6379/1",
        listen={"host": "127.0.0.1", "port": 80, "ops_port": 9090},
        timeouts={f.name: 1 for f in fields(Timeouts)},
        tools={"mode": "OFF"},
        storage={f.name: 60 for f in fields(Storage) if f.name.endswith("_s")},
        limits={"max_body_bytes": 2048, "max_attempts": 1},
        security={"cors_origins": ["https://app.example:8443"], "studio_user_agent": "me/1"},
        log={"level": "debug"},
        reload={"watch_s": 0},
        batches={"max_in_flight": 2},
        loop_guard={"enabled": True},
        reasoning={"shows_alone": True},
        media={"text_models": "stand_in"},
        studio={"reuse_conversations": True, "reuse_ttl_s": 60, "probe_interval_s": 0},
        admin_key="0123456789abcdef",
        prices={
            "dated": "2026-11-01",
            "source": "our contract",
            "thousand_searches_usd": 4,
            "models": {
                "mimo-v2.6-pro": {"input_usd": 1, "cached_usd": 0.1, "output_usd": 2, "media_usd": None}
            },
        },
    )
    assert config.models == ("mimo-v2.6-pro",)
    assert config.model_aliases == {"claude-*": "", "mine": "mimo-v2.6-pro"}
    assert config.redis_url.reveal() == "rediss://user:pass@redis:6379/1"
    assert config.listen == Listen(host="127.0.0.1", port=80, ops_port=9090)
    assert config.timeouts == Timeouts(**{f.name: 1.0 for f in fields(Timeouts)})
    assert config.tools == Tools(mode=ToolsMode.OFF)
    ttls = {f.name: 60 for f in fields(Storage) if f.name.endswith("_s")}
    assert config.storage == Storage(**ttls)
    assert config.limits == Limits(max_body_bytes=2048, max_attempts=1)
    assert config.security == Security(cors_origins=("https://app.example:8443",), studio_user_agent="me/1")
    assert config.log == Log(level=LogLevel.DEBUG)
    assert config.reload == Reload(watch_s=0.0)
    assert config.batches == Batches(max_in_flight=2)
    assert config.loop_guard == LoopGuard(enabled=True)
    assert config.reasoning == Reasoning(shows_alone=True)
    assert config.media == MediaSettings(text_models=TextModels.STAND_IN)
    assert config.studio == Studio(reuse_conversations=True, reuse_ttl_s=60, probe_interval_s=0.0)
    assert config.admin_key.reveal() == key_digest("0123456789abcdef")
    assert config.prices == Prices(
        dated="2026-11-01",
        source="our contract",
        thousand_searches_usd=4.0,
        models={"mimo-v2.6-pro": Price(input_usd=1.0, cached_usd=0.1, output_usd=2.0, media_usd=None)},
    )


def test_every_section_has_a_test_above() -> None:
    known = mistake(x=1).rpartition("known: ")[2].split(", ")
    text = Path(__file__).read_text()
    assert all(f"        {name}=" in text for name in set(known) - {"api_keys", "mimo_accounts"})


def test_null_is_allowed_where_a_setting_may_be_absent() -> None:
    assert loaded(listen={"ops_port": None}).listen.ops_port is None


# --- mistakes name the path and what is allowed -------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "config: not valid JSON at line 1, column 1"),
        (b'{"api_keys": "a",\n "models": [}', "config: not valid JSON at line 2, column 13"),
        (b"[]", "config: must be an object, not a list"),
        (b"{}", "api_keys: missing"),
        (b'{"api_keys": "a"}', "mimo_accounts: missing"),
    ],
)
def test_what_is_no_configuration_at_all(body: bytes, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(body)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": []}, "model: unknown key; known: admin_key, api_keys, batches, limits, listen, log, "),
        ({"is_demo": True}, "is_demo: unknown key; known: "),
        (
            {"limits": {"max_body_byte": 1}},
            "limits.max_body_byte: unknown key; known: max_attempts, max_body_bytes",
        ),
        ({"limits": []}, "limits: must be an object, not a list"),
        ({"limits": {"max_body_bytes": "16M"}}, "limits.max_body_bytes: must be an integer, not a string"),
        ({"limits": {"max_attempts": True}}, "limits.max_attempts: must be an integer, not a boolean"),
        ({"limits": {"max_attempts": 1.5}}, "limits.max_attempts: must be an integer, not a number"),
        ({"limits": {"max_attempts": None}}, "limits.max_attempts: must be an integer, not null"),
        ({"limits": {"max_attempts": 0}}, "limits.max_attempts: must be at least 1"),
        ({"limits": {"max_attempts": 11}}, "limits.max_attempts: must be at most 10"),
        ({"timeouts": {"idle_s": 0}}, "timeouts.idle_s: must be above 0"),
        ({"timeouts": {"queue_s": -0.5}}, "timeouts.queue_s: must be at least 0"),
        ({"timeouts": {"idle_s": "5"}}, "timeouts.idle_s: must be a number, not a string"),
        ({"timeouts": {"idle_s": False}}, "timeouts.idle_s: must be a number, not a boolean"),
        ({"storage": {"batches_ttl_s": 59}}, "storage.batches_ttl_s: must be at least 60"),
        ({"listen": {"port": 65536}}, "listen.port: must be at most 65535"),
        ({"listen": {"host": ""}}, "listen.host: must be an address or a host name"),
        (
            {"listen": {"ops_port": 8080}},
            "listen.ops_port: must differ from listen.port; leave it out to use one port for both",
        ),
        ({"tools": {"mode": "on"}}, "tools.mode: must be one of auto, off"),
        ({"tools": {"mode": None}}, "tools.mode: must be one of auto, off"),
        ({"log": {"level": "loud"}}, "log.level: must be one of debug, info, warning, error"),
        ({"loop_guard": {"enabled": 1}}, "loop_guard.enabled: must be true or false, not an integer"),
        ({"batches": {"max_in_flight": 0}}, "batches.max_in_flight: must be at least 1"),
        ({"models": "mimo-v2.6-pro"}, "models: must be a list, not a string"),
        ({"models": ["a", 1]}, "models[1]: must be a string, not an integer"),
        ({"models": ["a", ""]}, "models[1]: must be 1 to 128 printable ASCII characters without blanks"),
        ({"model_aliases": []}, "model_aliases: must be an object, not a list"),
        ({"model_aliases": {"gpt-*": 1}}, "model_aliases.gpt-*: must be a string, not an integer"),
        (
            {"security": {"cors_origins": ["*"]}},
            "security.cors_origins[0]: must be an origin such as https://app.example, without a path",
        ),
        (
            {"security": {"cors_origins": ["https://app.example/"]}},
            "security.cors_origins[0]: must be an origin such as https://app.example, without a path",
        ),
        (
            {"security": {"studio_user_agent": "a\r\nb: c"}},
            "security.studio_user_agent: must be 1 to 256 printable ASCII characters",
        ),
        ({"redis_url": 1}, "redis_url: must be a string, not an integer"),
        ({"prices": {"dated": "1 May"}}, "prices.dated: must be a date such as 2026-10-01"),
        ({"prices": {"source": "a\nb"}}, "prices.source: must be at most 200 characters"),
        ({"prices": {"models": {"mimo": "dear"}}}, "prices.models.mimo: must be an object, not a string"),
        ({"prices": {"models": {"mimo": {"input_usd": 1}}}}, "prices.models.mimo.cached_usd: missing"),
        (
            {"prices": {"models": {"m": {"input_usd": -1, "cached_usd": 0, "output_usd": 0}}}},
            "prices.models.m.input_usd: must be at least 0",
        ),
        (
            {"redis_url": "localhost:6379"},
            f"redis_url: must be 'embedded' or a URL of one of the schemes {', '.join(REDIS_SCHEMES)}",
        ),
        ({"redis_url": "redis"}, "redis_url: must be 'embedded' or a URL of one of the schemes redis, "),
        ({"redis_url": "redis://"}, "redis_url: must be 'embedded' or a URL of one of the schemes redis, "),
    ],
)
def test_a_mistake_is_told_by_its_path(changes: dict[str, object], message: str) -> None:
    assert mistake(**changes).startswith(message)


def test_every_bound_and_form_is_enforced() -> None:
    """The metadata of the dataclasses is the specification; no field may carry a bound that nothing reads."""
    known = {"min", "above", "max", "form"}
    for section in (ApiKey, Account, *_sections()):
        for f in fields(section):
            assert set(f.metadata) <= known, f"{section.__name__}.{f.name}"
            assert f.metadata.get("form", "name") in FORMS


def _sections() -> list[type]:
    return [type(f.default) for f in fields(Config) if is_dataclass(f.default)]


@pytest.mark.parametrize("section", [f.name for f in fields(Config) if is_dataclass(f.default)])
def test_defaults_pass_their_own_rules(section: str) -> None:
    default = asdict(getattr(loaded(), section))
    assert asdict(getattr(loaded(**{section: default}), section)) == default


# --- API keys -----------------------------------------------------------------------------------------------


def test_keys_as_one_string() -> None:
    keys = api_keys(" sk-a , sk-b,, ")
    assert [(key.name, key.key_sha256) for key in keys] == [
        ("key-1", key_digest("sk-a")),
        ("key-2", key_digest("sk-b")),
    ]


def test_keys_as_objects_with_limits() -> None:
    limits = {"requests_per_minute": 0, "tokens_per_minute": 9, "max_concurrency": 2, "budget_usd": 1}
    digest = key_digest("sk-b").upper()
    first, second = api_keys([{"name": "Ann's laptop", "key": "sk-a", **limits}, {"key_sha256": digest}])
    assert first == ApiKey(
        name="Ann's laptop",
        key_sha256=key_digest("sk-a"),
        requests_per_minute=0,
        tokens_per_minute=9,
        max_concurrency=2,
        budget_usd=1.0,
    )
    assert (second.name, second.key_sha256, second.key_id) == ("key-2", digest.lower(), digest.lower()[:16])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "api_keys: must be a string of keys separated by commas, or a list, not null"),
        ("", "api_keys: must hold at least one key"),
        (" , ", "api_keys: must hold at least one key"),
        ([], "api_keys: must hold at least one key"),
        ("a,b,a", "api_keys[2]: the same key as api_keys[0]"),
        (["sk-a"], "api_keys[0]: must be an object, not a string"),
        ([{}], "api_keys[0]: must have exactly one of key and key_sha256"),
        ([{"key": "a", "key_sha256": "0" * 64}], "api_keys[0]: must have exactly one of key and key_sha256"),
        ([{"key": ""}], "api_keys[0].key: must not be empty"),
        ([{"key": 5}], "api_keys[0].key: must be a string, not an integer"),
        ([{"key_sha256": "abc"}], "api_keys[0].key_sha256: must be 64 hexadecimal digits"),
        ([{"key_sha256": None}], "api_keys[0].key_sha256: must be a string, not null"),
        ([{"key": "a", "rpm": 5}], "api_keys[0].rpm: unknown key; known: budget_usd, key, key_sha256, "),
        (
            [{"key": "a", "name": "x\n"}],
            "api_keys[0].name: must be 1 to 64 characters, no control characters",
        ),
        (
            [{"key": "a", "name": "a\u202eb"}],
            "api_keys[0].name: must be 1 to 64 characters, no control characters",
        ),
        ([{"key": "a", "budget_usd": -1}], "api_keys[0].budget_usd: must be at least 0"),
        ([{"key": "a", "max_concurrency": 1.5}], "api_keys[0].max_concurrency: must be an integer, not a"),
        ([{"key": "a", "models": [""]}], "api_keys[0].models[0]: must be 1 to 128 printable"),
        (
            [{"key": "a", "name": "x"}, {"key": "b", "name": "x"}],
            "api_keys[1]: the same name as api_keys[0]",
        ),
    ],
)
def test_mistakes_in_keys(value: object, message: str) -> None:
    assert mistake(api_keys=value).startswith(message)


def test_any_presented_text_has_a_digest() -> None:
    """Header bytes that are no UTF-8 reach us as lone surrogates: an unknown key, not a crash."""
    assert len(key_digest("\udcff")) == 64


# --- accounts -----------------------------------------------------------------------------------------------


def test_a_platform_account_has_defaults() -> None:
    assert account(api_key="sk-1") == Account(
        name="platform-1",
        kind=AccountKind.PLATFORM,
        base_url="https://api.xiaomimimo.com",
        api_key=Secret("sk-1"),
        max_concurrency=8,
    )


def test_a_studio_account_has_defaults() -> None:
    assert account(**STUDIO) == Account(
        name="studio-1",
        kind=AccountKind.STUDIO,
        base_url="https://aistudio.xiaomimimo.com",
        service_token=Secret("token-1"),
        user_id=Secret("1001"),
        xiaomichatbot_ph=Secret("cGg/+w=="),
        max_concurrency=2,
    )


def test_cookie_values_lose_the_quotes_that_browsers_show() -> None:
    token = account(**STUDIO | {"service_token": ' "abc" '}).service_token
    assert token == Secret("abc")


def test_unset_names_are_numbered_by_position() -> None:
    named = accounts([PLATFORM, STUDIO, {**PLATFORM, "name": "mine"}])
    assert [one.name for one in named] == ["platform-1", "studio-2", "mine"]


@pytest.mark.parametrize(
    ("entry", "base_url"),
    [
        pytest.param({"api_key": "sk-1"}, "https://api.xiaomimimo.com", id="pay as you go"),
        pytest.param({"api_key": "other"}, "https://api.xiaomimimo.com", id="any other key"),
        pytest.param({"api_key": "tp-1"}, "https://token-plan-cn.xiaomimimo.com", id="token plan: China"),
        pytest.param({"api_key": "ttp-1"}, "https://token-plan-cn.xiaomimimo.com", id="the other prefix"),
        pytest.param({"api_key": "tp-1", "region": "cn"}, "https://token-plan-cn.xiaomimimo.com", id="cn"),
        pytest.param({"api_key": "tp-1", "region": "sgp"}, "https://token-plan-sgp.xiaomimimo.com", id="sgp"),
        pytest.param({"api_key": "tp-1", "region": "ams"}, "https://token-plan-ams.xiaomimimo.com", id="ams"),
        pytest.param({"api_key": "tp-1", "base_url": "http://h:1"}, "http://h:1", id="base_url wins"),
        pytest.param({"api_key": "x", "base_url": "http://h/"}, "http://h", id="trailing slash"),
        pytest.param({"api_key": "x", "base_url": "http://h/v1"}, "http://h", id="/v1"),
        pytest.param({"api_key": "x", "base_url": "http://h/v1/"}, "http://h", id="/v1/"),
        pytest.param({"api_key": "x", "base_url": "http://h/anthropic"}, "http://h", id="/anthropic"),
        pytest.param({"api_key": "x", "base_url": "http://h/anthropic/v1"}, "http://h", id="both"),
        pytest.param({"api_key": "x", "base_url": "http://h/mimo/v1"}, "http://h/mimo", id="a path stays"),
        pytest.param({**STUDIO, "base_url": "http://[::1]:80/"}, "http://[::1]:80", id="studio, IPv6"),
    ],
)
def test_base_url(entry: dict[str, object], base_url: str) -> None:
    assert account(**entry).base_url == base_url


@pytest.mark.parametrize(
    ("entry", "is_enabled"),
    [
        (STUDIO, True),
        (STUDIO | {"is_valid": True}, True),
        (STUDIO | {"is_valid": False}, False),
        (STUDIO | {"is_valid": False, "enabled": True}, True),
        (PLATFORM | {"enabled": False}, False),
    ],
)
def test_enabled_follows_is_valid_unless_it_is_said(entry: dict[str, object], is_enabled: bool) -> None:
    assert account(**entry).enabled is is_enabled


URL_RULE = "must be an http or https URL without user name, query and fragment"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({}, ": must have exactly one of service_token (studio) and api_key (platform)"),
        (PLATFORM | STUDIO, ": must have exactly one of service_token (studio) and api_key (platform)"),
        (PLATFORM | {"user_id": "1"}, ".user_id: unknown key; known: api_key, base_url, enabled, "),
        (STUDIO | {"region": "cn"}, ".region: unknown key; known: base_url, enabled, "),
        ({"service_token": "a"}, ".user_id: missing"),
        ({"service_token": "a", "user_id": "1"}, ".xiaomichatbot_ph: missing"),
        (STUDIO | {"user_id": 1001}, ".user_id: must be a string, not an integer"),
        (STUDIO | {"service_token": '""'}, ".service_token: must not be empty"),
        (STUDIO | {"service_token": "a;b"}, ".service_token: must be one cookie's value, without quotes, "),
        (STUDIO | {"service_token": 'a"b'}, ".service_token: must be one cookie's value, without quotes, "),
        (STUDIO | {"is_valid": "yes"}, ".is_valid: must be true or false, not a string"),
        (STUDIO | {"last_test": 5}, ".last_test: must be a string, not an integer"),
        (STUDIO | {"login_time": 5}, ".login_time: must be a string, not an integer"),
        ({"api_key": ""}, ".api_key: must not be empty"),
        ({"api_key": "tp-1", "region": "us"}, ".region: must be one of cn, sgp, ams"),
        ({"api_key": "tp-1", "region": ["cn"]}, ".region: must be one of cn, sgp, ams"),
        ({"api_key": "sk-1", "region": "cn"}, ".region: only Token Plan keys (tp-, ttp-) have one"),
        (
            {"api_key": "tp-1", "region": "cn", "base_url": "http://h"},
            ".region: must not stand beside base_url, which names the host already",
        ),
        (PLATFORM | {"name": "a b"}, ".name: must be 1 to 64 letters, digits, dots, hyphens or underscores"),
        (PLATFORM | {"max_concurrency": 0}, ".max_concurrency: must be at least 1"),
        (PLATFORM | {"requests_per_minute": 0}, ".requests_per_minute: must be at least 1"),
        (PLATFORM | {"weight": 0}, ".weight: must be at least 1"),
        (PLATFORM | {"weight": 17}, ".weight: must be at most 16"),
        (PLATFORM | {"base_url": ""}, f".base_url: {URL_RULE}"),
        (PLATFORM | {"base_url": "api.example"}, f".base_url: {URL_RULE}"),
        (PLATFORM | {"base_url": "ftp://h"}, f".base_url: {URL_RULE}"),
        (PLATFORM | {"base_url": "http://"}, f".base_url: {URL_RULE}"),
        (PLATFORM | {"base_url": "http://["}, f".base_url: {URL_RULE}"),
        (PLATFORM | {"base_url": "http://h:99999"}, f".base_url: {URL_RULE}"),
        (PLATFORM | {"base_url": "http://me:pw@h"}, f".base_url: {URL_RULE}"),
        (PLATFORM | {"base_url": "http://h?x=1"}, f".base_url: {URL_RULE}"),
        (PLATFORM | {"base_url": "http://h\nx"}, f".base_url: {URL_RULE}"),
        (PLATFORM | {"base_url": 5}, ".base_url: must be a string, not an integer"),
    ],
)
def test_mistakes_in_accounts(entry: dict[str, object], message: str) -> None:
    assert mistake(mimo_accounts=[entry]).startswith(f"mimo_accounts[0]{message}")


def test_accounts_are_a_list_of_different_names() -> None:
    assert mistake(mimo_accounts={}) == "mimo_accounts: must be a list, not an object"
    assert mistake(mimo_accounts=["x"]) == "mimo_accounts[0]: must be an object, not a string"
    twice = [PLATFORM | {"name": "a"}, STUDIO | {"name": "a"}]
    assert mistake(mimo_accounts=twice) == "mimo_accounts[1]: the same name as mimo_accounts[0]"


# --- secrets ------------------------------------------------------------------------------------------------

CANARY = "canary1234567890"
UNSENDABLE = ["\r\nx: y", "\n", "\x00", "\x7f", " ", "ü"]


@pytest.mark.parametrize("bad", UNSENDABLE)
@pytest.mark.parametrize("name", ["api_key", "service_token", "user_id", "xiaomichatbot_ph"])
def test_a_secret_that_would_break_a_header_is_refused(name: str, bad: str) -> None:
    entry = (PLATFORM if name == "api_key" else STUDIO) | {name: f"{CANARY}{bad}{CANARY}"}
    message = mistake(mimo_accounts=[entry])
    assert message.startswith(f"mimo_accounts[0].{name}: must be printable ASCII without blanks")
    assert CANARY not in message


@pytest.mark.parametrize("bad", UNSENDABLE)
def test_an_api_key_that_no_client_could_send_is_refused(bad: str) -> None:
    message = mistake(api_keys=[{"key": f"{CANARY}{bad}{CANARY}"}])
    assert message == "api_keys[0].key: must be printable ASCII without blanks and control characters"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"api_keys": {f"sk-{CANARY}": {}}}, id="keys as an object"),
        pytest.param({"api_keys": [f"sk-{CANARY}"]}, id="keys as strings"),
        pytest.param({"api_keys": [{f"sk-{CANARY}": "name"}]}, id="the key as a key"),
        pytest.param({f"tp-{CANARY}": {}}, id="a section named by a credential"),
        pytest.param({"x" * 30 + CANARY: {}}, id="a very long key"),
        pytest.param({"model_aliases": {f"sk-{CANARY}": 1}}, id="an alias named by a credential"),
        pytest.param({"redis_url": f"http://user:{CANARY}@host"}, id="password of a wrong URL"),
        pytest.param({"mimo_accounts": [PLATFORM | {"base_url": f"http://u:{CANARY}@h"}]}, id="base_url"),
        pytest.param({"mimo_accounts": [{"api_key": f"sk-{CANARY} {CANARY}"}]}, id="pasted twice"),
        pytest.param({"mimo_accounts": [STUDIO | {"service_token": f"{CANARY};"}]}, id="a cookie header"),
        pytest.param({"log": {"level": CANARY}}, id="a value that was expected to be a word"),
    ],
)
def test_no_message_repeats_a_secret(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(orjson.dumps(MINIMAL | changes))
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_broken_json_is_not_quoted() -> None:
    """orjson's error carries the whole document: it must not hang on ours as its cause."""
    with pytest.raises(ConfigError) as caught:
        load(b'{"api_keys": "%b' % CANARY.encode())
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_no_secret_shows_in_a_repr() -> None:
    config = loaded(
        api_keys=f"sk-{CANARY}",
        redis_url=f"redis://:{CANARY}@h",
        mimo_accounts=[
            {"api_key": CANARY},
            {"service_token": CANARY, "user_id": CANARY, "xiaomichatbot_ph": CANARY},
        ],
    )
    secret = config.redis_url
    for shown in (
        repr(config),
        str(config),
        f"{secret}",
        f"{secret!r:>20}",
        str([secret]),
        repr([secret]),
    ):
        assert CANARY not in shown
    assert CANARY not in orjson.dumps(asdict(config), default=str).decode()


def test_secrets_compare_and_hash_by_value() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


# --- the demo and the environment ---------------------------------------------------------------------------


def test_the_demo_has_one_account_of_each_kind() -> None:
    config = demo("http://127.0.0.1:9")
    assert config.is_demo
    assert [one.kind for one in config.mimo_accounts] == [AccountKind.PLATFORM, AccountKind.STUDIO]
    assert {one.base_url for one in config.mimo_accounts} == {"http://127.0.0.1:9"}
    assert config.api_keys[0].key_sha256 == key_digest(DEMO_API_KEY)


@pytest.mark.parametrize(
    ("environ", "shown"),
    [
        ({}, (8080, "embedded", "info")),
        ({"PORT": "", "REDIS_URL": "", "LOG_LEVEL": ""}, (8080, "embedded", "info")),
        ({"PORT": "0"}, (0, "embedded", "info")),
        ({"PORT": " 9000\n"}, (9000, "embedded", "info")),
        ({"REDIS_URL": "redis://r"}, (8080, "redis://r", "info")),
        ({"LOG_LEVEL": "WARNING"}, (8080, "embedded", "warning")),
        ({"HOME": "/x"}, (8080, "embedded", "info")),
    ],
)
def test_the_environment_overrides(environ: dict[str, str], shown: tuple[int, str, str]) -> None:
    config = overridden(loaded(), environ)
    assert (config.listen.port, config.redis_url.reveal(), config.log.level) == shown


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"PORT": "http"}, "environment PORT: must be a number from 0 to 65535"),
        ({"PORT": "²"}, "environment PORT: must be a number from 0 to 65535"),
        ({"PORT": "9" * 5000}, "environment PORT: must be a number from 0 to 65535"),
        ({"PORT": "65536"}, "environment PORT: must be a number from 0 to 65535"),
        ({"REDIS_URL": f"x://:{CANARY}@h"}, "environment REDIS_URL: must be 'embedded' or a URL of one of"),
        ({"LOG_LEVEL": "loud"}, "environment LOG_LEVEL: must be one of debug, info, warning, error"),
    ],
)
def test_mistakes_in_the_environment(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        overridden(loaded(), environ)
    assert str(caught.value).startswith(message)
    assert CANARY not in str(caught.value)


def test_the_environments_port_must_not_be_the_ops_port() -> None:
    with pytest.raises(ConfigError, match=r"listen\.ops_port"):
        overridden(loaded(listen={"ops_port": 9090}), {"PORT": "9090"})


# --- the law: nothing but ConfigError -----------------------------------------------------------------------

_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
)
_names = st.sampled_from(
    sorted(
        {f.name for section in (Config, ApiKey, Account, *_sections()) for f in fields(section)}
        | {"key", "region", "is_valid", "last_test", "x"}
    )
)
_values = st.recursive(
    _scalars
    | st.sampled_from(["sk-a", "http://[", "http://h:0", "embedded", "redis://", "a,b", "off", "cn"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=5),
    max_leaves=12,
)


def is_refused_in_words(body: object) -> bool:
    """Whether loading ends in a ConfigError; any other exception is the test's failure."""
    try:
        load(orjson.dumps(body))
    except ConfigError as error:
        return bool(str(error))
    return False


@pytest.mark.slow
@given(st.dictionaries(_names, _values, max_size=6))
def test_any_json_loads_or_is_refused_in_words(obj: dict[str, object]) -> None:
    """Slow: a hundred random configurations, some of them large."""
    is_refused_in_words(MINIMAL | obj)
    assert is_refused_in_words(obj) or {"api_keys", "mimo_accounts"} <= obj.keys()


@pytest.mark.slow
@given(st.dictionaries(_names, _values, max_size=5))
def test_any_account_loads_or_is_refused_in_words(entry: dict[str, object]) -> None:
    """Slow: a hundred random configurations, some of them large."""
    for base in (PLATFORM, STUDIO):
        is_refused_in_words(MINIMAL | {"mimo_accounts": [base | entry]})


@given(st.binary(max_size=40))
def test_any_bytes_load_or_are_refused_in_words(body: bytes) -> None:
    with pytest.raises(ConfigError):
        load(body)
