"""The public names: importable, documented, and harmless to whoever looks at them."""

import inspect
import re
from importlib import metadata
from pathlib import Path

import pytest

import resilient_channels

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"

CONSUMERS = [
    resilient_channels.AsyncResilientWebsocketConsumer,
    resilient_channels.AsyncResilientJsonWebsocketConsumer,
    resilient_channels.ResilientWebsocketConsumer,
    resilient_channels.ResilientJsonWebsocketConsumer,
]
MIXINS = [resilient_channels.AsyncResilientMixin, resilient_channels.ResilientMixin]
EXPORTED = sorted(set(resilient_channels.__all__) - {"__version__"})


def test_the_public_names_are_the_promised_ones():
    promised = """
        AsyncResilientMixin ResilientMixin AsyncResilientWebsocketConsumer
        AsyncResilientJsonWebsocketConsumer ResilientWebsocketConsumer
        ResilientJsonWebsocketConsumer on_disconnect DisconnectInfo DisconnectKind Initiator
        CloseCode SendOutcome ConnectionClosed GroupLimitExceeded LayerUnavailable
        ResilientChannelsError
        ResilientMiddleware OriginValidator safe_group_send broadcast notify
        drain
    """

    assert set(EXPORTED) == set(promised.split())


def test_no_name_is_listed_twice():
    assert len(resilient_channels.__all__) == len(set(resilient_channels.__all__))


@pytest.mark.parametrize("name", EXPORTED)
def test_every_public_name_can_be_imported(name: str):
    thing = getattr(resilient_channels, name)

    assert thing.__name__ == name
    assert thing.__doc__


@pytest.mark.parametrize("name", EXPORTED)
def test_every_public_name_is_in_the_reference(name: str):
    pages = "\n".join(page.read_text(encoding="utf-8") for page in REFERENCE.glob("*.md"))

    assert re.search(rf"\b{name}\b", pages)


def test_the_version_is_the_installed_ones():
    assert metadata.version("resilient-channels") == resilient_channels.__version__


def test_the_package_says_that_it_is_typed():
    assert (Path(resilient_channels.__file__).parent / "py.typed").is_file()


# --- errors ----------------------------------------------------------------------------------


def test_errors_can_be_caught_as_what_they_are():
    assert issubclass(resilient_channels.ConnectionClosed, OSError)
    assert issubclass(resilient_channels.LayerUnavailable, ConnectionError)
    for error in (resilient_channels.ConnectionClosed, resilient_channels.LayerUnavailable):
        assert issubclass(error, resilient_channels.ResilientChannelsError)


def test_a_closed_connection_says_how_it_ended():
    info = resilient_channels.DisconnectInfo(1001, "", resilient_channels.DisconnectKind.CLIENT)

    error = resilient_channels.ConnectionClosed(info)

    assert error.info is info
    assert str(error) == "the connection is over (code 1001, client); nothing was sent"
    assert str(resilient_channels.ConnectionClosed(None)) == (
        "the connection is over; nothing was sent"
    )


def test_an_unavailable_layer_says_which_and_for_how_long():
    error = resilient_channels.LayerUnavailable("default", "group_send", 5.02)

    assert (error.alias, error.operation, error.waited) == ("default", "group_send", 5.02)
    assert str(error) == "channel layer 'default' did not complete group_send() within 5.0 s"


# --- looked at from outside ------------------------------------------------------------------


@pytest.mark.parametrize("cls", CONSUMERS + MIXINS)
def test_every_attribute_of_a_class_can_be_looked_at(cls: type):
    """Frameworks walk over consumer classes, in search of decorated methods."""
    for name in dir(cls):
        getattr(cls, name)


@pytest.mark.parametrize("cls", CONSUMERS)
def test_a_consumer_that_was_never_called_can_be_inspected(cls: type):
    members = dict(inspect.getmembers(cls()))

    assert members["resilient"].info is None
    assert members["resilient"].groups == frozenset()


@pytest.mark.parametrize("cls", CONSUMERS)
def test_a_consumer_that_was_never_called_has_no_layer_as_in_channels(cls: type):
    assert not hasattr(cls(), "channel_layer")


@pytest.mark.parametrize("cls", CONSUMERS)
def test_an_unknown_attribute_is_an_attribute_error(cls: type):
    with pytest.raises(AttributeError):
        cls().no_such_thing  # noqa: B018


@pytest.mark.parametrize(
    ("cls", "base"),
    [
        (cls, next(base for base in cls.__mro__ if base.__module__.startswith("channels.")))
        for cls in CONSUMERS
    ],
    ids=lambda cls: cls.__name__,
)
def test_only_a_few_names_are_taken_on_a_consumer(cls: type, base: type):
    added = {name for name in set(dir(cls)) - set(dir(base)) if not name.startswith("_")}

    assert added == {
        "safe_send",
        "safe_send_json",
        "safe_close",
        "resilience",
        "resilient",
        # These Channels sets on the instance.
        "channel_layer",
        "channel_receive",
    }


@pytest.mark.parametrize("cls", CONSUMERS)
def test_the_signatures_of_channels_are_kept(cls: type):
    base = next(base for base in cls.__mro__ if base.__module__.startswith("channels."))

    for name in ("send", "close", "accept", "__call__"):
        assert inspect.signature(getattr(cls, name)) is not None
        assert list(inspect.signature(getattr(cls, name)).parameters) == list(
            inspect.signature(getattr(base, name)).parameters
        )


@pytest.mark.parametrize("cls", CONSUMERS)
def test_safe_sends_have_the_colour_of_their_consumer(cls: type):
    is_async = cls.__name__.startswith("Async")

    for name in ("safe_send", "safe_send_json", "safe_close"):
        assert inspect.iscoroutinefunction(getattr(cls, name)) is is_async
