"""The handshake: clients that ask for the wire protocol get it, nobody else notices anything."""

import pytest
from hypothesis import given, strategies as st

from resilient_channels.core.subprotocols import TOKEN, read_offer

V1 = "resilient.v1"


def test_the_token_is_the_published_one():
    assert TOKEN == V1


@pytest.mark.parametrize(
    "offered",
    [
        [],
        ["chat"],
        ["graphql-transport-ws", "chat"],
        ["resilient"],
        ["resilient.v2"],
        ["resilient.v10"],
        ["resilient.v1x"],
        ["Resilient.v1"],
        ["x.resilient.v1"],
        # What is behind the dot has to be a subprotocol's name itself.
        ["resilient.v1."],
        ["resilient.v1.chät"],
        ["resilient.v1.a b"],
        ["resilient.v1.a\r\nb: c"],
        ["resilient.v1." + "a" * 201],
    ],
    ids=ascii,
)
def test_an_ordinary_client_has_not_offered_it(offered: list[str]):
    assert read_offer(offered) is None


@pytest.mark.parametrize(
    ("offered", "visible"),
    [
        ([V1], ()),
        ([V1, V1], ()),
        ([V1, "chat"], ("chat",)),
        (["chat", V1, "news"], ("chat", "news")),
        (["resilient.v1.chat"], ("chat",)),
        (["resilient.v1.chat", "chat"], ("chat",)),
        (["chat", "resilient.v1.chat"], ("chat",)),
        (["news", "resilient.v1.chat", "chat", "resilient.v1.news"], ("news", "chat")),
        ([V1, "resilient.v1.chat", "chat"], ("chat",)),
        (["resilient.v1.resilient.v2"], ("resilient.v2",)),
        (["resilient.v1.a.b"], ("a.b",)),
    ],
    ids=str,
)
def test_the_application_sees_its_own_protocols_once_and_in_the_order_of_the_offer(
    offered: list[str], visible: tuple[str, ...]
):
    offer = read_offer(offered)

    assert offer is not None
    assert offer.visible == visible


@pytest.mark.parametrize(
    ("offered", "chosen", "answer"),
    [
        ([V1], None, (V1, True)),
        (["resilient.v1.chat"], "chat", ("resilient.v1.chat", True)),
        (["chat", "resilient.v1.chat"], "chat", ("resilient.v1.chat", True)),
        ([V1, "resilient.v1.chat"], None, (V1, True)),
        ([V1, "resilient.v1.chat"], "chat", ("resilient.v1.chat", True)),
        # What the application chose has to be answered, or the browser fails the handshake.
        ([V1, "chat"], "chat", ("chat", False)),
        (["resilient.v1.chat", "news"], "news", ("news", False)),
        (["resilient.v1.chat"], None, (None, False)),
        ([V1], "unoffered", ("unoffered", False)),
        (["resilient.v1.chat"], "unoffered", ("unoffered", False)),
    ],
    ids=str,
)
def test_the_applications_choice_is_translated_back(
    offered: list[str], chosen: str | None, answer: tuple[str | None, bool]
):
    offer = read_offer(offered)

    assert offer is not None
    assert offer.answer(chosen) == answer


def test_what_is_no_name_is_left_as_it_was_offered():
    offer = read_offer(["resilient.v1.a b", V1, "resilient.v1.chat"])

    assert offer is not None
    assert offer.visible == ("resilient.v1.a b", "chat")
    assert offer.combined == {"chat"}


protocols = st.lists(
    st.sampled_from([V1, "chat", "news", "resilient.v1.chat", "resilient.v1.news"]), max_size=6
)


@given(offered=protocols, data=st.data())
def test_whatever_the_application_chooses_among_what_it_sees_was_offered(offered, data):
    offer = read_offer(offered)
    if offer is None:
        assert not any(protocol.startswith(V1) for protocol in offered)
        return
    chosen = data.draw(st.sampled_from([*offer.visible, None]))

    answer, is_negotiated = offer.answer(chosen)

    assert V1 not in offer.visible
    assert answer is None or answer in offered
    assert is_negotiated is (answer is not None and answer.startswith(V1))


@given(offered=protocols)
def test_no_offer_is_lost_on_the_application(offered):
    offer = read_offer(offered)
    own = {name.removeprefix(f"{V1}.") for name in offered if name != V1}

    assert set(offered if offer is None else offer.visible) == own
