"""Who counts as whom, and which connections count together."""

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
from channels.auth import UserLazyObject
from django.test import override_settings
from django.utils.functional import SimpleLazyObject

from resilient_channels import crowds as module
from resilient_channels.conf import get_policies
from resilient_channels.crowds import Crowds, crowds
from shells.clients import Listener
from shells.crowd import ANN, HOME, come, is_empty, is_in, leave_all, user
from shells.visits import Visit, build
from support.loop import virtual

PER_USER = {"connections_per_user": 2}


pytestmark = pytest.mark.usefixtures("nobody_is_left")


def limited(consumer: type = Listener, **limits: Any) -> Any:
    return build(consumer, LIMITS=limits)


# --- who is counted ------------------------------------------------------------------------------


@virtual
async def test_whoever_is_not_known_is_not_counted_by_user():
    consumer = limited(connections_per_user=1)
    nobody = UserLazyObject()
    scopes = [{}, {"user": None}, {"user": nobody}, {"user": SimpleLazyObject(lambda: 1 / 0)}]

    visits = [await come(consumer, **scope) for scope in scopes * 2]

    assert all(is_in(visit) for visit in visits)
    await leave_all(*visits)


@virtual
async def test_a_user_that_the_middleware_around_has_found_out_is_counted():
    ready = UserLazyObject()
    ready._wrapped = ANN
    consumer = limited(connections_per_user=1)

    first = await come(consumer, user=ready)

    assert not is_in(await come(consumer, user=ANN))
    await leave_all(first)


@virtual
async def test_without_an_address_nobody_is_counted_by_it():
    consumer = limited(connections_per_address=1)

    visits = [await come(consumer, client=client) for client in (None, None, ("", 0), ("", 0))]

    assert all(is_in(visit) for visit in visits)
    await leave_all(*visits)


@virtual
async def test_behind_a_trusted_proxy_its_clients_are_counted():
    consumer = limited(connections_per_address=1, trusted_proxies=["10.0.0.0/8"])

    async def through(*forwarded: bytes) -> Visit:
        headers = [(b"x-forwarded-for", value) for value in forwarded]
        return await come(consumer, client=("10.0.0.1", 1), headers=headers)

    first, other = await through(b"192.0.2.1"), await through(b"192.0.2.2")

    assert is_in(first)
    assert is_in(other)
    assert not is_in(await through(b"6.6.6.6, 192.0.2.1"))
    assert not is_in(await through(b"6.6.6.6", b"192.0.2.1"))
    await leave_all(first, other)


@virtual
async def test_a_network_of_64_bits_is_one_address():
    consumer = limited(connections_per_address=1)

    first = await come(consumer, client=("2001:db8:0:1::1", 1))
    other = await come(consumer, client=("2001:db8:0:2::1", 1))

    assert is_in(other)
    assert not is_in(await come(consumer, client=("2001:db8:0:1:ffff::", 1)))
    await leave_all(first, other)


# --- who is counted together ---------------------------------------------------------------------


class Chat(Listener):
    pass


class Game(Listener):
    pass


@virtual
async def test_a_limit_of_the_setting_is_for_all_classes_together():
    with override_settings(RESILIENT_CHANNELS={"LIMITS": PER_USER}):
        inside = [await come(build(cls), user=ANN) for cls in (Chat, Game)]

        assert not is_in(await come(build(Chat), user=ANN))
        await leave_all(*inside)


@virtual
async def test_a_limit_of_a_class_is_for_this_class_alone():
    with override_settings(RESILIENT_CHANNELS={"LIMITS": PER_USER}):
        chat, game = limited(consumer=Chat, connections_per_user=1), build(Game)

        inside = [await come(cls, user=ANN) for cls in (chat, game, game)]

        assert all(is_in(visit) for visit in inside)
        assert not is_in(await come(chat, user=ANN))
        assert not is_in(await come(game, user=ANN))
        await leave_all(*inside)


@virtual
async def test_classes_that_inherit_a_limit_are_counted_together():
    base = limited(connections_per_user=1)
    one, other = (type(name, (base,), {"__module__": __name__}) for name in ("One", "Other"))

    first = await come(one, user=ANN)

    assert not is_in(await come(other, user=ANN))
    await leave_all(first)


@virtual
async def test_a_class_may_lift_the_limit_of_the_setting():
    with override_settings(RESILIENT_CHANNELS={"LIMITS": PER_USER}):
        consumer = limited(connections_per_user=None)
        visits = [await come(consumer, user=ANN) for _ in range(5)]

        assert all(is_in(visit) for visit in visits)
        await leave_all(*visits)


@virtual
async def test_without_limits_nothing_is_kept():
    visits = [await come(build(Listener), user=ANN, client=HOME) for _ in range(5)]

    assert is_empty(crowds)
    assert module.current_seat.get() is None
    await leave_all(*visits)


# --- another event loop --------------------------------------------------------------------------


class Stub:
    """As much of a connection as is asked for here."""

    policies = get_policies(limited(connections_per_user=7))

    def __init__(self, number: int) -> None:
        self.id = f"c{number}"
        self.scope = {"user": ANN}

    def enter(self, held: Crowds) -> bool:
        """Whether it comes in, in a task of its own."""
        return copy_context().run(held.enter, self) is None  # type: ignore[arg-type]


def test_event_loops_in_many_threads_count_together():
    held = Crowds()
    for turn in range(20):
        stubs = [Stub(number) for number in range(turn * 100, turn * 100 + 100)]

        with ThreadPoolExecutor(max_workers=8) as threads:
            came_in = list(threads.map(lambda stub: stub.enter(held), stubs))

        assert sum(came_in) == 7
        for stub in stubs:
            held.leave(stub)  # type: ignore[arg-type]
        assert is_empty(held)


def test_ten_thousand_connections_leave_nothing():
    held = Crowds()
    for turn in range(100):
        stubs = [Stub(turn * 100 + number) for number in range(100)]
        for number, stub in enumerate(stubs):
            stub.scope = {
                "user": user(turn * 100 + number // 9),
                "client": (f"192.0.2.{number}", 1),
            }
        inside = [stub for stub in stubs if stub.enter(held)]
        assert len(inside) == 78  # seven of each nine, and the hundredth
        for stub in stubs:
            held.leave(stub)  # type: ignore[arg-type]

    assert is_empty(held)
    assert not held._arrivals
