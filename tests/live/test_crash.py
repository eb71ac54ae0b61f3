"""SIGKILL: nobody is told anything, and yet the clients do not all come back together."""

import asyncio
import signal
from random import Random

import pytest

from live.draining import come_back_untold, most_in_a_second
from live.stage import serve, until

pytestmark = pytest.mark.live

COUNT, SHARE = 500, 0.35


async def test_500_clients_of_a_killed_server_do_not_set_out_together(tmp_path):
    """They go to another server, with the delays that the browser client has.

    Here it is about real ends: all in one moment, and none of them with a word. The delays
    themselves, and servers that are away for longer, are tested in ``tests/js/chaos.test.mjs``.
    """
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    async with (
        serve("uvicorn", tmp_path / "first") as first,
        serve("uvicorn", tmp_path / "second") as second,
    ):
        gate = asyncio.Semaphore(40)

        async def join():
            async with gate:
                return await first.speaker(deadline=30)

        clients = await asyncio.gather(*(join() for _ in range(COUNT)))

        first.server.process.kill()
        returned = await asyncio.gather(
            *(
                come_back_untold(client, lambda: second.speaker(deadline=30), Random(number))
                for number, client in enumerate(clients)
            )
        )

        assert first.server.process.wait(0) == -signal.SIGKILL
        assert len(returned) == COUNT
        most = most_in_a_second(moment for moments, _ in returned for moment in moments)
        print(f"at most {most} of {COUNT} set out in a second")
        assert most <= SHARE * COUNT
        assert await until(lambda: len(second.entries(event="connect")) == COUNT)
        assert second.entries(event="disconnect") == []
        await asyncio.gather(*(client.aclose() for client in clients))
        await asyncio.gather(*(client.aclose() for _, client in returned))
