"""A client counts once, however many of ours are at work on its socket."""

import asyncio
from typing import Any

import pytest
from channels.auth import AuthMiddlewareStack
from channels.generic.websocket import AsyncWebsocketConsumer
from django.test import override_settings

from resilient_channels import ResilientMiddleware
from resilient_channels.crowds import crowds
from shells.crowd import ANN, HOME, come, come_with_protocol, is_empty, is_in, leave_all
from shells.mounts import (
    Resilient,
    between,
    consumer_behind,
    copying_scope,
    mount,
    nothing,
    nothing_is_left,
    plain,
    wrapping_both,
    wrapping_receive,
    wrapping_send,
)
from shells.visits import both_colours, build, note, settle
from support.loop import virtual

ONE = {"connections_per_address": 1}
COUNTED = {**ONE, "connections_per_user": 1, "new_per_second": 0.001, "new_burst": 2}


def mounted_again(application):
    return ResilientMiddleware(application)


def knows_ann(application):
    """Authenticates, further inside."""

    async def wrapped(scope, receive, send):
        await application({**scope, "user": ANN}, receive, send)

    return wrapped


every_way = between(
    nothing, copying_scope, AuthMiddlewareStack, wrapping_send, wrapping_receive, wrapping_both,
    mounted_again,
)  # fmt: skip


pytestmark = pytest.mark.usefixtures("nobody_is_left")


@every_way
@both_colours
@virtual
async def test_a_consumer_behind_a_middleware_counts_once(colour, wrap):
    with override_settings(
        RESILIENT_CHANNELS={"LIMITS": {**COUNTED, "connections_per_address": 2}}
    ):
        application = consumer_behind(wrap, colour)

        first = await come(application, client=HOME)
        second = await come(application, client=HOME)

        assert [is_in(first), is_in(second)] == [True, True]
        assert not is_in(await come(application, client=HOME))  # the limit
        await first.leave()
        third = await come(application, client=("192.0.2.9", 1))
        assert not is_in(third)  # the rate: two, not one
        await second.leave()
        assert nothing_is_left()


@every_way
@both_colours
@virtual
async def test_the_one_at_work_is_replaced_and_told(colour, wrap):
    limits = {**ONE, "when_full": "newest_wins"}
    with override_settings(RESILIENT_CHANNELS={"LIMITS": limits}):
        application = consumer_behind(wrap, colour)
        first = await come_with_protocol(application, client=HOME)

        second = await come(application, client=HOME)
        assert await first.ended() is None

        assert first.closes == [3409]
        assert first.controls[-1]["code"] == 3409
        assert first.notes[-1] == ("disconnect", 3409)
        assert is_in(second)
        await second.leave()
        assert nothing_is_left()


@between(knows_ann)
@virtual
async def test_a_user_found_out_behind_the_middleware_counts(wrap):
    with override_settings(RESILIENT_CHANNELS={"LIMITS": {"connections_per_user": 1}}):
        application = consumer_behind(wrap)

        first = await come(application)

        assert not is_in(await come(application))
        await first.leave()
        again = await come(application)
        assert is_in(again)
        await again.leave()


@virtual
async def test_limits_of_a_middleware_hold_for_the_consumers_that_take_over():
    application = consumer_behind(nothing, LIMITS={"connections_per_address": 5})
    guarded = mount(build(Resilient, LIMITS={}).as_asgi(), LIMITS=ONE)

    first = await come(guarded, client=HOME)

    assert not is_in(await come(guarded, client=HOME))
    elsewhere = await come(application, client=HOME)  # another place counts for itself
    assert is_in(elsewhere)
    await leave_all(first, elsewhere)


@virtual
async def test_the_consumers_own_limits_hold_as_well():
    inner = build(Resilient, LIMITS=ONE).as_asgi()
    guarded = mount(inner, LIMITS={"connections_per_address": 2, "new_per_second": 100})

    first = await come(guarded, client=HOME)

    refused = await come(guarded, client=HOME)
    assert not is_in(refused)
    await refused.ended()
    await first.leave()
    again = [await come(guarded, client=HOME), await come(guarded, client=("192.0.2.9", 1))]
    assert all(is_in(visit) for visit in again)
    await leave_all(*again)


@virtual
async def test_two_consumers_on_one_socket_count_once():
    """As with a multiplexer: the inner one has ends of its own."""

    class Inner(AsyncWebsocketConsumer):
        async def disconnect(self, code):
            self.scope["notes"].append("inner is gone")

    inner = build(Inner)

    class Outer(Resilient):
        async def __call__(self, scope, receive, send):
            async def through(message):
                await send(message)

            async def from_client():
                return await receive()

            await inner.as_asgi()(scope, from_client, through)

    with override_settings(RESILIENT_CHANNELS={"LIMITS": {**ONE, **{"new_per_second": 0.001}}}):
        outer = mount(build(Outer).as_asgi())
        first = await come(outer, client=HOME)

        assert is_in(first)
        assert not is_in(await come(outer, client=HOME))
        await first.leave()


class Multiplexer(AsyncWebsocketConsumer):
    """Two consumers on one socket, each with ends of its own and in a task of its own."""

    inner = staticmethod(build(Resilient).as_asgi())

    async def connect(self):
        self.inboxes = [asyncio.Queue(), asyncio.Queue()]
        self.answers = asyncio.Queue()
        self.tasks = []
        for inbox in self.inboxes:
            inbox.put_nowait({"type": "websocket.connect"})
            given = dict(self.scope), inbox.get, self.answers.put
            self.tasks.append(asyncio.create_task(self.inner(*given)))
            note(self, (await self.answers.get())["type"])
        await self.accept()

    async def disconnect(self, code):
        for inbox in self.inboxes:
            inbox.put_nowait({"type": "websocket.disconnect", "code": code})
        await asyncio.wait(self.tasks)


@pytest.mark.parametrize("when_full", ["refuse", "newest_wins"])
@pytest.mark.parametrize("is_mounted", [True, False])
@virtual
async def test_consumers_behind_a_multiplexer_do_not_take_each_others_place(is_mounted, when_full):
    limits = {**COUNTED, "when_full": when_full}
    with override_settings(RESILIENT_CHANNELS={"LIMITS": limits}):
        application = mount(plain(Multiplexer)) if is_mounted else build(Multiplexer)

        visit = await come(application, client=HOME, user=ANN)
        await settle(1)

        assert visit.notes == ["websocket.accept"] * 2
        assert is_in(visit)
        await visit.leave()


@virtual
async def test_behind_one_that_nothing_of_ours_is_around_each_counts_for_itself():
    with override_settings(RESILIENT_CHANNELS={"LIMITS": ONE}):
        visit = await come(lambda: Multiplexer.as_asgi(), client=HOME)

        assert visit.notes == ["websocket.accept", "websocket.close"]
        await visit.leave()


@virtual
async def test_one_consumer_after_another_in_the_same_task_is_counted_each_time():
    with override_settings(RESILIENT_CHANNELS={"LIMITS": ONE}):
        consumer = build(Resilient)
        for _ in range(3):
            visit = await come(consumer, client=HOME)
            assert is_in(visit)
            assert not is_in(await come(consumer, client=HOME))
            await visit.leave()


@virtual
async def test_a_middleware_whose_application_never_sits_down_gives_its_seat_back():
    class Fails(Resilient):
        async def __call__(self, scope, receive, send):
            raise LookupError

    failing: Any = build(Fails)
    with override_settings(RESILIENT_CHANNELS={"LIMITS": ONE}):

        async def takes_over(scope, receive, send):
            from resilient_channels.nesting import find_outer

            outer = find_outer(receive, send)
            assert outer is not None
            outer.step_aside(scope, receive, send)
            raise LookupError

        for application in (takes_over, failing.as_asgi()):
            visit = await come(mount(application), client=HOME)
            assert isinstance(await visit.ended(), LookupError)
            assert is_empty(crowds)


@virtual
async def test_one_that_is_replaced_while_it_is_handed_over_does_not_come_in():
    limits = {**ONE, "when_full": "newest_wins"}

    def waiting(application):
        async def wrapped(scope, receive, send):
            from resilient_channels.nesting import find_outer

            outer = find_outer(receive, send)
            assert outer is not None
            given = outer.step_aside(scope, receive, send)
            assert given is not None
            await settle(5)
            await application(*given)

        return wrapped

    with override_settings(RESILIENT_CHANNELS={"LIMITS": limits}):
        slow = await come(consumer_behind(waiting), client=HOME)

        second = await come(mount(plain(Resilient)), client=HOME)
        await settle(10)

        assert await slow.ended() is None
        assert [sent["type"] for sent in slow.sent] == ["websocket.close"]
        assert is_in(second)
        await second.leave()
