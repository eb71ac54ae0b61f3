"""Many clients in groups, in a process of their own that knows when each first heard what.

``Listeners`` is the handle. The process, ``python -m live.fleet.listeners``, takes questions as
lines of JSON on its standard input and answers each with one.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections import Counter

from live.stage import TESTS
from tour import client as websocket
from tour.messages import Close, Eof, Reset, Text
from tour.servers import HERE

# A server's backlog is short; more at once would measure that.
AT_ONCE = 40
PATIENCE = 120


class Listeners:
    """One client for each of *groups*, which are lists of them; an async context manager."""

    def __init__(self, port, path, groups):
        self._groups = groups
        self._arguments = ["--port", str(port), "--path", path]
        self._process = None

    async def __aenter__(self):
        pipe = asyncio.subprocess.PIPE
        paths = [str(HERE), os.environ.get("PYTHONPATH", "")]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "live.fleet.listeners", *self._arguments, cwd=TESTS,
            stdin=pipe, stdout=pipe, start_new_session=True, limit=2**24,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        )  # fmt: skip
        try:
            await self._ask(self._groups)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *error):
        await self._end()

    async def look(self):
        """How many are ``open``, and the ``endings`` of the others."""
        return await self._ask({"what": "look"})

    async def heard(self, title):
        """For each client when, by the machine's clock, it first heard which text of *title*.

        That is one dictionary each, with the text after the title and the colon.
        """
        return await self._ask({"what": "heard", "title": title})

    async def _ask(self, question):
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        async with asyncio.timeout(PATIENCE):
            line = await self._process.stdout.readline()
        assert line, "the listeners' process has ended"
        return json.loads(line)

    async def _end(self):
        if self._process.returncode is None:
            self._process.kill()
        # Reads to the end, too, so that no transport outlives us.
        await self._process.communicate()


class Listener:
    """One client."""

    def __init__(self, client):
        self.ending = None
        self.first = {}
        self._client = client
        self._task = asyncio.create_task(self._listen())

    async def _listen(self):
        while self.ending is None:
            received = await self._client.recv(deadline=1e9)
            if isinstance(received, Close):
                self.ending = f"code {received.code}"
            elif isinstance(received, Eof | Reset):
                self.ending = type(received).__name__
            elif isinstance(received, Text):
                text = json.loads(received.data).get("said", "")
                self.first.setdefault(text, time.monotonic())

    def heard(self, title):
        start = f"{title}:"
        return {
            text.removeprefix(start): at
            for text, at in self.first.items()
            if text.startswith(start)
        }


async def gather(port, path, groups):
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(mine):
        async with gate:
            query = {"groups": ",".join(mine)}
            return Listener(await websocket.connect(port, path, query=query, deadline=60))

    return await asyncio.gather(*(one(mine) for mine in groups))


async def serve(options):
    questions = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(questions), sys.stdin
    )
    groups = json.loads(await questions.readline())
    listeners = await gather(options.port, options.path, groups)
    answer = len(listeners)
    while True:
        print(json.dumps(answer), flush=True)
        line = await questions.readline()
        if not line:
            return
        question = json.loads(line)
        if question["what"] == "look":
            endings = Counter(each.ending for each in listeners if each.ending is not None)
            answer = {"open": len(listeners) - endings.total(), "endings": dict(endings)}
        else:
            answer = [each.heard(question["title"]) for each in listeners]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="live.fleet.listeners")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    asyncio.run(serve(parser.parse_args()))
