"""The tour is the product's own proof: every fault, on real servers, side by side."""

import asyncio
import json
import os
import sys

import pytest

from live.stage import TESTS
from tour.brokers import available
from tour.servers import NAMES, WITH_BROKERS

pytestmark = pytest.mark.live

EXAMPLE = TESTS.parent / "example_project"

SOCKET_FAULTS = {
    "fin", "rst", "leave-in-handler", "never-reads", "send-in-handler", "send-in-background",
    "send-after-close", "close-twice", "handler-exception", "bad-json", "binary-at-json",
    "empty-frame", "unknown-event", "cancelled", "close-1000", "close-1001", "close-4000",
    "close-no-code", "frozen-idle", "frozen-in-handler", "frozen-in-handler-sync",
    "frozen-flooded", "silent-link", "live-in-handler", "live-in-handler-sync", "loop-blocked",
    "breakpoint", "process-stopped", "flood", "long-text", "overlong-handler", "foreign-origin",
}  # fmt: skip
BROKER_FAULTS = {
    "redis-killed", "redis-client-kill", "redis-flushall", "redis-frozen", "redis-idle",
    "redis-tls-lost", "hub-redis-killed", "hub-redis-client-kill", "hub-redis-flushall",
    "hub-redis-frozen", "hub-view",
}  # fmt: skip
SEED = "Error UNKNOWN while writing to socket. Connection lost."


@pytest.mark.redis
@pytest.mark.skipif(
    not available() and "CI" not in os.environ, reason="redis-server is not installed"
)
async def test_the_tour_keeps_every_promise_on_every_server(tmp_path):
    findings = tmp_path / "findings.json"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tour.settings"}

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tour", f"--json={findings}", cwd=EXAMPLE, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(process.communicate(), 600)

    assert process.returncode == 0, said.decode()
    found = json.loads(findings.read_text())
    assert found["left_out"] == []
    assert tuple(found["servers"]) == NAMES
    for server, rows in found["servers"].items():
        by_name = {row["fault"]: row for row in rows}
        assert by_name.keys() >= SOCKET_FAULTS
        assert [name for name, row in by_name.items() if row["broken"]] == []
        if server not in WITH_BROKERS:
            continue
        assert by_name.keys() >= BROKER_FAULTS
        assert f'says "{SEED}"' in by_name["redis-tls-lost"]["plain"]["words"]
        assert "does not say" in by_name["redis-tls-lost"]["resilient"]["words"]
