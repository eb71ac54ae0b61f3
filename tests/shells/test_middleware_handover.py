"""A resilient consumer behind the middleware takes over, whatever stands in between."""

import asyncio

import pytest
from channels.auth import AuthMiddlewareStack
from channels.layers import get_channel_layer
from channels.routing import URLRouter
from django.urls import path

from resilient_channels import ResilientMiddleware
from resilient_channels.registry import registry
from shells.clients import BOUND, LATENCY, V1, WireClient, come_to_an_end, everything_sent, meet
from shells.mounts import (
    ACCEPT,
    Resilient,
    accepting_first,
    between,
    consumer_behind,
    copying_scope,
    mount,
    nothing,
    nothing_is_left,
    receiving_first,
    wrapping_both,
    wrapping_receive,
    wrapping_send,
)
from shells.visits import both_colours, build, note, open_visit, settle
from support.loop import virtual
from support.servers import ALL_STYLES

every_server = pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)


def routed(application):
    return URLRouter([path("", application)])


def mounted_again(application):
    return ResilientMiddleware(application)


def mounted_by_options(application):
    return ResilientMiddleware(application, resilience={"HEARTBEAT": {"mode": "off"}})


def twice_wrapped(application):
    return wrapping_send(mounted_again(wrapping_receive(application)))


STEPPING_ASIDE = [
    nothing, routed, copying_scope, AuthMiddlewareStack, wrapping_send, wrapping_receive,
    mounted_again, mounted_by_options, twice_wrapped,
]  # fmt: skip
STAYING = [wrapping_both, receiving_first, accepting_first]


# --- it takes over -------------------------------------------------------------------------------


@between(*STEPPING_ASIDE)
@both_colours
@virtual
async def test_there_is_one_heartbeat_one_log_and_one_owner(colour, wrap, facts):
    client = await meet(WireClient(consumer_behind(wrap, colour)))
    (driver,) = registry
    assert driver.consumer_name.endswith(".Resilient")
    await settle(300)

    assert everything_sent(client)[:2] == ["accept", "hello"]
    assert client.control_types().count("hello") == 1
    assert 12 <= len(client.pings) <= 15
    assert driver.heartbeat.rtt == LATENCY
    await client.leave(4001)
    assert client.notes == [("client", 4001), ("disconnect", 4001)]
    assert facts.names == ["connection.opened", "connection.closed"]
    assert {record.consumer for record in facts("connection.closed")} == {driver.consumer_name}
    assert nothing_is_left()


@between(*STEPPING_ASIDE, *STAYING)
@both_colours
@every_server
@virtual
async def test_a_frozen_client_is_a_timeout_to_the_consumer(style, colour, wrap, facts):
    client = await meet(WireClient(consumer_behind(wrap, colour), style=style))
    client.client_sends("say hi")
    await settle(100)
    client.freeze()

    assert await come_to_an_end(client) <= BOUND

    assert client.closes == [3408]
    assert client.notes[1:] == [("gave up", 3408), ("disconnect", 3408)]
    assert len(facts("heartbeat.timeout")) == 1
    assert {closed.kind for closed in facts("connection.closed")} == {"timeout"}
    assert nothing_is_left()


@between(*STEPPING_ASIDE)
@virtual
async def test_its_errors_are_isolated_and_its_groups_held(wrap):
    visit = await open_visit(consumer_behind(wrap))

    visit.client_sends("fail")
    visit.client_sends("say hi")
    await settle()
    await get_channel_layer().group_send("room", {"type": "news", "text": "news"})
    await settle()

    assert [text.lower() for text in visit.texts] == ["hi", "news"]
    await visit.leave()
    assert get_channel_layer().groups == {}


@virtual
async def test_its_own_options_count_and_not_those_of_the_middleware_around():
    resilience = {"LIFETIME": {"max_age": 1000}}
    application = build(Resilient, **resilience).as_asgi()

    visit = await open_visit(mount(application, LIFETIME={"max_age": 10}))
    await visit.ended()

    assert 900 <= asyncio.get_running_loop().time() <= 1001
    assert visit.closes == [3513]


class OwnCall(Resilient):
    async def __call__(self, scope, receive, send):
        note_call(scope)
        await super().__call__(scope, receive, send)


def note_call(scope):
    scope["notes"].append("called")


@between(nothing, wrapping_send, wrapping_both)
@both_colours
@virtual
async def test_a_consumer_with_its_own_call_is_at_home_there_too(colour, wrap):
    client = await meet(WireClient(mount(wrap(build(OwnCall, colour).as_asgi()))))
    client.client_sends("fail")
    client.client_sends("say hi")
    await settle(100)
    client.freeze()

    assert await come_to_an_end(client) <= BOUND
    assert [note for note in client.notes if isinstance(note, tuple)] == [
        ("gave up", 3408),
        ("disconnect", 3408),
    ]
    assert client.notes[0] == "called"
    assert [text.lower() for text in client.texts] == ["hi"]
    assert nothing_is_left()


# --- what stands in between keeps its say --------------------------------------------------------


@virtual
async def test_a_middleware_that_wraps_receive_is_not_passed_by():
    """Symptom: the consumer was given the server's own ``receive``."""
    visit = await open_visit(consumer_behind(wrapping_receive))
    visit.client_sends("abc")
    await settle()
    await visit.leave()

    assert visit.notes[0] == "ABC"


@virtual
async def test_a_middleware_that_wraps_send_is_not_passed_by():
    visit = await open_visit(consumer_behind(wrapping_send))
    visit.client_sends("say hi")
    await settle()
    await visit.leave()

    assert visit.texts == ["HI"]


@virtual
async def test_what_was_put_into_the_scope_is_there():
    class Looks(Resilient):
        async def connect(self):
            note(self, self.scope["user"], self.scope["subprotocols"])
            await self.accept()

    visit = await open_visit(
        mount(copying_scope(build(Looks).as_asgi())), subprotocols=[V1, "chat"]
    )

    assert visit.notes == [("somebody", ["chat"])]
    assert visit.sent[0]["subprotocol"] == V1
    await visit.leave()


@pytest.mark.parametrize(
    ("offered", "wanted", "answered"),
    [
        ([V1, "token.abc"], [], V1),
        ([f"{V1}.chat", "token.abc", V1], ["chat"], f"{V1}.chat"),
        (["token.abc", "chat"], ["chat"], "chat"),
        ([V1, "chat"], ["chat", "more"], "chat"),
    ],
)
@virtual
async def test_what_was_taken_out_of_the_offer_stays_out(offered, wanted, answered):
    class Looks(Resilient):
        async def connect(self):
            note(self, self.scope["subprotocols"])
            await self.accept(next(iter(self.scope["subprotocols"]), None))

    def changing_the_offer(application):
        async def wrapped(scope, receive, send):
            await application({**scope, "subprotocols": wanted}, receive, send)

        return wrapped

    consumer = mount(changing_the_offer(build(Looks).as_asgi()))
    visit = await open_visit(consumer, subprotocols=offered)

    assert visit.notes == [wanted]
    assert visit.sent[0]["subprotocol"] == answered
    await visit.leave()


@virtual
async def test_a_middleware_in_between_may_close_on_its_own():
    """As one that ends sessions: it keeps the ``send`` it was given, and passes that on."""

    def closing_after(seconds):
        def wrap(application):
            async def wrapped(scope, receive, send):
                async def close():
                    await asyncio.sleep(seconds)
                    await send({"type": "websocket.close", "code": 4401})

                closing = asyncio.ensure_future(close())
                await application(scope, receive, send)
                await closing

            return wrapped

        return wrap

    visit = await open_visit(consumer_behind(closing_after(5)))

    assert await visit.ended() is None
    assert visit.closes == [4401]
    assert visit.notes[-1] == ("disconnect", 4401)
    assert nothing_is_left()


@virtual
async def test_one_consumer_after_another_on_the_same_connection():
    async def first(scope, receive, send):
        await receive()
        await send(ACCEPT)
        scope["notes"].append((await receive())["text"])

    async def second(scope, receive, send):
        scope["notes"].append((await receive())["text"])

    async def application(scope, receive, send):
        await first(scope, receive, send)
        await second(scope, receive, send)

    visit = await open_visit(mount(application))
    visit.client_sends("one")
    visit.client_sends("two")

    assert await visit.ended() is None
    assert visit.notes == ["one", "two"]
    assert visit.closes == [None]
    assert nothing_is_left()
