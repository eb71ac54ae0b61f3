"""An application behind the middleware: what it is given, until something fails."""

import asyncio
import functools

import pytest
from channels.layers import get_channel_layer
from channels.routing import URLRouter
from django.urls import path

from resilient_channels import ResilientMiddleware
from resilient_channels.registry import registry
from shells.clients import V1, WireClient, meet
from shells.mounts import ACCEPT, Chat, mount, nothing_is_left, plain
from shells.visits import Visit, both_colours, build, open_visit, settle
from support.loop import virtual
from support.servers import ALL_STYLES, UVICORN

every_server = pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)


class Recorder:
    """An application that keeps what it was called with."""

    def __init__(self):
        self.calls = []

    async def __call__(self, scope, receive, send):
        self.calls.append((scope, receive, send))


async def echo(scope, receive, send):
    assert (await receive())["type"] == "websocket.connect"
    await send(ACCEPT)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})
    scope["notes"].append(message)


# --- what is not a websocket's ---------------------------------------------------------------


@pytest.mark.parametrize("kind", ["http", "lifespan", "channel", "webtransport"])
@virtual
async def test_other_scopes_are_passed_on_as_they_are(kind):
    application, given = Recorder(), ({"type": kind}, object(), object())

    await ResilientMiddleware(application)(*given)

    (call,) = application.calls
    assert all(mine is theirs for mine, theirs in zip(call, given, strict=True))
    assert given[0] == {"type": kind}
    assert nothing_is_left()


@virtual
async def test_an_application_without_a_scope_type_fails_as_it_does_without():
    with pytest.raises(KeyError):
        await ResilientMiddleware(Recorder())({}, None, None)


# --- transparent -----------------------------------------------------------------------------


@every_server
@virtual
async def test_frames_go_through_in_order_and_nothing_else_does(style):
    visit = await open_visit(mount(echo), style=style)
    frames = [*map(str, range(50)), b"", b"\x1e", "", "\x1e", '\x1e{"type":"ping","n":1}', "ping"]

    for frame in frames:
        visit.client_sends(frame)
    await settle(12 * 3600)

    assert visit.texts == frames
    assert {sent["type"] for sent in visit.sent} == {"websocket.accept", "websocket.send"}
    await visit.leave(4321)
    assert [end["code"] for end in visit.notes] == [4321]
    assert nothing_is_left()


@virtual
async def test_messages_are_the_very_ones_of_the_server_and_of_the_application():
    sent = [ACCEPT, {"type": "websocket.send", "text": "x", "more": object()}]
    received = []

    async def application(scope, receive, send):
        received.append(await receive())
        for message in sent:
            await send(message)
        received.append(await receive())

    visit = Visit(mount(application))
    visit.client_sends("y")
    await visit.ended()

    assert [mine is theirs for mine, theirs in zip(visit.sent, sent, strict=False)] == [True] * 2
    assert [a is b for a, b in zip(received, visit.received, strict=False)] == [True] * 2


@virtual
async def test_the_scope_of_an_ordinary_client_is_the_servers_own():
    application = Recorder()

    visit = Visit(mount(application), subprotocols=["chat"])
    await visit.ended()

    assert application.calls[0][0] is visit.scope


@virtual
async def test_the_application_reads_ahead_of_nobody_before_it_asks():
    """It may be one that takes over, or one that refuses without looking."""
    begun = asyncio.Event()

    async def application(scope, receive, send):
        await begun.wait()
        await echo(scope, receive, send)

    visit = Visit(mount(application))
    await settle(5)
    assert visit.received == []

    begun.set()
    await settle()
    assert visit.received == [{"type": "websocket.connect"}]
    visit.client_sends("x")
    await settle()
    assert visit.texts == ["x"]
    await visit.leave()


@both_colours
@virtual
async def test_a_consumer_works_in_its_groups_as_ever(colour):
    visit = await open_visit(mount(plain(Chat, colour)))

    await get_channel_layer().group_send("room", {"type": "news", "text": "all of you"})
    visit.client_sends("say hi")
    await settle()

    assert sorted(visit.texts) == ["all of you", "hi"]
    await visit.leave()
    assert visit.notes == ["say hi", ("disconnect", 1000)]


@both_colours
@virtual
async def test_what_an_application_raises_reaches_the_server(colour, facts):
    visit = await open_visit(mount(plain(Chat, colour)))

    visit.client_sends("fail today")

    assert repr(await visit.ended()) == "LookupError('today')"
    assert visit.closes == []
    (closed,) = facts("connection.closed")
    assert (closed.code, closed.kind) == (1011, "error")
    assert nothing_is_left()
    await get_channel_layer().flush()


@every_server
@virtual
async def test_a_denial_response_goes_through(style, facts):
    async def application(scope, receive, send):
        await send({"type": "websocket.http.response.start", "status": 403, "headers": []})
        for more in (True, False):
            await send({"type": "websocket.http.response.body", "body": b"no", "more_body": more})

    visit = Visit(mount(application), style=style)
    if style is UVICORN:
        assert await visit.ended() is None
        assert [sent.get("body") for sent in visit.sent] == [None, b"no", b"no"]
        assert asyncio.get_running_loop().time() < 0.1
    else:
        visit.client_vanishes()
        await visit.ended()
    assert [refused.cause for refused in facts("connection.refused")] == ["application"]
    assert nothing_is_left()


# --- subprotocols ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "seen", "chosen", "answered"),
    [
        ([V1], [], None, V1),
        (["chat", V1], ["chat"], "chat", "chat"),
        (["chat", V1], ["chat"], None, V1),
        ([f"{V1}.chat", V1, "chat"], ["chat"], "chat", f"{V1}.chat"),
        ([f"{V1}.b", "a"], ["b", "a"], "a", "a"),
        ([f"{V1}.b", "a"], ["b", "a"], None, None),
        (["a", "b"], ["a", "b"], "b", "b"),
    ],
)
@virtual
async def test_the_application_chooses_among_its_own_subprotocols(offered, seen, chosen, answered):
    async def application(scope, receive, send):
        scope["notes"].append(scope["subprotocols"])
        await send({**ACCEPT, "subprotocol": chosen})
        await receive()
        await receive()

    visit = await open_visit(mount(application), subprotocols=offered)

    assert visit.notes == [seen]
    assert visit.scope["subprotocols"] == offered
    assert visit.sent[0]["subprotocol"] == answered
    assert len(visit.texts) == (answered is not None and answered.startswith(V1))
    await visit.leave()


@virtual
async def test_a_client_of_the_protocol_is_a_client_like_any_other_to_the_application():
    client = await meet(WireClient(mount(echo)))

    client.client_sends("x")
    await settle(200)

    assert client.texts == ["x"]
    assert len(client.pings) >= 7
    await client.leave()
    assert [end["type"] for end in client.notes] == ["websocket.disconnect"]
    assert nothing_is_left()


# --- options ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resilience", "complaint"),
    [
        ({"HEARTBEET": {}}, "ResilientMiddleware.resilience has no section 'HEARTBEET'; did you "),
        ({"SEND": {"dead_line": 1}}, r"\['SEND'\] has no option 'dead_line'; did you mean 'deadl"),
        ({"SEND": {"deadline": 0}}, r"ResilientMiddleware\.resilience: SEND\.deadline must be"),
        ({"LIFETIME": 5}, r"\['LIFETIME'\] must be a dict of options, not 5"),
        ([], r"ResilientMiddleware\.resilience must be a dict of sections, not \[\]"),
        ("", r"ResilientMiddleware\.resilience must be a dict of sections, not ''"),
        ({"SEND": {"deadline": -1}, "X": {}}, "deadline.*; .*no section 'X'"),
    ],
)
def test_options_that_make_no_sense_are_refused_at_once_and_say_what_is_wrong(
    resilience, complaint
):
    with pytest.raises(TypeError, match=complaint):
        ResilientMiddleware(Recorder(), resilience=resilience)


@virtual
async def test_options_come_from_the_settings_where_the_middleware_has_none(settings):
    settings.RESILIENT_CHANNELS = {"LIFETIME": {"max_age": 100, "idle_timeout": 50}}

    visit = await open_visit(mount(echo, LIFETIME={"idle_timeout": None}))
    await visit.ended()

    assert visit.closes == [3513]


# --- names -----------------------------------------------------------------------------------


class Mounted:
    async def __call__(self, scope, receive, send):
        await echo(scope, receive, send)

    async def serve(self, scope, receive, send):
        await echo(scope, receive, send)


HERE = "shells.test_middleware"


@pytest.mark.parametrize(
    ("application", "name"),
    [
        (Chat.as_asgi(), "shells.mounts.Chat"),
        (echo, f"{HERE}.echo"),
        (Mounted(), f"{HERE}.Mounted"),
        (Mounted().serve, f"{HERE}.Mounted.serve"),
        (functools.partial(echo), "functools.partial"),
        (URLRouter([path("", Chat.as_asgi())]), "channels.routing.URLRouter"),
        (build(Chat).as_asgi(), f"{build(Chat).__module__}.Chat"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@virtual
async def test_what_is_wrapped_gives_its_name_to_the_logs(application, name, facts):
    visit = await open_visit(mount(application))
    assert [connection.consumer_name for connection in registry] == [name]

    await visit.leave()

    assert {record.consumer for record in facts("connection.opened")} == {name}
    assert facts.names == ["connection.opened", "connection.closed"]
