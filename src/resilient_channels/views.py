"""What a load balancer, or Kubernetes, may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .control_socket import was_told_before
from .draining import count_clients, get_drain

if TYPE_CHECKING:
    from django.http import HttpRequest


@require_safe
@never_cache
async def readiness(request: HttpRequest) -> JsonResponse:
    """200 while this process takes in new connections, 503 from the beginning of its drain on.

    Touches no database and no cache. The body says how many WebSocket connections there are.
    """
    is_draining = get_drain() is not None or was_told_before()
    return JsonResponse(
        {"status": "draining" if is_draining else "ready", "connections": count_clients()},
        status=503 if is_draining else 200,
    )
