"""Consumers of three public libraries, with the mixin on the left and without it."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any, Literal

import strawberry
from chanx.channels.websocket import AsyncJsonWebsocketConsumer as ChanxConsumer
from chanx.core.decorators import event_handler, ws_handler
from chanx.messages.base import BaseMessage
from djangochannelsrestframework.consumers import AsyncAPIConsumer
from djangochannelsrestframework.decorators import action
from strawberry.channels import GraphQLWSConsumer
from strawberry.types import Info

from resilient_channels import AsyncResilientMixin

DISCONNECTS: defaultdict[str, list[Any]] = defaultdict(list)
"""Query string of a connection -> the codes its ``disconnect()`` was called with."""


class Counted:
    """Writes down each call of ``disconnect()``."""

    async def disconnect(self, code: Any) -> None:
        DISCONNECTS[self.scope["query_string"].decode()].append(code)  # type: ignore[attr-defined]
        await super().disconnect(code)  # type: ignore[misc]


class PlainRest(Counted, AsyncAPIConsumer):
    """djangochannelsrestframework: actions, groups joined by an action."""

    @action()
    async def double(self, number: int, **kwargs: Any) -> tuple[dict[str, int], int]:
        return {"number": number * 2}, 200

    @action()
    async def join(self, **kwargs: Any) -> tuple[dict[str, str], int]:
        await self.add_group("news")
        return {"joined": "news"}, 200

    async def news(self, event: dict[str, Any]) -> None:
        await self.send_json({"news": event["text"]})


class Add(BaseMessage):
    action: Literal["add"] = "add"
    payload: list[int]


class Sum(BaseMessage):
    action: Literal["sum"] = "sum"
    payload: int


class Fail(BaseMessage):
    action: Literal["fail"] = "fail"
    payload: None = None


class Headline(BaseMessage):
    action: Literal["headline"] = "headline"
    payload: str


class PlainChanx(Counted, ChanxConsumer):
    """chanx: typed messages, handled in tasks of their own."""

    groups = ("news",)  # type: ignore[assignment]

    @ws_handler
    async def handle_add(self, message: Add) -> Sum:
        return Sum(payload=sum(message.payload))

    @ws_handler
    async def handle_fail(self, message: Fail) -> None:
        raise ZeroDivisionError

    @event_handler
    async def handle_headline(self, event: Headline) -> Headline:
        return event

    async def news(self, event: dict[str, Any]) -> None:
        await self.send_json({"news": event["text"]})


@strawberry.type
class Query:
    @strawberry.field
    def double(self, number: int) -> int:
        return number * 2


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def news(self, info: Info) -> AsyncIterator[str]:
        consumer = info.context["ws"]
        async with consumer.listen_to_channel("news", groups=["news"]) as events:
            yield "subscribed"
            async for event in events:
                yield event["text"]

    @strawberry.subscription
    async def ticks(self) -> AsyncIterator[int]:
        number = 0
        while True:
            yield number
            number += 1
            await asyncio.sleep(0.02)


SCHEMA = strawberry.Schema(query=Query, subscription=Subscription)


class PlainGraphQL(Counted, GraphQLWSConsumer):
    """Strawberry: overrides ``dispatch``, accepts and sends from a task of its own."""


class ResilientRest(AsyncResilientMixin, PlainRest):
    pass


class ResilientChanx(AsyncResilientMixin, PlainChanx):
    groups = ("news",)  # type: ignore[assignment]


class ResilientGraphQL(AsyncResilientMixin, PlainGraphQL):
    pass


def graphql(consumer: type) -> Any:
    return consumer.as_asgi(schema=SCHEMA)  # type: ignore[attr-defined]


ROUTES: dict[str, Any] = {
    "/rest": ResilientRest.as_asgi(),
    "/chanx": ResilientChanx.as_asgi(),
    "/graphql": graphql(ResilientGraphQL),
}


def facts() -> bytes:
    return json.dumps(DISCONNECTS).encode()
