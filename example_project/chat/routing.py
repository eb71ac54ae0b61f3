"""Which consumer answers at which path."""

from __future__ import annotations

from django.urls import path

from .consumers import ChatConsumer, ResilientChatConsumer
from .fates import noting_the_end

websocket_urlpatterns = [
    path("ws/plain/", noting_the_end(ChatConsumer.as_asgi())),
    path("ws/resilient/", noting_the_end(ResilientChatConsumer.as_asgi())),
]
