"""The example has one page, and one answer for its script."""

from __future__ import annotations

from django.urls import path

from chat import views

urlpatterns = [
    path("", views.page, name="page"),
    path("fate/<slug:key>/", views.fate, name="fate"),
]
