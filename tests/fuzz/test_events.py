"""Events of the channel layer, of any type and content, from whoever may write to it."""

import logging
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from hypothesis import example, given, strategies as st

from fuzz.stage import ANSWER, QUESTION, is_alive, play, say_goodbye
from fuzz.values import anything, colours, texts
from resilient_channels.layers import ResilientChannelLayer
from shells.visits import build, note, open_visit, settle
from support.layers import installed
from support.servers import ALL_STYLES


class Member(AsyncWebsocketConsumer):
    """Notes which of its handlers an event reached, and has attributes that are none."""

    groups = ["crowd"]
    history = ["not for the layer"]
    secret = "not for the layer"

    async def receive(self, text_data=None, bytes_data=None):
        if text_data == QUESTION:
            await self.send(ANSWER)

    async def disconnect(self, code):
        note(self, "disconnect", code)

    async def chat_message(self, event):
        note(self, "chat", event)

    async def _private(self, event):
        note(self, "private", event)


CONSUMERS = {colour: build(Member, colour) for colour in ("async", "sync")}

# Every name that an event's type could be meant to reach, and some that look like one.
NAMES = sorted({name for name in dir(CONSUMERS["async"]) if not name.startswith("websocket_")})
types = st.one_of(
    st.sampled_from(NAMES),
    st.sampled_from(NAMES).map(lambda name: name.replace("_", ".")),
    st.sampled_from([
        "chat.message", "websocket.connect", "websocket.receive", "websocket.send", "rc.ping",
        "websocket.disconnect", "websocket.close", "websocket.accept", "_private", ".private",
        "resilient", "safe.close", "x" * 5000, "chat..message", "chat.message.__call__",
    ]),
    texts,
    anything,
)  # fmt: skip
events = st.one_of(
    st.builds(
        lambda kind, more: {**more, "type": kind},
        types,
        st.dictionaries(
            st.one_of(st.sampled_from(["text", "bytes", "code", "message"]), texts),
            anything,
            max_size=3,
        ),
    ),
    st.dictionaries(texts, anything, max_size=3),
)


def called_the_consumers_own(record: logging.LogRecord) -> bool:
    """Whether a method failed that the consumer has for others, and an event may reach."""
    name = str(record.__dict__.get("handler")).replace(".", "_")
    return record.getMessage() == "handler.error" and name in OWN


OWN = frozenset({"websocket_receive", "receive", "pause"})


@given(st.lists(events, max_size=6), colours, st.booleans(), st.sampled_from(ALL_STYLES))
@example([{"type": "_private"}, {"type": "__class__"}], "async", False, ALL_STYLES[0])
@example([{}, {"type": None}, {"type": []}], "sync", True, ALL_STYLES[1])
def test_no_event_reaches_what_it_may_not_or_ends_a_connection(told, colour, has_hub, style):
    if has_hub:
        with installed(ResilientChannelLayer()):
            play(tell(told, CONSUMERS[colour], style), called_the_consumers_own)
    else:
        play(tell(told, CONSUMERS[colour], style), called_the_consumers_own)


async def tell(told: list[dict[str, Any]], consumer: type, style: Any) -> None:
    visit = await open_visit(consumer, style=style)
    for event in told:
        # As the hub and the layer's reader hand it over, past what the sender's side refuses.
        visit.consumer._resilient_driver.intake.put_event(event)
        await settle(0.05)
    await is_alive(visit)
    assert not [what for what in visit.notes if what[0] == "private"]
    await say_goodbye(visit)
