"""Runs every contract test on four variants, and compares what they did."""

from collections.abc import Iterator

import pytest

from contract.variants import VARIANTS, Transcript, Variant

plain_transcripts: dict[tuple[str, bool], list[Transcript]] = {}


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> Iterator[Variant]:
    """Plain or under the mixin, async or sync.

    The plain variant runs first.  Whatever it sent, noted and ended with, the
    mixin must have too, message by message, unless the test names a difference.
    """
    sync, resilient = request.param
    variant = Variant(sync, resilient)
    yield variant
    test = request.node.nodeid.replace(variant.name, "")
    if not resilient:
        plain_transcripts[test, sync] = variant.transcripts
    elif not variant.differences and (test, sync) in plain_transcripts:
        assert variant.transcripts == plain_transcripts[test, sync]
