"""A client of a fleet that keeps all it hears."""

import asyncio
import json
import time
from collections import Counter
from itertools import count

from live.fleet.consumers import say
from live.stage import until
from tour.messages import Close, Eof, Reset, Text

_numbers = count(1)


class Peer:
    """One WebSocket; made by ``meet()``.

    Attributes:
        label: What a test calls it.
        name: The name of its consumer's channel.
        heard: Every text it was told, with how often.
        order: The same, in order.
        ending: What ended the connection; None while it is open.
    """

    def __init__(self, label, client, name):
        self.label = label
        self.name = name
        self.heard = Counter()
        self.order = []
        self.ending = None
        self._client = client
        self._answers = {}
        self._numbers = count(1)
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self):
        while True:
            received = await self._client.recv(deadline=1e9)
            if isinstance(received, Close | Eof | Reset):
                self.ending = received
                return
            if not isinstance(received, Text):
                continue
            content = json.loads(received.data)
            if "done" in content:
                self._answers[content["done"]] = content["result"]
            else:
                self.heard[content["said"]] += 1
                self.order.append(content["said"])

    async def ask(self, do, *arguments, deadline=8.0):
        """Have the consumer do something; returns its result."""
        number = next(self._numbers)
        await self._client.send_json({"do": do, "arguments": arguments, "n": number})
        await until(lambda: number in self._answers or self.ending, deadline)
        assert number in self._answers, f"{self.label} has not done {do}{arguments}: {self.ending}"
        return self._answers.pop(number)

    async def hears(self, text, deadline=5.0):
        """Whether it is told *text* in time, or has been."""
        return bool(await until(lambda: self.heard[text], deadline))

    async def aclose(self):
        self._listening.cancel()
        await asyncio.wait([self._listening])
        await self._client.aclose()


async def meet(stage, colour, label=None):
    """Connect to a consumer of *stage*, and learn its channel's name."""
    client = await stage.connect(colour)
    greeting = await client.recv_json()
    return Peer(label or colour, client, greeting["name"])


async def meet_in(stage, colour, group, label=None, deadline=8.0):
    """The same, in *group*.

    Tries again: what a plain layer keeps of an old Redis fails once, and takes a socket with it.
    """
    give_up = time.monotonic() + deadline
    while True:
        peer = await meet(stage, colour, label)
        try:
            await peer.ask("group_add", group, peer.name)
        except (AssertionError, OSError):
            await peer.aclose()
            if time.monotonic() > give_up:
                raise
        else:
            return peer


async def hears_of(listener, speaker, group):
    """Whether *listener* gets what *speaker* sends to *group*.

    A direct message behind it says when there is nothing left to wait for.
    """
    number = next(_numbers)
    await speaker.ask("group_send", group, say(f"group {number}"))
    await speaker.ask("send", listener.name, say(f"fence {number}"))
    assert await listener.hears(f"fence {number}"), f"{listener.label} hears nothing at all"
    assert listener.heard[f"group {number}"] <= 1, f"{listener.label} heard it twice"
    return listener.heard[f"group {number}"] == 1


async def comes_to_hear(listener, speaker, group, wanted, deadline=5.0):
    """Whether that is so, or in time will be; *wanted*: or is not."""
    give_up = time.monotonic() + deadline
    while await hears_of(listener, speaker, group) is not wanted:
        if time.monotonic() > give_up:
            return False
    return True
