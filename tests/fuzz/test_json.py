"""JSON texts, and what only looks like them, sent to a consumer that reads JSON."""

import json
from typing import Any

from channels.generic.websocket import AsyncJsonWebsocketConsumer
from hypothesis import example, given, strategies as st

from fuzz.stage import ANSWER, QUESTION, HandlersOwn, play, say_goodbye
from fuzz.values import anything, colours, texts
from shells.visits import Visit, build, note, open_visit, settle

BUDGET = 5
SORRY = "this could not be read"


class Reader(AsyncJsonWebsocketConsumer):
    """Reads anything; a list with a list in it is more than it can take."""

    async def receive_json(self, content):
        note(self, "content", content)
        if content == QUESTION:
            await self.send_json(ANSWER)
        elif isinstance(content, list) and any(isinstance(inner, list) for inner in content):
            raise HandlersOwn(repr(content))

    async def disconnect(self, code):
        note(self, "disconnect", code)


def write(value: Any) -> str:
    """JSON as Python writes it: with NaN, with big numbers, with lone surrogates."""
    try:
        return json.dumps(value, default=repr, skipkeys=True)
    except ValueError:  # more digits than Python itself is ready to write
        return "[]"


deep = st.builds(
    lambda opening, times, middle: opening * times + middle,
    st.sampled_from(["[", '{"a":', '[{"a":', "]", "{", "[1,"]),
    st.integers(1, 3000),
    texts,
)
odd = st.sampled_from([
    "", "\ufeff[]", "NaN", "-Infinity", "1e999", "9" * 4301, "-" + "9" * 10_000, "0." + "1" * 9999,
    '"\\ud83d"', '"\ud83d"', '{"a":1,"a":[[]]}', "[1,]", "'a'", "[\x00]", '"\t"', "[[]]", "nul",
    '{"__class__":"x"}', '{"type":"_resilient_driver"}', "[" * 100_000, "[]" * 3,
])  # fmt: skip
documents = st.one_of(anything.map(write), deep, odd, texts)
frames = st.one_of(documents, documents, documents, st.binary(max_size=20))

OPTIONS = {
    "plain": {},
    "shallow": {"LIMITS": {"json_depth": 10}},
    "told": {"ERRORS": {"bad_input_reply": SORRY, "error_reply": SORRY}},
}
CONSUMERS = {
    (colour, name): build(Reader, colour, **options)
    for colour in ("async", "sync")
    for name, options in OPTIONS.items()
}


@given(st.lists(frames, max_size=8), colours, st.sampled_from(list(OPTIONS)))
@example(["[" * 100_000] * 5, "async", "plain")
@example(["[" * 100_000] * 6, "sync", "shallow")
@example(["9" * 5000], "async", "told")
def test_what_cannot_be_read_costs_its_sender_one_of_a_few_chances(sent, colour, option):
    play(send_all(sent, CONSUMERS[colour, option]))


async def send_all(sent: list[str | bytes], consumer: type) -> None:
    visit = await open_visit(consumer)
    for data in sent:
        visit.client_sends(data)
    await settle(0.1)
    said = [text for text in visit.texts if text != json.dumps(ANSWER)]
    assert all(text == SORRY for text in said), f"an error's text reached the client: {said}"
    if not visit.closed:
        visit.client_sends(json.dumps(QUESTION))
        await settle(0.1)
        assert visit.texts[-1:] == [json.dumps(ANSWER)]
    else:
        assert visit.closes[0] in (3400, 3500)
        assert failures(visit, sent) > BUDGET
    await say_goodbye(visit)


def failures(visit: Visit, sent: list[str | bytes]) -> int:
    """How many frames did not pass the consumer without an error."""
    read = [what[1] for what in visit.notes if what[0] == "content"]
    bad = [content for content in read if isinstance(content, list) and content]
    return len(sent) - len(read) + len(bad)
