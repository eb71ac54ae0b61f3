"""The benchmarks' arithmetic, tables, and client; not their timings."""

import json
import os
import runpy
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest
from django.utils.module_loading import import_string

from tour import frames
from tour.brokers import Broker, available
from tour.servers import NAMES

sys.path.append(str(Path(__file__).resolve().parents[1]))

from benchmarks import churn, processes, variants
from benchmarks.__main__ import (
    ONCE,
    SERVERS,
    STRAINS,
    WORKS,
    choose,
    name_command,
    read_arguments,
)
from benchmarks.environment import describe
from benchmarks.fairness import MESSAGE, Probe
from benchmarks.group import EXPECTED
from benchmarks.load import Crowd, LoadFailed, Wire, masked
from benchmarks.processes import (
    answers,
    cpu_seconds,
    cpu_seconds_at_rest,
    forget_peak,
    peak_bytes,
    possible,
    rss_bytes,
    serving,
)
from benchmarks.redis_idle import Counter
from benchmarks.results import Figures, Growth, Result, compare, list_rows
from benchmarks.served import bare, messages
from benchmarks.table import render, render_environment, render_page

from resilient_channels.conf import find_problems
from resilient_channels.core import wire as protocol
from resilient_channels.layers import ResilientChannelLayer

WITH_A_FLOOR = (
    variants.ECHO,
    variants.GROUP,
    variants.BROADCAST,
    variants.IDLE,
    variants.CHURN,
    variants.HEARTBEAT,
    variants.FAIRNESS,
)
GROUPS = (*WITH_A_FLOOR, variants.REDIS)
VARIANTS = sorted({variant for group in GROUPS for variant in group}, key=lambda one: one.name)
SETTINGS = Path(processes.__file__).parent / "served" / "settings.py"


def server_frame(opcode: int, payload: bytes) -> bytes:
    return frames.encode(opcode, payload, masked=False)


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    with ours, theirs:
        yield Wire(ours), theirs


@pytest.fixture
def crowd(ends):
    wire, server = ends
    with Crowd() as crowd:
        crowd.add(wire)
        yield crowd, wire, server


def result() -> Result:
    samples = {"bare": [10.0, 20.0, 10.0], "slow": [40.0, 60.0, 2000.0]}
    return Result(
        work="echo",
        server="uvicorn",
        unit="µs",
        rows=compare(samples, "bare"),
        facts={"connections": 50},
    )


# --- numbers ---------------------------------------------------------------------------------


def test_a_ratio_is_made_within_a_round_and_then_the_median_is_taken():
    floor, slow = result().rows

    assert floor.ratios == [1, 1, 1]
    assert slow.ratios == [4, 3, 200]
    assert (slow.ratio.median, slow.ratio.low, slow.ratio.high) == (4, 3, 200)
    assert slow.value.median == 60


def test_a_variant_that_missed_a_round_is_not_compared():
    with pytest.raises(ValueError, match="longer"):
        compare({"bare": [1.0, 1.0], "slow": [2.0]}, "bare")


def test_the_table_is_markdown():
    assert render(result()).splitlines() == [
        "## Echo, Uvicorn",
        "",
        "Connections: 50.",
        "",
        "|      | µs   | ratio | lowest and highest ratio |",
        "| ---- | ---- | ----- | ------------------------ |",
        "| bare | 10.0 | 1.00  |                          |",
        "| slow | 60.0 | 4.00  | 3.00 - 200               |",
    ]


def test_a_table_without_a_floor_has_no_ratios():
    found = Result(
        work="Redis at rest",
        server="uvicorn",
        unit="commands per second",
        rows=list_rows({"plain": [0.5], "hub": [1.0]}),
        facts={"seconds": 20},
    )

    assert render(found).splitlines() == [
        "## Redis at rest, Uvicorn",
        "",
        "Seconds: 20.",
        "",
        "|       | commands per second |",
        "| ----- | ------------------- |",
        "| plain | 0.5                 |",
        "| hub   | 1.0                 |",
    ]
    assert [row["ratio"] for row in found.as_json()["rows"]] == [None, None]


def test_growth_is_a_table_with_a_column_for_each_size():
    growth = Growth(
        work="growth with the group",
        server="uvicorn",
        unit="cost in multiples of that at 10",
        columns=["10", "200"],
        values={"flat": [1.0, 1.04], "square": [1.0, 20.0]},
    )

    assert render(growth).splitlines() == [
        "## Growth with the group, Uvicorn",
        "",
        "Cost in multiples of that at 10.",
        "",
        "|        | 10   | 200   |",
        "| ------ | ---- | ----- |",
        "| flat   | 1.00 | 1.04  |",
        "| square | 1.00 | 20.00 |",
    ]
    assert json.loads(json.dumps(growth.as_json()))["values"]["square"] == [1, 20]


def test_what_several_servers_stood_up_to_is_one_table_behind_the_others():
    storms = [
        Figures(work="storm", server=name, about="What is left.", cells={"tasks": left}, samples={})
        for name, left in (("daphne", "0"), ("uvicorn", "12"))
    ]

    first, second = render_page([storms[0], result(), storms[1]])

    assert first == render(result())
    assert second.splitlines() == [
        "## Storm",
        "",
        "What is left.",
        "",
        "|         | tasks |",
        "| ------- | ----- |",
        "| daphne  | 0     |",
        "| uvicorn | 12    |",
    ]
    assert json.loads(json.dumps(storms[1].as_json()))["cells"] == {"tasks": "12"}


def test_the_json_holds_every_sample():
    content = json.loads(json.dumps(result().as_json()))

    ratio = {"median": 4, "low": 3, "high": 200}
    slow = {"variant": "slow", "median": 60, "samples": [40, 60, 2000], "ratio": ratio}
    assert content["connections"] == 50
    assert content["rows"][1] == slow


def test_the_json_says_where_it_was_made():
    environment = describe()

    assert environment["cpus"] >= 1
    assert environment["load"] >= 0
    assert environment["versions"]["uvicorn"]
    json.dumps(environment)


def test_the_page_names_the_command_and_what_was_installed():
    environment = {
        "python": "3.11.7",
        "system": "Linux x86_64",
        "cpus": 2,
        "load": 0.1,
        "versions": {"uvicorn": "0.54.0", "uvloop": None},
    }

    assert render_environment(environment, "python -m benchmarks --quick") == (
        "Made by `python -m benchmarks --quick` with Python 3.11.7 on Linux x86_64, 2 CPUs, "
        "load 0.1 before it began; uvicorn 0.54.0."
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_peak_of_a_process_can_be_measured_from_now_on():
    pid = os.getpid()
    large = bytearray(150_000_000)  # too large for what the process has kept of earlier ones
    del large
    before = peak_bytes(pid)
    forget_peak(pid)
    lower = peak_bytes(pid)

    large = bytearray(100_000_000)

    assert lower < before - 20_000_000
    assert peak_bytes(pid) > lower + 20_000_000
    del large


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_cpu_time_of_a_process_is_what_it_has_used(monkeypatch):
    pid = os.getpid()
    clock, table = cpu_seconds(pid), _cpu_from_the_table(pid, monkeypatch)
    began = time.process_time()

    while time.process_time() - began < 0.1:
        pass

    assert 0.1 <= cpu_seconds(pid) - clock < 1
    assert 0.08 <= _cpu_from_the_table(pid, monkeypatch) - table < 1
    assert rss_bytes(pid) > 5_000_000


def _cpu_from_the_table(pid: int, monkeypatch) -> float:
    def no_such_clock(_: int) -> float:
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(time, "clock_gettime", no_such_clock)
        return cpu_seconds(pid)


@pytest.fixture
def clock(monkeypatch):
    """What a process has used, look by look; time passes only where somebody sleeps."""
    looks, now = [], [0.0]
    monkeypatch.setattr(processes, "cpu_seconds", lambda _: looks.pop(0) if looks else now[0])
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return looks


def test_what_a_server_does_when_everybody_has_been_served_is_counted(clock):
    clock += [1.0, 1.03, 1.055, 1.0551]

    assert cpu_seconds_at_rest(1) == 1.0551


def test_a_server_that_does_not_come_to_rest_ends_the_run(clock):
    with pytest.raises(LoadFailed, match="busy"):
        cpu_seconds_at_rest(1, deadline=5.0)


@pytest.fixture
def listening():
    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


class Stranger(BaseHTTPRequestHandler):
    """Some other program, which has taken the port."""

    def do_GET(self) -> None:
        body = b'{"pid": 1}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def test_a_stranger_on_the_port_is_not_measured(listening: int):
    assert answers(SimpleNamespace(port=listening, pid=1))
    assert not answers(SimpleNamespace(port=listening, pid=os.getpid()))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_worker_answers_for_the_process_that_has_started_it(listening: int, monkeypatch):
    monkeypatch.setattr(processes, "ask", lambda *_: {"pid": os.getpid()})

    assert answers(SimpleNamespace(port=listening, pid=os.getppid()))
    assert not answers(SimpleNamespace(port=listening, pid=2**22))


def test_nobody_on_the_port_is_no_answer():
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))

        assert not answers(SimpleNamespace(port=unheard.getsockname()[1], pid=1))


# --- variants --------------------------------------------------------------------------------


def test_names_are_unique_within_a_work():
    for group in GROUPS:
        names = [variant.name for variant in group]
        assert len(names) == len(set(names))
    for group in WITH_A_FLOOR:
        assert variants.BARE in group


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_a_variant_can_be_served(variant):
    module, attribute = variant.application.split(":")
    settings = json.loads(variant.environment.get("BENCHMARK_SETTINGS", "{}"))

    assert callable(getattr(import_module(module), attribute))
    assert list(find_problems(settings.get("RESILIENT_CHANNELS", {}), "settings")) == []


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_a_variant_has_the_channel_layer_that_it_names(variant, monkeypatch):
    for name, value in variant.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BENCHMARK_REDIS", "redis://127.0.0.1:1/0")

    layers = runpy.run_path(str(SETTINGS))["CHANNEL_LAYERS"]

    if variant.layer == "none":
        assert not layers
        return
    layer = import_string(layers["default"]["BACKEND"])(**layers["default"].get("CONFIG", {}))
    config = json.dumps(layers)
    assert ("127.0.0.1" in config) is variant.needs_redis
    assert isinstance(layer, ResilientChannelLayer) is variant.layer.startswith("hub")


def test_without_a_broker_the_rest_is_measured_and_what_is_left_out_is_named(monkeypatch, capsys):
    monkeypatch.setattr(processes, "available", lambda: False)

    assert list(possible(variants.BROADCAST)) == [variants.BARE, variants.HUB]
    assert variants.HUB_REDIS.name in capsys.readouterr().err


async def test_members_get_the_same_bytes_from_the_floor_and_from_a_handler():
    distributed = []

    async def send(message):
        distributed.append(message)

    from benchmarks.served.consumers import AsyncMember

    member = AsyncMember()
    member.base_send = send
    bare._groups[messages.GROUP].add(send)
    try:
        await bare._send_group(messages.EVENT)
        await bare._broadcast(messages.EVENT)
    finally:
        del bare._groups[messages.GROUP]
    await member.chat_message(messages.EVENT)

    texts = [message["text"] for message in distributed]
    assert len(texts) == 3
    assert {server_frame(frames.TEXT, text.encode()) for text in texts} == {EXPECTED}


@pytest.mark.parametrize("work", ["idle", "member"])
async def test_the_floor_keeps_no_group_that_everybody_has_left(work: str):
    came = iter([{"type": "websocket.connect"}, {"type": "websocket.disconnect"}])
    groups = []

    async def receive():
        return next(came)

    async def send(message):
        groups.append(dict(bare._groups))

    await bare.application({"type": "websocket", "path": f"/{work}/7"}, receive, send)

    assert groups
    assert all(messages.GROUP in there for there in groups)
    assert not bare._groups


def test_the_floor_sends_what_the_library_sends():
    assert bare._ping(17) == protocol.encode_ping(17, 0.0004)


# --- the client ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 125, 126, 300, 65_535])
def test_a_masked_frame_is_a_frame(size: int):
    buffer = bytearray(masked(frames.TEXT, b"x" * size))

    assert frames.take(buffer) == frames.Frame(frames.TEXT, b"x" * size, True)
    assert not buffer


def test_heartbeats_are_answered_and_counted(ends):
    wire, server = ends

    wire.take(server_frame(frames.TEXT, protocol.encode_ping(17, 0.0123).encode()))

    answer = frames.take(bytearray(server.recv(1000)))
    assert answer.payload.decode() == protocol.encode_pong(17)
    assert (wire.pings, wire.texts) == (1, 0)


def test_the_hello_is_answered(ends):
    wire, server = ends

    wire.take(server_frame(frames.TEXT, protocol.encode_hello("c1", 25.0, 20.0).encode()))

    answer = frames.take(bytearray(server.recv(1000)))
    assert protocol.decode(answer.payload.decode()) == protocol.Hello(1)


def test_messages_are_counted_however_they_are_cut(ends):
    wire, _ = ends
    data = server_frame(frames.TEXT, b"one") + server_frame(frames.TEXT, b"two")

    wire.take(data[:3])
    assert wire.texts == 0
    wire.take(data[3:8])
    assert wire.texts == 1
    wire.take(data[8:])
    assert wire.texts == 2


def test_whoever_listens_gets_what_the_application_said_and_nothing_else(ends):
    wire, _ = ends
    heard = []
    wire.listen = heard.append

    wire.take(server_frame(frames.TEXT, protocol.encode_ping(17, None).encode()))
    wire.take(server_frame(frames.TEXT, b"one") + server_frame(frames.BINARY, b"two"))

    assert heard == [b"one", b"two"]


def test_a_wire_that_is_forgotten_is_not_read_and_not_closed(crowd):
    crowd, wire, server = crowd
    crowd.forget([wire])
    server.sendall(EXPECTED)

    crowd.serve(0.05)

    assert wire.texts == 0
    assert wire.raw.recv(1000) == EXPECTED


def test_a_delivery_counts_however_it_comes(crowd):
    crowd, _, server = crowd
    server.sendall(EXPECTED)
    crowd.hear(EXPECTED, 1, deadline=5)
    server.sendall(EXPECTED + server_frame(frames.TEXT, b"another one") + EXPECTED[:7])
    crowd.hear(EXPECTED, 2, deadline=5)
    server.sendall(EXPECTED[7:])

    crowd.hear(EXPECTED, 1, deadline=5)


def test_a_delivery_that_does_not_come_ends_the_run(crowd):
    crowd, _, server = crowd
    server.sendall(EXPECTED)

    with pytest.raises(LoadFailed, match="1 are missing"):
        crowd.hear(EXPECTED, 2, deadline=0.05)


def test_a_delivery_that_comes_twice_ends_the_run(crowd):
    crowd, _, server = crowd
    server.sendall(EXPECTED * 2)

    with pytest.raises(LoadFailed, match="-1 are missing"):
        crowd.hear(EXPECTED, 1, deadline=5)


def test_pings_of_the_server_itself_are_answered(ends):
    wire, server = ends

    wire.take(server_frame(frames.PING, b"?"))

    assert server.recv(1000) == masked(frames.PONG, b"?")


def test_a_closed_connection_ends_the_run_instead_of_making_it_fast(ends):
    wire, _ = ends

    with pytest.raises(LoadFailed, match="1011"):
        wire.take(server_frame(frames.CLOSE, frames.close_payload(1011, "")))


def test_a_probe_asks_on_time_also_when_nobody_answers(ends):
    wire, server = ends
    probe = Probe(wire, due=10.0)

    for now in (9.9, 10.0, 10.05, 10.1, 10.2):
        probe.ask(now)
    wire.texts = 2
    probe.hear(15.0)

    assert server.recv(1000) == MESSAGE * 3
    assert probe.latencies == [pytest.approx(5.0), pytest.approx(4.9)]
    assert list(probe.sent) == [10.2]


def test_tasks_left_of_connections_that_have_ended_end_the_run(monkeypatch):
    now = iter(range(0, 1000, 10))
    monkeypatch.setattr(churn, "ask", lambda *_: {"tasks": 500})
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    monkeypatch.setattr(time, "sleep", lambda _: None)

    with pytest.raises(LoadFailed, match="497 tasks"):
        churn._settle(SimpleNamespace(port=1, pid=os.getpid()), 3)


@pytest.mark.redis
@pytest.mark.live
@pytest.mark.skipif(
    not available() and "CI" not in os.environ, reason="redis-server is not installed"
)
async def test_the_question_how_many_commands_there_were_is_not_one_of_them():
    async with Broker() as broker:
        counter = Counter(broker)
        try:
            before = await counter.look()
            idle = await counter.look()
            await broker.command("PING")
            busy = await counter.look()
        finally:
            await counter.close()

    assert idle - before == 1
    assert busy - idle > 1


@pytest.mark.live
async def test_a_member_of_every_served_group_is_told_what_the_control_connection_asks_for():
    served = [variants.BARE, variants.PLAIN_ASYNC, variants.HUB]
    async with serving("uvicorn", served) as started:
        for process in started.values():
            with Crowd() as crowd:
                control = crowd.open(process.port, "control", range(1))[0]
                crowd.open(process.port, "member", range(3))
                control.raw.send(masked(frames.TEXT, messages.SEND.encode()))

                crowd.hear(EXPECTED, 3, deadline=10)


# --- the command -----------------------------------------------------------------------------


def test_works_and_servers_can_be_chosen():
    arguments = read_arguments(["--only", "echo", "--only", "memory", "--server", "daphne"])

    assert arguments.only == ["echo", "memory"]
    assert arguments.server == ["daphne"]
    assert set(arguments.only) <= set(WORKS)


def test_what_does_not_depend_on_the_server_is_measured_on_the_first_one_only():
    everywhere = choose(read_arguments([]))

    assert {work for _, work in everywhere} == set(WORKS)
    for work in WORKS:
        servers = [server for server, each in everywhere if each == work]
        assert servers == list(SERVERS[:1] if work in ONCE else SERVERS)
    assert choose(read_arguments(["--only", "redis", "--server", "daphne"])) == [
        ("daphne", "redis")
    ]


def test_what_the_library_stands_up_to_is_measured_when_asked_for_and_on_every_server():
    assert not set(STRAINS) & {work for _, work in choose(read_arguments([]))}
    assert choose(read_arguments(["--only", "frozen", "--only", "echo"])) == [
        *((server, "echo") for server in SERVERS),
        *((server, "frozen") for server in NAMES),
    ]
    assert choose(read_arguments(["--only", "stalled", "--server", "granian"])) == [
        ("granian", "stalled")
    ]


def test_the_named_command_has_no_paths():
    arguments = read_arguments(["--quick", "--json", "/somewhere/x.json", "--server", "daphne"])

    assert name_command(arguments) == "python -m benchmarks --server daphne --quick"


def test_an_unknown_work_is_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit):
        read_arguments(["--only", "everything"])

    assert "heartbeat" in capsys.readouterr().err
