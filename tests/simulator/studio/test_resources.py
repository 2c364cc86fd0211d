"""Session, quota, conversations, upload in three steps, speech (mimo-api.md, sections 5.1 to 5.7)."""

import hashlib
import io
import wave

import aiohttp
import pytest


class Studio:
    def __init__(self, call, cookie_of):
        self._call = call
        self._session = call.sim.options.studio[0]
        self.headers = {"Cookie": cookie_of(self._session)}

    async def get(self, path):
        return await self._call.get(path, self.headers)

    async def post(self, path, body, **params):
        return await self._call.post(
            path, body, self.headers, {"xiaomichatbot_ph": self._session.ph, **params}
        )

    async def put(self, url, content, digest, content_type="application/octet-stream"):
        headers = {"content-md5": digest, "Content-Type": content_type}
        async with self._call.session.put(url, data=content, headers=headers) as response:
            return response.status


@pytest.fixture
def studio(call, studio_form):
    return Studio(call, studio_form[1])


async def test_session_check_and_quota_need_no_ph(studio):
    data = (await studio.get("/open-apis/user/mi/get")).json["data"]
    assert (data["userId"], data["bannedStatus"]) == ("10001", "NOT_BANNED")
    assert (await studio.get("/open-apis/v1/user/usage")).json["data"]["percent"] == 100


async def test_session_check_without_a_session_is_401(call):
    reply = await call.get("/open-apis/user/mi/get")
    assert reply.status == 401
    assert "loginUrl" in reply.json


async def test_config_is_public_and_names_redirects(call):
    entries = (await call.get("/open-apis/bot/config")).json["data"]["modelConfigListNg"]
    chat = {entry["model"]: entry.get("redirectTo") for entry in entries if entry["pageType"] == "chat"}
    assert chat["mimo-v2.6-pro"] is None
    assert chat["mimo-v2-pro"] == "mimo-v2.6-pro"
    assert any(entry["pageType"] == "tts" for entry in entries)


async def test_conversations_are_saved_listed_and_deleted_both_ways(studio):
    base = "/open-apis/chat/conversation"
    for identity in ("a", "b", "c"):
        await studio.post(f"{base}/save", {"conversationId": identity, "type": "chat", "title": identity})
    page = {"pageInfo": {"pageNum": 1, "pageSize": 2}}
    data = (await studio.post(f"{base}/list", page)).json["data"]
    assert data["total"] == 3
    assert [item["conversationId"] for item in data["dataList"]] == ["c", "b"]
    await studio.post(f"{base}/delete", ["a", "b"])
    await studio.post(f"{base}/delete", {"conversationId": "c"})
    assert (await studio.post(f"{base}/list", page)).json["data"]["total"] == 0
    assert (await studio.post(f"{base}/genTitle", {"content": "A day out"})).json["data"][
        "title"
    ] == "A day out"
    assert (await studio.post(f"{base}/save", {})).status == 400
    assert (await studio.post(f"{base}/list", {})).status == 400


async def test_upload_is_put_parsed_by_polling_and_seen_in_the_chat(studio, call):
    content = b"\x89PNG not really"
    digest = hashlib.md5(content).hexdigest()
    info = await studio.post(
        "/open-apis/resource/genUploadInfo", {"fileName": "cat.png", "fileContentMd5": digest}
    )
    data = info.json["data"]
    assert await studio.put(data["uploadUrl"], content, digest) == 200
    ids = []
    for _ in range(3):
        query = {"fileUrl": data["resourceUrl"], "objectName": data["objectName"], "model": "mimo-v2.6-pro"}
        ids.append((await studio.post("/open-apis/resource/parse", {}, **query)).json["data"]["id"])
    assert ids[0] is None
    assert ids[1] == ids[2] is not None
    media = {"mediaType": "image", "fileUrl": data["resourceUrl"], "name": "cat.png", "url": ids[1]}
    text = (await call.studio("What is this?", multiMedias=[media])).text
    assert f"1 image (image/png, {len(content)} bytes)" in text
    wrong = {**media, "url": "guessed"}
    assert (await call.studio("What is this?", multiMedias=[wrong])).status == 400


async def test_upload_with_a_wrong_digest_or_type_is_refused(studio):
    digest = hashlib.md5(b"x").hexdigest()
    info = await studio.post("/open-apis/resource/genUploadInfo", {"fileName": "x", "fileContentMd5": digest})
    url = info.json["data"]["uploadUrl"]
    assert await studio.put(url, b"other", digest) == 400
    assert await studio.put(url, b"x", "") == 400
    assert await studio.put(url, b"x", digest, "image/png") == 403
    assert await studio.put(url.replace("/x?", "/y?"), b"x", digest) == 404


async def test_empty_file_is_6002_and_a_missing_one_6001(studio):
    digest = hashlib.md5(b"").hexdigest()
    info = await studio.post("/open-apis/resource/genUploadInfo", {"fileName": "x", "fileContentMd5": digest})
    data = info.json["data"]
    query = {"fileUrl": data["resourceUrl"]}
    assert (await studio.post("/open-apis/resource/parse", {}, **query)).json["code"] == 6001
    assert await studio.put(data["uploadUrl"], b"", digest) == 200
    assert (await studio.post("/open-apis/resource/parse", {}, **query)).json["code"] == 6002
    assert (await studio.post("/open-apis/resource/genUploadInfo", {})).status == 400


async def test_speech_is_asked_for_polled_and_fetched(studio, call):
    body = {
        "conversationId": "1" * 32,
        "msgId": "2" * 32,
        "content": {
            "messages": [
                {"role": "user", "content": "Calm"},
                {"role": "assistant", "content": "Good evening"},
            ],
            "audio": {"format": "wav"},
        },
        "modelConfig": {"modelCode": "mimo-v2.5-tts", "scene": "BRIEF_DESCRIPTION"},
    }
    task_id = (await studio.post("/open-apis/tts/v2/generate", body)).json["data"]["taskId"]
    states = [
        (await studio.get(f"/open-apis/tts/generateStatus?taskId={task_id}")).json["data"] for _ in range(2)
    ]
    assert [state["status"] for state in states] == ["processing", "success"]
    sound = await call.get(states[1]["audioUrl"].removeprefix(call.sim.base_url))
    with wave.open(io.BytesIO(sound.body)) as opened:
        assert opened.getnframes() > 0


async def test_speech_refuses_what_it_does_not_know(studio, call):
    assert (await studio.post("/open-apis/tts/v2/generate", {})).status == 400
    assert (await studio.get("/open-apis/tts/generateStatus?taskId=x")).json["code"] == 404
    assert (await call.get("/simulator/audio/x.wav")).status == 404


async def test_bad_json_is_400(studio):
    for path in ("save", "list", "genTitle", "delete"):
        assert (await studio.post(f"/open-apis/chat/conversation/{path}", b"{")).status == 400
    assert (await studio.post("/open-apis/chat/conversation/save", b"[]")).status == 400
    assert (await studio.post("/open-apis/chat/conversation/delete", b"5")).status == 200
    body = {"content": {"messages": ["Good evening"]}}
    assert (await studio.post("/open-apis/tts/v2/generate", body)).status == 400


async def test_endpoints_obey_directives_that_name_them(studio, call):
    call.sim.play(
        "endpoint=studio_user status=401", "endpoint=studio_config drop", "endpoint=studio_usage json200"
    )
    assert "loginUrl" in (await studio.get("/open-apis/user/mi/get")).json
    assert (await studio.get("/open-apis/v1/user/usage")).json["code"] == 500
    with pytest.raises(aiohttp.ClientConnectionError):
        await call.get("/open-apis/bot/config")
