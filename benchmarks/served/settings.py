"""Django settings of the measured processes; JSON in ``BENCHMARK_SETTINGS`` overrides them."""

from __future__ import annotations

import json
import os

SECRET_KEY = "only for the benchmarks"  # noqa: S105
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
INSTALLED_APPS = ["channels", "resilient_channels"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

globals().update(json.loads(os.environ.get("BENCHMARK_SETTINGS", "{}")))
