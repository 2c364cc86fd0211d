"""What a busy gateway would answer: for the pictures of the docs, whose own gateway has only just begun."""

from __future__ import annotations

import math
import time

NOW_S = time.time()
STEPS_S = {"hour": (60, 60), "day": (900, 96), "week": (7200, 84)}


def overview(period: str) -> dict:
    step_s, count = STEPS_S[period]
    last = int(NOW_S) // step_s * step_s
    points = [_point(last - (count - 1 - number) * step_s, number) for number in range(count)]
    names = ("requests", "errors", "input_tokens", "cached_tokens", "output_tokens", "cost_micro_usd")
    totals = {name: sum(point[name] for point in points) for name in names}
    return {
        "version": "0.1.0",
        "started_at": NOW_S - 433_000,
        "workers": 3,
        "degraded": [],
        "redis": {"is_up": True, "version": "7.4.1", "latency_ms": 0.4, "why": None},
        "accounts": {"ready": 3, "cooling": 1, "quarantined": 0, "disabled": 1},
        "streams_open": 7,
        "requests_open": 9,
        "batches": {"waiting": 120, "in_progress": 8, "dead": 0, "oldest_seconds": 74},
        "totals": {**totals, "reasoning_tokens": totals["output_tokens"] // 3},
        "step_seconds": step_s,
        "points": points,
    }


def _point(at_s: int, number: int) -> dict:
    wave = math.sin(number / 8) + 0.4 * math.sin(number * 1.7) + 0.2 * math.sin(number * 4.1)
    requests = round(44 + 22 * wave)
    return {
        "time": at_s,
        "requests": requests,
        "errors": max(0, round(3 * math.sin(number * 0.9) - 1.4)),
        "input_tokens": requests * 2100,
        "cached_tokens": requests * 1500,
        "output_tokens": requests * 640,
        "cost_micro_usd": requests * 830,
        "first_token_ms_p50": 420 + 90 * math.sin(number / 9) + 30 * math.sin(number * 2.3),
        "first_token_ms_p95": 980 + 260 * math.sin(number / 6) + 120 * math.sin(number * 1.9),
    }


def _account(name: str, **more: object) -> dict:
    plain = {
        "kind": "platform",
        "source": "admin",
        "base_url": "https://api.xiaomimimo.com",
        "plan": "pay-as-you-go",
        "region": None,
        "secret": "sk-…9f2c",
        "state": "ready",
        "reason": None,
        "until": None,
        "leases": 5,
        "max_concurrency": 16,
        "requests_per_minute": 100,
        "tokens_per_minute": 10_000_000,
        "weight": 1,
        "models": [],
        "success_rate": 0.998,
        "last_error": None,
        "session_expires_at": None,
        "is_enabled": True,
        "is_changed": False,
    }
    return {"name": name, **plain, **more}


_STUDIO = {
    "kind": "studio",
    "plan": None,
    "requests_per_minute": None,
    "tokens_per_minute": None,
    "max_concurrency": 8,
}


def accounts() -> dict:
    limited = {"time": NOW_S - 40, "what": "upstream_rate_limited"}
    plan = {"plan": "token-plan", "region": "sgp", "secret": "tp-…41ab"}
    return {
        "accounts": [
            _account("paid", source="config"),
            _account(
                "plan-sgp",
                **plan,
                leases=16,
                state="cooling",
                reason="rate_limited",
                until=NOW_S + 75,
                success_rate=0.942,
                last_error=limited,
            ),
            _account(
                "web-1",
                **_STUDIO,
                secret="…x7Qe",
                leases=2,
                success_rate=0.981,
                session_expires_at=NOW_S + 66_000,
            ),
            _account(
                "web-2",
                **_STUDIO,
                secret="…q0Zt",
                leases=0,
                state="quarantined",
                reason="session_expired",
                success_rate=None,
                last_error={"time": NOW_S - 7200, "what": "upstream_account"},
                session_expires_at=NOW_S - 300,
            ),
            _account(
                "spare",
                source="config",
                secret="sk-…77d0",
                leases=0,
                state="disabled",
                is_enabled=False,
                success_rate=None,
            ),
        ]
    }


def usage() -> dict:
    rows = []
    for back in range(6, -1, -1):
        day = time.strftime("%Y-%m-%d", time.gmtime(NOW_S - back * 86_400))
        for place, model in enumerate(("mimo-v2.6-pro", "mimo-v2.6-flash", "mimo-v2.6-pro-ultraspeed")):
            requests = round((900 - 310 * place) * (1 + 0.35 * math.sin(back * 1.3 + place)))
            cost = requests * (1900, 420, 3600)[place]
            rows.append(_row(day, model, requests, cost))
    totals = {name: sum(row[name] for row in rows) for name in rows[0] if name not in ("day", "model")}
    prices = {"dated": "2026-10-01", "source": "Xiaomi MiMo API pricing, pay as you go, US dollars"}
    return {
        "from": rows[0]["day"],
        "to": rows[-1]["day"],
        "rows": rows,
        "totals": totals,
        "price_table": prices,
    }


def _row(day: str, model: str, requests: int, cost: int) -> dict:
    return {
        "day": day,
        "model": model,
        "requests": requests,
        "input_tokens": requests * 3100,
        "cached_tokens": requests * 2200,
        "output_tokens": requests * 740,
        "reasoning_tokens": requests * 260,
        "cost_micro_usd": cost,
    }


def live() -> dict:
    def request(number: int, **more: object) -> dict:
        plain = {
            "key_name": "team-blue",
            "model": "mimo-v2.6-pro",
            "account": "paid",
            "dialect": "openai_chat",
            "route": "chat",
            "phase": "answering",
            "age_s": 12.4 * number,
            "output_tokens": 412 * number,
            "is_streaming": True,
            "worker": "gateway-6c9",
        }
        return {"request_id": f"req_0{number}f3ab92c1", **plain, **more}

    agent = {"dialect": "anthropic_messages", "key_name": "claude-code", "account": "web-1"}
    waiting = {"phase": "queued", "account": None, "output_tokens": 0, "model": "mimo-v2.6-flash"}
    return {"requests": [request(3, **agent), request(2), request(1, **waiting)]}
