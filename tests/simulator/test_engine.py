"""Scripted refusals and answers, over real HTTP and on every wire."""

import base64

import orjson
import pytest

from service.simulator import SimulatorOptions
from service.simulator.leaks import LEAKS

WIRES = ["chat", "messages", "studio"]


async def ask(call, wire, text, **more):
    return await getattr(call, wire)(text, **more)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 421, 429, 451, 461, 500, 503])
async def test_status(call, wire, status):
    reply = await ask(call, wire, f"[[sim: status={status} retry_after=2]]")
    assert reply.status == status
    assert reply.headers["Retry-After"] == "2"
    assert call.record.last.outcome == "refused"
    assert ("loginUrl" in reply.json) == (wire == "studio" and status == 401)
    assert call.record.last.usage is None


async def test_platform_429_has_the_body_of_the_field(call):
    reply = await call.chat("[[sim: status=429]]")
    assert reply.json == {"error": {"code": "429", "message": "Too many requests", "type": "limitation"}}
    assert "Retry-After" not in reply.headers


async def test_error_words_are_scripted(call):
    words = '[[sim: status=400 code=abc message="Upstream request failed" param="Connection refused" type=x]]'
    assert (await call.chat(words)).json["error"] == {
        "code": "abc",
        "message": "Upstream request failed",
        "param": "Connection refused",
        "type": "x",
    }
    reply = await call.studio('[[sim: status=500 code=77 message="no"]]')
    assert (reply.json["code"], reply.json["msg"]) == (77, "no")


@pytest.mark.parametrize("wire", ["chat", "messages"])
async def test_error_on_a_stream_has_the_data_prefix(call, wire):
    reply = await ask(call, wire, "[[sim: status=503]]", stream=True)
    assert reply.status == 503
    assert reply.body.startswith(b'data:{"error"')


async def test_error_on_a_stream_without_the_prefix_is_an_option(start):
    async with start(SimulatorOptions(data_prefix_on_stream_errors=False)) as call:
        assert (await call.chat("[[sim: status=503]]", stream=True)).json["error"]["code"] == "503"


@pytest.mark.parametrize("wire", WIRES)
async def test_json_inside_a_200(call, wire):
    reply = await ask(call, wire, "[[sim: json200 status=503]]")
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("application/json")
    assert ("code" in reply.json) or ("error" in reply.json)
    assert call.record.last.outcome == "faulted"


@pytest.mark.parametrize("wire", WIRES)
async def test_html_and_nothing(call, wire):
    html = await ask(call, wire, "[[sim: html]]")
    assert (html.status, html.headers["Content-Type"].split(";")[0]) == (200, "text/html")
    assert (await ask(call, wire, "[[sim: html status=502]]")).status == 502
    nothing = await ask(call, wire, "[[sim: empty_body]]")
    assert (nothing.status, nothing.body) == (200, b"")


@pytest.mark.parametrize("wire", WIRES)
async def test_unknown_word_is_refused_by_name(call, wire):
    reply = await ask(call, wire, "[[sim: statsu=429]]")
    assert reply.status == 400
    assert b"statsu" in reply.body


@pytest.mark.parametrize("words", ["tool_leak=none_such", "garbage=none_such", "status=x"])
async def test_unknown_value_is_refused_by_name(call, words):
    reply = await call.chat(f"[[sim: {words}]]")
    assert reply.status == 400
    assert words.partition("=")[2] in reply.json["error"]["param"]


# --- answers ------------------------------------------------------------------------------------------------


def said(wire, reply):
    if wire == "chat":
        return reply.json["choices"][0]["message"]["content"]
    if wire == "messages":
        return "".join(block.get("text", "") for block in reply.json["content"])
    return reply.text.removeprefix("getTimeInfo")


@pytest.mark.parametrize("wire", WIRES)
async def test_say_and_raw(call, wire):
    assert said(wire, await ask(call, wire, '[[sim: say="exactly ]] this\\n"]]')) == "exactly ]] this\n"
    raw = "<tool_call>\n<function=f>\n"
    encoded = base64.b64encode(raw.encode()).decode()
    assert said(wire, await ask(call, wire, f"[[sim: raw_base64={encoded}]]")) == raw
    assert said(wire, await ask(call, wire, '[[sim: say="ab" repeat=3]]')) == "ababab"
    assert said(wire, await ask(call, wire, "[[sim: tokens=5]]")) == "tok " * 5
    assert said(wire, await ask(call, wire, "[[sim: empty]]")) == ""


async def test_pieces_set_the_size_of_each_frame(call):
    chunks = (await call.chat('[[sim: say="abcdef" reasoning="xyz" pieces=2]]', stream=True)).chunks
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[1:-2]]
    assert [delta["reasoning_content"] for delta in deltas[:2]] == ["xy", "z"]
    assert [delta["content"] for delta in deltas[2:]] == ["ab", "cd", "ef"]


async def test_reasoning_is_scripted_even_with_thinking_off(call):
    off = {"type": "disabled"}
    message = (await call.chat("[[sim: reasoning_tokens=3]]", thinking=off)).json["choices"][0]["message"]
    assert message["reasoning_content"] == "hmm " * 3
    studio = await call.studio('[[sim: reasoning="so" say="yes"]]')
    assert studio.text == "getTimeInfo<think>\0so</think>\0yes"


@pytest.mark.parametrize("finish", ["length", "content_filter", "repetition_truncation"])
async def test_finish(call, finish):
    choice = (await call.chat(f"[[sim: finish={finish}]]")).json["choices"][0]
    assert choice["finish_reason"] == finish
    streamed = (await call.chat(f"[[sim: finish={finish}]]", stream=True)).chunks
    assert streamed[-2]["choices"][0]["finish_reason"] == finish


async def test_usage_may_be_missing_or_absurd(call):
    assert "usage" not in (await call.chat("[[sim: no_usage]]")).json
    assert all(chunk["choices"] for chunk in (await call.chat("[[sim: no_usage]]", stream=True)).chunks)
    assert "usage" not in (await call.messages("[[sim: no_usage]]")).json
    assert "usage" not in {event.event for event in (await call.studio("[[sim: no_usage]]")).events}
    absurd = (await call.chat("[[sim: usage=absurd]]")).json["usage"]
    assert absurd["prompt_tokens"] < 0
    assert absurd["completion_tokens"] > 10**9
    assert call.record.last.usage.output_tokens < 1000  # the record keeps the truth


async def test_tools_may_be_left_alone_named_or_multiplied(call, weather):
    other = {"type": "function", "function": {"name": "other", "parameters": {"type": "object"}}}

    async def names(text):
        message = (await call.chat(text, tools=[weather, other])).json["choices"][0]["message"]
        return [one["function"]["name"] for one in message["tool_calls"] or ()]

    assert await names("[[sim: no_tools]]") == []
    assert await names("Do it") == ["get_weather"]
    assert await names("Use other, please") == ["other"]
    assert await names("Do both") == ["get_weather", "other"]
    assert await names("[[sim: calls=3]]") == ["get_weather", "other", "get_weather"]
    assert await names('[[sim: call=undeclared args="{\\"a\\":1}"]]') == ["undeclared"]
    assert await names("[[sim: call=x calls=2]]") == ["x", "x"]


async def test_broken_arguments_are_sent_as_scripted(call):
    encoded = base64.b64encode(b'{"a": ').decode()
    message = (await call.chat(f"[[sim: call=f args_base64={encoded}]]")).json["choices"][0]["message"]
    assert message["tool_calls"][0]["function"]["arguments"] == '{"a": '


@pytest.mark.parametrize("leak", sorted(LEAKS))
async def test_every_leak_plays_on_every_wire(call, weather, leak):
    text = f"Weather in Rome? [[sim: tool_leak={leak}]]"
    tool = {"name": "get_weather", "input_schema": weather["function"]["parameters"]}
    chat = await call.chat(text, tools=[weather], stream=True)
    assert chat.events[-1].data == b"[DONE]"
    messages = await call.messages(text, tools=[tool])
    assert messages.status == 200
    assert (await call.studio(text)).events[-1].event == "finish"


async def test_leak_with_a_native_call_has_both(call, weather):
    choice = (await call.chat("In Rome [[sim: tool_leak=with_native]]", tools=[weather])).json["choices"][0]
    assert "<function=get_weather>" in choice["message"]["content"]
    assert orjson.loads(choice["message"]["tool_calls"][0]["function"]["arguments"])["city"] == "Rome"
    assert choice["finish_reason"] == "tool_calls"


async def test_leak_at_the_seam_ends_the_reasoning_with_the_bracket(call, weather):
    message = (await call.chat("[[sim: tool_leak=seam]]", tools=[weather])).json["choices"][0]["message"]
    assert message["reasoning_content"].endswith("<")
    assert message["content"].startswith("function=get_weather>")


async def test_scripts_stand_for_every_request(start):
    async with start(SimulatorOptions(studio_hold_s=0, script=("status=503 times=1",))) as call:
        assert [(await call.chat()).status for _ in range(2)] == [503, 200]
        call.sim.play("account=platform-2 status=401")
        assert (await call.chat()).status == 200
        assert (await call.chat(headers=call.key(1))).status == 401
        call.sim.reset()
        assert (await call.chat(headers=call.key(1))).status == 200


async def test_header_directs_too(call):
    assert (await call.chat(headers={"x-simulator": "status=500"})).status == 500
    assert (await call.chat(headers={"x-simulator": "statsu=500"})).status == 400


# --- moderation ---------------------------------------------------------------------------------------------


async def test_sensitive_on_each_wire(call):
    for stream in (False, True):
        assert (await call.chat("[[sim: sensitive]]", stream=stream)).status == 421
    names = [event.event for event in (await call.studio("[[sim: sensitive]]")).events]
    assert names == ["dialogId", "message", "sensitive_query", "finish"]
    names = [event.event for event in (await call.studio("[[sim: finish=content_filter]]")).events]
    assert "sensitive_query" in names


async def test_error_frame_inside_a_200(call):
    chat = await call.chat('[[sim: error_frame="it broke" error_after=3]]', stream=True)
    assert chat.status == 200
    assert len(chat.events) == 4
    assert orjson.loads(chat.events[-1].data)["error"]["message"] == "it broke"
    studio = await call.studio("[[sim: error_frame]]")
    assert [event.event for event in studio.events] == ["dialogId", "message", "error"]
    assert (await call.chat("[[sim: error_frame]]")).json["error"]["code"] == "500"
    await call.studio("[[sim: error_frame]]")
    assert call.record.last.outcome == "faulted"
    assert call.record.last.usage is None
