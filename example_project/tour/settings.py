"""Django settings of the application under test; ``TOUR_LAYERS`` holds the default channel layer.

Everything is at its default except the send deadline, the heartbeat and the drain, which are short
so that the tour is. Only clients that speak the library's protocol have a heartbeat.
"""

from __future__ import annotations

import json
import os

from .lengths import HEARTBEAT_INTERVAL, HEARTBEAT_TIMEOUT

SECRET_KEY = "only for the tour"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
INSTALLED_APPS = ["channels", "resilient_channels"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}

CHANNEL_LAYERS = {
    "default": json.loads(
        os.environ.get("TOUR_LAYERS", '{"BACKEND": "channels.layers.InMemoryChannelLayer"}')
    )
}

RESILIENT_CHANNELS = {
    # How each process is found that is to drain.
    "DRAIN": {"duration": 2.0, "directory": os.environ.get("TOUR_SOCKETS")},
    "SEND": {"deadline": 3.0},
    "HEARTBEAT": {"interval": HEARTBEAT_INTERVAL, "timeout": HEARTBEAT_TIMEOUT},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "fields": {
            "()": "resilient_channels.observers.logs.FieldsFormatter",
        },
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "fields"},
        "record": {"class": "tour.recording.RecordHandler"},
    },
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {"resilient_channels": {"handlers": ["record"], "level": "INFO"}},
}
