"""Runs test files of channels_redis side by side, each on a broker of its own."""

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tour.brokers import Broker
from tour.sentinels import NAME, Sentinel

TESTS = Path(__file__).resolve().parents[1]
LIMIT = 120.0  # seconds; the longest file takes 30, most of them asleep


@dataclass(frozen=True)
class Run:
    """What became of the tests of one file.

    Attributes:
        outcomes: of each test, its name with its parameters; in order, and one a phase.
        output: what pytest printed.
        ended: whether its process came to its end by itself.
    """

    outcomes: dict[str, list[str]]
    output: str
    ended: bool

    def count(self, outcome: str) -> int:
        return sum(outcome in each for each in self.outcomes.values())


async def run_all(tests: Path, names: list[str], *, wrapped: bool) -> dict[str, Run]:
    """Run the files of these *names* at once, with the hub in the layers' place if *wrapped*."""
    runs = await asyncio.gather(*(run(tests / name, wrapped=wrapped) for name in names))
    return dict(zip(names, runs, strict=True))


async def run(file: Path, *, wrapped: bool) -> Run:
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(Broker())
        parameters: dict[str, Any] = {
            "wrapped": wrapped,
            "address": f"redis://127.0.0.1:{broker.port}",
            "report": str(file.with_suffix(".json")),
        }
        if "sentinel" in file.name:
            sentinel = await stack.enter_async_context(Sentinel(broker))
            parameters["sentinel"] = {
                "sentinels": [("127.0.0.1", sentinel.port)],
                "master_name": NAME,
                "sentinel_kwargs": {},
            }
        return await run_pytest(file, parameters)


async def run_pytest(file: Path, parameters: dict[str, Any]) -> Run:
    """Run one file in a process of its own, configured by nothing around it."""
    python_path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-p", "upstream.plugin", "-p", "no:cacheprovider"),
        *("-p", "no:django", "-c", os.devnull, "--rootdir", str(file.parent)),
        *(
            "-o",
            "asyncio_mode=auto",
            "-o",
            "asyncio_default_fixture_loop_scope=function",
            "--tb=short",
            str(file),
        ),
        cwd=file.parent,
        env=os.environ | {"PYTHONPATH": python_path, "UPSTREAM_RUN": json.dumps(parameters)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    reading = asyncio.create_task(process.communicate())
    done, _ = await asyncio.wait([reading], timeout=LIMIT)
    if not done:
        process.kill()
    output = (await reading)[0].decode(errors="replace")
    outcomes = await asyncio.to_thread(read_report, Path(parameters["report"]))
    return Run(outcomes, output, ended=bool(done))


def read_report(path: Path) -> dict[str, list[str]]:
    """What our plugin wrote; nothing if it was stopped before."""
    return json.loads(path.read_text()) if path.exists() else {}
