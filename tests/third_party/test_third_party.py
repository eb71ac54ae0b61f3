"""Consumers of DCRF, chanx and Strawberry work under the mixin, in process."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from channels.layers import get_channel_layer
from channels.testing import WebsocketCommunicator

from support.layers import ScriptedLayer, installed
from support.loop import virtual
from third_party import consumers
from third_party.conversations import CONVERSATIONS, SUBPROTOCOLS, Conversation

PLAIN = {
    "/rest": consumers.PlainRest.as_asgi(),
    "/chanx": consumers.PlainChanx.as_asgi(),
    "/graphql": consumers.graphql(consumers.PlainGraphQL),
}


@dataclass
class Session:
    """A connected client and its conversation."""

    client: WebsocketCommunicator
    conversation: Conversation

    @property
    def disconnects(self) -> list[Any]:
        return consumers.DISCONNECTS["in-process"]


async def connect(routes: dict[str, Any], library: str) -> Session:
    consumers.DISCONNECTS.clear()
    subprotocols = SUBPROTOCOLS[library]
    client = WebsocketCommunicator(
        routes[library], f"{library}?in-process", subprotocols=subprotocols
    )
    assert await client.connect() == (True, subprotocols[0] if subprotocols else None)
    say: Callable[[str], Awaitable[None]] = lambda text: client.send_input(  # noqa: E731
        {"type": "websocket.receive", "text": text}
    )
    conversation = CONVERSATIONS[library](say, client.receive_from)
    await conversation.begin()
    return Session(client, conversation)


@pytest.fixture(params=["/rest", "/chanx", "/graphql"])
def library(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("routes", [PLAIN, consumers.ROUTES], ids=["plain", "mixin"])
@virtual
async def test_an_exchange_a_group_event_and_one_disconnect(routes: dict, library: str):
    session = await connect(routes, library)
    await session.conversation.exchange()

    await get_channel_layer().group_send("news", {"type": "news", "text": "extra!"})
    assert await session.conversation.hear_news() == "extra!"
    await session.client.disconnect(4000)

    assert session.disconnects == [4000]
    assert get_channel_layer().groups == {}


@virtual
async def test_bad_input_is_survived(library: str):
    session = await connect(consumers.ROUTES, library)

    await session.conversation.offend()

    await session.conversation.exchange()
    await session.client.disconnect()
    assert session.disconnects == [1000]


@virtual
async def test_an_unknown_event_is_survived(library: str):
    session = await connect(consumers.ROUTES, library)

    await get_channel_layer().group_send("news", {"type": "no.such.handler"})

    await session.conversation.exchange()
    await session.client.disconnect()
    assert session.disconnects == [1000]


@virtual
async def test_a_layer_that_breaks_down_and_returns_empty_is_survived(library: str):
    with installed(ScriptedLayer()) as layer:
        session = await connect(consumers.ROUTES, library)
        layer.break_down(ConnectionError("the broker is gone"))
        layer.lose_groups()
        await session.conversation.exchange()

        layer.heal()
        await until(lambda: layer.members("news"))
        await layer.group_send("news", {"type": "news", "text": "we are back"})

        assert await session.conversation.hear_news() == "we are back"
        await session.client.disconnect()
        assert session.disconnects == [1000]


async def until(condition: Callable[[], Any], seconds: int = 60) -> None:
    for _ in range(seconds * 10):
        if condition():
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"not within {seconds} virtual seconds")
