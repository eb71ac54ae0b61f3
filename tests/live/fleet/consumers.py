"""Consumers that do with their channel layer what they are asked to, and the worker's.

Each joins the groups that its query string names, and greets with its channel's name.
``{"do": <a method of the layer, or one of FUNCTIONS>, "arguments": [...], "n": 7}`` is answered
with ``{"done": 7, "result": ...}``.
"""

from urllib.parse import parse_qsl

from asgiref.sync import async_to_sync
from channels.consumer import AsyncConsumer, SyncConsumer
from channels.generic.websocket import AsyncJsonWebsocketConsumer, JsonWebsocketConsumer

from resilient_channels import (
    AsyncResilientMixin,
    ResilientMixin,
    broadcast,
    notify,
    safe_group_send,
)


def say(text):
    """An event that every consumer here passes on to its client."""
    return {"type": "chat.message", "text": text}


def read_groups(scope):
    groups = dict(parse_qsl(scope["query_string"].decode())).get("groups", "")
    return groups.split(",") if groups else []


async def share(group, payload):
    return await broadcast(group, payload, type="chat.payload")


async def echo():
    pass


FUNCTIONS = {"notify": notify, "safe_group_send": safe_group_send, "share": share, "echo": echo}


class Async(AsyncJsonWebsocketConsumer):
    async def connect(self):
        for group in read_groups(self.scope):
            await self.channel_layer.group_add(group, self.channel_name)
        await self.accept()
        await self.send_json({"name": self.channel_name})

    async def receive_json(self, content):
        do = content["do"]
        function = FUNCTIONS.get(do) or getattr(self.channel_layer, do)
        result = function(*content["arguments"])
        if do != "notify":
            result = await result
        await self.send_json({"done": content["n"], "result": getattr(result, "value", None)})

    async def chat_message(self, event):
        await self.send_json({"said": event["text"]})

    async def chat_payload(self, event):
        await self.send_json(event["payload"])


class Sync(JsonWebsocketConsumer):
    def connect(self):
        for group in read_groups(self.scope):
            async_to_sync(self.channel_layer.group_add)(group, self.channel_name)
        self.accept()
        self.send_json({"name": self.channel_name})

    def receive_json(self, content):
        function = FUNCTIONS.get(content["do"]) or getattr(self.channel_layer, content["do"])
        if function is not notify:
            function = async_to_sync(function)
        result = function(*content["arguments"])
        self.send_json({"done": content["n"], "result": getattr(result, "value", None)})

    def chat_message(self, event):
        self.send_json({"said": event["text"]})

    def chat_payload(self, event):
        self.send_json(event["payload"])


class ResilientAsync(AsyncResilientMixin, Async):
    pass


class ResilientSync(ResilientMixin, Sync):
    pass


class Thumbnails(SyncConsumer):
    """A worker's consumer, as Channels' own documentation has it."""

    def make(self, event):
        for method, where in (("group_send", event["group"]), ("send", event["channel"])):
            async_to_sync(getattr(self.channel_layer, method))(
                where, say(f"{event['text']} by {method}")
            )


class Previews(AsyncConsumer):
    """Another one: async, and a member of groups itself."""

    async def make(self, event):
        await self.channel_layer.group_send(event["group"], say(f"{event['text']} by group_send"))
        await self.channel_layer.send(event["channel"], say(f"{event['text']} by send"))

    async def join(self, event):
        await self.channel_layer.group_add(event["group"], self.channel_name)
        await self.channel_layer.send(event["channel"], say("joined"))

    async def chat_question(self, event):
        await self.channel_layer.send(event["channel"], say(event["text"]))
