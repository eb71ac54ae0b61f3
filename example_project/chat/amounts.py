"""How much each fault of the demo sends; what matters is how it compares to the limits."""

from __future__ import annotations

from django.conf import settings

_limits = settings.RESILIENT_CHANNELS["LIMITS"]
RATE: float = _limits["rate"]
BURST: int = _limits["burst"]
# No button but this one sends more than a handful of messages.
FLOOD = 4 * BURST

MB = 1_000_000
OUTBOX_MB: float = settings.RESILIENT_CHANNELS["OUTBOX"]["bytes"] / MB
# More than sockets and the browser hold between them, and less than would hurt a server.
STREAM_MB = 20
# In frames, and at a rate that a page which reads keeps up with.
FRAMES = 80
FRAME_EVERY = 0.01
