"""A limit on real time that holds when an event loop hangs in its own end."""

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Fail what takes longer, even in a loop that cannot end because of a task that does not.

    Again every second: what is interrupted once may hang in its cleanup next.
    """

    def interrupt(*_: object) -> None:
        raise AssertionError(f"not finished after {seconds} s")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
