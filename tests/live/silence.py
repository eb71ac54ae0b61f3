"""What a peer that falls silent meets: the heartbeat of these tests, and the end in time."""

import time

INTERVAL, TIMEOUT = 0.8, 1.2
BOUND = INTERVAL + TIMEOUT + 1.0
HEARTBEAT = {"interval": INTERVAL, "timeout": TIMEOUT}
# Long enough for a peer to be taken for gone twice.
LONG = 2 * BOUND


async def vanish(client):
    """Neither read nor write any more; returns when that was."""
    await client.stop_reading()
    return time.monotonic()


async def check_given_up(stage, client, since):
    """The peer was given up in time, and cleaned up behind in the documented way."""
    closing = await stage.entry(client.key, "closing", since + BOUND + 1 - time.monotonic())
    assert closing["at"] - since <= BOUND
    assert closing["code"] == 3408
    ended = await stage.entry(client.key, "ended", deadline=12)
    left = await stage.entry(client.key, "disconnect", deadline=12)
    assert (ended["code"], ended["kind"], left["code"]) == (3408, "timeout", 3408)
    assert len(stage.entries(client.key, "ended")) == 1
    assert len(stage.entries(client.key, "disconnect")) == 1


async def nothing_comes(client, seconds):
    """Whether the client is sent nothing at all for so long, but what its heart answers."""
    try:
        await client.recv(seconds)
    except TimeoutError:
        return True
    return False
