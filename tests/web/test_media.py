"""Media over HTTP: by data and by URL, in each dialect, over each upstream kind."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from service.config import MediaSettings, Security, TextModels
from service.simulator import SimulatorOptions
from service.simulator.options import CURRENT_MODELS, V25_MODELS
from tests.web.rig import Rig, Start

PNG = b"\x89PNG\r\n\x1a\n" + bytes(200)
DATA = base64.b64encode(PNG).decode()
DATA_URL = f"data:image/png;base64,{DATA}"
MODEL, TEXT_MODEL = "mimo-v2.6-pro", "mimo-v2.5-pro"
WITH_TEXT_MODEL = SimulatorOptions(models=CURRENT_MODELS + V25_MODELS)
LOOPBACK_MEDIA = Security(allow_private_media_hosts=("127.0.0.1",))


def chat(*parts: dict, model: str = MODEL) -> tuple[str, dict]:
    return "/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": list(parts)}]}


def responses(*parts: dict, model: str = MODEL) -> tuple[str, dict]:
    return "/v1/responses", {"model": model, "input": [{"role": "user", "content": list(parts)}]}


def messages(*parts: dict, model: str = MODEL) -> tuple[str, dict]:
    content = list(parts)
    body = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": content}]}
    return "/v1/messages", body


def images(url: str, model: str = MODEL) -> list[tuple[str, dict]]:
    """One image, as each dialect says it."""
    source = {"type": "url", "url": url}
    if url.startswith("data:"):
        source = {"type": "base64", "media_type": "image/png", "data": url.partition(",")[2]}
    return [
        chat({"type": "image_url", "image_url": {"url": url}}, model=model),
        responses({"type": "input_image", "image_url": url}, model=model),
        messages({"type": "image", "source": source}, model=model),
    ]


DIALECTS = pytest.mark.parametrize("dialect", range(3), ids=["chat", "responses", "messages"])


async def post(rig: Rig, path: str, body: dict) -> tuple[int, str]:
    async with rig.http.post(rig.url(path), json=body) as response:
        return response.status, await response.text()


def seen(rig: Rig, endpoint: str) -> list[Any]:
    """What reached the simulator there."""
    return [entry for entry in rig.simulator.record.requests if entry.endpoint == endpoint]


@pytest.fixture
async def file_server() -> AsyncIterator[str]:
    """A server on loopback with an image and a text file; its root URL."""

    async def png(request: web.Request) -> web.Response:
        return web.Response(body=PNG, content_type="image/png")

    async def text(request: web.Request) -> web.Response:
        return web.Response(text="The password is swordfish.", content_type="text/plain")

    app = web.Application()
    app.router.add_get("/image.png", png)
    app.router.add_get("/notes.txt", text)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


# --- images -------------------------------------------------------------------------------------------------


@DIALECTS
async def test_an_image_by_data_reaches_the_model(rig: Rig, dialect: int) -> None:
    status, answer = await post(rig, *images(DATA_URL)[dialect])
    assert status == 200, answer
    assert "image" in answer


@DIALECTS
async def test_an_image_by_url_is_fetched_for_a_studio_account(
    start: Start, file_server: str, dialect: int
) -> None:
    async with start("studio", security=LOOPBACK_MEDIA) as rig:
        status, answer = await post(rig, *images(f"{file_server}/image.png")[dialect])
        assert status == 200, answer
        (sent,) = seen(rig, "studio_chat")
        (media,) = sent.body["multiMedias"]
        assert (media["mediaType"], media["size"], media["name"]) == ("image", len(PNG), "image-1.png")


@DIALECTS
async def test_an_image_by_url_is_left_to_the_platform(start: Start, dialect: int) -> None:
    url = "https://images.example/cat.png"
    async with start("platform") as rig:
        status, answer = await post(rig, *images(url)[dialect])
        assert status == 200, answer
        (sent,) = seen(rig, "chat_completions")
        (part,) = [p for p in sent.body["messages"][0]["content"] if p["type"] == "image_url"]
        assert part["image_url"]["url"] == url


@DIALECTS
async def test_a_url_that_leads_inside_is_refused_and_counted(
    start: Start, file_server: str, dialect: int
) -> None:
    fields = ("messages[0].content[0].image_url.url", "input[0].content[0].image_url", "source.url")
    async with start("studio") as rig:
        status, answer = await post(rig, *images(f"{file_server}/image.png")[dialect])
        assert (status, fields[dialect] in answer) == (400, True), answer
        assert not seen(rig, "studio_chat")
        text = rig.gateway.services.metrics.render().decode()
        assert 'mgw_ssrf_blocked_total{reason="address"} 1.0' in text


@DIALECTS
async def test_an_image_for_a_text_model_is_400_and_never_404(start: Start, dialect: int) -> None:
    async with start("platform", options=WITH_TEXT_MODEL) as rig:
        status, answer = await post(rig, *images(DATA_URL, TEXT_MODEL)[dialect])
        assert status == 400, answer
        assert f"{TEXT_MODEL} does not take image input. These models do: mimo-v2.6-pro" in answer
        assert ("messages[0].content[0]", "input[0].content[0]", "messages.0.content.0")[dialect] in answer
        assert not seen(rig, "chat_completions")
        await rig.nothing_is_held()


@DIALECTS
async def test_an_image_for_a_text_model_is_read_by_a_stand_in_where_that_is_wished(
    start: Start, dialect: int
) -> None:
    wished = MediaSettings(text_models=TextModels.STAND_IN)
    async with start("platform", options=WITH_TEXT_MODEL, media=wished) as rig:
        path, body = images(DATA_URL, TEXT_MODEL)[dialect]
        async with rig.http.post(rig.url(path), json=body) as response:
            assert response.status == 200, await response.text()
            assert "does not read image: mimo-v2.6-" in response.headers["X-Mimo-Gateway-Notes"]
            assert (await response.json())["model"].startswith("mimo-v2.6-")
        (sent,) = seen(rig, "chat_completions")
        assert sent.body["model"].startswith("mimo-v2.6-")


async def test_the_same_image_is_uploaded_once_for_each_account(start: Start) -> None:
    async with start("studio") as rig:
        for text in ("What is it?", "And what else?"):
            path, body = images(DATA_URL)[0]
            body["messages"][0]["content"].append({"type": "text", "text": text})
            assert (await post(rig, path, body))[0] == 200
        assert len(seen(rig, "studio_upload_info")) == 1
        first, second = seen(rig, "studio_chat")
        assert first.body["multiMedias"] == second.body["multiMedias"]


# --- tool results -------------------------------------------------------------------------------------------


def chat_result() -> tuple[str, dict]:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "look"},
        {"role": "assistant", "tool_calls": [call], "reasoning_content": "hm"},
        {
            "role": "tool",
            "tool_call_id": "c1",
            "content": [{"type": "image_url", "image_url": {"url": DATA_URL}}],
        },
    ]
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    return "/v1/chat/completions", {"model": MODEL, "messages": turns, "tools": [tool]}


def responses_result() -> tuple[str, dict]:
    items = [
        {"role": "user", "content": "look"},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": [{"type": "input_image", "image_url": DATA_URL}],
        },
    ]
    tool = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
    return "/v1/responses", {"model": MODEL, "input": items, "tools": [tool]}


def messages_result() -> tuple[str, dict]:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}}
    turns = [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [image]}]},
    ]
    tool = {"name": "look", "input_schema": {"type": "object"}}
    return "/v1/messages", {"model": MODEL, "max_tokens": 100, "messages": turns, "tools": [tool]}


@DIALECTS
async def test_an_image_in_a_tool_result_is_moved_behind_it(start: Start, dialect: int) -> None:
    """The simulator's validator refuses media in tool messages, as the platform did until v2.6."""
    async with start("platform") as rig:
        status, answer = await post(rig, *(chat_result, responses_result, messages_result)[dialect]())
        assert status == 200, answer
        (sent,) = seen(rig, "chat_completions")
        *_, result, after = sent.body["messages"]
        assert (result["role"], type(result["content"]), after["role"]) == ("tool", str, "user")
        assert [part["type"] for part in after["content"]] == ["text", "image_url"]


@DIALECTS
async def test_an_image_in_a_tool_result_is_attached_in_the_studio(start: Start, dialect: int) -> None:
    async with start("studio") as rig:
        status, answer = await post(rig, *(chat_result, responses_result, messages_result)[dialect]())
        assert status == 200, answer
        (sent,) = seen(rig, "studio_chat")
        (media,) = sent.body["multiMedias"]
        assert (media["mediaType"], media["name"]) == ("image", "image-1.png")
        assert "[image" in sent.body["query"], "a mark says where it stood"


# --- files --------------------------------------------------------------------------------------------------

PDF = base64.b64encode(b"%PDF-1.7 ...").decode()


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        pytest.param(
            chat({"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}}),
            "messages[0].content[0].file.file_data",
            id="chat",
        ),
        pytest.param(
            responses({"type": "input_file", "filename": "a.pdf", "file_data": PDF}),
            "input[0].content[0].file_data",
            id="responses",
        ),
        pytest.param(
            messages(
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                }
            ),
            "messages.0.content.0.source.data",
            id="messages",
        ),
    ],
)
async def test_a_pdf_is_refused_by_name_and_field(rig: Rig, request_: tuple[str, dict], field: str) -> None:
    status, answer = await post(rig, *request_)
    assert (status, "MiMo does not read PDF files" in answer, field in answer) == (400, True, True), answer


async def test_a_document_of_text_is_read(rig: Rig) -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "The password is swordfish."}
    document = {"type": "document", "title": "Secrets", "source": source}
    status, answer = await post(rig, *messages(document, {"type": "text", "text": "Which password?"}))
    assert status == 200, answer
    endpoint = "studio_chat" if seen(rig, "studio_chat") else "chat_completions"
    assert "swordfish" in str(seen(rig, endpoint)[0].body)


@pytest.mark.parametrize("kind", ["platform", "studio"])
async def test_a_text_file_by_url_is_read(start: Start, file_server: str, kind: str) -> None:
    part = {"type": "input_file", "file_url": f"{file_server}/notes.txt"}
    async with start(kind, security=replace(LOOPBACK_MEDIA)) as rig:
        status, answer = await post(rig, *responses(part))
        assert status == 200, answer
        endpoint = "chat_completions" if kind == "platform" else "studio_chat"
        sent = str(seen(rig, endpoint)[0].body)
        assert "swordfish" in sent
        assert "notes.txt" in sent
