"""A client of the wire protocol is told before a close frame what to do about it."""

import asyncio

import pytest

from shells.clients import Listener, WireClient, come_to_an_end, everything_sent, meet
from shells.visits import both_colours, build, note, settle
from support.loop import virtual
from support.servers import ALL_STYLES

TENTHS = [number / 10 for number in range(10)]

every_server = pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)


@virtual
async def test_who_spends_the_error_budget_hears_goodbye():
    class Fails(Listener):
        async def receive(self, text_data=None, bytes_data=None):
            raise LookupError

    client = await meet(WireClient(build(Fails, ERRORS={"budget": 0})))

    client.client_sends("go")
    await come_to_an_end(client)

    bye = client.controls[-1]
    assert (bye["type"], bye["code"], bye["verdict"]) == ("bye", 3500, "backoff")


@pytest.mark.parametrize("code", [1000, 3403])
@both_colours
@virtual
async def test_a_client_is_told_that_the_application_is_done_with_it(colour, code):
    """Daphne closes with 1000, too, after a day; but says no goodbye."""
    client = await meet(WireClient(build(Listener, colour)))

    client.client_sends(f"close {code}")
    await come_to_an_end(client)

    assert client.control_types() == ["hello", "bye"]
    assert (client.controls[-1]["code"], client.controls[-1]["verdict"]) == (code, "never")
    assert client.closes == [code]


@both_colours
@virtual
async def test_what_follows_from_the_applications_own_code_only_the_client_knows(colour):
    client = await meet(WireClient(build(Listener, colour)))

    client.client_sends("close 4001")
    await come_to_an_end(client)

    assert client.control_types() == ["hello"]
    assert client.closes == [4001]


@virtual
async def test_a_peer_that_was_given_up_hears_no_goodbye():
    client = await meet(WireClient(build(Listener)))
    client.freeze()

    await come_to_an_end(client)

    assert "bye" not in client.control_types()


@both_colours
@virtual
async def test_a_close_with_an_illegal_code_says_no_goodbye(colour):
    class Wrong(Listener):
        async def receive(self, text_data=None, bytes_data=None):
            try:
                await self.close(1006)
            except ValueError:
                await self.send("still open")

    client = await meet(WireClient(build(Wrong, colour)))

    client.client_sends("go")
    await settle()

    assert client.control_types() == ["hello"]
    assert client.texts == ["still open"]
    await client.leave()


@every_server
@virtual
async def test_a_handshake_that_is_refused_after_all_says_no_goodbye(style):
    class GivesUp(Listener):
        async def connect(self):
            try:
                await self.accept(headers=[(b"bad header", b"")])
            except ValueError as error:
                note(self, str(error))
                await self.close()

    def refuse(message):
        if message.get("headers"):
            raise ValueError("illegal header name")

    client = WireClient(build(GivesUp), on_send=refuse, style=style)
    assert await client.ended() is None

    assert client.notes[0] == "illegal header name"
    assert everything_sent(client) == ["close"]
    assert client.refused == []


@virtual
async def test_a_handshake_that_fails_says_no_goodbye(facts):
    class Fails(Listener):
        async def connect(self):
            await self.accept(headers=[(b"bad header", b"")])

    def refuse(message):
        if message.get("headers"):
            raise ValueError("illegal header name")

    client = WireClient(build(Fails), on_send=refuse)
    assert await client.ended() is None

    assert everything_sent(client) == ["close"]
    assert [failed.error for failed in facts("handler.error")] == ["ValueError"]


@every_server
@virtual
async def test_a_consumer_that_comes_to_its_end_by_itself_says_goodbye(style):
    class Ends(Listener):
        async def __call__(self, scope, receive, send):
            await receive()
            await send({"type": "websocket.accept"})

    client = WireClient(build(Ends), style=style)

    assert await client.ended() is None

    assert everything_sent(client) == ["accept", "hello", "bye", "close"]
    assert client.controls[-1]["verdict"] == "never"


@pytest.mark.parametrize(("options", "seconds"), [({}, 5.0), ({"spread": 60.0}, 60.0)])
@virtual
async def test_those_whose_server_cancels_them_all_do_not_come_back_all_at_once(
    options, seconds, settings, monkeypatch
):
    monkeypatch.setattr("resilient_channels.ending.random", iter(TENTHS).__next__)
    settings.RESILIENT_CHANNELS = {"DRAIN": options}
    consumer = build(Listener)
    clients = [await meet(WireClient(consumer)) for _ in TENTHS]

    for client in clients:
        client.task.cancel()
    for client in clients:
        with pytest.raises(asyncio.CancelledError):
            await client.task

    byes = [client.controls[-1] for client in clients]
    assert {bye["code"] for bye in byes} == {3512}
    assert [bye["after_ms"] for bye in byes] == [tenth * seconds * 1000 for tenth in TENTHS]
