"""The live settings, with hosts: of a site at ``http://example.com``."""

from live.settings import *  # noqa: F403

ALLOWED_HOSTS = ["example.com", "127.0.0.1"]
CSRF_TRUSTED_ORIGINS = ["https://*.trusted.test"]
