"""One exchange with each library, over any client that sends and receives text."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

Say = Callable[[str], Awaitable[None]]
Hear = Callable[[], Awaitable[str]]
GRAPHQL = "graphql-transport-ws"
SUBPROTOCOLS = {"/rest": [], "/chanx": [], "/graphql": [GRAPHQL]}


class Conversation:
    """Speaks with a consumer of one of the three libraries."""

    def __init__(self, say: Say, hear: Hear) -> None:
        self._say = say
        self._hear = hear

    async def say(self, content: Any) -> None:
        await self._say(content if isinstance(content, str) else json.dumps(content))

    async def hear(self) -> Any:
        return json.loads(await self._hear())

    async def begin(self) -> None:
        """Whatever comes before the first exchange, until group events are heard."""

    async def exchange(self) -> None:
        """One question, and its answer."""
        raise NotImplementedError

    async def offend(self) -> None:
        """Bad input of every kind this library may meet."""
        raise NotImplementedError

    async def hear_news(self) -> str:
        """The next group event."""
        news: str = (await self.hear())["news"]
        return news


class RestConversation(Conversation):
    async def begin(self) -> None:
        await self.say({"action": "join", "request_id": 0})
        assert (await self.hear())["data"] == {"joined": "news"}

    async def exchange(self) -> None:
        await self.say({"action": "double", "request_id": 1, "number": 21})
        answer = await self.hear()
        assert answer["data"] == {"number": 42}, answer

    async def offend(self) -> None:
        await self.say("{not json")
        await self.say("")
        await self.say({"action": "double", "request_id": 2})  # an argument is missing
        await self.say({"action": "no_such_action", "request_id": 3})
        assert (await self.hear())["response_status"] == 405


class ChanxConversation(Conversation):
    async def exchange(self) -> None:
        await self.say({"action": "add", "payload": [20, 22]})
        assert await self.hear() == {"action": "sum", "payload": 42}

    async def offend(self) -> None:
        for bad in ("{not json", {"action": "no-such-action"}, {"action": "fail"}):
            await self.say(bad)
            assert (await self.hear())["action"] == "error"


class GraphQLConversation(Conversation):
    async def begin(self) -> None:
        await self.say({"type": "connection_init"})
        assert await self.hear() == {"type": "connection_ack"}
        await self.subscribe("news", "subscription { news }")
        assert (await self.hear())["payload"] == {"data": {"news": "subscribed"}}

    async def subscribe(self, name: str, query: str) -> None:
        await self.say({"id": name, "type": "subscribe", "payload": {"query": query}})

    async def exchange(self) -> None:
        await self.subscribe("double", "query { double(number: 21) }")
        assert (await self.hear())["payload"] == {"data": {"double": 42}}
        assert await self.hear() == {"id": "double", "type": "complete"}

    async def offend(self) -> None:
        await self.subscribe("bad", "query { noSuchField }")
        assert (await self.hear())["type"] == "error"
        await self.subscribe("worse", "query { double }")
        assert (await self.hear())["type"] == "error"

    async def hear_news(self) -> str:
        news: str = (await self.hear())["payload"]["data"]["news"]
        return news


CONVERSATIONS: dict[str, type[Conversation]] = {
    "/rest": RestConversation,
    "/chanx": ChanxConversation,
    "/graphql": GraphQLConversation,
}
