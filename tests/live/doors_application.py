"""The ASGI application of the doors: consumers that anybody may talk to, once they are in.

``/ours/`` and ``/channels/`` are guarded by an origin validator, ours and Channels' own.
``/async/``, ``/sync/``, ``/plain/`` (behind the middleware) and ``/both/`` (a resilient consumer
behind it) are not: there the limits of the settings are at work. ``?user=1`` says whose a
connection is.
"""

import os
from types import SimpleNamespace
from urllib.parse import parse_qsl

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "live.doors_settings")
django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402

from resilient_channels import (  # noqa: E402
    AsyncResilientMixin,
    OriginValidator,
    ResilientMiddleware,
    ResilientMixin,
)
from resilient_channels.crowds import crowds  # noqa: E402
from resilient_channels.observers import counts  # noqa: E402
from resilient_channels.registry import registry  # noqa: E402


class Plain(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data)


class Async(AsyncResilientMixin, Plain):
    pass


class Sync(ResilientMixin, WebsocketConsumer):
    def receive(self, text_data=None, bytes_data=None):
        self.send(text_data)


def knows_users(application):
    """Takes everybody's word for who they are."""

    async def wrapped(scope, receive, send):
        query = dict(parse_qsl(scope["query_string"].decode()))
        user = SimpleNamespace(is_authenticated="user" in query, pk=query.get("user"))
        await application({**scope, "user": user}, receive, send)

    return wrapped


async def state(scope, receive, send):
    """What the process holds, over HTTP."""
    seats = {"seats": len(crowds), "connections": len(registry)}
    told = {" ".join(key).strip(): count for key, count in counts.items()}
    body = JsonResponse({**seats, "counts": told}).content
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def lifespan(scope, receive, send):
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    await send({"type": "lifespan.shutdown.complete"})


application = ProtocolTypeRouter(
    {
        "http": state,
        "lifespan": lifespan,
        "websocket": knows_users(
            URLRouter(
                [
                    path("ours/", OriginValidator(Async.as_asgi())),
                    path("channels/", AllowedHostsOriginValidator(Async.as_asgi())),
                    path("async/", Async.as_asgi()),
                    path("sync/", Sync.as_asgi()),
                    path("plain/", ResilientMiddleware(Plain.as_asgi())),
                    path("both/", ResilientMiddleware(Async.as_asgi())),
                ]
            )
        ),
    }
)
