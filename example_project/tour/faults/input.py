"""What clients send: bad messages, bad frames, far too much."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from .. import frames
from ..facts import Facts, conclusion, survival
from ..judge import SURVIVES, Promise, ends, logged
from .base import Fault

if TYPE_CHECKING:
    from ..stage import Stage

# Part of the bad messages; must not turn up in any log.
RAW = "raw-text-9d2f"
MEGABYTES = 10


async def bad_message(stage: Stage, opcode: int, payload: bytes) -> Facts:
    """The client sends one message that a JSON consumer cannot read."""
    connection = await stage.connect("bad-message")
    await connection.client.send_frame(opcode, payload)
    facts = await survival(connection)
    facts.extra["raw_logged"] = RAW in stage.server.log_text()
    return facts


async def bad_frame(stage: Stage, sent: bytes, leave: bool = False) -> Facts:
    """The client breaks the protocol below the messages."""
    connection = await stage.connect("bad-frame")
    await connection.client.send_raw(sent)
    if leave:
        await connection.client.fin()
    facts = await conclusion([connection])
    if not leave:
        facts.extra["words"] = [f"client saw {facts.client_saw}"]
    return facts


async def huge_text(stage: Stage) -> Facts:
    """The client sends a text that some servers refuse."""
    connection = await stage.connect("huge")
    text = '{"do": "echo", "n": -1, "pad": "%s"}' % ("x" * MEGABYTES * 1024 * 1024)
    with suppress(OSError):
        await connection.client.send_text(text)
    answered = await connection.hear("echo", -1, 8.0)
    facts = await survival(connection) if answered else await conclusion([connection])
    facts.extra["words"] = ["answered"] if answered else [f"client saw {facts.client_saw}"]
    return facts


async def many_pings(stage: Stage, count: int = 10_000) -> Facts:
    """The client sends ping after ping."""
    connection = await stage.connect("pings")
    await connection.client.send_raw(frames.encode(frames.PING, b"?") * count)
    with suppress(TimeoutError):
        await connection.client.ponged(count, 15.0)
    facts = await survival(connection)
    facts.extra |= {"pongs": connection.client.pongs}
    facts.extra["words"] = [f"{connection.client.pongs} pongs"]
    return facts


NOT_LOGGED = Promise(
    "the client's raw text is in no log", lambda facts: not facts.extra["raw_logged"]
)
ANSWERED = Promise("every ping is answered", lambda facts: facts.extra["pongs"] == 10_000)
ANSWER_OR_END = Promise(
    "an answer, or an end that the client sees",
    lambda facts: facts.alive == 1 or facts.client_saw != "still open",
)
BAD_INPUT = (NOT_LOGGED, logged("input.rejected"), *SURVIVES)


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
    Fault("huge-text", f"text of {MEGABYTES} MiB", huge_text, (ANSWER_OR_END, *ends()), alone=True),
    Fault("many-pings", "10,000 pings", many_pings, (ANSWERED, *SURVIVES), alone=True),
    Fault("bad-utf8", "text frame that is not UTF-8",
          partial(bad_frame, sent=frames.encode(frames.TEXT, b"\xc3\x28")), ends()),
    Fault("bad-opcode", "reserved opcode", partial(bad_frame, sent=frames.encode(0x3)), ends()),
    Fault("bad-close-code", "illegal close code 1005 on the wire",
          partial(bad_frame, sent=frames.encode(frames.CLOSE, frames.close_payload(1005))), ends()),
    Fault("half-frame", "half a frame, then FIN",
          partial(bad_frame, sent=frames.encode(frames.TEXT, b"half", announced=100), leave=True),
          ends(1006, "lost")),
)  # fmt: skip
