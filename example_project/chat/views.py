"""The page, and what its script asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import JsonResponse
from django.shortcuts import render

from . import fates

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

PANES = (
    ("plain", "Plain", "class ChatConsumer(AsyncJsonWebsocketConsumer)"),
    ("resilient", "Resilient", "class ResilientChatConsumer(AsyncResilientMixin, ChatConsumer)"),
)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:"
)


def page(request: HttpRequest) -> HttpResponse:
    """Show both chats and the faults."""
    response = render(request, "chat/page.html", {"panes": PANES})
    response["Content-Security-Policy"] = POLICY
    return response


def fate(request: HttpRequest, key: str) -> JsonResponse:
    """Tell which codes ``disconnect()`` was called with on that connection."""
    return JsonResponse({"disconnects": fates.of(key)})
