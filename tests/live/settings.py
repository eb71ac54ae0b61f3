"""Django settings of the live tests' application."""

import json
import os

SECRET_KEY = "only for tests"
DEBUG = False
USE_TZ = True
INSTALLED_APPS = ["channels", "resilient_channels"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
CHANNEL_LAYERS = {
    "default": json.loads(
        os.environ.get("LAYER", '{"BACKEND": "channels.layers.InMemoryChannelLayer"}')
    )
}
# Unless a test is about it: most stop their server with clients on it, and do not want to wait.
RESILIENT_CHANNELS = {"DRAIN": {"mode": "off"}, **json.loads(os.environ.get("OPTIONS", "{}"))}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "fields": {
            "()": "resilient_channels.observers.logs.FieldsFormatter",
            "format": "%(levelname)s %(name)s %(message)s",
        },
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "fields"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
