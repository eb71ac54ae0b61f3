"""Runs every contract test on six variants, and compares what they did."""

from collections.abc import Iterator

import pytest

from contract.variants import GUARDED, VARIANTS, Transcript, Variant

plain_transcripts: dict[tuple[str, bool], list[Transcript]] = {}


@pytest.fixture(params=VARIANTS + GUARDED)
def variant(request: pytest.FixtureRequest) -> Iterator[Variant]:
    """Plain, under the mixin or behind the middleware; async or sync.

    The plain variant runs first.  Whatever it sent, noted and ended with, the
    others must have too, message by message, unless the test names a difference.
    """
    variant = Variant(*request.param)
    sync = variant.sync
    yield variant
    test = request.node.nodeid.replace(variant.name, "")
    if not variant.is_ours:
        plain_transcripts[test, sync] = variant.transcripts
    elif not variant.differences and (test, sync) in plain_transcripts:
        assert variant.transcripts == plain_transcripts[test, sync]
