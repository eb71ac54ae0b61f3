"""Sends by every way that synchronous code has: to a group, to channels, and to the worker."""

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.core.management.base import BaseCommand

from live.fleet.consumers import say
from resilient_channels import notify


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("group")
        parser.add_argument("text")
        parser.add_argument("channels", nargs="+")

    def handle(self, *args, group, text, channels, **options):
        layer = get_channel_layer()
        outcome = notify(group, say(f"{text} by notify"))
        self.stdout.write(outcome.value)
        async_to_sync(layer.group_send)(group, say(f"{text} by group_send"))
        for channel in channels:
            async_to_sync(layer.send)(channel, say(f"{text} by send"))
        errand = {"group": group, "channel": channels[0], "text": f"{text} through the worker"}
        async_to_sync(layer.send)("thumbnails", {"type": "make", **errand})
