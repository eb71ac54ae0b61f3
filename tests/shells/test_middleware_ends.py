"""An application behind the middleware: every end of its connection, and what is left then."""

import asyncio
import gc
import weakref

import pytest

from shells.mounts import ACCEPT, Chat, listener, mount, nothing_is_left, plain
from shells.visits import Visit, both_colours, build, now, open_visit, settle
from support.loop import virtual
from support.servers import ALL_STYLES, UVICORN

every_server = pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)


# --- what the application is told --------------------------------------------------------------

DEPARTURES = {
    "a clean close": (lambda visit: visit.client_closes(1000), 1000, "client"),
    "a code of its own": (lambda visit: visit.client_closes(4321), 4321, "client"),
    "no code": (lambda visit: visit.client_closes(None), 1005, "client"),
    "a lost connection": (lambda visit: visit.client_vanishes(), 1006, "lost"),
}


@pytest.mark.parametrize("departure", DEPARTURES)
@every_server
@virtual
async def test_the_application_is_told_the_same_on_every_server(style, departure, facts):
    leave, code, kind = DEPARTURES[departure]
    visit = await open_visit(mount(listener), style=style)

    leave(visit)

    assert await visit.ended() is None
    (message,) = visit.notes
    assert (message["type"], message["code"]) == ("websocket.disconnect", code)
    assert type(message["code"]) is int
    assert visit.closes == []
    (closed,) = facts("connection.closed")
    assert (closed.code, closed.kind) == (code, kind)
    assert nothing_is_left()


@virtual
async def test_the_reason_is_passed_on_where_the_server_knows_it():
    visit = await open_visit(mount(listener), style=UVICORN)

    visit.client_closes(4001, "enough")
    await visit.ended()

    assert visit.notes == [{"type": "websocket.disconnect", "code": 4001, "reason": "enough"}]


@every_server
@both_colours
@virtual
async def test_disconnect_runs_although_a_send_came_too_late(style, colour, facts):
    """Plain, Uvicorn's exception ends the consumer there."""
    visit = await open_visit(mount(plain(Chat, colour)), style=style)
    visit.client_sends("work 3")
    await settle(1)

    visit.client_vanishes()

    assert await visit.ended() is None
    assert visit.notes == ["work 3", "worked", ("disconnect", 1006)]
    (closed,) = facts("connection.closed")
    assert (closed.sent, closed.unsent) == (0, 1)
    assert facts.alarms == []


@both_colours
@virtual
async def test_a_send_that_fails_is_how_the_application_learns_of_the_end(colour):
    """Symptom: an AssertionError came out of ``receive()``: how it ended was not yet known."""

    def fail(message):
        if message["type"] == "websocket.send":
            raise OSError("gone")

    visit = await open_visit(mount(plain(Chat, colour)), on_send=fail)
    visit.client_sends("say hi")
    await settle(0.5)
    visit.client_vanishes()

    assert await visit.ended() is None
    assert visit.notes == ["say hi", ("disconnect", 1006)]
    assert nothing_is_left()


@virtual
async def test_a_server_that_never_reports_the_end_is_waited_for_one_second():
    def fail(message):
        if message["type"] == "websocket.send":
            raise OSError("gone")

    visit = await open_visit(mount(plain(Chat)), on_send=fail)
    started = now()
    visit.client_sends("say hi")

    assert await visit.ended() is None
    assert visit.notes == ["say hi", ("disconnect", 1006)]
    assert 0.9 < now() - started < 1.2


@pytest.mark.parametrize(
    ("limits", "code"), [({"max_age": 100}, 3513), ({"idle_timeout": 100}, 3440)]
)
@every_server
@both_colours
@virtual
async def test_a_limit_of_ours_reaches_the_application_with_our_code(style, colour, limits, code):
    """Symptom: an AssertionError came out of ``receive()`` before the close frame was written."""
    visit = await open_visit(mount(plain(Chat, colour), LIFETIME=limits), style=style)

    assert await visit.ended() is None

    assert visit.closes == [code]
    assert visit.notes == [("disconnect", code)]
    assert 89 < now() < 101
    assert nothing_is_left()


@virtual
async def test_what_was_read_before_the_connection_became_too_old_is_still_handled():
    visit = await open_visit(mount(plain(Chat), LIFETIME={"max_age": 10}))
    await settle(8)
    for text in ("work 3", "1", "2"):
        visit.client_sends(text)

    assert await visit.ended() is None

    assert visit.notes == ["work 3", "worked", "1", "2", ("disconnect", 3513)]


@both_colours
@virtual
async def test_a_peer_that_does_not_read_is_given_up_and_the_application_goes_on(colour, facts):
    async def block(message):
        if message["type"] == "websocket.send":
            await asyncio.get_running_loop().create_future()

    visit = await open_visit(mount(plain(Chat, colour)), on_send=block, style=UVICORN)
    visit.client_sends("say hi")

    assert await visit.ended() is None
    assert visit.notes == ["say hi", ("disconnect", 3420)]
    assert visit.closes == [3420]
    assert facts.alarms == []
    assert nothing_is_left()


@virtual
async def test_an_application_that_is_far_behind_is_closed_in_the_end(facts):
    async def application(scope, receive, send):
        await listener_until(4, scope, receive, send)
        await asyncio.sleep(400)
        scope["notes"].append(await receive())

    visit = await open_visit(mount(application))
    for number in range(20):
        visit.client_sends(str(number))

    await visit.ended()

    assert visit.closes == [3503]
    assert facts("inbox.full") != []
    assert nothing_is_left()


async def listener_until(count, scope, receive, send):
    await receive()
    await send(ACCEPT)
    for _ in range(count):
        scope["notes"].append(await receive())


# --- ends of the application's making ------------------------------------------------------------


@every_server
@virtual
async def test_an_application_that_returns_is_closed(style, facts):
    async def application(scope, receive, send):
        await send(ACCEPT)

    visit = await open_visit(mount(application), style=style)

    assert await visit.ended() is None
    assert visit.closes == [None]
    (closed,) = facts("connection.closed")
    assert (closed.code, closed.kind) == (1000, "server")
    assert nothing_is_left()


@every_server
@virtual
async def test_an_application_that_returns_before_it_decides_has_refused(style):
    async def application(scope, receive, send):
        await receive()

    visit = Visit(mount(application), style=style)

    assert await visit.ended() is None
    assert visit.closes == [None]
    assert visit.sent_of_type("websocket.accept") == []
    assert nothing_is_left()


@pytest.mark.parametrize("before_accept", [True, False])
@pytest.mark.parametrize(
    "error", [LookupError("x"), ExceptionGroup("", [OSError(), ValueError()]), OSError("gone")]
)
@virtual
async def test_the_exception_itself_reaches_the_server(error, before_accept):
    async def application(scope, receive, send):
        if not before_accept:
            await send(ACCEPT)
        await asyncio.sleep(1)
        raise error

    visit = Visit(mount(application))

    assert await visit.ended() is error
    assert visit.closes == []
    assert nothing_is_left()


@both_colours
@virtual
async def test_a_close_of_the_applications_own_is_passed_on(colour, facts):
    visit = await open_visit(mount(plain(Chat, colour)), style=UVICORN)

    visit.client_sends("close 4001")

    assert await visit.ended() is None
    assert visit.closes == [4001]
    assert visit.notes == ["close 4001", ("disconnect", 4001)]
    (closed,) = facts("connection.closed")
    assert (closed.code, closed.kind, closed.initiator) == (4001, "server", "server")


@virtual
async def test_closing_twice_and_closing_what_is_gone_is_harmless():
    async def application(scope, receive, send):
        await send(ACCEPT)
        for code in (4001, 4002):
            await send({"type": "websocket.close", "code": code})
        scope["notes"].append((await receive())["type"])
        scope["notes"].append((await receive())["code"])
        await send({"type": "websocket.close", "code": 4003})

    visit = await open_visit(mount(application), style=UVICORN)

    assert await visit.ended() is None
    assert visit.closes == [4001]
    assert visit.notes == ["websocket.connect", 4001]


@virtual
async def test_a_server_that_cancels_the_application_is_told_when_all_is_cleaned_up(facts):
    visit = await open_visit(mount(listener), style=UVICORN)

    await visit.leave_at_once()

    assert visit.notes == []
    assert visit.closes == [3512]
    assert [closed.kind for closed in facts("connection.closed")] == ["cancelled"]
    assert nothing_is_left()


@pytest.mark.parametrize("inside", ["plain", "mixin"])
@virtual
async def test_connections_that_ended_are_forgotten(inside):
    application = plain(Chat) if inside == "plain" else build(Chat).as_asgi()
    mounted, ended = mount(application), []
    for _ in range(5):
        visit = await open_visit(mounted)
        ended.append(weakref.ref(visit))  # the connection holds its send
        await visit.leave()
    del visit

    gc.collect()

    assert [visit() for visit in ended] == [None] * 5
