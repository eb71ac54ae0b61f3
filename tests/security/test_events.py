"""What an event of the channel layer can call: handlers, and nothing else of the consumer."""

from contextlib import nullcontext

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer

from resilient_channels import isolation
from resilient_channels.layers import ResilientChannelLayer
from shells.visits import both_colours, build, note, open_visit, settle
from support.layers import installed
from support.loop import virtual


class Keeper(AsyncWebsocketConsumer):
    """Has a method that is nobody else's business."""

    groups = ["room"]

    async def _secret(self, event):
        note(self, "secret")

    async def chat_message(self, event):
        note(self, "chat")

    async def receive(self, text_data=None, bytes_data=None):
        await self.channel_layer.group_send("room", {"type": text_data})

    async def disconnect(self, code):
        note(self, "disconnect", code)


TYPES = [
    "_secret", ".secret", "__class__", "__init__", "__dict__", "__init__.__globals__", "_x",
    "_resilient_driver", "_resilient.driver", "resilient", "resilient.spawn", "safe_send",
    "safe.close", "dispatch", "accept", "close", "send", "base.send", "channel.layer", "scope",
    "as.asgi", "disconnect", "websocket.connect", "resilience", "groups", "", " ", "\x00",
]  # fmt: skip


@pytest.mark.parametrize("kind", TYPES, ids=ascii)
@pytest.mark.parametrize("has_hub", [True, False], ids=["hub", "plain"])
@both_colours
@virtual
async def test_a_client_whose_text_becomes_a_type_reaches_a_handler_or_nothing(
    kind, has_hub, colour
):
    """A project that passes on what clients send is careless, and still loses no connection."""
    with installed(ResilientChannelLayer()) if has_hub else nullcontext():
        visit, other = [await open_visit(build(Keeper, colour)) for _ in range(2)]
        visit.client_sends(kind)
        visit.client_sends("chat.message")
        await settle(0.1)

        for member in (visit, other):
            assert member.notes == ["chat"]
            assert member.texts == []
            assert member.closes == []
        await visit.leave()
        await other.leave()


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


@pytest.mark.parametrize(
    "kind", [10**5000, Unspeakable(), [Unspeakable()]], ids=["int", "odd", "in"]
)
@both_colours
@virtual
async def test_a_type_that_cannot_even_be_written_is_one_warning(kind, colour, caplog, monkeypatch):
    monkeypatch.setattr(isolation, "_seen_types", {})
    visit = await open_visit(build(Keeper, colour))

    visit.consumer._resilient_driver.intake.put_event({"type": kind})
    await settle()
    visit.client_sends("chat.message")
    await settle()

    assert visit.notes == ["chat"]
    [told] = [record for record in caplog.records if record.getMessage() == "event.unhandled"]
    assert "without a text" in told.type
    assert told.exc_info is None
    await visit.leave()
