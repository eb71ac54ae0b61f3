"""The floor: the same works as bare ASGI applications, with nothing that is not needed.

No Django and no Channels in this process. It is not how one writes an application, but what the
server itself costs.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from itertools import count
from typing import Any

from . import inspection
from .messages import BROADCAST, EVENT, GROUP, SEND

ACCEPT = {"type": "websocket.accept", "subprotocol": "resilient.v1"}
# As often as the library's own timer looks.
TICKS = 64
# Heartbeats of an interval of 1 s come 0.9 to 1.0 s apart.
PERIOD = 0.95

_groups: defaultdict[str, set[Any]] = defaultdict(set)
_slots: list[set[Any]] = [set() for _ in range(TICKS)]
_numbers = count()
_tickers: set[asyncio.Task[None]] = set()


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Serve the work that the path names."""
    if scope["type"] == "websocket":
        await _works[scope["path"].split("/")[1]](scope, receive, send)
    elif scope["type"] == "http":
        await inspection.answer(scope, receive, send)


async def _echo(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


async def _idle(scope: Any, receive: Any, send: Any) -> None:
    # What a group costs at least: a set of things that can be sent to.
    groups = GROUP, scope["path"]
    await receive()
    for group in groups:
        _groups[group].add(send)
    await send({"type": "websocket.accept"})
    while (await receive())["type"] == "websocket.receive":
        pass
    for group in groups:
        _leave(group, send)


async def _member(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    _groups[GROUP].add(send)
    await send({"type": "websocket.accept"})
    while (await receive())["type"] == "websocket.receive":
        pass
    _leave(GROUP, send)


def _leave(group: str, send: Any) -> None:
    _groups[group].discard(send)
    if not _groups[group]:
        del _groups[group]


async def _control(scope: Any, receive: Any, send: Any) -> None:
    """Tell the group whenever this client asks for it."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await _orders[message["text"]](EVENT)


async def _send_group(event: Any) -> None:
    """As a handler does it: every delivery makes its own text of the event."""
    for send in list(_groups[GROUP]):
        await send({"type": "websocket.send", "text": json.dumps(event)})


async def _broadcast(event: Any) -> None:
    """The text is made once."""
    text = json.dumps(event)
    for send in list(_groups[GROUP]):
        await send({"type": "websocket.send", "text": text})


async def _heartbeat(scope: Any, receive: Any, send: Any) -> None:
    """One task beats for everybody, a few connections at every tick."""
    if not _tickers:
        _tickers.add(asyncio.create_task(_tick()))
    slot = _slots[next(_numbers) % TICKS]
    await receive()
    await send(ACCEPT)
    slot.add(send)
    while (await receive())["type"] == "websocket.receive":
        pass
    slot.discard(send)


async def _tick() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    for tick in count():
        await asyncio.sleep(max(0.0, began + tick * PERIOD / TICKS - loop.time()))
        number = tick // TICKS
        for send in list(_slots[tick % TICKS]):
            await send({"type": "websocket.send", "text": _ping(number)})


async def _heartbeat_tasks(scope: Any, receive: Any, send: Any) -> None:
    """As one writes it by hand: every connection has a task that sleeps and sends."""
    await receive()
    await send(ACCEPT)
    task = asyncio.create_task(_beat(send, next(_numbers) % TICKS / TICKS))
    while (await receive())["type"] == "websocket.receive":
        pass
    task.cancel()


async def _beat(send: Any, share: float) -> None:
    await asyncio.sleep(PERIOD * share)  # a crowd that came at once is spread here, too
    for number in count():
        await asyncio.sleep(PERIOD)
        await send({"type": "websocket.send", "text": _ping(number)})


def _ping(number: int) -> str:
    # To the byte what the library sends.
    return f'\x1e{{"type":"ping","n":{number},"rtt_ms":0.4}}'


_orders = {SEND: _send_group, BROADCAST: _broadcast}
_works = {
    "echo": _echo,
    "idle": _idle,
    "member": _member,
    "control": _control,
    "heartbeat": _heartbeat,
    "heartbeat-tasks": _heartbeat_tasks,
}
