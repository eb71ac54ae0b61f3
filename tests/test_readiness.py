"""The view that a load balancer asks."""

import asyncio
import json
from collections.abc import Iterator

import pytest
from django.test import AsyncClient, RequestFactory
from django.urls import include, path, reverse

from resilient_channels import drain, draining, views
from resilient_channels.control_directory import leave_mark
from shells.clients import Listener, WireClient, meet
from shells.visits import build

urlpatterns = [path("health/", include("resilient_channels.urls"))]


@pytest.fixture(autouse=True)
def in_a_new_process(settings, tmp_path) -> Iterator[None]:
    settings.ROOT_URLCONF = __name__
    settings.RESILIENT_CHANNELS = {"DRAIN": {"directory": str(tmp_path)}}
    yield
    draining.forget()


async def look() -> tuple[int, dict[str, object]]:
    response = await AsyncClient().get(reverse("resilient_channels:readiness"))
    assert "no-store" in response["Cache-Control"]
    return response.status_code, response.json()


async def test_a_process_is_ready_until_its_drain_begins():
    assert reverse("resilient_channels:readiness") == "/health/ready/"
    assert await look() == (200, {"status": "ready", "connections": 0})

    await drain()

    assert await look() == (503, {"status": "draining", "connections": 0})


async def test_it_says_how_many_are_left():
    clients = [await meet(WireClient(build(Listener))) for _ in range(3)]
    assert await look() == (200, {"status": "ready", "connections": 3})

    waiting = asyncio.ensure_future(drain(duration=0.2))
    await asyncio.sleep(0)

    assert (await look())[0] == 503
    await waiting
    assert (await look())[1]["connections"] == 0
    assert all(client.closes == [3512] for client in clients)


async def test_one_that_was_told_before_its_first_websocket_is_not_ready(tmp_path):
    leave_mark(tmp_path)

    assert (await look())[0] == 503


async def test_nothing_but_reading_is_allowed():
    response = await AsyncClient().post(reverse("resilient_channels:readiness"))

    assert response.status_code == 405


async def test_it_needs_no_database_user_or_session():
    """A test without the ``db`` fixture may not query; a bare request has no more than its path."""
    response = await views.readiness(RequestFactory().get("/"))

    assert isinstance(response.status_code, int)
    assert json.loads(response.content)["status"] == "ready"


def test_it_can_be_asked_of_a_synchronous_server(client):
    assert client.get(reverse("resilient_channels:readiness")).status_code == 200
