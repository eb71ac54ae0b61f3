"""The ASGI application of the live tests that have a database.

The same consumers at ``/plain/`` and ``/resilient/``, async and sync, and one Django view.
"""

import os
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "live.database_settings")
django.setup()

from asgiref.sync import sync_to_async  # noqa: E402
from channels.generic.websocket import AsyncJsonWebsocketConsumer, JsonWebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.contrib.contenttypes.models import ContentType  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.db import DatabaseError, connection  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402

from resilient_channels import AsyncResilientMixin, ResilientMixin  # noqa: E402


def describe():
    """The connection of the running thread; None if it is closed."""
    inner = connection.connection
    if inner is None:
        return None
    return inner.info.backend_pid if connection.vendor == "postgresql" else id(inner)


class AsyncSubject(AsyncJsonWebsocketConsumer):
    async def receive_json(self, content):
        if content["do"] == "query":
            await ContentType.objects.acount()
        elif content["do"] == "careful query":
            try:
                await ContentType.objects.acount()
            except DatabaseError as error:
                await self.send_json({"n": content["n"], "error": type(error).__name__})
                return
        connection = None if content["do"] == "echo" else await sync_to_async(describe)()
        await self.send_json({"n": content["n"], "connection": connection})


class SyncSubject(JsonWebsocketConsumer):
    def receive_json(self, content):
        time.sleep(content["sleep"])
        self.send_json({"n": content["n"]})


class ResilientAsyncSubject(AsyncResilientMixin, AsyncSubject):
    pass


class ResilientSyncSubject(ResilientMixin, SyncSubject):
    pass


def view(request):
    return JsonResponse({"rows": ContentType.objects.count(), "connection": describe()})


urlpatterns = [path("view/", view)]

application = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter(
            [
                path("plain/async/", AsyncSubject.as_asgi()),
                path("plain/sync/", SyncSubject.as_asgi()),
                path("resilient/async/", ResilientAsyncSubject.as_asgi()),
                path("resilient/sync/", ResilientSyncSubject.as_asgi()),
            ]
        ),
    }
)


def prepare():
    """Make the only table there is, unless another process has."""
    if ContentType._meta.db_table not in connection.introspection.table_names():
        with connection.schema_editor() as editor:
            editor.create_model(ContentType)
    connection.close()


prepare()
