"""Counts aloud in a group, until its standard input ends."""

import sys
import threading
import time

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.core.management.base import BaseCommand

from live.fleet.consumers import say

PAUSE = 0.02


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("group")

    def handle(self, *args, group, **options):
        over = threading.Event()
        threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
        layer = get_channel_layer()
        number = 0
        while not over.is_set():
            async_to_sync(layer.group_send)(group, say(number))
            number += 1
            time.sleep(PAUSE)
        self.stdout.write(str(number))
