"""The processes of a fleet: servers, a worker, commands, each with a layer of its own."""

import asyncio
import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager

from live.stage import TESTS, Stage, until
from tour.servers import Server, end

SETTINGS = "live.fleet.settings"
BEGUN = "Running worker"
CORE = "channels_redis.core.RedisChannelLayer"
PUBSUB = "channels_redis.pubsub.RedisPubSubChannelLayer"


def plain(broker, backend=CORE, **options):
    """The layer by itself, with no limit on the time a read may take: see system check W001.

    With one, it loses a consumer whenever nothing is said for a while.
    """
    hosts = [{**broker.host, "socket_timeout": None}]
    return {"BACKEND": backend, "CONFIG": {"hosts": hosts, **options}}


def hub(broker, backend=CORE, **options):
    """The hub, with the hosts as most projects write them: redis-py's defaults for the rest."""
    hosts = [broker.host["address"]]
    return {
        "BACKEND": "resilient_channels.layers.ResilientChannelLayer",
        "CONFIG": {"BACKEND": backend, "CONFIG": {"hosts": hosts, **options}},
    }


def environment(layer, options=None):
    return {
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        "LAYER": json.dumps(layer),
        "OPTIONS": json.dumps(options or {}),
    }


@asynccontextmanager
async def serving(name, directory, layer, options=None):
    """A server process with *layer*."""
    directory.mkdir(exist_ok=True)
    server = Server(
        name,
        "live.fleet.application:application",
        environment=environment(layer, options),
        directory=TESTS,
        log=directory / "server.log",
    )
    async with server:
        yield Stage(server, directory / "journal")


def manage(*arguments):
    return [sys.executable, "-m", "live.fleet.manage", *arguments]


class Worker:
    """``manage.py runworker`` for the fleet's plain channel names; an async context manager."""

    def __init__(self, directory, layer):
        self._log = directory / "worker.log"
        self._layer = layer
        self._process = None

    async def __aenter__(self):
        began = self.log().count(BEGUN) if self._log.exists() else 0
        with self._log.open("ab") as sink:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - nothing to wait for
                manage("runworker", "thumbnails", "previews"),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment(self._layer), "PYTHONUNBUFFERED": "1"},
                cwd=TESTS,
                start_new_session=True,
            )
        try:
            await until(lambda: self.log().count(BEGUN) > began or self.has_ended, 30)
            assert self.log().count(BEGUN) > began, f"no worker:\n{self.log()}"
        except BaseException:
            await end(self._process)
            raise
        return self

    async def __aexit__(self, *error):
        await end(self._process)

    @property
    def has_ended(self):
        return self._process.poll() is not None

    def log(self):
        return self._log.read_text()


async def start(layer, *arguments):
    """Start a command; whoever did so ends it."""
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *manage(*arguments),
        env={**os.environ, **environment(layer)},
        cwd=TESTS,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        start_new_session=True,
    )


async def run(layer, *arguments):
    """Run a command to its end; returns what it wrote."""
    return await finish(await start(layer, *arguments))


async def finish(command):
    """End a command's input, and wait for its own end; returns what it wrote."""
    try:
        async with asyncio.timeout(30):
            written, complaints = await command.communicate(b"")
    finally:
        if command.returncode is None:
            command.kill()
            await command.communicate()
    assert command.returncode == 0, complaints.decode()
    return written.decode()
