"""Django settings of the measured processes.

``BENCHMARK_LAYER`` names the channel layer and ``BENCHMARK_REDIS`` the address of a broker; JSON
in ``BENCHMARK_SETTINGS`` overrides the rest.
"""

from __future__ import annotations

import json
import os
from typing import Any

SECRET_KEY = "only for the benchmarks"  # noqa: S105
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
INSTALLED_APPS = ["channels", "resilient_channels"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}

_layer = os.environ.get("BENCHMARK_LAYER", "memory")
# The processes share a broker, and must not share groups. The timeout is the one that a blocking
# read needs from redis-py 8 on: longer than the read.
_redis = {
    "BACKEND": "channels_redis.core.RedisChannelLayer",
    "CONFIG": {
        "hosts": [{"address": os.environ.get("BENCHMARK_REDIS", ""), "socket_timeout": 15}],
        "prefix": f"benchmark-{_layer}",
    },
}
_hub = "resilient_channels.layers.ResilientChannelLayer"
_layers: dict[str, dict[str, Any]] = {
    "none": {},
    "memory": {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
    "redis": {"default": _redis},
    "hub": {"default": {"BACKEND": _hub}},
    "hub-redis": {"default": {"BACKEND": _hub, "CONFIG": _redis}},
}
CHANNEL_LAYERS = _layers[_layer]

globals().update(json.loads(os.environ.get("BENCHMARK_SETTINGS", "{}")))
