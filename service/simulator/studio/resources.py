"""The studio's other endpoints: session, quota, conversations, upload, speech (mimo-api.md, 5.1-5.7)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson
from aiohttp import web

from service.simulator.options import StudioSession
from service.simulator.playback import Turn
from service.simulator.scripted import Dropped, Refusal, obey_standing_script
from service.simulator.speech import wav_of
from service.simulator.studio import envelope
from service.simulator.studio.config import bot_config
from service.simulator.world import WORLD, ClientClosed, SpeechTask, Upload, World

_EMPTY_FILE = 6002
_MAX_CONVERSATIONS = 1_000


@dataclass(frozen=True, slots=True)
class Call:
    """One request to one of these endpoints, its session known."""

    world: World
    request: web.Request
    session: StudioSession

    async def body(self) -> dict[str, object]:
        return await envelope.decode_object(self.request)


Handler = Callable[[Call], Awaitable[web.Response]]


def endpoint(
    name: str, handler: Handler, *, is_public: bool = False
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler with its record entry and its session; `is_public` needs none."""

    async def handle(request: web.Request) -> web.Response:
        world = request.app[WORLD]
        try:
            with world.recorded(request, name) as entry:
                try:
                    session = envelope.authenticate(world, request) if not is_public else _NOBODY
                    entry.account = session.name
                    if request.method == "POST":
                        world.record.keep_body(entry, await request.read())
                    await obey_standing_script(world, request, entry, _worded)
                    response = await handler(Call(world, request, session))
                    entry.outcome = "answered"
                except Refusal as refusal:
                    response = refusal.response()
                    entry.outcome = "refused"
                except Dropped:
                    response = web.Response()  # to nobody
                    entry.outcome = "faulted"
                entry.status = response.status
                return response
        except ClientClosed:
            return web.Response()

    return handle


def _worded(turn: Turn, status: int) -> Refusal:
    return envelope.scripted_failure(status, turn.directive)


_NOBODY = StudioSession(name="", service_token="", user_id="", ph="")


async def config(call: Call) -> web.Response:
    return envelope.succeed(bot_config())


async def user(call: Call) -> web.Response:
    """The session check."""
    return envelope.succeed(
        {
            "userId": call.session.user_id,
            "userName": call.session.name,
            "bannedStatus": "NOT_BANNED",
            "isAgreed": True,
            "idc": "cn",
        }
    )


async def quota(call: Call) -> web.Response:
    """What is left of the week, in percent, falling by one with each finished answer."""
    done = call.world.record.account(call.session.name).completed
    reset_at_s = call.world.options.created_at_s + 7 * 86_400
    return envelope.succeed({"percent": max(0, 100 - done), "resetAt": reset_at_s})


async def conversation_save(call: Call) -> web.Response:
    body = await call.body()
    identity = body.get("conversationId")
    if not isinstance(identity, str) or not identity:
        raise envelope.fail(400, message="conversationId is empty")
    kept = call.world.conversations
    kept[identity] = {
        "conversationId": identity,
        "type": body.get("type", "chat"),
        "title": body.get("title", ""),
    }
    if len(kept) > _MAX_CONVERSATIONS:
        del kept[next(iter(kept))]
    return envelope.succeed(kept[identity])


async def conversation_list(call: Call) -> web.Response:
    body = await call.body()
    page = body.get("pageInfo")
    size = page.get("pageSize") if isinstance(page, dict) else None
    number = page.get("pageNum") if isinstance(page, dict) else None
    if not isinstance(size, int) or not isinstance(number, int) or size < 1 or number < 1:
        raise envelope.fail(400, message="pageInfo needs pageNum and pageSize")
    every = list(reversed(call.world.conversations.values()))
    return envelope.succeed({"total": len(every), "dataList": every[(number - 1) * size : number * size]})


async def conversation_delete(call: Call) -> web.Response:
    """Both bodies seen in the field: an array of ids, and `{"conversationId": …}`."""
    try:
        body = orjson.loads(await call.request.read())
    except orjson.JSONDecodeError as error:
        raise envelope.fail(400) from error
    if isinstance(body, dict):
        body = [body.get("conversationId")]
    identities = body if isinstance(body, list) else []
    call.world.threads.delete(call.session.name, map(str, identities))
    for identity in identities:
        call.world.conversations.pop(str(identity), None)
    return envelope.succeed(None)


async def conversation_title(call: Call) -> web.Response:
    body = await call.body()
    return envelope.succeed({"title": str(body.get("content") or body.get("query") or "Conversation")[:24]})


# --- media: genUploadInfo, PUT, parse -----------------------------------------------------------------------


async def upload_info(call: Call) -> web.Response:
    body = await call.body()
    name, digest = body.get("fileName"), body.get("fileContentMd5")
    if not isinstance(name, str) or not name:
        raise envelope.fail(400, message="fileName is empty")
    object_name = f"chat/{call.world.next_id()}/{name}"
    base = f"{call.request.scheme}://{call.request.host}/simulator/upload/{object_name}"
    call.world.keep_upload(
        base, Upload(name=name, object_name=object_name, md5=digest if isinstance(digest, str) else None)
    )
    data = {"uploadUrl": f"{base}?signature=simulated", "resourceUrl": base, "objectName": object_name}
    return envelope.succeed(data)


async def put_upload(request: web.Request) -> web.Response:
    """Step two, at the storage: 400 where the bytes do not fit the declared MD5. No session here."""
    world = request.app[WORLD]
    with world.recorded(request, "studio_put") as entry:
        try:
            await obey_standing_script(world, request, entry, _worded)
        except Refusal as refusal:
            entry.status, entry.outcome = refusal.status, "refused"
            return refusal.response()
        upload = world.uploads.get(f"{request.scheme}://{request.host}{request.path}")
        content = await request.read()
        status = 404 if upload is None else _checked_put(upload, content, request)
        if upload is not None and status == 200:
            upload.content = content
            upload.is_put = True
        entry.status = status
        entry.outcome = "answered" if status == 200 else "refused"
        return web.Response(status=status)


def _checked_put(upload: Upload, content: bytes, request: web.Request) -> int:
    declared = request.headers.get("content-md5")
    actual = hashlib.md5(content, usedforsecurity=False).digest()
    fits = {actual.hex(), base64.b64encode(actual).decode()}
    if upload.md5 is not None and (declared != upload.md5 or upload.md5 not in fits):
        return 400
    if request.content_type != "application/octet-stream":
        return 403
    return 200


async def parse_upload(call: Call) -> web.Response:
    """Step three: no `id` on the first tries; code 6002 for an empty file."""
    upload = call.world.uploads.get(call.request.query.get("fileUrl", ""))
    if upload is None or not upload.is_put:
        raise envelope.fail(200, code=6001, message="file not found")
    if not upload.content:
        raise envelope.fail(200, code=_EMPTY_FILE, message="file is empty")
    upload.polls += 1
    if upload.polls < call.world.options.studio_parse_polls:
        return envelope.succeed({"id": None, "tokenUsage": None})
    if not upload.file_id:
        upload.file_id = call.world.next_id()
    return envelope.succeed({"id": upload.file_id, "tokenUsage": -(-len(upload.content) // 1024)})


# --- speech: generate, poll, fetch --------------------------------------------------------------------------


async def tts_generate(call: Call) -> web.Response:
    body = await call.body()
    content = body.get("content")
    messages = content.get("messages") if isinstance(content, dict) else None
    if not isinstance(messages, list) or not messages:
        raise envelope.fail(400, message="content.messages is empty")
    if not isinstance(body.get("modelConfig"), dict):
        raise envelope.fail(400, message="modelConfig is missing")
    last = messages[-1]
    text = str(last.get("content", "")) if isinstance(last, dict) else str(last)
    task_id = call.world.next_id()
    call.world.keep_speech(task_id, SpeechTask(audio=wav_of(text)))
    return envelope.succeed({"taskId": task_id})


async def tts_status(call: Call) -> web.Response:
    task_id = call.request.query.get("taskId", "")
    task = call.world.speech.get(task_id)
    if task is None:
        raise envelope.fail(200, code=404, message="task not found")
    task.polls += 1
    if task.polls < call.world.options.tts_polls:
        return envelope.succeed({"status": "processing", "audioUrl": None})
    url = f"{call.request.scheme}://{call.request.host}/simulator/audio/{task_id}.wav"
    return envelope.succeed({"status": "success", "audioUrl": url})


async def audio(request: web.Request) -> web.Response:
    """The finished speech; no session is needed, as on the real storage."""
    task = request.app[WORLD].speech.get(request.match_info["task_id"])
    if task is None:
        return web.Response(status=404)
    return web.Response(body=task.audio, content_type="audio/wav")
