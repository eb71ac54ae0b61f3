"""Live through many days: ``python -m hub.chaos hub 0 300``, in the directory of the tests.

The order in which sets of names are walked through is chance, too: with ``PYTHONHASHSEED`` set, a
day is the same whenever it is lived through.
"""

import os
import sys
import traceback

import django

from hub.chaos.day import live_through

MOST_STORIES = 2


def main(setup: str, first: int, last: int) -> int:
    failures = []
    for seed in range(first, last):
        try:
            live_through(setup, seed)
        except BaseException as error:  # noqa: BLE001  # a hang, too
            failures.append(seed)
            if len(failures) <= MOST_STORIES:
                print(f"--- {setup}, seed {seed}:")
                traceback.print_exception(error, limit=-4)
            if isinstance(error, KeyboardInterrupt):
                break
    if failures:
        hash_seed = os.environ.get("PYTHONHASHSEED", "random")
        print(f"{setup}: failed with PYTHONHASHSEED={hash_seed}: {failures}")
    return len(failures)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    django.setup()
    sys.exit(min(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])), 100))
