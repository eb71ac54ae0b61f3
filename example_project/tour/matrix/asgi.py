"""The tour's ASGI application, with the consumers of the matrix in addition.

WebSockets: ``/plain/listener/``, ``/plain/speaker/``, and the same under ``/resilient/``.
"""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tour.matrix.settings")

from ..asgi import ROUTES, application

__all__ = ["application"]

from . import subjects

ROUTES.update(
    {
        "/plain/listener/": subjects.Listener.as_asgi(),
        "/plain/speaker/": subjects.Speaker.as_asgi(),
        "/resilient/listener/": subjects.ResilientListener.as_asgi(),
        "/resilient/speaker/": subjects.ResilientSpeaker.as_asgi(),
    }
)
