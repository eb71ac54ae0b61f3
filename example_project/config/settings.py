"""Settings of the example: SQLite, one process, an in-memory channel layer. Not for deployment."""

from __future__ import annotations

from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = "not a secret: the example runs on loopback only"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]

INSTALLED_APPS = [
    "channels",
    "resilient_channels",
    "chat",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
STATIC_URL = "static/"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"},
}

# The in-memory layer of Channels behind a switch that breaks it for a while.
CHANNEL_LAYERS = {"default": {"BACKEND": "chat.layers.BreakableLayer"}}

RESILIENT_CHANNELS = {
    # Faster than the default of 25 s and 20 s: somebody is watching.
    "HEARTBEAT": {"interval": 2.0, "timeout": 2.0},
    # Far more than anybody who types, and than the page needs.
    "LIMITS": {"rate": 20.0, "burst": 100},
    # About the default; the page names it.
    "OUTBOX": {"bytes": 1_000_000},
    # Also under DEBUG: there is a button for it.
    "DRAIN": {"mode": "on"},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "fields": {"()": "resilient_channels.observers.logs.FieldsFormatter"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "fields"},
    },
    "loggers": {
        "resilient_channels": {"handlers": ["console"], "level": "INFO", "propagate": False},
    },
}
