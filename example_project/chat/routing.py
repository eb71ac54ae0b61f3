"""Which consumer answers at which path."""

from __future__ import annotations

from django.urls import path

from .consumers import ChatConsumer, ResilientChatConsumer

websocket_urlpatterns = [
    path("ws/plain/", ChatConsumer.as_asgi()),
    path("ws/resilient/", ResilientChatConsumer.as_asgi()),
]
