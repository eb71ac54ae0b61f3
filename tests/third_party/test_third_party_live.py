"""The same consumers on real servers: Daphne and Uvicorn, as processes of their own."""

import asyncio
import json
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from live.stage import reported
from third_party.conversations import CONVERSATIONS, SUBPROTOCOLS, Conversation
from tour import client as websocket
from tour.messages import Text
from tour.servers import NAMES, Server

pytestmark = pytest.mark.live

TESTS = Path(__file__).resolve().parent.parent
LOSSES = ("fin", "rst")
numbers = count(1)


@pytest.fixture(scope="module", params=NAMES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    server = Server(
        request.param,
        "third_party.asgi:application",
        environment={"DJANGO_SETTINGS_MODULE": "settings"},
        directory=TESTS,
        log=tmp_path_factory.mktemp("third_party") / "server.log",
    )
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.fixture(params=["/rest", "/chanx", "/graphql"])
def library(request: pytest.FixtureRequest) -> str:
    return request.param


class Session:
    """A connected client, its conversation, and what the server says about it."""

    def __init__(self, server: Server, client: websocket.Client, name: str) -> None:
        self.server = server
        self.client = client
        self.name = name

    @classmethod
    async def begin(cls, server: Server, library: str) -> tuple["Session", Conversation]:
        name = f"c{next(numbers)}"
        protocols = SUBPROTOCOLS[library]
        client = await websocket.connect(
            server.port, library, query={"c": name}, subprotocols=protocols
        )
        assert client.subprotocol == (protocols[0] if protocols else None)
        session = cls(server, client, f"c={name}")
        conversation = CONVERSATIONS[library](client.send_text, session.hear)
        await conversation.begin()
        return session, conversation

    async def hear(self) -> str:
        received = await self.client.recv()
        assert isinstance(received, Text), received
        return received.data

    async def get(self, path: str) -> dict[str, list[Any]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        await writer.wait_closed()
        return json.loads(answer[answer.index("{") : answer.rindex("}") + 1])

    async def disconnects(self, deadline: float = 5.0) -> list[Any]:
        """What ``disconnect()`` was called with, once it has been."""
        give_up = time.monotonic() + deadline
        while time.monotonic() < give_up:
            if codes := (await self.get("/facts")).get(self.name):
                return codes
            await asyncio.sleep(0.02)
        return []


async def test_an_exchange_an_event_and_bad_input(server: Server, library: str) -> None:
    session, conversation = await Session.begin(server, library)
    async with session.client:
        await conversation.exchange()
        await session.get("/publish?extra")
        assert await conversation.hear_news() == "extra"

        await conversation.offend()

        await conversation.exchange()
        await session.client.close(4000)
        assert await session.disconnects() == [reported(server.name, 4000, "client")["code"]]


@pytest.mark.parametrize("loss", LOSSES)
async def test_a_lost_client_is_disconnected_once(server: Server, library: str, loss: str) -> None:
    session, conversation = await Session.begin(server, library)
    async with session.client:
        await conversation.exchange()

        await getattr(session.client, loss)()

        assert await session.disconnects() == [1006]


@pytest.mark.parametrize("loss", LOSSES)
async def test_a_client_lost_while_a_subscription_streams(server: Server, loss: str) -> None:
    session, conversation = await Session.begin(server, "/graphql")
    async with session.client:
        await conversation.subscribe("ticks", "subscription { ticks }")  # type: ignore[attr-defined]
        for _ in range(5):
            await conversation.hear()

        await getattr(session.client, loss)()

        assert await session.disconnects() == [1006]


async def test_many_lost_clients_leave_a_server_that_is_well(server: Server, library: str) -> None:
    said_before = len(server.log.read_text())
    sessions = [await Session.begin(server, library) for _ in range(20)]
    for session, _ in sessions:
        await session.client.rst()

    for session, _ in sessions:
        assert await session.disconnects() == [1006]
    session, conversation = await Session.begin(server, library)
    async with session.client:
        await conversation.exchange()
        await session.client.close()
        assert await session.disconnects() == [reported(server.name, 1000, "client")["code"]]
    assert "Traceback" not in server.log.read_text()[said_before:]
