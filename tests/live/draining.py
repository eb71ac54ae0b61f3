"""A server that is about to stop, those who watch it, and what they find."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from live.stage import TESTS, serve, until
from tour.client import Close, Dropped, Eof, Refused, Reset

RESTART = 3512


@asynccontextmanager
async def about_to_stop(name, tmp_path, *, server_options=(), **drain):
    """A stage whose processes can be found, and are drained as *drain* says."""
    # pytest's paths are longer than a socket's may be.
    with tempfile.TemporaryDirectory(prefix="rc") as short:
        options = {"DRAIN": {"directory": f"{short}/s", **drain}}
        async with serve(name, tmp_path, options=options, server_options=server_options) as stage:
            stage.sockets = Path(short) / "s"
            yield stage


def terminate(stage):
    """SIGTERM, as a service manager or a container's runtime sends it."""
    os.kill(stage.server.pid, signal.SIGTERM)
    return time.monotonic()


async def exited(stage, deadline):
    """Wait for the server's process; when it was gone."""
    assert await until(lambda: stage.server.process.poll() is not None, deadline), stage.log()
    return time.monotonic()


async def manage(stage, *arguments, deadline=60):
    """``manage.py resilient_drain`` in the project of *stage*: exit status, and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "django", "resilient_drain", *arguments,
        cwd=TESTS, env={**stage.server._environment, "PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        said, _ = await asyncio.wait_for(process.communicate(), deadline)
    except TimeoutError:
        process.kill()
        await process.communicate()
        raise
    return process.returncode, said.decode()


async def ending(client, deadline=30):
    """How the connection ends, for a client that reads."""
    _, last = await client.until(
        lambda received: isinstance(received, Close | Eof | Reset), deadline
    )
    return last


def most_in_a_second(moments):
    """The largest number of *moments* within any second."""
    moments = sorted(moments)
    most = begin = 0
    for index, moment in enumerate(moments):
        while moment - moments[begin] >= 1:
            begin += 1
        most = max(most, index - begin + 1)
    return most


def browsers_delay(chance, *, was_told, failures=0):
    """How long the browser client waits: a random time below a ceiling that doubles."""
    return chance.random() * min(30, (1 if was_told else 5) * 2**failures)


async def come_back(client, connect):
    """What the browser client does: wait as long as it was told, and a moment below a second.

    Returns when it sets out, and the new client. A busy machine may let it start later; that is not
    what a server can spread.
    """
    last = await ending(client, deadline=120)
    assert isinstance(last, Close), last
    assert last.code == RESTART
    (bye,) = client.heart.heard("bye")
    wait = bye["after_ms"] / 1000 + browsers_delay(random, was_told=True)
    sets_out = time.monotonic() + wait
    await asyncio.sleep(wait)
    return sets_out, await connect()


async def come_back_untold(client, connect, chance):
    """What the browser client does when its server is gone without a word.

    Returns when it sets out, each time until it gets through, and the new client.
    """
    last = await ending(client)
    assert isinstance(last, Eof | Reset), last
    assert client.heart.heard("bye") == []
    moments = []
    while True:
        wait = browsers_delay(chance, was_told=False, failures=len(moments))
        moments.append(time.monotonic() + wait)
        await asyncio.sleep(wait)
        # A busy server is no reason to stay away for ever.
        with suppress(OSError, TimeoutError, Dropped, Refused):
            return moments, await connect()
