"""A chat room, and what is broadcast to it."""

import json
from typing import Any

from channels.generic.websocket import AsyncJsonWebsocketConsumer

from resilient_channels import SendOutcome, broadcast
from shells.visits import Visit, note, settle

PAYLOAD = {"text": "caf\u00e9", "list": [1, None, True], "nested": {"a": 1.5}}
TEXT = json.dumps(PAYLOAD)


class Chat(AsyncJsonWebsocketConsumer):
    """Notes the events that reach its handlers."""

    groups = ["room"]

    async def chat_message(self, event):
        note(self, "handler", event)
        await self.send_json(event["payload"])

    async def news(self, event):
        note(self, "news", event["text"])
        await self.send(event["text"])

    async def receive_json(self, content):
        await self.pause(content)


async def say(payload: Any = PAYLOAD, group: str = "room") -> SendOutcome:
    """Broadcast to the room."""
    outcome = await broadcast(group, payload, type="chat.message")
    await settle()
    return outcome


async def leave_all(*visits: Visit) -> None:
    for visit in visits:
        await visit.leave()
