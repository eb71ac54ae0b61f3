"""The example project answers in a browser's terms, on both servers."""

import asyncio
import urllib.request
from itertools import count

import pytest

from live.stage import TESTS, hears
from tour import client as websocket
from tour.client import Close, Eof, Reset
from tour.servers import Server

pytestmark = pytest.mark.live

EXAMPLE = TESTS.parent / "example_project"
_numbers = count(1)


@pytest.fixture(params=["daphne", "uvicorn"])
async def server(request, tmp_path):
    server = Server(
        request.param,
        "config.asgi:application",
        environment={"DJANGO_SETTINGS_MODULE": "config.settings"},
        directory=EXAMPLE,
        log=tmp_path / "server.log",
    )
    async with server:
        yield server


async def fetch(server, path):
    def get():
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as answer:
            return answer.headers, answer.read().decode()

    return await asyncio.to_thread(get)


async def connect(server, side):
    # As a browser does; the example checks where a page comes from.
    origin = {"Origin": f"http://127.0.0.1:{server.port}"}
    return await websocket.connect(server.port, f"/ws/{side}/", headers=origin)


async def echoes(client):
    number = next(_numbers)
    await client.send_json({"type": "echo", "n": number})
    return await hears(client, {"type": "echo", "n": number})


async def test_the_first_page_shows_both_chats_and_loads_nothing_from_elsewhere(server):
    headers, page = await fetch(server, "/")

    assert "Plain" in page
    assert "Resilient" in page
    assert "<script>" not in page
    assert "https://" not in page
    assert "default-src" in headers["Content-Security-Policy"]


async def test_a_malformed_message_ends_the_plain_chat_and_not_the_resilient_one(server):
    plain, resilient = await connect(server, "plain"), await connect(server, "resilient")
    assert await echoes(plain)
    assert await echoes(resilient)

    await plain.send_text("{")
    await resilient.send_text("{")

    _, last = await plain.until(lambda received: isinstance(received, Close | Eof | Reset))
    assert isinstance(last, Close | Eof | Reset)
    assert await echoes(resilient)
    await plain.aclose()
    await resilient.aclose()
