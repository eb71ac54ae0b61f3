"""How long each fault of the demo lasts, in seconds; what matters is how it compares."""

from __future__ import annotations

from django.conf import settings

_heartbeat = settings.RESILIENT_CHANNELS["HEARTBEAT"]
INTERVAL: float = _heartbeat["interval"]
TIMEOUT: float = _heartbeat["timeout"]

# A peer that is silent for longer is gone.
BOUND = INTERVAL + TIMEOUT

# The server finds this out while the page cannot see it.
FROZEN = BOUND + 2.0
# A client lives through a handler that takes longer than any silence is forgiven.
SLOW_HANDLER = BOUND + 1.0
# Longer than the server waits for an answer: a timer that is late must not be the clients' fault.
# Shorter than the browser waits for the server.
BLOCKED = TIMEOUT + INTERVAL / 2
# Long enough to leave in the middle.
LEFT_HANDLER = 1.0
LAYER_AWAY = 3.0
# Far shorter than any silence that is held against a client. And servers give a close frame that
# nobody reads no more than a second.
NOT_READING = 0.7
