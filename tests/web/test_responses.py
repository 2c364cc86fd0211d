"""`/v1/responses` over a real runner, on both upstream kinds: state, background runs, errors, headers."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

import orjson
import pytest

from service.config import ApiKey, key_digest
from service.core.response_events import StopWord
from service.gateway.running_response import RunPolicy
from tests.grammar.openai_responses import check_stream
from tests.web.rig import Rig, Start

URL = "/v1/responses"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def asked(text: object = "Hello", **more: object) -> dict[str, Any]:
    return {"model": "mimo-v2.6-pro", "input": text, **more}


async def post(rig: Rig, body: object, path: str = URL, *, status: int = 200) -> dict[str, Any]:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    async with rig.http.post(rig.url(path), data=data) as response:
        assert response.status == status, await response.text()
        return await response.json()


async def get(rig: Rig, path: str, *, status: int = 200) -> dict[str, Any]:
    async with rig.http.get(rig.url(path)) as response:
        assert response.status == status, await response.text()
        return await response.json()


async def stream(rig: Rig, body: dict[str, Any], path: str = URL) -> list[dict[str, Any]]:
    async with rig.http.post(rig.url(path), json=body) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/event-stream"
        return check_stream(await response.read())


def shape(response: dict[str, Any]) -> dict[str, Any]:
    """A response without what is another one each time."""
    items = [{**item, "id": "", "call_id": ""} for item in response["output"]]
    return {**response, "id": "", "created_at": 0, "usage": None, "output": items}


# --- one answer ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(asked("Why?"), id="text after thinking"),
        pytest.param(asked("Weather in Paris and Rome?", tools=[WEATHER]), id="two calls"),
        pytest.param(asked("Hello", reasoning={"effort": "none"}), id="without thinking"),
    ],
)
async def test_stream_ends_with_what_the_whole_answer_is(rig: Rig, body: dict[str, Any]) -> None:
    whole = await post(rig, body)
    events = await stream(rig, body | {"stream": True})
    assert shape(events[-1]["response"]) == shape(whole)
    assert whole["status"] == "completed"


async def test_stream_by_query_is_the_same_as_by_body(start: Start) -> None:
    async with start() as rig:
        events = await stream(rig, asked(), URL + "?stream=true")
        assert events[-1]["type"] == "response.completed"
        whole = await post(rig, asked(stream=False), URL + "?stream=true")
        assert whole["object"] == "response", "the body's word counts more than the query's"


async def test_tool_turn_goes_round(rig: Rig) -> None:
    first = await post(rig, asked("Weather in Paris?", tools=[WEATHER]))
    (call,) = [item for item in first["output"] if item["type"] == "function_call"]
    assert orjson.loads(call["arguments"]) == {"city": "Paris"}
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "21 degrees"}
    second = await post(rig, asked([result], tools=[WEATHER], previous_response_id=first["id"]))
    assert "21 degrees" in second["output"][-1]["content"][0]["text"]
    assert second["previous_response_id"] == first["id"]


async def test_reasoning_of_the_tool_turn_is_sent_back_to_the_platform(start: Start) -> None:
    async with start("platform") as rig:
        first = await post(rig, asked("Weather in Paris?", tools=[WEATHER]))
        call = first["output"][-1]
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "21 degrees"}
        await post(rig, asked([result], tools=[WEATHER], previous_response_id=first["id"]))
        (reasoning,) = [item for item in first["output"] if item["type"] == "reasoning"]
        (assistant,) = [m for m in rig.simulator.record.last.body["messages"] if m["role"] == "assistant"]
        assert assistant["reasoning_content"] == reasoning["summary"][0]["text"]


async def test_tool_sieve_false_leaves_markup_in_the_text(start: Start) -> None:
    async with start("platform") as rig:
        body = asked("Weather in Paris? [[sim: tool_leak=text_only]]", tools=[WEATHER])
        kinds = [item["type"] for item in (await post(rig, body))["output"]]
        assert "function_call" in kinds
        kinds = [item["type"] for item in (await post(rig, body | {"tool_sieve": False}))["output"]]
        assert "function_call" not in kinds


async def test_limit_makes_an_incomplete_response(start: Start) -> None:
    async with start("platform") as rig:
        body = asked("[[sim: finish=length]] Tell me a story", stream=True)
        events = await stream(rig, body)
        assert events[-1]["type"] == "response.incomplete"
        assert events[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


async def test_freeform_tool_comes_back_as_raw_text(rig: Rig) -> None:
    patch = "*** Begin Patch\n*** Add File: a.txt\n+one\n+\ttwo\n*** End Patch\n"
    arguments = base64.b64encode(orjson.dumps({"input": patch})).decode()
    tool = {"type": "custom", "name": "apply_patch", "description": "Applies a patch"}
    text = f'Go [[sim: call=apply_patch args_base64="{arguments}"]]'
    events = await stream(rig, asked(text, tools=[tool], stream=True))
    (call,) = [item for item in events[-1]["response"]["output"] if item["type"] == "custom_tool_call"]
    assert call["input"] == patch, "exact to the last newline"


async def test_namespaced_function_comes_back_under_its_bare_name(rig: Rig) -> None:
    group = {"type": "namespace", "name": "multi_agent_v1", "description": "Agents", "tools": [WEATHER]}
    body = asked("Weather in Paris?", tools=[group, {"type": "web_search"}, {"type": "tool_search"}])
    (call,) = [item for item in (await post(rig, body))["output"] if item["type"] == "function_call"]
    assert (call["name"], call["namespace"]) == ("get_weather", "multi_agent_v1")


# --- state --------------------------------------------------------------------------------------------------


async def test_response_is_kept_shown_and_deleted(rig: Rig) -> None:
    body = asked("Hello", stream=True, metadata={"a": "b"}, instructions="Be kind")
    final = (await stream(rig, body))[-1]["response"]
    path = f"{URL}/{final['id']}"
    assert await get(rig, path) == final
    items = await get(rig, path + "/input_items")
    assert [item["content"][0]["text"] for item in items["data"]] == ["Hello"]
    # As the SDKs send it: a JSON content type and no body at all.
    async with rig.http.delete(rig.url(path), headers={"Content-Type": "application/json"}) as response:
        assert await response.json() == {"id": final["id"], "object": "response", "deleted": True}
    error = (await get(rig, path, status=404))["error"]
    assert error["message"] == f"Response with id '{final['id']}' not found."
    assert (error["type"], error["param"]) == ("invalid_request_error", None)
    await get(rig, path + "/input_items", status=404)


async def test_chain_is_rebuilt_on_any_worker(start: Start, clean_redis: str) -> None:
    async with start() as one, start() as other:
        first = await post(one, asked("My name is Ada."))
        second = await post(other, asked("And my dog is Rex.", previous_response_id=first["id"]))
        await post(one, asked("Who are we?", previous_response_id=second["id"]))
        texts = [m["content"] for m in one.simulator.record.last.body["messages"] if m["role"] == "user"]
        assert texts == ["My name is Ada.", "And my dog is Rex.", "Who are we?"]


async def test_foreign_responses_are_unknown(start: Start) -> None:
    keys = tuple(ApiKey(name=name, key_sha256=key_digest(f"sk-{name}")) for name in ("mimo", "other"))
    async with start(api_keys=keys) as rig:
        first = await post(rig, asked())
        headers = {"Authorization": "Bearer sk-other"}
        async with rig.http.get(rig.url(f"{URL}/{first['id']}"), headers=headers) as response:
            assert response.status == 404
        body = asked("Go on", previous_response_id=first["id"])
        async with rig.http.post(rig.url(URL), json=body, headers=headers) as response:
            assert response.status == 400
            error = (await response.json())["error"]
        assert (error["code"], error["param"]) == ("previous_response_not_found", "previous_response_id")


async def test_store_false_keeps_nothing_and_seals_the_reasoning(start: Start) -> None:
    async with start("platform") as rig:
        more = {"tools": [WEATHER], "store": False, "include": ["reasoning.encrypted_content"]}
        first = await post(rig, asked("Weather in Paris?", **more))
        await get(rig, f"{URL}/{first['id']}", status=404)
        (reasoning,) = [item for item in first["output"] if item["type"] == "reasoning"]
        assert reasoning["encrypted_content"].startswith("mgw1.")
        call = first["output"][-1]
        blob_only = {"type": "reasoning", "id": reasoning["id"], "summary": []}
        history = [
            {"role": "user", "content": "Weather in Paris?"},
            blob_only | {"encrypted_content": reasoning["encrypted_content"]},
            call,
            {"type": "function_call_output", "call_id": call["call_id"], "output": "21 degrees"},
        ]
        await post(rig, asked(history, **more))
        (assistant,) = [m for m in rig.simulator.record.last.body["messages"] if m["role"] == "assistant"]
        assert assistant["reasoning_content"] == reasoning["summary"][0]["text"]


async def test_item_references_bring_the_reasoning_back(start: Start) -> None:
    """As the Vercel AI SDK sends a tool turn: references beside the whole call."""
    async with start("platform") as rig:
        first = await post(rig, asked("Weather in Paris?", tools=[WEATHER]))
        reasoning, call = first["output"][0], first["output"][-1]
        history = [
            {"role": "user", "content": [{"type": "input_text", "text": "Weather in Paris?"}]},
            {"type": "item_reference", "id": reasoning["id"]},
            call,
            {"type": "function_call_output", "call_id": call["call_id"], "output": "21 degrees"},
        ]
        await post(rig, asked(history, tools=[WEATHER]))
        (assistant,) = [m for m in rig.simulator.record.last.body["messages"] if m["role"] == "assistant"]
        assert assistant["reasoning_content"] == reasoning["summary"][0]["text"]


# --- in the background --------------------------------------------------------------------------------------

LONG = "[[sim: pace_ms=20]] Tell me a story"
STUCK = "[[sim: first_delay_ms=20000]] Tell me a story"


async def ended(rig: Rig, response_id: str, within_s: float = 30.0) -> dict[str, Any]:
    """The response once it no longer runs."""
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        found = await get(rig, f"{URL}/{response_id}")
        if found["status"] not in ("queued", "in_progress"):
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"still {found['status']}")


async def test_background_response_is_polled_to_its_end(rig: Rig) -> None:
    queued = await post(rig, asked("Hello", background=True))
    assert (queued["status"], queued["output"], queued["background"]) == ("queued", [], True)
    final = await ended(rig, queued["id"])
    assert final["status"] == "completed"
    assert "Hello" in final["output"][-1]["content"][0]["text"]
    assert final["usage"]["total_tokens"] > 0
    follow_up = await post(rig, asked("Go on", previous_response_id=queued["id"]))
    assert follow_up["status"] == "completed"


@pytest.mark.slow
async def test_stream_that_broke_is_resumed_on_another_worker(start: Start) -> None:
    """Slow: the answer takes half a second, so that the client can leave in the middle of it."""
    async with start() as one, start() as other:
        body = asked(LONG, background=True, stream=True)
        async with one.http.post(one.url(URL), json=body) as response:
            seen = b""
            async for piece in response.content.iter_any():
                seen += piece
                if b"output_text.delta" in seen:
                    break
        seen = seen[: seen.rindex(b"\n\n") + 2]
        numbers = [orjson.loads(frame.split(b"data: ")[1])["sequence_number"] for frame in frames(seen)]
        response_id = orjson.loads(frames(seen)[0].split(b"data: ")[1])["response"]["id"]
        path = f"{URL}/{response_id}?stream=true&starting_after={numbers[-1]}"
        async with other.http.get(other.url(path)) as response:
            rest = await response.read()
        events = check_stream(seen + rest)
        assert events[-1]["response"] == await get(one, f"{URL}/{response_id}")
        async with other.http.get(other.url(f"{URL}/{response_id}?stream=true")) as response:
            assert await response.read() == seen + rest, "the whole stream again, once it has ended"


def frames(raw: bytes) -> list[bytes]:
    return [frame for frame in raw.split(b"\n\n") if frame.startswith(b"event:")]


@pytest.mark.slow
async def test_any_worker_cancels(start: Start) -> None:
    """Slow: the runner looks for a cancel once a second."""
    async with start() as one, start() as other:
        running = await post(one, asked(STUCK, background=True))
        cancelled = await post(other, b"", f"{URL}/{running['id']}/cancel")
        assert cancelled["status"] == "cancelled"
        again = await post(one, b"", f"{URL}/{running['id']}/cancel")
        assert again == cancelled, "cancelling twice changes nothing"
        async with one.http.get(one.url(f"{URL}/{running['id']}?stream=true")) as response:
            assert b'"code":"response_cancelled"' in await response.read()
        assert await settled(one) == 0


async def settled(rig: Rig) -> int:
    for _ in range(50):
        if (count := await rig.leases()) == 0:
            return 0
        await asyncio.sleep(0.02)
    return count


async def test_own_worker_cancels_at_once(start: Start) -> None:
    async with start() as rig:
        running = await post(rig, asked(STUCK, background=True))
        cancelled = await post(rig, b"", f"{URL}/{running['id']}/cancel")
        assert cancelled["status"] == "cancelled"
        assert await settled(rig) == 0


async def test_response_that_was_deleted_while_it_ran_does_not_come_back(start: Start) -> None:
    async with start() as rig:
        running = await post(rig, asked(STUCK, background=True))
        async with rig.http.delete(rig.url(f"{URL}/{running['id']}")) as response:
            assert response.status == 200
        assert await settled(rig) == 0
        await get(rig, f"{URL}/{running['id']}", status=404)


async def test_response_whose_worker_died_reads_failed(start: Start) -> None:
    async with start() as rig:
        queued = await post(rig, asked(STUCK, background=True))
        runs = rig.gateway.services.background_responses
        runs._policy = RunPolicy(follow_wait_s=0.02)
        run = runs._running[queued["id"]]
        run.ended.set()  # its watch stops, as with its process
        await runs._events.end(run.key_id, queued["id"])
        found = await get(rig, f"{URL}/{queued['id']}")
        assert found["status"] == "failed"
        assert found["error"]["code"] == "server_error"
        async with rig.http.get(rig.url(f"{URL}/{queued['id']}?stream=true")) as response:
            events = check_stream(await response.read())
        assert events[-1]["type"] == "response.failed"
        run.stop(StopWord.CANCEL)


async def test_failure_in_the_background_is_a_failed_response(start: Start) -> None:
    async with start() as rig:
        queued = await post(rig, asked("[[sim: status=400]] Hello", background=True))
        final = await ended(rig, queued["id"])
        assert final["status"] == "failed"
        assert final["error"]["code"] == "invalid_prompt"


async def test_background_request_that_is_refused_gets_a_status(start: Start) -> None:
    async with start() as rig:
        error = (await post(rig, asked(background=True, model="gpt-99"), status=404))["error"]
        assert error["code"] == "model_not_found"
        error = (await post(rig, asked(background=True, store=False), status=400))["error"]
        assert error["param"] == "background"


async def test_only_background_responses_are_streamed_again_or_cancelled(start: Start) -> None:
    async with start() as rig:
        done = await post(rig, asked())
        error = (await post(rig, b"", f"{URL}/{done['id']}/cancel", status=400))["error"]
        assert error["message"].startswith("Cannot cancel a synchronous response")
        error = (await get(rig, f"{URL}/{done['id']}?stream=true", status=400))["error"]
        assert error["param"] == "stream"


@pytest.mark.slow
async def test_shutdown_waits_for_what_runs(start: Start) -> None:
    """Slow: the answer takes half a second, and the gateway ends in the middle of it."""
    async with start() as other:
        async with start() as one:
            queued = await post(one, asked(LONG, background=True))
        assert (await ended(other, queued["id"]))["status"] == "completed"


# --- errors and headers -------------------------------------------------------------------------------------

BAD_BODIES = [
    pytest.param(b'{"model": "mimo', None, id="malformed JSON"),
    pytest.param(b"", None, id="no body"),
    pytest.param({"input": "x"}, "model", id="no model"),
    pytest.param({"model": "mimo-v2.6-pro"}, "input", id="no input"),
    pytest.param(asked(5), "input", id="input is a number"),
    pytest.param(asked([{"role": "king", "content": "x"}]), "input[0].role", id="unknown role"),
    pytest.param(asked([{"type": "hologram"}]), "input[0].type", id="unknown item"),
    pytest.param(asked(max_output_tokens=0), "max_output_tokens", id="no tokens allowed"),
    pytest.param(asked(conversation="conv_1"), "conversation", id="a conversation of OpenAI's"),
]


@pytest.mark.parametrize(("body", "param"), BAD_BODIES)
async def test_bad_input_is_a_400_that_names_the_field(start: Start, body: object, param: str | None) -> None:
    async with start() as rig:
        error = (await post(rig, body, status=400))["error"]
        assert (error["type"], error["param"]) == ("invalid_request_error", param)
        assert set(error) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "order=odd", "after=msg_none", "limit=\u0665", "limit=-1"]
)
async def test_bad_query_is_a_400(start: Start, query: str) -> None:
    async with start() as rig:
        done = await post(rig, asked())
        error = (await get(rig, f"{URL}/{done['id']}/input_items?{query}", status=400))["error"]
        assert error["param"] in query


async def test_websocket_upgrade_is_told_to_come_by_post(start: Start) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "OpenAI-Beta": "responses_websockets=2026-02-06",
    }
    async with start() as rig:
        async with rig.http.get(rig.url(URL), headers=upgrade) as response:
            assert response.status == 426
            assert (await response.json())["error"]["code"] == "upgrade_required"
        async with rig.http.get(rig.url(URL)) as response:
            assert response.status == 405


async def test_answers_and_refusals_carry_the_dialect_s_headers(start: Start) -> None:
    key = ApiKey(name="k", key_sha256=key_digest("sk-mimo"), requests_per_minute=2, tokens_per_minute=90_000)
    async with start(api_keys=(key,)) as rig:
        body = asked(tools=[{"type": "mcp"}])
        async with rig.http.post(rig.url(URL), json=body, headers={"x-request-id": "mine"}) as response:
            assert response.headers["x-request-id"] == "mine"
            assert response.headers["x-ratelimit-limit-requests"] == "2"
            assert response.headers["x-ratelimit-remaining-requests"] == "1"
            assert response.headers["x-ratelimit-limit-tokens"] == "90000"
            assert "mcp is not available" in response.headers["x-mimo-gateway-notes"]
        async with rig.http.post(rig.url(URL), json=body | {"background": True}) as response:
            assert response.headers["x-ratelimit-remaining-requests"] == "0"
        async with rig.http.post(rig.url(URL), json=body) as response:
            assert response.status == 429
            assert int(response.headers["retry-after"]) >= 1
            assert (await response.json())["error"]["type"] == "rate_limit_error"
            assert "mcp is not available" in response.headers["x-mimo-gateway-notes"]


async def test_failure_after_the_first_byte_ends_as_failed_and_is_kept(rig: Rig) -> None:
    events = await stream(rig, asked("[[sim: cut_after=6]] Tell me a long story", stream=True))
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["error"]["code"] == "server_error"
    kept = await get(rig, f"{URL}/{events[-1]['response']['id']}")
    assert kept["status"] == "failed"


async def test_client_that_leaves_a_background_stream_does_not_end_the_run(start: Start) -> None:
    async with start() as rig:
        body = asked("[[sim: pace_ms=5]] Hello", background=True, stream=True)
        async with rig.http.post(rig.url(URL), json=body) as response:
            first = await response.content.readuntil(b"\n\n")
        response_id = orjson.loads(first.split(b"data: ")[1])["response"]["id"]
        assert (await ended(rig, response_id))["status"] == "completed"


async def test_run_policy_keeps_a_death_from_looking_like_progress() -> None:
    from service.store.response_events import HEARTBEAT_TTL_S

    assert RunPolicy().beat_s * 5 < HEARTBEAT_TTL_S


@pytest.mark.slow
async def test_redis_that_is_away_costs_the_copies_only(start: Start) -> None:
    """Slow: the store's breaker has to find out."""
    async with start() as rig:
        done = await post(rig, asked())
        store = rig.gateway.services.objects._store

        async def away(*_: object) -> object:
            from service.core.errors import StoreUnavailable

            raise StoreUnavailable("The gateway's store does not answer.", code="store_unavailable")

        command, store.command = store.command, away
        try:
            assert (await post(rig, asked()))["status"] == "completed"
            assert (await stream(rig, asked(stream=True)))[-1]["type"] == "response.completed"
            for body in (asked("Go on", previous_response_id=done["id"]), asked(background=True)):
                error = (await post(rig, body, status=503))["error"]
                assert error["code"] == "store_unavailable"
            await get(rig, f"{URL}/{done['id']}", status=503)
        finally:
            store.command = command


async def test_pings_fill_the_silence_of_a_followed_run(start: Start) -> None:
    from service.config import Timeouts

    async with start(timeouts=Timeouts(keepalive_s=0.05)) as rig:
        runs = rig.gateway.services.background_responses
        runs._policy = RunPolicy(follow_wait_s=0.02)
        body = asked("[[sim: first_delay_ms=200]] Hi", background=True, stream=True)
        async with rig.http.post(rig.url(URL), json=body) as response:
            raw = await response.read()
        assert b": ping\n\n" in raw
        check_stream(raw)


async def test_wrong_key_is_told_in_the_dialect_s_words(start: Start) -> None:
    wrong = {"Authorization": "Bearer x"}
    async with start() as rig, rig.http.post(rig.url(URL), json=asked(), headers=wrong) as response:
        assert response.status == 401
        assert (await response.json())["error"]["code"] == "invalid_api_key"
