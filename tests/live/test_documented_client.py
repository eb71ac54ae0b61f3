"""The client that the wire protocol's page shows does what the page says, as it stands there."""

import asyncio
import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from live.stage import serve, until

pytestmark = pytest.mark.live

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "wire-protocol.md"
HEARTBEAT = {"interval": 0.5, "timeout": 1.0}
SERVERS = ["daphne", "uvicorn"]


@pytest.fixture
def converse():
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    exec(compile(code, PAGE.name, "exec"), names)
    return names["converse"]


class Visitor:
    """The client at work; ``end`` is what it returns."""

    def __init__(self, converse, stage):
        self.texts = []
        self.outbox = asyncio.Queue()
        uri = f"ws://127.0.0.1:{stage.server.port}/async/?id=documented"
        self.end = asyncio.create_task(converse(uri, self.outbox, self.texts.append))

    def says(self, **content):
        self.outbox.put_nowait(json.dumps(content))

    async def hears(self, text):
        return await until(lambda: text in self.texts)


@pytest.mark.parametrize("name", SERVERS)
async def test_it_talks_answers_heartbeats_and_hears_goodbye(converse, name, tmp_path):
    options = {"HEARTBEAT": HEARTBEAT, "LIFETIME": {"max_age": 4.0}}
    async with serve(name, tmp_path, options=options) as stage:
        began = time.monotonic()
        visitor = Visitor(converse, stage)

        visitor.says(do="echo", n=1)
        assert await visitor.hears('{"echo": 1}')
        code, goodbye = await asyncio.wait_for(visitor.end, 10)

        assert (code, goodbye["verdict"]) == (3513, "now")
        # It said nothing meanwhile but answers to heartbeats, and would have been given up else.
        assert time.monotonic() - began > 2 * sum(HEARTBEAT.values())
        assert stage.events()["control.ignored"] == 0
        assert visitor.texts == ['{"echo": 1}']


async def test_text_that_begins_with_the_mark_is_the_applications_in_both_directions(
    converse, tmp_path
):
    options = {"ERRORS": {"bad_input_reply": "\x1eno JSON"}}
    async with serve("uvicorn", tmp_path, options=options) as stage:
        visitor = Visitor(converse, stage)

        visitor.outbox.put_nowait('\x1e{"type":"ping","n":1}')

        assert await visitor.hears("\x1eno JSON")
        assert stage.events()["input.rejected"] == 1
        assert stage.events()["control.ignored"] == 0
        visitor.end.cancel()
        await asyncio.wait({visitor.end})


async def test_it_leaves_a_server_that_falls_silent(converse, tmp_path):
    async with serve("uvicorn", tmp_path, options={"HEARTBEAT": HEARTBEAT}) as stage:
        visitor = Visitor(converse, stage)
        visitor.says(do="echo", n=1)
        assert await visitor.hears('{"echo": 1}')

        os.kill(stage.server.pid, signal.SIGSTOP)
        try:
            code, goodbye = await asyncio.wait_for(visitor.end, sum(HEARTBEAT.values()) + 3)
        finally:
            os.kill(stage.server.pid, signal.SIGCONT)

        assert (code, goodbye) == (3408, None)
