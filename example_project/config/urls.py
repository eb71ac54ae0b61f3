"""The example has one page, and answers for its script."""

from __future__ import annotations

from django.urls import path

from chat import views

urlpatterns = [
    path("", views.page, name="page"),
    path("fate/<slug:key>/", views.fate, name="fate"),
    path("server/layer-away/", views.break_layer, name="layer-away"),
    path("server/blocked-loop/", views.block_loop, name="blocked-loop"),
    path("server/deploy/", views.deploy, name="deploy"),
    path("server/server-restart/", views.restart, name="server-restart"),
]
