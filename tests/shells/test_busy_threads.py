"""A thread cannot be interrupted; what it holds up is bounded."""

import asyncio
import time

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from resilient_channels import ResilientWebsocketConsumer, on_disconnect
from resilient_channels.registry import registry
from shells.busy import END, TIMEOUT, HangingDisconnect, HangingHook
from shells.visits import build, note, now, open_visit, settle
from support.loop import virtual


class Blocked(ResilientWebsocketConsumer):
    """Occupies its thread until second 50 of the loop's clock, deaf to cancellation."""

    groups = ["room"]

    def receive(self, text_data=None, bytes_data=None):
        while time.monotonic() < 50:
            try:
                async_to_sync(sleep_until)(50)
            except asyncio.CancelledError:
                note(self, "deaf")

    @on_disconnect
    def ended(self, info):
        note(self, info.kind)

    def disconnect(self, code):
        note(self, "disconnect", code)


async def sleep_until(when):
    await asyncio.sleep(when - now())


@virtual
async def test_a_busy_thread_does_not_hold_the_groups_and_disconnect_follows_later(facts):
    visit = await open_visit(Blocked)
    visit.client_sends("go")
    await settle(1)
    visit.client_closes()

    await settle(TIMEOUT + 1)

    assert get_channel_layer().groups == {}
    assert len(registry) == 0
    assert [closed.kind for closed in facts("connection.closed")] == ["client"]
    assert facts("handler.cut_off") != []
    await visit.ended()
    await settle(60)
    assert visit.notes == ["deaf", *END]


@virtual
async def test_a_synchronous_disconnect_that_hangs_does_not_keep_the_groups(facts):
    visit = await open_visit(build(HangingDisconnect, "sync"))
    started = now()

    await visit.leave()

    assert now() - started <= TIMEOUT
    assert visit.notes == END
    assert get_channel_layer().groups == {}
    assert [cut_off.handler for cut_off in facts("handler.cut_off")] == ["websocket.disconnect"]
    await settle(1000)
    assert visit.notes == [*END, "never"]


@virtual
async def test_a_synchronous_hook_that_hangs_does_not_keep_disconnect_from_running_later():
    visit = await open_visit(build(HangingHook, "sync"))
    started = now()

    await visit.leave()

    assert now() - started <= TIMEOUT
    assert get_channel_layer().groups == {}
    await settle(1000)
    assert visit.notes == ["never", ("disconnect", 1000)]
