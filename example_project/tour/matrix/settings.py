"""Django settings of the matrix: the tour's, with log records that name time, level and logger.

``MATRIX_OPTIONS`` holds what of ``RESILIENT_CHANNELS`` is not at its default.
"""

from __future__ import annotations

import json
import os
from typing import Any

from tour.settings import (
    ALLOWED_HOSTS,
    CHANNEL_LAYERS,
    DATABASES,
    DEBUG,
    INSTALLED_APPS,
    LOGGING as TOUR_LOGGING,
    USE_TZ,
)

__all__ = ["ALLOWED_HOSTS", "CHANNEL_LAYERS", "DATABASES", "DEBUG", "INSTALLED_APPS", "USE_TZ"]

SECRET_KEY = "only for the matrix"

RESILIENT_CHANNELS = json.loads(os.environ.get("MATRIX_OPTIONS", "{}"))

LOGGING: dict[str, Any] = {
    **TOUR_LOGGING,
    "formatters": {
        "fields": {
            "()": "resilient_channels.observers.logs.FieldsFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
        },
    },
}
