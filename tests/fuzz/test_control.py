"""Control frames of clients that speak the wire protocol, that do not, and that pretend to."""

import json
from typing import Any

from hypothesis import example, given, strategies as st

from fuzz.stage import Resident, is_alive, play, say_goodbye
from fuzz.values import MARK, anything, colours, integers, numbers, texts
from resilient_channels.core.wire import MAX_LENGTH
from shells.clients import V1, is_control, read_control
from shells.visits import Visit, build, open_visit, settle
from support.servers import ALL_STYLES


def to_json(value: Any) -> str:
    return json.dumps(value, default=repr, skipkeys=True)


types = st.one_of(
    st.sampled_from(["hello", "ping", "pong", "bye", "resume", "msg", "ack"]), texts, numbers
)
nonces = st.one_of(st.integers(0, 20), integers.filter(lambda n: abs(n) < 10**500), texts, anything)
meant = st.fixed_dictionaries(
    {}, optional={"type": types, "n": nonces, "version": st.one_of(st.just(1), anything)}
).map(to_json)
hello = st.just('{"type":"hello","version":1}')
controls = st.one_of(hello, meant, meant, texts, anything.map(to_json)).map(MARK.__add__)
frames = st.one_of(controls, controls, texts)
offers = st.sampled_from([[], [V1], [f"{V1}.chat"], ["chat", V1], [f"{V1}."], ["chat"]])

CONSUMERS = {colour: build(Resident, colour) for colour in ("async", "sync")}
PING = MARK + '{"type":"ping","n":1}'


@given(st.lists(frames, max_size=12), offers, colours, st.sampled_from(ALL_STYLES))
@example([MARK + "[" * 1000], [V1], "async", ALL_STYLES[0])
@example([MARK + '{"type":"hello","version":1}', PING], [V1], "sync", ALL_STYLES[1])
def test_a_control_frame_gets_an_answer_or_nothing(sent, offer, colour, style):
    play(speak(sent, offer, CONSUMERS[colour], style))


async def speak(sent: list[str], offer: list[str], consumer: type, style: Any) -> None:
    visit = await open_visit(consumer, style=style, subprotocols=offer)
    [accept] = visit.sent_of_type("websocket.accept")
    is_negotiated = (accept.get("subprotocol") or "").startswith(V1)
    for text in sent:
        visit.client_sends(text)
    await settle(0.1)
    check_answers(visit, sent, is_negotiated=is_negotiated)
    assert await is_alive(visit)
    await say_goodbye(visit)


def check_answers(visit: Visit, sent: list[str], *, is_negotiated: bool) -> None:
    seen = [what[1] for what in visit.notes if what[0] == "receive"]
    said = [text for text in visit.texts if is_control(text)]
    if not is_negotiated:
        assert seen == sent, "an ordinary client's text went astray"
        assert not said
        return
    # A doubled mark is how a client writes text of its own that begins with one.
    expected = [
        text[1:] if text[:2] == MARK * 2 else text
        for text in sent
        if text[:1] != MARK or text[1:2] == MARK
    ]
    assert seen == expected
    pings = [text for text in sent if is_control(text)]
    for text in said:
        answer = read_control(text)
        assert answer["type"] in ("hello", "ping", "pong"), answer
        assert len(text) <= 2 * MAX_LENGTH + 100
    answers = [text for text in said if read_control(text)["type"] == "pong"]
    assert len(answers) <= len(pings)
