"""What becomes of a handshake from elsewhere: 403, one record a minute, and no trouble."""

import asyncio
import logging
from collections import Counter
from typing import Any

import pytest
from channels.security.websocket import AllowedHostsOriginValidator
from django.test import override_settings

from resilient_channels import OriginValidator, origins as module
from resilient_channels.observers import counts
from support.loop import virtual
from support.origins import SITE, headers, inside, objection
from support.scripted import ScriptedServer
from support.servers import ALL_STYLES


@pytest.fixture(autouse=True)
def nothing_was_refused_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_tallies", {cause: module._Tally() for cause in module._tallies})


# --- as an application ---------------------------------------------------------------------------


@override_settings(**SITE)
@pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)
@virtual
async def test_who_may_not_is_refused_and_the_application_sees_nothing(style):
    calls = []

    async def application(scope, receive, send):
        calls.append(scope["type"])
        await inside(scope, receive, send)

    guard = OriginValidator(application)
    for origin, sent in (("https://evil.com", "close"), ("https://example.com", "accept")):
        server = ScriptedServer(style=style, headers=headers(origin), scheme="wss")
        server.start(guard)
        server.client_connects()

        assert await server.ended() is None
        assert [message["type"] for message in server.sent] == [f"websocket.{sent}"]
    assert calls == ["websocket"]


@override_settings(**SITE)
@virtual
async def test_a_client_that_is_gone_by_then_is_no_trouble():
    def gone(message):
        raise OSError

    for feed, hook in (("client_vanishes", None), ("client_connects", gone)):
        server = ScriptedServer(headers=headers("https://evil.com"), on_send=hook)
        server.start(OriginValidator(inside))
        getattr(server, feed)()

        assert await server.ended() is None
        assert server.sent == []


@virtual
async def test_a_server_that_fails_is_not_hidden():
    def fail(message):
        raise LookupError

    server = ScriptedServer(headers=headers("https://evil.com"), on_send=fail)
    server.start(OriginValidator(inside))
    server.client_connects()

    assert isinstance(await server.ended(), LookupError)


@pytest.mark.parametrize("kind", ["http", "lifespan"])
async def test_other_scopes_are_passed_on_untouched(kind: str):
    seen: list[Any] = []

    async def application(*given):
        seen.extend(given)

    scope, receive, send = {"type": kind}, object(), object()
    await OriginValidator(application)(scope, receive, send)  # type: ignore[arg-type]

    assert seen == [scope, receive, send]
    assert seen[0] is scope


# --- what is told --------------------------------------------------------------------------------


def records(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int]]:
    return [
        (record.cause, record.refused)
        for record in caplog.records
        if record.getMessage() == "origin.refused"
    ]


async def refuse(count: int, *values: str) -> None:
    for _ in range(count):
        server = ScriptedServer(headers=headers(*values))
        server.start(OriginValidator(inside))
        server.client_connects()
        assert await server.ended() is None


@override_settings(**SITE)
@virtual
async def test_a_flood_is_one_record_a_minute_and_each_of_it_counts(caplog):
    caplog.set_level(logging.INFO, logger="resilient_channels")
    before = Counter(counts)

    await refuse(1000, "https://evil.com")
    assert records(caplog) == [("not allowed", 1)]
    assert counts["origin.refused", "not allowed"] - before["origin.refused", "not allowed"] == 1000
    await refuse(3, "null")
    await asyncio.sleep(61)
    assert records(caplog)[1:] == [("malformed", 1), ("not allowed", 999), ("malformed", 2)]
    await asyncio.sleep(3600)

    assert len(records(caplog)) == 4
    after = {cause: counts["origin.refused", cause] for cause in ("not allowed", "malformed")}
    assert after["not allowed"] - before["origin.refused", "not allowed"] == 1000
    assert after["malformed"] - before["origin.refused", "malformed"] == 3
    await refuse(1, "null")
    assert records(caplog)[-1] == ("malformed", 1)


@override_settings(**SITE)
def test_an_event_loop_that_has_ended_takes_no_refusals_along(caplog):
    caplog.set_level(logging.INFO, logger="resilient_channels")

    asyncio.run(refuse(5, "null"))
    asyncio.run(refuse(1, "null"))

    assert records(caplog) == [("malformed", 1), ("malformed", 5)]


@override_settings(**SITE)
@virtual
async def test_nothing_that_a_client_wrote_is_logged(caplog):
    caplog.set_level(logging.DEBUG, logger="resilient_channels")

    await refuse(1, "https://sign.example")
    await refuse(1, "sign\x1b[31m")
    await refuse(1, "sign", "sign")

    assert len(records(caplog)) == 3
    assert not [record for record in caplog.records if "sign" in str(vars(record))]


# --- what the documentation says of Channels' own ------------------------------------------------


async def ask_channels(*values: str, hosts: list[str]) -> str:
    """What ``AllowedHostsOriginValidator`` does with a handshake over TLS."""
    with override_settings(ALLOWED_HOSTS=hosts):
        server = ScriptedServer(headers=headers(*values), scheme="wss")
        server.start(AllowedHostsOriginValidator(inside))
    server.client_connects()
    if any("[" in value for value in values):
        return type(await server.ended()).__name__
    answer = (await server.next_sent())["type"].removeprefix("websocket.")
    if answer == "close":
        server.client_vanishes()  # its consumer waits for that
        await server.ended()
    return answer


@pytest.mark.parametrize(
    ("values", "hosts", "answer"),
    [
        (["https://example.com"], ["example.com"], "accept"),
        (["https://evil.com"], ["example.com"], "close"),
        (["http://example.com"], ["example.com"], "accept"),
        (["https://example.com:8443"], ["example.com"], "accept"),
        (["https://user@example.com"], ["example.com"], "accept"),
        (["https://example.com:99999"], ["example.com"], "accept"),
        (["https://evil.com", "https://example.com"], ["example.com"], "accept"),
        (["http://["], ["example.com"], "ValueError"),
        (["https://evil.com"], ["*"], "accept"),
    ],
)
@virtual
async def test_channels_own_validator_looks_at_the_host_only(values, hosts, answer):
    assert await ask_channels(*values, hosts=hosts) == answer
    if values != ["https://example.com"]:
        with override_settings(ALLOWED_HOSTS=hosts):
            assert objection(*values) is not None
