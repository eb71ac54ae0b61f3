"""No client gets, or loses, what is another's, however their messages are interleaved."""

import random

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer

from resilient_channels import ResilientMiddleware
from shells.clients import V1, control, is_control, read_control
from shells.visits import Visit, build, settle
from support.loop import run

CLIENTS, FRAMES = 20, 10


class Diary(AsyncWebsocketConsumer):
    """Keeps what it was told, and tells it to whoever told it."""

    async def connect(self):
        self.told = []
        await self.accept()

    async def receive(self, text_data=None, bytes_data=None):
        if text_data == "fail":
            raise LookupError(self.scope["path"])
        await self.pause(random.random() / 10)
        self.told.append(text_data)
        await self.send(f"{self.scope['path']} {self.told}")


APPLICATIONS = {
    "async": lambda: build(Diary),
    "sync": lambda: build(Diary, "sync"),
    "behind a middleware": lambda: lambda: ResilientMiddleware(build(Diary).as_asgi()),
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("application", APPLICATIONS)
def test_every_answer_reaches_the_client_that_asked(application: str, seed: int):
    run(talk(APPLICATIONS[application]()), seed=seed, clocks=True)


async def talk(application) -> None:
    visits = [
        Visit(application, path=f"/{number}", subprotocols=[V1][: number % 2])
        for number in range(CLIENTS)
    ]
    await settle()
    order = [number for number in range(CLIENTS) for _ in range(FRAMES)]
    random.shuffle(order)
    asked: dict[int, list[str]] = {number: [] for number in range(CLIENTS)}
    for number in order:
        frame = f"{number}-{len(asked[number])}"
        asked[number].append(frame)
        visits[number].client_sends(frame)
        await settle(random.random() / 10)
    await settle(60)

    for number, visit in enumerate(visits):
        answers = [text for text in visit.texts if not is_control(text)]
        assert answers == [f"/{number} {asked[number][: count + 1]}" for count in range(FRAMES)]
        await visit.leave()


def test_errors_of_one_client_cost_no_other_its_chances():
    async def misbehave() -> None:
        consumer = build(Diary)
        culprit, innocent = Visit(consumer, path="/bad"), Visit(consumer, path="/good")
        await settle()
        for _ in range(5):
            innocent.client_sends("fail")
        for _ in range(20):
            culprit.client_sends("fail")
        await settle()

        assert culprit.closes == [3500]
        assert innocent.closes == []
        await culprit.ended()
        await innocent.leave()

    run(misbehave(), clocks=True)


def test_a_pong_answers_nobody_elses_ping():
    async def answer_for_others() -> None:
        consumer = build(Diary, HEARTBEAT={"interval": 5.0, "timeout": 5.0})
        mute, helper = (Visit(consumer, subprotocols=[V1]) for _ in range(2))
        for visit in (mute, helper):
            visit.client_sends(control(type="hello", version=1))
        for _ in range(20):
            await settle(1)
            for text in [*mute.texts, *helper.texts]:
                if is_control(text) and read_control(text)["type"] == "ping":
                    helper.client_sends(control(type="pong", n=read_control(text)["n"]))

        assert mute.closes == [3408]
        assert helper.closes == []
        await mute.ended()
        await helper.leave()

    run(answer_for_others(), clocks=True)
