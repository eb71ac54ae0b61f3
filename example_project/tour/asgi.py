"""The ASGI application under test, and the window through which the tour looks at it.

WebSockets, each as ``/plain/.../`` and ``/resilient/.../``: ``async``, ``sync``, ``limited`` (what
clients and handlers may do), ``guarded`` (by an origin validator).
HTTP, JSON: ``/state?id=...`` one connection's record; ``/note?id=...&event=...`` the same, with
that event written down first; ``/cancel?id=...`` cancels its application; ``/crowd?name=...`` the
records of many as one; ``/tell?side=...&group=...&text=...`` says something to a group, as a
synchronous view does on that side, and what came of it.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tour.settings")
django.setup()

from asgiref.sync import async_to_sync, sync_to_async  # noqa: E402 - after Django's set-up
from channels.layers import get_channel_layer  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402

from resilient_channels import OriginValidator, notify  # noqa: E402

from . import recording, subjects  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from .recording import Receive, Send

ROUTES: dict[str, Any] = {
    "/plain/async/": subjects.AsyncSubject.as_asgi(),
    "/plain/sync/": subjects.SyncSubject.as_asgi(),
    "/resilient/async/": subjects.ResilientAsyncSubject.as_asgi(),
    "/resilient/sync/": subjects.ResilientSyncSubject.as_asgi(),
    "/plain/limited/": subjects.AsyncSubject.as_asgi(),
    "/resilient/limited/": subjects.LimitedSubject.as_asgi(),
    "/plain/guarded/": AllowedHostsOriginValidator(subjects.AsyncSubject.as_asgi()),
    "/resilient/guarded/": OriginValidator(subjects.ResilientAsyncSubject.as_asgi()),
}


async def application(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """Serve a consumer under test, or tell what became of one."""
    if scope["type"] == "websocket":
        await recording.Recorded(ROUTES[scope["path"]])(scope, receive, send)
    elif scope["type"] == "http" and scope["path"] == "/tell":
        query = dict(parse_qsl(scope["query_string"].decode()))
        await _answer(send, await sync_to_async(_tell)(query))
    elif scope["type"] == "http":
        await _answer(send, _look(scope))
    else:
        await _lifespan(receive, send)


def _look(scope: MutableMapping[str, Any]) -> dict[str, Any]:
    query = dict(parse_qsl(scope["query_string"].decode()))
    if scope["path"] == "/crowd":
        return {**recording.combined(query["name"]), "members": _members(query["group"])}
    record = recording.of(scope)
    if scope["path"] == "/cancel" and record.task is not None:
        record.task.cancel()
    if scope["path"] == "/note":
        record.note(query["event"])
    tasks = len(asyncio.all_tasks())
    return {**record.as_json(), "members": _members(record.group), "tasks": tasks}


def _tell(query: dict[str, str]) -> dict[str, str]:
    message = {"type": "chat.message", "text": query["text"]}
    try:
        if query["side"] == "resilient":
            return {"outcome": notify(query["group"], message).value}
        async_to_sync(get_channel_layer().group_send)(query["group"], message)
    except Exception as error:  # noqa: BLE001 - what it is, is what the row is about
        return {"raised": type(error).__name__}
    return {"outcome": "returned"}


def _members(group: str) -> int:
    return len(getattr(get_channel_layer(), "groups", {}).get(group, {}))


async def _answer(send: Send, content: dict[str, Any]) -> None:
    body = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
