"""Being in ``INSTALLED_APPS`` buys the system checks and an early word on wrong settings."""

from __future__ import annotations

import sys

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured


class ResilientChannelsConfig(AppConfig):
    """The Django application."""

    name = "resilient_channels"
    verbose_name = "Resilient Channels"

    def ready(self) -> None:
        """Register the checks; refuse to start with settings that mean nothing.

        Raises:
            ImproperlyConfigured: Unless ``manage.py check`` is about to say it better. ASGI
                servers run no checks, and a typo found at the first connection is found too late.
        """
        from . import checks
        from .conf import find_setting_problems

        checks.register()
        problems = find_setting_problems()
        if problems and sys.argv[1:2] != ["check"]:
            raise ImproperlyConfigured("; ".join(problems))
