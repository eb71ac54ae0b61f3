"""The ASGI application of every process of a fleet: consumers, a worker's, and a few views."""

import os
import threading

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "live.fleet.settings")
django.setup()

from channels.routing import ChannelNameRouter, ProtocolTypeRouter, URLRouter  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402

from live.fleet import consumers  # noqa: E402
from resilient_channels import notify  # noqa: E402


def tell(request):
    """Notify a group, as often as asked for, from this view or from a thread of its own."""
    outcomes = []

    def tell_all():
        for number in range(int(request.GET.get("times", 1))):
            event = consumers.say(f"{request.GET['text']}{number}")
            outcomes.append(notify(request.GET["group"], event).value)

    if "thread" in request.GET:
        thread = threading.Thread(target=tell_all)
        thread.start()
        thread.join()
    else:
        tell_all()
    return JsonResponse({"outcomes": outcomes})


async def tell_from_a_loop(request):
    """The same from an async view, which cannot be made to wait."""
    outcome = notify(request.GET["group"], consumers.say(request.GET["text"]))
    return JsonResponse({"outcomes": [outcome.value]})


urlpatterns = [path("tell/", tell), path("tell-from-a-loop/", tell_from_a_loop)]

application = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter(
            [
                path("plain/async/", consumers.Async.as_asgi()),
                path("plain/sync/", consumers.Sync.as_asgi()),
                path("resilient/async/", consumers.ResilientAsync.as_asgi()),
                path("resilient/sync/", consumers.ResilientSync.as_asgi()),
            ]
        ),
        "channel": ChannelNameRouter(
            {
                "thumbnails": consumers.Thumbnails.as_asgi(),
                "previews": consumers.Previews.as_asgi(),
            }
        ),
    }
)
