"""The studio's stream, to the letter of mimo-api.md, sections 5.1 to 5.4."""

import orjson
import pytest

from service.simulator import SimulatorOptions

PROMPT = """<system>
# Tools

## get_weather

Parameters: {"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}

## How to call

As MiMoML.
</system>
<conversation>
<user>
Weather in Paris and Rome?
</user>
</conversation>
Write the assistant's next message, without any tag around it. """


async def test_frames_have_id_event_data_and_no_blank_after_the_colon(call):
    reply = await call.studio("Hi")
    assert reply.headers["Content-Type"] == "text/event-stream"
    for frame in reply.body.decode().removesuffix("\n\n").split("\n\n"):
        names = [line.partition(":")[0] for line in frame.split("\n")]
        assert names == ["id", "event", "data"]
        assert ": " not in [line[: line.index(":") + 2] for line in frame.split("\n")]


async def test_order_is_dialog_id_notice_text_usage_finish(call):
    events = (await call.studio("Good morning")).events
    assert events[0].event == "dialogId"
    assert orjson.loads(events[0].data)["content"].isdigit()
    assert orjson.loads(events[1].data) == {"type": "text", "content": "getTimeInfo"}
    assert events[-1].event == "finish"
    assert orjson.loads(events[-1].data)["content"] == "[DONE]"
    assert events[-2].event == "usage"


async def test_usage_is_pushed_several_times_and_grows(call):
    events = (await call.studio("A long text to quote. " * 20)).events
    counts = [orjson.loads(event.data) for event in events if event.event == "usage"]
    outputs = [count["completionTokens"] for count in counts]
    assert len(outputs) > 2
    assert outputs == sorted(outputs)
    assert counts[-1]["totalTokens"] == counts[-1]["promptTokens"] + outputs[-1]
    assert "reasoning_tokens" in counts[-1]["nativeUsage"]["completion_tokens_details"]


async def test_thinking_is_inline_with_nul_and_split_across_frames(call):
    reply = await call.studio("Hi [[sim: pieces=3]]", config={"enableThinking": True})
    text = reply.text.removeprefix("getTimeInfo")
    assert text.startswith("<think>\0")
    assert "</think>\0Hello" in text
    pieces = [orjson.loads(event.data)["content"] for event in reply.events if event.event == "message"]
    assert not any("</think>" in piece for piece in pieces)


async def test_tools_of_the_prompt_are_called_as_mimoml(call):
    text = (await call.studio(PROMPT)).text
    assert text.count('<|MiMoML|invoke name="get_weather">') == 2
    assert "<![CDATA[Paris]]>" in text
    assert "<![CDATA[Rome]]>" in text


@pytest.mark.parametrize("name", ["serviceToken", "xiaomichatbot_serviceToken"])
@pytest.mark.parametrize("quote", ["", '"'])
async def test_both_cookie_names_with_and_without_quotes(call, studio_form, name, quote):
    session = call.sim.options.studio[0]
    cookie = f"{name}={quote}{session.service_token}{quote}; userId={session.user_id}"
    reply = await call.post(
        "/open-apis/bot/chat", studio_form[0]("Hi"), {"Cookie": cookie}, {"xiaomichatbot_ph": session.ph}
    )
    assert reply.status == 200


async def test_wrong_session_is_401_with_a_login_url(call, studio_form):
    session = call.sim.options.studio[0]
    good = studio_form[1](session)
    ph = {"xiaomichatbot_ph": session.ph}
    for cookie, params in (
        ("", ph),
        (f"userId={session.user_id}; xiaomichatbot_ph={session.ph}", ph),
        (good.replace(session.user_id, "666"), ph),
        (good, {}),
        (good, {"xiaomichatbot_ph": "wrong"}),
    ):
        reply = await call.post("/open-apis/bot/chat", studio_form[0]("Hi"), {"Cookie": cookie}, params)
        assert reply.status == 401
        assert "sid=xiaomichatbot" in reply.json["loginUrl"]


@pytest.mark.parametrize(
    "changes",
    [
        {"msgId": "short"},
        {"conversationId": None},
        {"query": ""},
        {"config": {"enableThinking": "yes"}},
        {"config": {"webSearchStatus": "off"}},
        {"multiMedias": {}},
        {"multiMedias": [{"mediaType": "image", "fileUrl": "https://elsewhere/x.png"}]},
    ],
)
async def test_bad_body_is_400(call, changes):
    query = changes.pop("query", "Hi")
    assert (await call.studio(query, **changes)).status == 400


async def test_ultraspeed_lives_under_fastchat_and_nothing_else_does(call):
    fast = {"model": "mimo-v2.6-pro-ultraspeed-studio"}
    path = "/fastchat/open-apis/bot/chat"
    assert (await call.studio(path=path, config=fast)).events[-1].event == "finish"
    for reply in (await call.studio(config=fast), await call.studio(path=path)):
        assert reply.status == 200
        assert reply.json["code"] == 4005


async def test_retired_model_is_redirected_and_an_unknown_one_refused_inside_a_200(call):
    assert "(mimo-v2.6-pro)" in (await call.studio(config={"model": "mimo-v2-pro"})).text
    reply = await call.studio(config={"model": "gpt-5"})
    assert (reply.status, reply.json["code"]) == (200, 4004)


async def test_literal_url_keeps_the_model_from_its_tools_when_asked_to(start):
    async with start(SimulatorOptions(studio_hold_s=0, studio_fetches_urls=True)) as call:
        text = (await call.studio(PROMPT.replace("Paris", "https://example.com/paris"))).text
    assert "MiMoML" not in text
    assert "I opened https://example.com/paris" in text


async def test_search_frames_hold_arrays(call):
    events = (await call.studio("[[sim: search]]")).events
    searches = [orjson.loads(event.data) for event in events if event.event == "web_search"]
    assert [type(data) for data in searches] == [list, dict]


async def test_socket_stays_open_after_the_finish_frame(start):
    async with start(SimulatorOptions(studio_hold_s=5)) as call:
        session = call.sim.options.studio[0]
        entry = await _read_to_finish_and_close(call, session)
        await call.record.wait_idle()
    assert entry.outcome == "answered"
    assert entry.client_closed
    assert entry.usage is not None


async def _read_to_finish_and_close(call, session):
    url = f"{call.sim.base_url}/open-apis/bot/chat"
    body = {
        "msgId": "0" * 32,
        "conversationId": "1" * 32,
        "query": "Hi",
        "modelConfig": {"model": "mimo-v2.6-pro", "enableThinking": False, "webSearchStatus": "auto"},
    }
    cookies = f"serviceToken={session.service_token}; userId={session.user_id}"
    params = {"xiaomichatbot_ph": session.ph}
    async with call.session.post(url, json=body, headers={"Cookie": cookies}, params=params) as response:
        async for line in response.content:
            if line.startswith(b"event:finish"):
                break
        assert call.record.account(session.name).in_flight == 0  # held, but no longer busy
        response.close()
    return call.record.last


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("think_close=corrupt", "<think>\0so</thinkgt;>\0yes"),
        ("think_close=none", "<think>\0soyes"),
        ("", "<think>\0so</think>\0yes"),
    ],
)
async def test_thinking_may_close_badly(call, words, text):
    assert (await call.studio(f'[[sim: reasoning="so" say="yes" notice="" {words}]]')).text == text


async def test_tips_and_bare_done(call):
    events = (await call.studio("[[sim: tips bare_done]]")).events
    assert [event.event for event in events[2:4]] == ["tip_ratio", "tip_truncate"]
    assert (events[-1].event, events[-1].data) == ("", b"[DONE]")


async def test_302_has_a_login_url_too(call):
    reply = await call.studio("[[sim: status=302]]")
    assert (reply.status, "loginUrl" in reply.json) == (302, True)
