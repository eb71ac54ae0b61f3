"""Handshakes: offers of subprotocols, headers, addresses, paths; whoever wrote them."""

from ipaddress import IPv4Address, IPv6Address
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from django.test import override_settings
from hypothesis import example, given, strategies as st

from fuzz.stage import Resident, is_alive, play, say_goodbye
from fuzz.values import colours, texts
from resilient_channels.addresses import find_address
from resilient_channels.core.origins import DEFAULT_PORTS
from resilient_channels.origins import OriginValidator
from shells.clients import V1
from shells.visits import Visit, build, note, settle
from support.servers import ALL_STYLES

SITE = "example.com"
SITE_ORIGIN = f"https://{SITE}"
STATUS = "websocket.http.response.start"

offers = st.lists(
    st.one_of(
        st.sampled_from(
            [V1, f"{V1}.", f"{V1}.chat", f"{V1}.{V1}", "chat", V1.upper(), "resilient"]
        ),
        texts,
        texts.map(lambda text: f"{V1}.{text}"),
    ),
    max_size=5,
)
origins = st.one_of(
    st.sampled_from([
        SITE_ORIGIN, f"http://{SITE}", f"{SITE_ORIGIN}:443", f"{SITE_ORIGIN}:8443", "null", "",
        f"https://evil.{SITE}", f"https://{SITE}.evil.com", f"https://evil.com/{SITE}",
        f"https://{SITE}@evil.com", f"https://user@{SITE}", f"{SITE_ORIGIN}/", "http://[",
        f"HTTPS://{SITE.upper()}", f"{SITE_ORIGIN}.", f"{SITE_ORIGIN}:99999", "https://[::1]",
        f"{SITE_ORIGIN}, https://evil.com", f"https://{SITE}\u3002com", f"{SITE_ORIGIN}:0443",
    ]),
    texts,
    texts.map(lambda text: f"https://{text}"),
    texts.map(lambda text: SITE_ORIGIN + text),
    texts.map(lambda text: f"https://{text}{SITE}"),
)  # fmt: skip
hops = st.one_of(
    st.sampled_from(["10.0.0.1", "192.0.2.7", "[::1]:80", "::ffff:192.0.2.1", "unknown", "_hidden",
        "1.2.3.4:99999", "fe80::1%eth0", "[", "", "127.1", "0x7f.1", "1" * 200]),
    texts,
)  # fmt: skip
chains = st.lists(hops, max_size=50).map(",".join)
raw = st.one_of(st.binary(max_size=50), texts.map(lambda text: text.encode("utf-8", "replace")))


def header(name: bytes, value: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[bytes, bytes]]:
    return value.map(lambda text: (name, text.encode("utf-8", "replace")))


headers = st.lists(
    st.one_of(
        header(b"origin", origins),
        header(b"x-forwarded-for", chains),
        header(b"x_forwarded_for", chains),
        header(b"host", st.one_of(st.just(SITE), texts)),
        header(b"x-forwarded-proto", texts),
        st.tuples(raw, raw),
    ),
    max_size=5,
)
clients = st.one_of(st.none(), st.tuples(hops, st.integers(0, 65535)), st.just(()), st.just([]))


class Chooser(AsyncWebsocketConsumer):
    """Accepts the first subprotocol that it is shown."""

    async def connect(self):
        offered = self.scope["subprotocols"]
        note(self, "offered", offered)
        await self.accept(offered[0] if offered else None)

    async def receive(self, text_data=None, bytes_data=None):
        await self.send("still here")

    async def disconnect(self, code):
        note(self, "disconnect", code)


CONSUMERS = {colour: build(Chooser, colour) for colour in ("async", "sync")}
GUARDED = build(Resident, LIMITS={
    "connections_per_address": 1, "connections_per_user": 1, "new_per_second": 1000.0,
    "trusted_proxies": ["10.0.0.0/8", "unix:"],
})  # fmt: skip


@given(offers, colours, st.sampled_from(ALL_STYLES))
@example([f"{V1}.", V1], "async", ALL_STYLES[0])
@example(["chät", f"{V1}.chät"], "sync", ALL_STYLES[1])
def test_what_is_answered_was_offered(offer, colour, style):
    play(choose(offer, CONSUMERS[colour], style))


async def choose(offer: list[str], consumer: type, style: Any) -> None:
    visit = Visit(consumer, style=style, subprotocols=offer)
    await settle()
    [accept] = visit.sent_of_type("websocket.accept")
    assert accept.get("subprotocol") is None or accept["subprotocol"] in offer
    [(_, shown)] = [what for what in visit.notes if what[0] == "offered"]
    assert V1 not in shown or offer.count(f"{V1}.{V1}")
    await is_alive(visit)
    await say_goodbye(visit)


@given(headers, clients, st.sampled_from(ALL_STYLES), st.sampled_from(["ws", "wss", None]))
@example([(b"origin", SITE_ORIGIN.encode())] * 2, ("10.0.0.1", 1), ALL_STYLES[0], "wss")
@example([(b"x-forwarded-for", b"1.2.3.4," * 500)], ("10.0.0.1", 1), ALL_STYLES[1], None)
def test_only_our_own_pages_get_in_whatever_the_headers_say(sent, client, style, scheme):
    with override_settings(
        ALLOWED_HOSTS=[SITE], CSRF_TRUSTED_ORIGINS=[SITE_ORIGIN], USE_X_FORWARDED_HOST=False
    ):
        play(knock(sent, client, style, scheme))


async def knock(
    sent: list[tuple[bytes, bytes]], client: Any, style: Any, scheme: str | None
) -> None:
    scope = {"headers": sent, "client": client, "scheme": scheme}
    visit = Visit(lambda: OriginValidator(GUARDED()), style=style, **scope)
    await settle(3)
    given = [value for name, value in sent if name == b"origin"]
    if visit.accepted:
        assert len(given) == 1, "a page was let in that did not say where it is from"
        assert is_own_page(given[0], scheme), given
    else:
        await settle(60)  # refusals are told once a minute
        assert visit.closes or visit.sent_of_type(STATUS), "neither let in nor refused"
    visit.client_closes()
    assert await visit.ended() is None


def is_own_page(origin: bytes, scheme: str | None) -> bool:
    """Written out once more, from the other end: the few texts that are the site's own."""
    own = {"https"} | ({"http"} if scheme != "wss" else set())
    return origin.decode("latin-1").lower() in {
        f"{protocol}://{SITE}{port}"
        for protocol in own
        for port in ("", f":{DEFAULT_PORTS[protocol]}")
    }


networks = st.lists(st.sampled_from(["10.0.0.0/8", "unix:", "::1", "192.0.2.7"]), max_size=3)


@given(headers, clients, networks)
@example([(b"x_forwarded_for", b"1.2.3.4")], ("10.0.0.1", 1), ["10.0.0.0/8"])
def test_an_address_is_the_peers_or_one_that_a_trusted_proxy_named(sent, client, trusted):
    found = find_address({"client": client, "headers": sent}, trusted)
    direct = find_address({"client": client, "headers": []}, ())

    assert found is None or isinstance(found, IPv4Address | IPv6Address)
    hyphened = [(name, value) for name, value in sent if b"_" not in name]
    assert found == find_address({"client": client, "headers": hyphened}, trusted)
    if not trusted:
        assert found == direct
