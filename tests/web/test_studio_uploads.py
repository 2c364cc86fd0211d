"""The studio's three-step upload, to the letter of mimo-api.md 5.5; each account is sent a file once."""

from __future__ import annotations

import base64
import hashlib

from service.simulator.record import Entry
from tests.web.rig import Rig, Start

ONE, TWO = (b"\x89PNG\r\n\x1a\n" + bytes([number]) * 64 for number in (1, 2))


def image(content: bytes) -> dict:
    url = "data:image/png;base64," + base64.b64encode(content).decode()
    return {"type": "image_url", "image_url": {"url": url}}


async def show(rig: Rig, *contents: bytes) -> None:
    parts = [{"type": "text", "text": "see"}, *map(image, contents)]
    body = {"model": "mimo-v2.6-pro", "messages": [{"role": "user", "content": parts}]}
    async with rig.http.post(rig.url("/v1/chat/completions"), json=body) as response:
        assert response.status == 200, await response.text()


def steps(rig: Rig) -> list[Entry]:
    names = ("studio_upload_info", "studio_put", "studio_parse", "studio_chat")
    return [entry for entry in rig.simulator.record.requests if entry.endpoint in names]


async def test_an_upload_takes_three_steps(start: Start) -> None:
    md5 = hashlib.md5(ONE, usedforsecurity=False).hexdigest()
    async with start("studio") as rig:
        await show(rig, ONE)
        info, put, *parses, chat = steps(rig)
    assert info.body == {"fileName": "image-1.png", "fileContentMd5": md5}
    assert info.query["xiaomichatbot_ph"]
    assert (put.method, put.headers["content-type"]) == ("PUT", "application/octet-stream")
    assert put.headers["content-md5"] == md5
    assert "cookie" not in put.headers, "the storage is no part of the session"
    media = chat.body["multiMedias"][0]
    for parse in parses:
        assert parse.body == {}
        assert parse.query["fileUrl"] == media["fileUrl"]
        assert parse.query["objectName"] == media["objectName"]
        assert parse.query["model"] == "mimo-v2.6-pro"
    assert len(parses) == 2, "it is asked until the studio has read the file"
    assert media["mediaType"] == "image"
    assert (media["name"], media["size"], media["status"]) == ("image-1.png", len(ONE), "completed")
    assert media["url"]
    assert media["tokenUsage"] > 0


async def test_the_same_content_is_sent_once_to_each_account(start: Start) -> None:
    async with start("studio", "studio-2") as rig:
        for _ in range(4):
            await show(rig, ONE, ONE)
        await show(rig, TWO, ONE)
        entries = steps(rig)
        chats = [entry for entry in entries if entry.endpoint == "studio_chat"]
        uploads = [entry for entry in entries if entry.endpoint == "studio_upload_info"]
    by_account = {
        name: [entry.body["fileContentMd5"] for entry in uploads if entry.account == name]
        for name in ("studio-1", "studio-2")
    }
    assert all(len(set(sent)) == len(sent) for sent in by_account.values())
    asked = {entry.account for entry in chats}
    assert sum(map(len, by_account.values())) == len(asked) + 1  # ONE on each, TWO where it was asked for
    for chat in chats[:4]:
        first, second = chat.body["multiMedias"]
        assert first["fileUrl"] == second["fileUrl"]
