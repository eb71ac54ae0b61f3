"""Django settings of every process of a fleet; ``LAYER`` says what it is configured with."""

from live.settings import *  # noqa: F403

INSTALLED_APPS = ["channels", "resilient_channels", "live.fleet"]
ASGI_APPLICATION = "live.fleet.application.application"
ROOT_URLCONF = "live.fleet.application"
ALLOWED_HOSTS = ["*"]
