"""For ``urlpatterns``: ``path("health/", include("resilient_channels.urls"))``."""

from __future__ import annotations

from django.urls import path

from .views import readiness

app_name = "resilient_channels"
urlpatterns = [path("ready/", readiness, name="readiness")]
