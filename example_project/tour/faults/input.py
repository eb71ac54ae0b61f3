"""What clients send: bad messages, bad frames, far too much."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from .. import frames
from ..facts import Facts, conclusion, survival
from ..judge import SURVIVES, Promise, ends, logged, says
from .base import Fault

if TYPE_CHECKING:
    from ..stage import Stage

# Part of the bad messages; must not turn up in any log.
RAW = "raw-text-9d2f"
MEGABYTES = 10


async def bad_message(stage: Stage, opcode: int, payload: bytes) -> Facts:
    """The client sends one message that a JSON consumer cannot read."""
    connection = await stage.connect("bad-message")
    since = time.monotonic()
    await connection.client.send_frame(opcode, payload)
    facts = await survival(connection, since=since)
    facts.extra["raw_logged"] = RAW in stage.server.log_text()
    return facts


async def bad_frame(stage: Stage, sent: bytes, leave: bool = False) -> Facts:
    """The client breaks the protocol below the messages."""
    connection = await stage.connect("bad-frame")
    since = time.monotonic()
    await connection.client.send_raw(sent)
    if leave:
        await connection.client.fin()
    facts = await conclusion([connection], since=since)
    if not leave:
        facts.extra["words"] = [f"client saw {facts.client_saw}"]
    return facts


async def huge_text(stage: Stage) -> Facts:
    """The client sends a text that some servers refuse."""
    connection = await stage.connect("huge")
    text = '{"do": "echo", "n": -1, "pad": "%s"}' % ("x" * MEGABYTES * 1024 * 1024)
    since = time.monotonic()
    with suppress(OSError):
        await connection.client.send_text(text)
    if await connection.hear("echo", -1, 8.0):
        return await survival(connection, since=since)
    facts = await conclusion([connection], since=since)
    facts.extra["words"] = [f"client saw {facts.client_saw}"]
    return facts


async def many_pings(stage: Stage, count: int = 10_000) -> Facts:
    """The client sends ping after ping."""
    connection = await stage.connect("pings")
    since = time.monotonic()
    await connection.client.send_raw(frames.encode(frames.PING, b"?") * count)
    with suppress(TimeoutError):
        await connection.client.ponged(count, 15.0)
    facts = await survival(connection, since=since)
    facts.extra |= {"pongs": connection.client.pongs}
    facts.extra["words"] = [f"{connection.client.pongs} pongs"]
    return facts


NOT_LOGGED = Promise(
    "the client's raw text is in no log", lambda facts: not facts.extra["raw_logged"]
)
ANSWERED = Promise("every ping is answered", lambda facts: facts.extra["pongs"] == 10_000)
NO_ANSWER = Promise(
    "an end that the client sees",
    lambda facts: facts.alive is None and facts.client_saw != "still open",
)
ANSWERED_ALL = Promise("it is answered", lambda facts: facts.alive == 1, {"daphne": NO_ANSWER})
TOO_BIG_FOR_DAPHNE = (
    "Daphne takes no message above 1 MiB, and cuts the connection; the application hears of its "
    "end, not of its cause."
)
BAD_FRAME = (
    "A bad frame never reaches an application; the server answers it. Uvicorn, and Granian for an "
    "illegal close code, then report their own code as they would a client's: CLIENT with "
    "`certain=False`. The others report a lost connection, which it is."
)
BAD_INPUT = (NOT_LOGGED, logged("input.rejected"), *SURVIVES)


UVICORN = ("uvicorn", "uvicorn-wsproto")


def answered_by_the_server(code: int, *servers: str) -> tuple[Promise, ...]:
    """Promise an end that *servers* report with their own *code*, and the others as a loss."""
    theirs = says(code, "client", certain=False, because=BAD_FRAME)
    return ends(1006, "lost", elsewhere=dict.fromkeys(servers, theirs))


def _text(name: str, title: str, text: str, promises: tuple[Promise, ...] = BAD_INPUT) -> Fault:
    run = partial(bad_message, opcode=frames.TEXT, payload=text.encode())
    return Fault(name, title, run, promises)


FAULTS = (
    _text("bad-json", "malformed JSON", f'{{"{RAW}'),
    Fault("binary-at-json", "binary frame at a JSON consumer",
          partial(bad_message, opcode=frames.BINARY, payload=RAW.encode()), BAD_INPUT),
    _text("empty-frame", "empty text frame", ""),
    _text("deep-json", "JSON nested 100,000 deep", "[" * 100_000 + "]" * 100_000),
    _text("long-integer", "JSON integer of 5,000 digits", "9" * 5000),
    _text("nan", "JSON NaN", "NaN", SURVIVES),
    Fault("huge-text", f"text of {MEGABYTES} MiB", huge_text,
          (ANSWERED_ALL, *ends(1000, "client", elsewhere={
              "daphne": says(1006, "lost", because=TOO_BIG_FOR_DAPHNE)})), alone=True),
    Fault("many-pings", "10,000 pings", many_pings, (ANSWERED, *SURVIVES), alone=True),
    Fault("bad-utf8", "text frame that is not UTF-8",
          partial(bad_frame, sent=frames.encode(frames.TEXT, b"\xc3\x28")),
          answered_by_the_server(1007, *UVICORN)),
    Fault("bad-opcode", "reserved opcode", partial(bad_frame, sent=frames.encode(0x3)),
          answered_by_the_server(1002, *UVICORN)),
    Fault("bad-close-code", "illegal close code 1005 on the wire",
          partial(bad_frame, sent=frames.encode(frames.CLOSE, frames.close_payload(1005))),
          answered_by_the_server(1002, *UVICORN, "granian")),
    Fault("half-frame", "half a frame, then FIN",
          partial(bad_frame, sent=frames.encode(frames.TEXT, b"half", announced=100), leave=True),
          ends(1006, "lost")),
)  # fmt: skip
