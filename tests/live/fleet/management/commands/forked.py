"""Notifies a group from children that were forked, as a prefork pool of workers does."""

import gc
import os
from concurrent.futures import ThreadPoolExecutor

from django.core.management.base import BaseCommand

from live.fleet.consumers import say
from resilient_channels import SendOutcome, notify

CHILDREN = 3
THREADS = 4


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("group")
        parser.add_argument("text")
        parser.add_argument("--used", action="store_true", help="notify before the fork, too")

    def handle(self, *args, group, text, used, **options):
        def tell(who):
            return notify(group, say(f"{text} {who}")) is SendOutcome.SENT

        results = []
        if used:
            results.append(tell("parent before"))
        children = [self.fork(tell, f"child {number}") for number in range(CHILDREN)]
        results += [os.waitpid(child, 0)[1] == 0 for child in children]
        # What a child has dropped of its parent's must not be missed here.
        results += [tell("parent after"), tell("parent again")]
        self.stdout.write(str(results.count(False)))

    def fork(self, tell, who):
        child = os.fork()
        if child:
            return child
        failures = 1
        try:
            with ThreadPoolExecutor(THREADS) as pool:
                told = list(pool.map(tell, [f"{who} thread {n}" for n in range(THREADS)]))
            gc.collect()
            told.append(tell(who))
            failures = told.count(False)
        finally:
            os._exit(failures)
