"""A consumer that speaks for its client, in outages above all."""

import time
from typing import Any

from shells.members import Member, break_down
from shells.visits import Visit, note, settle
from support.hubs import AnyLayer

REFUSED = ConnectionError("refused")


class Speaker(Member):
    """Sends to a group, or to a channel, and notes what came of it and how long it took."""

    async def receive(self, text_data=None, bytes_data=None):
        target, text = text_data.split()
        event = {"type": "news", "text": text}
        started = time.monotonic()
        try:
            if "!" in target or target.startswith("specific"):
                await self.channel_layer.send(target, event)
            else:
                await self.channel_layer.group_send(target, event)
        except Exception as error:  # noqa: BLE001  # whatever it is, the test looks at it
            note(self, type(error), round(time.monotonic() - started, 1))
        else:
            note(self, "sent", round(time.monotonic() - started, 1))


async def known_outage(layer: AnyLayer, fault: Any = REFUSED) -> None:
    """Let an outage begin, and be known."""
    break_down(layer, fault)
    await settle(15)


async def recovered(layer: AnyLayer, *visits: Visit) -> None:
    """End the outage, and let everybody leave."""
    layer.heal()
    await settle(10)
    for visit in visits:
        await visit.leave()
