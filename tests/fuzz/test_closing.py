"""Close codes, reasons and arguments of the sends, whoever in the project made them up."""

from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from hypothesis import example, given, strategies as st

from fuzz.stage import play, say_goodbye
from fuzz.values import anything, binaries, integers, texts
from resilient_channels import SendOutcome
from resilient_channels.core.codes import is_portable
from shells.clients import V1, is_control, read_control
from shells.visits import build, note, open_visit, settle
from support.servers import ALL_STYLES

DOCUMENTED = (TypeError, ValueError)

codes = st.one_of(
    st.none(),
    st.integers(999, 1016),
    st.integers(2990, 5010),
    st.sampled_from([1000, 3400]),
    integers,
    anything,
)
reasons = st.one_of(st.none(), texts, st.text("ü😀a", max_size=140), anything)
flags = st.one_of(st.booleans(), st.none(), codes)
sends = st.fixed_dictionaries(
    {},
    optional={
        "text_data": st.one_of(st.none(), texts, anything),
        "bytes_data": st.one_of(st.none(), binaries, anything),
        "close": flags,
        "wait": st.booleans(),
        "key": st.one_of(st.none(), texts, anything),
    },
)
orders = st.one_of(
    st.tuples(st.just("safe_send"), sends),
    st.tuples(
        st.just("safe_close"),
        st.fixed_dictionaries({}, optional={"code": codes, "reason": reasons}),
    ),
)


class Obedient(AsyncWebsocketConsumer):
    """Does what it is told by the test."""

    async def disconnect(self, code):
        note(self, "disconnect", code)


CONSUMERS = {
    overflow: build(Obedient, OUTBOX={"overflow": overflow, "messages": 2})
    for overflow in ("close", "drop_oldest", "coalesce")
}


@given(
    st.lists(orders, max_size=5),
    st.sampled_from(list(CONSUMERS)),
    st.sampled_from(ALL_STYLES),
    st.sampled_from([[], [V1]]),
)
@example([("safe_close", {"code": 3000, "reason": "\ud83d"})], "close", ALL_STYLES[0], [V1])
@example([("safe_send", {"text_data": "\ud83d"})], "close", ALL_STYLES[1], [V1])
@example([("safe_send", {"close": 10**400})], "coalesce", ALL_STYLES[1], [])
def test_a_call_says_what_became_of_it_or_what_is_wrong_with_it(given, overflow, style, offer):
    play(obey(given, CONSUMERS[overflow], style, offer))


async def obey(
    given: list[tuple[str, dict[str, Any]]], consumer: type, style: Any, offer: list[str]
) -> None:
    visit = await open_visit(consumer, style=style, subprotocols=offer)
    for name, arguments in given:
        was_closed = visit.closed
        try:
            outcome = await getattr(visit.consumer, name)(**arguments)
        except DOCUMENTED:
            assert visit.closed is was_closed or name == "safe_send"
        else:
            assert isinstance(outcome, SendOutcome)
            assert not (was_closed and outcome), "written after the close"
    await settle(0.1)
    for close in visit.sent_of_type("websocket.close"):
        assert close.get("code") is None or is_portable(close["code"])
        assert len((close.get("reason") or "").encode()) <= 123
    for text in visit.texts:
        if offer and is_control(text):
            assert read_control(text)["type"] in ("hello", "bye", "ping")
    await end(visit)


async def end(visit: Any) -> None:
    """As every visit, but the codes are whatever the test came up with."""
    if not visit.closed:
        await say_goodbye(visit)
    else:
        assert await visit.ended() is None
        assert len(visit.notes) == 1
