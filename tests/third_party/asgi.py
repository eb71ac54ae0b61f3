"""What the live tests serve: three consumers, and a page that tells what happened to them."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django.setup()

from channels.layers import get_channel_layer  # noqa: E402

from third_party.consumers import ROUTES, facts  # noqa: E402


async def application(scope, receive, send):
    if scope["type"] == "websocket":
        await ROUTES[scope["path"]](scope, receive, send)
    elif scope["type"] == "http":
        if scope["path"] == "/publish":
            event = {"type": "news", "text": scope["query_string"].decode()}
            await get_channel_layer().group_send("news", event)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": facts()})
