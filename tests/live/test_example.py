"""The example project answers in a browser's terms, on both servers."""

import asyncio
import http.client
import re
import urllib.request
from itertools import count

import pytest

from live.demo import Demo
from live.stage import TESTS, hears
from tour import client as websocket
from tour.client import Close, Eof, Reset
from tour.servers import Server

pytestmark = pytest.mark.live

EXAMPLE = TESTS.parent / "example_project"
SERVERS = ["daphne", "uvicorn"]
_numbers = count(1)


@pytest.fixture(params=SERVERS)
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


def asked(demo, action, *, token):
    """Ask the demo's server for something, as its page does; return the status of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", demo.port, timeout=20)
    connection.request("GET", "/")
    answer = connection.getresponse()
    page, cookie = answer.read().decode(), answer.headers["Set-Cookie"].split(";")[0]
    headers = {"Cookie": cookie}
    if token:
        headers["X-CSRFToken"] = re.search(r'name="csrf-token" content="(\w+)"', page)[1]
    connection.request("POST", f"/server/{action}/", headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize("server", SERVERS)
def test_the_demo_starts_its_server_anew_only_when_its_own_page_asks(server, tmp_path):
    with Demo(server, tmp_path / "demo.log") as demo:
        forged = asked(demo, "server-restart", token=False)
        own = asked(demo, "server-restart", token=True)

        assert (forged, own) == (403, 200)
        demo.restarts(1)
        assert asked(demo, "server-restart", token=True) == 200
        demo.restarts(2)
        assert demo.interrupt() == 0
        assert not demo.listens()


@pytest.mark.parametrize("fault", ["deploy", "server-restart"])
async def test_a_server_that_nobody_would_start_again_is_not_ended(server, fault):
    def ask():
        return asked(server, fault, token=True)

    _, page = await fetch(server, "/")

    assert await asyncio.to_thread(ask) == 409
    assert re.search(rf'data-fault="{fault}"[^>]* disabled', page)
