"""An application behind the middleware: refusals, and handshakes that come to nothing."""

import asyncio

import pytest

from shells.mounts import ACCEPT, Chat, listener, mount, nothing_is_left, plain
from shells.visits import Visit, both_colours, now
from support.loop import virtual
from support.servers import ALL_STYLES, DAPHNE, UVICORN

every_server = pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)


class Refuses(Chat):
    async def connect(self):
        await self.close(4003)


@pytest.mark.parametrize("style", [UVICORN, DAPHNE], ids=lambda style: style.name)
@both_colours
@virtual
async def test_a_refusal_is_answered_by_the_servers_own_code(style, colour, facts):
    visit = Visit(mount(plain(Refuses, colour)), style=style)

    assert await visit.ended() is None

    assert visit.notes == [("disconnect", 1006)]
    assert visit.closes == [4003]
    assert facts.names == ["connection.refused"]
    assert now() < 0.1
    assert nothing_is_left()


@virtual
async def test_the_report_of_a_refusal_may_take_its_time():
    class Slow(type(UVICORN)):
        def take(self, server, message):
            answer = self.own_close(server, message)
            asyncio.get_running_loop().call_later(0.5, server.feed, answer)
            return True

    visit = Visit(mount(plain(Refuses)), style=Slow())

    assert await visit.ended() is None
    assert visit.notes == [("disconnect", 1006)]
    assert 0.5 <= now() < 0.7


@virtual
async def test_an_application_that_refuses_without_a_look_ends_at_once():
    """Symptom: nobody read, so the server's report was waited for in vain: two seconds."""

    async def application(scope, receive, send):
        await send({"type": "websocket.close", "code": 4003})

    visit = Visit(mount(application), style=UVICORN)

    assert await visit.ended() is None
    assert visit.closes == [4003]
    assert now() < 0.1


@every_server
@virtual
async def test_a_handshake_that_nobody_decides_is_refused_in_time(style, facts):
    async def application(scope, receive, send):
        while True:
            scope["notes"].append((await receive())["type"])

    visit = Visit(mount(application, HANDSHAKE={"timeout": 5}), style=style)

    assert await visit.ended() is None
    assert visit.closes == [1000] or visit.closes == [None]
    assert 5 <= now() < 5.5
    assert [refused.cause for refused in facts("connection.refused")] == ["timeout"]
    assert visit.notes == ["websocket.connect"]
    assert nothing_is_left()


@virtual
async def test_an_application_that_decides_too_late_is_told_so(facts):
    async def application(scope, receive, send):
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            scope["notes"].append("cancelled")
        await asyncio.sleep(1)
        await send(ACCEPT)  # raises: the handshake was refused
        scope["notes"].append("accepted")

    visit = Visit(mount(application, HANDSHAKE={"timeout": 5}), style=UVICORN)

    assert await visit.ended() is None
    assert visit.notes == ["cancelled"]
    assert visit.sent_of_type("websocket.accept") == []


@virtual
async def test_a_client_that_leaves_during_the_handshake_is_a_disconnect():
    visit = Visit(mount(listener))
    visit.client_vanishes()

    assert await visit.ended() is None
    assert [note["code"] for note in visit.notes] == [1006]
    assert nothing_is_left()


@virtual
async def test_connect_comes_before_disconnect_even_if_nobody_asked_for_either():
    """Symptom: an application that closed without a look was told of the end first."""

    async def application(scope, receive, send):
        await send({"type": "websocket.close"})
        for _ in range(3):
            scope["notes"].append((await receive())["type"])

    visit = Visit(mount(application), style=UVICORN)

    assert await visit.ended() is None
    assert visit.notes == ["websocket.connect", *["websocket.disconnect"] * 2]
