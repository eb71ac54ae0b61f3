"""What a client sends, and how a server may pass it on: a real consumer takes all of it."""

from typing import Any

from hypothesis import example, given, strategies as st

from fuzz.stage import QUESTION, Resident, crowd_hears, is_alive, play, say_goodbye
from fuzz.values import binaries, colours, texts
from shells.visits import Visit, build, open_visit, settle
from support.servers import ALL_STYLES

WAITING = 0.05

contents = st.fixed_dictionaries(
    {},
    optional={
        "text": st.one_of(st.none(), texts),
        "bytes": st.one_of(st.none(), binaries),
        "more": st.integers(),  # a key that nobody has heard of
    },
)
received = contents.map(lambda content: {"type": "websocket.receive", **content})
ends = st.one_of(
    st.just({"type": "websocket.disconnect"}),
    st.builds(
        lambda code, reason: {"type": "websocket.disconnect", "code": code, "reason": reason},
        st.one_of(st.none(), st.integers(-1, 70000)),
        st.one_of(st.none(), texts),
    ),
)
styles = st.sampled_from(ALL_STYLES)

RESILIENCE = {
    "nothing set": {},
    "limits": {"LIMITS": {"message_bytes": 100, "rate": 20.0}},
    "replies": {
        "HEARTBEAT": {"reply": {"ping": "pong"}, "ping": "hey", "pong": "ho", "mode": "always"},
        "ERRORS": {"error_reply": "sorry", "bad_input_reply": "what?", "budget": 3},
    },
    "closes at once": {"ERRORS": {"mode": "close"}},
}
CONSUMERS = {
    (colour, name): build(Resident, colour, **options)
    for colour in ("async", "sync")
    for name, options in RESILIENCE.items()
}
options = st.sampled_from(list(RESILIENCE))


@given(st.lists(st.one_of(received, ends), max_size=12), styles, colours, options)
@example([{"type": "websocket.receive"}] * 9, ALL_STYLES[0], "async", "nothing set")
@example([{"type": "websocket.disconnect", "code": None}], ALL_STYLES[1], "sync", "nothing set")
def test_no_frame_of_a_client_ends_more_than_its_own_connection(messages, style, colour, option):
    play(send_all(messages, style, CONSUMERS[colour, option]))


async def send_all(messages: list[dict[str, Any]], style: Any, consumer: Any) -> None:
    neighbour = await open_visit(CONSUMERS["async", "nothing set"], style=style)
    visit = await open_visit(consumer, style=style)
    for message in messages:
        if message["type"] == "websocket.disconnect":
            visit.client_is_gone = True
        visit.feed(message)
    await settle(WAITING)
    if not visit.client_is_gone:
        await is_alive(visit)
        expect_everything(messages, visit)
    else:
        visit.closed = True
    assert await is_alive(neighbour)
    await crowd_hears(1)
    assert [what for what in neighbour.notes if what[0] == "chat"], "the crowd is deaf"
    await say_goodbye(visit)
    await say_goodbye(neighbour)


def expect_everything(messages: list[dict[str, Any]], visit: Visit) -> None:
    """Whatever was text or bytes reached the handler, in order, unless it was ours to answer."""
    if visit.closes or visit.consumer.resilience:
        return
    sent = [
        message["text"] if message.get("text") is not None else message.get("bytes")
        for message in messages
    ]
    expected = [data for data in sent if data is not None and data != QUESTION]
    # A frame of nothing at all is given to the handler as Channels does it, if that.
    seen = [what[1] for what in visit.notes if what[0] == "receive" and what[1] is not None]
    assert [data for data in seen if data != QUESTION] == expected
