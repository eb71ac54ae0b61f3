"""Runs one target for as long as there is time, guided by the coverage that it reaches.

Not a part of the suite, nor of its dependencies: needs Atheris (``pip install atheris``, Linux,
into an environment that has everything else that the tests need) ::

    python tests/fuzz/harness.py                        # the targets
    python tests/fuzz/harness.py frames -max_total_time=900 corpus/

What follows the target's name goes to libFuzzer; a directory keeps inputs that found something new.
The targets are the tests in this directory, and their inputs what Hypothesis makes of the bytes. An
input that fails stays in ``crash-<hash>``. Give that file instead of a directory to run it again
and to see what it means, then write that into the test as an ``@example``.
"""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent

TARGETS = {
    "frames": ("test_frames", "test_no_frame_of_a_client_ends_more_than_its_own_connection"),
    "control": ("test_control", "test_a_control_frame_gets_an_answer_or_nothing"),
    "json": ("test_json", "test_what_cannot_be_read_costs_its_sender_one_of_a_few_chances"),
    "settings": (
        "test_settings",
        "test_whatever_the_setting_says_is_understood_or_told_to_be_wrong",
    ),
    "options": ("test_settings", "test_a_consumer_with_any_options_is_refused_or_works"),
    "events": ("test_events", "test_no_event_reaches_what_it_may_not_or_ends_a_connection"),
    "offers": ("test_handshake", "test_what_is_answered_was_offered"),
    "origins": ("test_handshake", "test_only_our_own_pages_get_in_whatever_the_headers_say"),
    "addresses": (
        "test_handshake",
        "test_an_address_is_the_peers_or_one_that_a_trusted_proxy_named",
    ),
    "closing": ("test_closing", "test_a_call_says_what_became_of_it_or_what_is_wrong_with_it"),
}


def load(target: str, *, is_replay: bool) -> Any:
    """What takes bytes and runs the target with what they mean; in a replay it tells what."""
    import django
    from hypothesis import Verbosity, settings

    django.setup()
    settings.register_profile(
        "fuzz",
        deadline=None,
        database=None,
        verbosity=Verbosity.verbose if is_replay else Verbosity.quiet,
    )
    settings.load_profile("fuzz")  # before the tests are imported
    module, name = TARGETS[target]
    return getattr(import_module(f"fuzz.{module}"), name).hypothesis.fuzz_one_input


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: {sys.argv[0]} ({' | '.join(TARGETS)}) [libFuzzer's arguments]")
    target = sys.argv.pop(1)
    import atheris

    sys.path.insert(0, str(TESTS))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    with atheris.instrument_imports(include=["resilient_channels"]):
        run = load(target, is_replay=any(Path(word).is_file() for word in sys.argv[1:]))
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
