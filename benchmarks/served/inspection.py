"""What the measuring process asks a measured one over HTTP."""

from __future__ import annotations

import asyncio
import gc
import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

more: dict[str, Callable[[], dict[str, Any]]] = {}


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """``/collect`` runs the garbage collector first; every path tells who answers.

    Other paths tell more, if ``more`` knows them.
    """
    if scope["path"] == "/collect":
        gc.collect()
    loop = type(asyncio.get_running_loop())
    facts = {
        "pid": os.getpid(),
        "loop": f"{loop.__module__}.{loop.__qualname__}",
        "tasks": len(asyncio.all_tasks()),
    }
    if scope["path"] in more:
        facts.update(more[scope["path"]]())
    body = json.dumps(facts).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
