"""Names of test cases that are the same in every process that collects them."""

import re


def named(value):
    """``repr`` without the address that an object happens to have."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
