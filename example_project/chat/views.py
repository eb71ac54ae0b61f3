"""The page, and what its script asks for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from channels.layers import get_channel_layer
from django.http import JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from . import amounts, catalog, durations, fates, restarting

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

PANES = (
    {
        "name": "plain",
        "title": "Plain",
        "consumer": "class ChatConsumer(AsyncJsonWebsocketConsumer)",
        "client": 'new WebSocket("/ws/plain/")',
    },
    {
        "name": "resilient",
        "title": "Resilient",
        "consumer": "class ResilientChatConsumer(AsyncResilientMixin, ChatConsumer)",
        "client": 'new ResilientSocket("/ws/resilient/")',
    },
)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page(request: HttpRequest) -> HttpResponse:
    """Show both chats and the faults."""
    context = {
        "panes": PANES,
        "groups": catalog.GROUPS,
        "durations": durations,
        "flood": amounts.FLOOD,
    }
    response = render(request, "chat/page.html", context)
    response["Content-Security-Policy"] = POLICY
    return response


def fate(request: HttpRequest, key: str) -> JsonResponse:
    """Tell how that connection ended on the server."""
    return JsonResponse(fates.of(key))


@require_POST
async def break_layer(request: HttpRequest) -> JsonResponse:
    """Have the channel layer fail for a while."""
    # The layer itself, not a consumer's view of it.
    layer: Any = get_channel_layer()
    layer.break_for(durations.LAYER_AWAY)
    return JsonResponse({"seconds": durations.LAYER_AWAY})


@require_POST
async def block_loop(request: HttpRequest) -> JsonResponse:
    """Do what no coroutine should: hold up the event loop, and every connection with it."""
    time.sleep(durations.BLOCKED)  # noqa: ASYNC251 - this is the fault
    return JsonResponse({"seconds": durations.BLOCKED})


@require_POST
async def deploy(request: HttpRequest) -> JsonResponse:
    """Have this process end as a deployment ends it; 409 when nobody would start another one."""
    if not restarting.is_possible():
        return JsonResponse({"error": "nobody would start the server again"}, status=409)
    restarting.terminate()
    return JsonResponse({})


@require_POST
async def restart(request: HttpRequest) -> JsonResponse:
    """End this process; 409 when nobody would start another one."""
    if not restarting.is_possible():
        return JsonResponse({"error": "nobody would start the server again"}, status=409)
    restarting.restart()
    return JsonResponse({})
