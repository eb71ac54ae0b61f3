"""Whatever a client can write, it cannot write it into a log."""

import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.test import override_settings

from resilient_channels import OriginValidator, isolation
from resilient_channels.observers.logs import FieldsFormatter
from shells.clients import V1, control
from shells.visits import Visit, both_colours, build, settle
from support.loop import virtual
from support.servers import ALL_STYLES

SIGN = "forged"
FORGED = f"{SIGN}\r\nERROR root: all is lost\x1b[31m\u202e %s %n {{0}} \x00"
BYTES = FORGED.encode()

every_server = pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)


class Plain(AsyncJsonWebsocketConsumer):
    """A consumer that reads JSON, and logs nothing itself."""

    async def receive_json(self, content):
        await self.send_json("read")

    async def disconnect(self, code):
        self.scope["notes"].append(self.resilient.info.reason)


@pytest.fixture
def log(monkeypatch) -> Iterator[io.StringIO]:
    """Everything that the library writes, in its own format, down to DEBUG."""
    monkeypatch.setattr(isolation, "_seen_types", {})
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(FieldsFormatter("%(levelname)s %(name)s %(message)s"))
    logger = logging.getLogger("resilient_channels")
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield written
    logger.removeHandler(handler)
    logger.setLevel(level)


HANDSHAKES: dict[str, dict[str, Any]] = {
    "the path": {"path": f"/{FORGED}"},
    "the query string": {"path": f"/?token={FORGED}"},
    "a header": {"headers": [(b"user-agent", BYTES), (BYTES, BYTES)]},
    "a cookie": {"headers": [(b"cookie", b"sessionid=" + BYTES)]},
    "the origin": {"headers": [(b"origin", BYTES), (b"host", b"example.com")]},
    "the host": {"headers": [(b"host", BYTES), (b"origin", b"https://example.com")]},
    "a forwarded address": {"headers": [(b"x-forwarded-for", BYTES)], "client": ("10.0.0.1", 1)},
    "a subprotocol": {"subprotocols": [FORGED, f"{V1}.{FORGED}", V1]},
}

LIMITS = {
    "connections_per_address": 10,
    "connections_per_user": 10,
    "trusted_proxies": ["10.0.0.0/8"],
}
CONSUMERS = {colour: build(Plain, colour, LIMITS=LIMITS) for colour in ("async", "sync")}


@pytest.mark.parametrize("place", HANDSHAKES)
@both_colours
@every_server
@virtual
async def test_nothing_of_a_handshake_is_logged(place, colour, style, log):
    visit = Visit(CONSUMERS[colour], style=style, **HANDSHAKES[place])
    await settle()
    visit.client_sends("{")  # a warning about the client
    await settle()
    await visit.leave()

    expect_a_log_without(SIGN, log)
    assert "input.rejected" in log.getvalue()


@pytest.mark.parametrize("place", HANDSHAKES)
@virtual
async def test_nothing_of_a_handshake_is_logged_when_it_is_refused(place, log):
    with override_settings(ALLOWED_HOSTS=["example.com"]):
        refused = Visit(lambda: OriginValidator(CONSUMERS["async"]()), **HANDSHAKES[place])
        await settle(120)
        refused.client_vanishes()
        await refused.ended()

    expect_a_log_without(SIGN, log)


@both_colours
@every_server
@virtual
async def test_no_reason_of_a_close_frame_is_logged(colour, style, log):
    visit = Visit(CONSUMERS[colour], style=style)
    await settle()

    visit.client_closes(4000, FORGED)
    await visit.ended()

    if style.name == "uvicorn":  # the only one here that passes reasons on
        assert visit.notes == [FORGED]
    expect_a_log_without(SIGN, log)
    assert "connection.closed" in log.getvalue()


@pytest.mark.parametrize("frame", [
    f'{{"{SIGN}": ', SIGN, f'"{FORGED}', BYTES, f'[{SIGN!r}]', "[" * 9999 + SIGN, f"1{SIGN}",
])  # fmt: skip
@both_colours
@virtual
async def test_no_frame_that_cannot_be_read_is_logged(frame, colour, log):
    visit = Visit(CONSUMERS[colour])
    await settle()

    for _ in range(6):
        visit.client_sends(frame)
    await settle()
    visit.client_closes()
    await visit.ended()

    expect_a_log_without(SIGN, log)
    assert log.getvalue().count("input.rejected") == 6


@both_colours
@virtual
async def test_no_control_frame_is_logged(colour, log):
    visit = Visit(CONSUMERS[colour], subprotocols=[V1])
    await settle()

    for frame in (control(type=FORGED), control(type="hello", version=FORGED), control(n=FORGED)):
        visit.client_sends(frame)
    await settle()
    await visit.leave()

    expect_a_log_without(SIGN, log)
    assert "control.ignored" in log.getvalue()


@pytest.mark.parametrize("kind", [FORGED, f"{SIGN}=1 level=ERROR", f'{SIGN}" x="', SIGN * 1000])
@virtual
async def test_the_type_of_an_unknown_event_is_logged_in_one_line_and_cannot_pass_for_more(
    kind, log
):
    """A project may let its clients choose it; without it, nobody would know what to look for."""
    visit = Visit(CONSUMERS["async"])
    await settle()

    visit.consumer._resilient_driver.intake.put_event({"type": kind})
    await settle()
    await visit.leave()

    [line] = [line for line in log.getvalue().splitlines() if "event.unhandled" in line]
    assert line.isprintable()
    assert line.startswith("WARNING resilient_channels.handler event.unhandled connection=")
    assert len(line) < 600
    assert " level=ERROR" not in line.replace(f'"{SIGN}=1 level=ERROR"', "")
    expect_a_log_without("\x1b", log)


def expect_a_log_without(sign: str, log: io.StringIO) -> None:
    written = log.getvalue()
    assert sign not in written, [line for line in written.splitlines() if sign in line]
    assert all(line.isprintable() for line in written.splitlines())
