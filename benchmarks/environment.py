"""Where the numbers were made."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

PACKAGES = (
    "asgiref", "channels", "channels-redis", "daphne", "django", "granian", "hypercorn", "redis",
    "resilient-channels", "twisted", "uvicorn", "uvloop", "websockets", "wsproto",
)  # fmt: skip


def describe() -> dict[str, Any]:
    """Return Python, machine and versions, and how busy the machine is now."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "versions": {package: _version(package) for package in PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
