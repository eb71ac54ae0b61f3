"""Asking for the wire protocol in the handshake: the application sees its own, and chooses."""

import pytest
from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer

from shells.clients import V1, Listener, WireClient, control, everything_sent, meet
from shells.visits import Visit, both_colours, build, note, open_visit, settle
from support.loop import virtual


class Chooser(AsyncWebsocketConsumer):
    """Accepts the subprotocol that the path names, and notes what it was offered."""

    async def connect(self):
        note(self, self.scope["subprotocols"])
        await self.accept(subprotocol=self.scope["path"].strip("/") or None)

    async def receive(self, text_data=None, bytes_data=None):
        note(self, text_data)


@pytest.mark.parametrize(
    ("offered", "visible", "chosen", "answered", "negotiated"),
    [
        ([V1], [], "", V1, True),
        ([V1, "chat"], ["chat"], "", V1, True),
        ([V1, "chat"], ["chat"], "chat", "chat", False),
        (["resilient.v1.chat", "chat"], ["chat"], "chat", "resilient.v1.chat", True),
        (["chat", "resilient.v1.chat"], ["chat"], "chat", "resilient.v1.chat", True),
        (["resilient.v1.chat", "chat", V1], ["chat"], "", V1, True),
        (["resilient.v1.chat"], ["chat"], "", None, False),
        (["news", "resilient.v1.chat"], ["news", "chat"], "news", "news", False),
        (["chat"], ["chat"], "chat", "chat", False),
        ([], [], "", None, False),
    ],
    ids=str,
)
@both_colours
@virtual
async def test_an_accept_is_translated(colour, offered, visible, chosen, answered, negotiated):
    consumer = build(Chooser, colour)
    client = await meet(WireClient(consumer, subprotocols=offered, path=f"/{chosen}"))
    await settle(60)

    assert client.notes == [visible]
    assert client.sent[0].get("subprotocol") == answered
    assert client.control_types()[:1] == (["hello"] if negotiated else [])
    assert bool(client.pings) is negotiated
    await client.leave()


@both_colours
@virtual
async def test_headers_of_an_accept_are_kept(colour):
    class WithHeaders(AsyncWebsocketConsumer):
        async def connect(self):
            await self.accept(headers=[(b"x-server", b"7")])

    client = await meet(WireClient(build(WithHeaders, colour)))

    [accept] = client.sent_of_type("websocket.accept")
    assert accept == {
        "type": "websocket.accept",
        "subprotocol": V1,
        "headers": [(b"x-server", b"7")],
    }
    await client.leave()


@both_colours
@virtual
async def test_the_scope_of_the_server_is_not_changed(colour):
    client = await meet(WireClient(build(Chooser, colour), subprotocols=[V1, "chat"]))

    assert client.scope["subprotocols"] == [V1, "chat"]
    assert client.consumer.scope["subprotocols"] == ["chat"]
    assert client.consumer.scope["notes"] is client.notes
    await client.leave()


@both_colours
@virtual
async def test_the_scope_of_an_ordinary_client_is_the_servers_own(colour):
    visit = await open_visit(build(Chooser, colour), subprotocols=["chat", "resilient.v2"])

    assert visit.consumer.scope is visit.scope
    await visit.leave()


@both_colours
@virtual
async def test_a_consumer_with_its_own_call_sees_its_own_subprotocols(colour):
    class OwnCall(Chooser):
        async def __call__(self, scope, receive, send):
            scope["notes"].append(("called with", scope["subprotocols"]))
            await super().__call__(scope, receive, send)

    client = await meet(WireClient(build(OwnCall, colour), subprotocols=[V1, "chat"]))

    assert client.notes == [("called with", ["chat"]), ["chat"]]
    assert client.sent[0]["subprotocol"] == V1
    assert client.control_types() == ["hello"]
    await client.leave()


@both_colours
@virtual
async def test_a_consumer_of_raw_messages_may_say_nothing_of_subprotocols(colour):
    class Raw(AsyncConsumer):
        async def websocket_connect(self, message):
            note(self, self.scope["subprotocols"])
            await self.send({"type": "websocket.accept"})

        async def websocket_receive(self, message):
            await self.send({"type": "websocket.send", "text": message["text"]})

        async def websocket_disconnect(self, message):
            raise StopConsumer

    client = await meet(WireClient(build(Raw, colour)))
    client.client_sends(control(type="ping", n=1))
    client.client_sends("hi")
    await settle()

    assert client.notes == [[]]
    assert client.sent[0] == {"type": "websocket.accept", "subprotocol": V1}
    assert client.control_types() == ["hello", "pong"]
    assert client.texts == ["hi"]
    await client.leave()


@both_colours
@virtual
async def test_a_refusal_stays_a_refusal(colour):
    class Refuses(AsyncWebsocketConsumer):
        async def connect(self):
            await self.close()

    client = WireClient(build(Refuses, colour))
    assert await client.ended() is None

    assert everything_sent(client) == ["close"]


@virtual
async def test_what_the_server_would_not_accept_can_be_accepted_otherwise():
    """The second try decides: under a foreign subprotocol nobody is pinged."""

    class TriesTwice(AsyncWebsocketConsumer):
        async def connect(self):
            try:
                await self.accept(headers=[(b"bad header", b"")])
            except ValueError:
                await self.accept("chat")

        async def receive(self, text_data=None, bytes_data=None):
            await self.send(text_data)

    def refuse(message):
        if message.get("headers"):
            raise ValueError("illegal header name")

    client = await meet(WireClient(build(TriesTwice), subprotocols=[V1, "chat"], on_send=refuse))
    await settle(300)

    assert everything_sent(client) == ["accept"]
    assert client.consumer.resilient.rtt is None
    client.client_sends(control(type="ping", n=1))
    await settle()
    assert [sent["text"] for sent in client.sent[1:]] == [control(type="ping", n=1)]
    await client.leave()


@virtual
async def test_a_scope_without_subprotocols_is_no_trouble():
    visit = Visit(build(Listener))
    del visit.scope["subprotocols"]
    assert (await visit.next_sent())["type"] == "websocket.accept"
    await settle()

    assert visit.texts == []
    await visit.leave()
