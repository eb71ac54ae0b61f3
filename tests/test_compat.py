"""Canaries: they die first when Channels, a server or a broker client changes within.

Each test names something that ``compat`` leans on. If one fails after an upgrade, look there.
"""

import importlib.util
import inspect
import threading
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any

import channels.consumer
import channels.db
import channels.layers
import django.db
import pytest
from asgiref.sync import SyncToAsync
from channels.consumer import AsyncConsumer, SyncConsumer, get_handler_name
from channels.exceptions import StopConsumer
from channels.generic.websocket import (
    AsyncJsonWebsocketConsumer,
    AsyncWebsocketConsumer,
    JsonWebsocketConsumer,
    WebsocketConsumer,
)
from channels.layers import BaseChannelLayer, InMemoryChannelLayer
from channels.testing import WebsocketCommunicator

from resilient_channels import AsyncResilientMixin, ResilientMixin, checks, compat
from resilient_channels.core.disconnects import ServerDialect
from support.loop import run, virtual
from support.scripted import ScriptedServer
from support.servers import DAPHNE, UVICORN

GENERIC = [
    AsyncWebsocketConsumer,
    AsyncJsonWebsocketConsumer,
    WebsocketConsumer,
    JsonWebsocketConsumer,
]


# --- consumers -------------------------------------------------------------------------------


def test_a_handlers_name_is_found_from_one_message():
    assert list(inspect.signature(get_handler_name).parameters) == ["message"]
    assert get_handler_name({"type": "chat.message"}) == "chat_message"


@pytest.mark.parametrize("message", [{}, {"type": "_x"}, {"type": ".x"}], ids=repr)
def test_a_message_without_a_sensible_type_is_a_value_error(message: dict[str, Any]):
    with pytest.raises(ValueError, match="type"):
        get_handler_name(message)


def test_the_call_of_a_consumer_takes_what_asgi_passes():
    for cls in (AsyncConsumer, SyncConsumer, *GENERIC):
        assert list(inspect.signature(cls.__call__).parameters)[1:] == ["scope", "receive", "send"]


@pytest.mark.parametrize("cls", GENERIC)
def test_no_generic_consumer_has_a_call_of_its_own(cls: type):
    owners = [base for base in cls.__mro__ if "__call__" in vars(base)]

    assert owners == [AsyncConsumer]


@pytest.mark.parametrize("base", [AsyncConsumer, SyncConsumer])
@pytest.mark.parametrize("has_layer", [True, False])
def test_the_call_of_a_consumer_sets_the_attributes_that_ours_sets(
    base: type, has_layer: bool, settings
):
    if not has_layer:
        settings.CHANNEL_LAYERS = {}
    found: dict[str, Any] = {}

    class Spy(base):
        async def dispatch(self, message):
            found.update(vars(self))
            raise StopConsumer

    async def call() -> None:
        server = ScriptedServer()
        server.client_connects()
        server.start(Spy())
        await server.ended()

    run(call())

    with_layer = {"channel_name", "channel_receive"} if has_layer else set()
    assert set(found) == {"scope", "channel_layer", "base_send"} | with_layer


@pytest.mark.parametrize("cls", [AsyncConsumer, SyncConsumer])
def test_the_call_of_a_consumer_looks_up_no_other_method_of_it(cls: type):
    names = cls.__call__.__code__.co_names

    assert {"get_channel_layer", "new_channel", "receive", "await_many_dispatch"} <= set(names)
    assert {"_sync", "dispatch", "channel_layer_alias"} <= set(names)


def test_a_synchronous_dispatch_is_a_function_wrapped_for_threads():
    dispatch = vars(SyncConsumer)["dispatch"]

    assert type(dispatch) is channels.db.DatabaseSyncToAsync
    assert issubclass(channels.db.DatabaseSyncToAsync, SyncToAsync)
    assert inspect.isfunction(dispatch.func)
    assert list(inspect.signature(dispatch.func).parameters) == ["self", "message"]


def test_an_asynchronous_dispatch_is_a_plain_coroutine_function():
    assert inspect.iscoroutinefunction(AsyncConsumer.dispatch)
    assert list(inspect.signature(AsyncConsumer.dispatch).parameters) == ["self", "message"]


def test_the_synchronous_wrapper_is_the_one_our_hooks_run_in():
    assert compat.database_sync_to_async is channels.db.DatabaseSyncToAsync


@pytest.mark.parametrize("cls", GENERIC)
def test_the_documented_methods_have_the_documented_parameters(cls: type):
    def parameters(name: str) -> list[str]:
        return list(inspect.signature(getattr(cls, name)).parameters)[1:]

    assert parameters("accept") == ["subprotocol", "headers"]
    assert parameters("close") == ["code", "reason"]
    assert parameters("disconnect") == ["code"]
    assert parameters("websocket_receive") == ["message"]
    assert parameters("websocket_disconnect") == ["message"]
    if "Json" in cls.__name__:
        assert parameters("send_json") == ["content", "close"]
    else:
        assert parameters("send") == ["text_data", "bytes_data", "close"]


def test_json_is_received_by_one_method_per_colour():
    for cls in (AsyncJsonWebsocketConsumer, JsonWebsocketConsumer):
        assert "receive" in vars(cls)
        assert "decode_json" in vars(cls)
        assert {"decode_json", "receive_json"} <= set(cls.receive.__code__.co_names)


@pytest.mark.parametrize("cls", GENERIC)
def test_a_generic_consumer_sends_plainly_with_or_without_the_mixin(cls: type):
    mixin = ResilientMixin if compat.is_sync(cls) else AsyncResilientMixin

    assert compat.sends_plainly(cls)
    assert compat.sends_plainly(type("Ours", (mixin, cls), {}))


@pytest.mark.parametrize("name", ["send", "send_json", "encode_json"])
@pytest.mark.parametrize("cls", [AsyncJsonWebsocketConsumer, JsonWebsocketConsumer])
def test_a_consumer_that_overrides_how_it_sends_does_not_send_plainly(cls: type, name: str):
    overriding = type("Overriding", (cls,), {name: lambda *args, **kwargs: None})

    assert not compat.sends_plainly(overriding)
    assert not compat.sends_plainly(type("Child", (overriding,), {}))


@pytest.mark.parametrize("cls", [AsyncJsonWebsocketConsumer, JsonWebsocketConsumer])
def test_json_is_sent_by_the_methods_that_are_looked_for(cls: type):
    assert {"encode_json", "send"} <= set(cls.send_json.__code__.co_names)
    assert set(compat._SENDING) == {"send", "send_json", "encode_json"}


# --- code objects in tracebacks --------------------------------------------------------------


def codes(traceback: TracebackType | None) -> list[CodeType]:
    return list(compat._codes(traceback))


def error_of(consumer: type, message: dict[str, Any]) -> BaseException:
    async def dispatch() -> BaseException:
        with pytest.raises(Exception) as caught:  # noqa: PT011
            await consumer().dispatch(message)
        return caught.value

    return run(dispatch())


@pytest.mark.parametrize("consumer", [AsyncJsonWebsocketConsumer, JsonWebsocketConsumer])
def test_a_traceback_of_bad_json_leads_through_receive_into_decode_json(consumer: type):
    error = error_of(consumer, {"type": "websocket.receive", "text": "no json"})

    path = codes(error.__traceback__)
    at = path.index(consumer.receive.__code__)
    assert path[at] in compat._JSON_RECEIVE
    assert path[at + 1].co_name == "decode_json"


@pytest.mark.parametrize("consumer", [AsyncJsonWebsocketConsumer, JsonWebsocketConsumer])
def test_a_traceback_of_a_frame_without_text_ends_in_receive(consumer: type):
    error = error_of(consumer, {"type": "websocket.receive", "bytes": b"x"})

    assert isinstance(error, ValueError)
    assert codes(error.__traceback__)[-1] in compat._JSON_RECEIVE


@pytest.mark.parametrize("consumer", GENERIC)
def test_a_traceback_of_an_empty_frame_ends_in_websocket_receive(consumer: type):
    error = error_of(consumer, {"type": "websocket.receive"})

    assert isinstance(error, KeyError)
    assert codes(error.__traceback__)[-1] in compat._FRAME_RECEIVE


@pytest.mark.parametrize("consumer", [AsyncConsumer, SyncConsumer])
def test_a_traceback_of_an_unknown_type_ends_in_dispatch(consumer: type):
    error = error_of(consumer, {"type": "no.such"})

    assert isinstance(error, ValueError)
    assert codes(error.__traceback__)[-1] in compat._DISPATCH


@pytest.mark.parametrize("consumer", [AsyncConsumer, SyncConsumer])
def test_a_traceback_of_a_malformed_type_ends_in_the_search_for_a_name(consumer: type):
    error = error_of(consumer, {"type": "_private"})

    assert codes(error.__traceback__)[-1] is compat._HANDLER_NAME


# --- databases -------------------------------------------------------------------------------


def test_connections_are_closed_by_the_names_that_the_test_communicator_patches():
    assert channels.db.close_old_connections is django.db.close_old_connections
    assert channels.consumer.aclose_old_connections is channels.db.aclose_old_connections


@virtual
async def test_the_test_communicator_patches_that_name_while_it_waits():
    seen = []

    async def application(scope, receive, send):
        await receive()
        seen.append(channels.db.close_old_connections)

    communicator = WebsocketCommunicator(application, "/")
    await communicator.send_input({"type": "websocket.connect"})
    await communicator.wait()

    assert communicator.scope["type"] == "websocket"
    assert len(seen) == 1


# --- which class is which --------------------------------------------------------------------


@pytest.mark.parametrize("cls", [SyncConsumer, WebsocketConsumer, JsonWebsocketConsumer])
def test_synchronous_consumers_are_known(cls: type):
    assert compat.is_sync(cls)
    assert cls._sync is True


@pytest.mark.parametrize("cls", [AsyncConsumer, AsyncWebsocketConsumer])
def test_asynchronous_consumers_are_known(cls: type):
    assert not compat.is_sync(cls)
    assert cls._sync is False


@pytest.mark.parametrize(("cls", "is_bare"), [(AsyncConsumer, True), (SyncConsumer, True)])
def test_consumers_that_take_raw_messages_are_known(cls: type, is_bare: bool):
    assert compat.is_bare(cls()) is is_bare


@pytest.mark.parametrize("cls", GENERIC)
def test_generic_consumers_take_frames(cls: type):
    assert not compat.is_bare(cls())


@pytest.mark.parametrize(
    ("mixin", "base"),
    [(AsyncResilientMixin, AsyncWebsocketConsumer), (ResilientMixin, WebsocketConsumer)],
)
def test_an_own_call_between_mixin_and_channels_is_noticed(mixin: type, base: type):
    class WithCall(base):
        async def __call__(self, scope, receive, send):
            await super().__call__(scope, receive, send)

    plain = type("Plain", (mixin, base), {})
    between = type("Between", (mixin, WithCall), {})

    assert plain._resilient_traits.owns_call
    assert not between._resilient_traits.owns_call


# --- what servers raise ----------------------------------------------------------------------


class Meanwhile(OSError):
    pass


@pytest.mark.parametrize(
    "error",
    [
        OSError(),
        ConnectionResetError(104, "reset"),
        BrokenPipeError(),
        TimeoutError(),
        Meanwhile("any subclass"),
        RuntimeError("Unexpected ASGI message 'websocket.send', after sending 'websocket.close'."),
        RuntimeError(
            "Unexpected ASGI message 'websocket.send', after sending 'websocket.close' "
            "or response already completed."
        ),
    ],
    ids=repr,
)
def test_what_servers_say_of_a_connection_that_is_over_is_understood(error: Exception):
    assert compat.says_gone(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("boom"),
        TypeError("boom"),
        KeyError("websocket.close"),
        Exception("invalid close code 1001"),
        RuntimeError("boom"),
        RuntimeError("Event loop is closed"),
        RuntimeError("Expected ASGI message 'websocket.accept', but got 'websocket.send'."),
        RecursionError("after sending 'websocket.close'"),
        type("Disconnected", (RuntimeError,), {})(),
        type("ConnectionClosed", (Exception,), {})(),
        AssertionError(),
        type("UnexpectedMessageError", (Exception,), {"__module__": "hypercorn.utils"})(),
    ],
    ids=repr,
)
def test_other_errors_are_not_taken_for_a_client_that_left(error: Exception):
    assert not compat.says_gone(error)


def real(module: str, name: str) -> type[Exception]:
    """An exception class of a server, if that server is installed."""
    return getattr(pytest.importorskip(module), name)


@pytest.mark.parametrize(
    ("module", "name"),
    [("uvicorn.protocols.utils", "ClientDisconnected"), *sorted(compat._GONE_BY_NAME)],
)
def test_the_real_exception_of_a_server_is_understood(module: str, name: str):
    cls = real(module, name)
    error = cls.__new__(cls)

    assert isinstance(error, Exception)
    assert (cls.__module__, cls.__name__) == (module, name)
    assert compat.says_gone(error)


async def hypercorns_complaint(state: str, kind: str) -> Exception:
    """What Hypercorn raises for a message of that *kind* in that *state* of a connection."""
    streams = pytest.importorskip("hypercorn.protocol.ws_stream")
    configuration = pytest.importorskip("hypercorn.config").Config()
    peer = ("127.0.0.1", 80)
    stream = streams.WSStream(None, configuration, None, None, False, peer, peer, None, 1)
    stream.state = streams.ASGIWebsocketState[state]
    with pytest.raises(Exception, match=kind) as caught:
        await stream.app_send({"type": kind, "text": "x"})
    cls = type(caught.value)
    assert (cls.__module__, cls.__name__) == ("hypercorn.utils", "UnexpectedMessageError")
    return caught.value


@pytest.mark.parametrize("kind", ["websocket.accept", "websocket.send"])
@pytest.mark.parametrize("state", ["CLOSED", "HTTPCLOSED"])
async def test_hypercorns_complaint_is_understood_if_the_connection_is_over(state: str, kind: str):
    assert compat.says_gone(await hypercorns_complaint(state, kind))


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("CONNECTED", "websocket.accept"),
        ("CONNECTED", "websocket.http.response.start"),
        ("HANDSHAKE", "websocket.send"),
        ("RESPONSE", "websocket.send"),
    ],
)
async def test_hypercorns_complaint_about_a_live_connection_is_the_applications(
    state: str, kind: str
):
    assert not compat.says_gone(await hypercorns_complaint(state, kind))


async def test_hypercorn_knows_no_other_states():
    streams = pytest.importorskip("hypercorn.protocol.ws_stream")

    assert {state.name for state in streams.ASGIWebsocketState} == {
        "HANDSHAKE", "CONNECTED", "RESPONSE", "CLOSED", "HTTPCLOSED",
    }  # fmt: skip


def test_each_name_that_is_matched_belongs_to_a_server_we_know():
    modules = {module.split(".")[0] for module, _ in compat._GONE_BY_NAME}

    assert modules <= {"autobahn", "wsproto", "websockets"}


@pytest.mark.parametrize(
    "implementation", ["websockets_impl", "websockets_sansio_impl", "wsproto_impl"]
)
def test_uvicorn_still_words_its_complaint_as_we_read_it(implementation: str):
    pytest.importorskip("uvicorn")

    spec = importlib.util.find_spec(f"uvicorn.protocols.websockets.{implementation}")

    assert spec is not None
    assert spec.origin is not None
    assert "after sending 'websocket.close'" in Path(spec.origin).read_text(encoding="utf-8")


# --- which server it is ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asgi", "dialect"),
    [
        (None, ServerDialect.TELLS_LOSS_BY_1006),
        ({}, ServerDialect.TELLS_LOSS_BY_1006),
        ({"version": "3.0"}, ServerDialect.TELLS_LOSS_BY_1006),
        ({"spec_version": "2.0"}, ServerDialect.CANNOT_TELL),
        ({"spec_version": "2.3"}, ServerDialect.CANNOT_TELL),
        ({"spec_version": "2.4"}, ServerDialect.TELLS_LOSS_BY_MISSING_REASON),
        ({"spec_version": "2.5"}, ServerDialect.TELLS_LOSS_BY_MISSING_REASON),
        ({"spec_version": "2.10"}, ServerDialect.TELLS_LOSS_BY_MISSING_REASON),
        ({"spec_version": "3.0"}, ServerDialect.TELLS_LOSS_BY_MISSING_REASON),
    ],
    ids=repr,
)
def test_a_server_is_known_by_the_version_it_claims(asgi: Any, dialect: ServerDialect):
    scope = {"type": "websocket"} if asgi is None else {"type": "websocket", "asgi": asgi}

    assert compat.read_dialect(scope) is dialect


@pytest.mark.parametrize("asgi", [None, {"spec_version": None}, {"spec_version": "?"}], ids=repr)
def test_a_scope_that_says_nothing_useful_is_no_error(asgi: Any):
    assert compat.read_dialect({"type": "websocket", "asgi": asgi}) in ServerDialect


def test_the_scripted_servers_speak_the_dialects_of_the_real_ones():
    assert compat.read_dialect(DAPHNE.scope("/", {})) is ServerDialect.TELLS_LOSS_BY_1006
    assert compat.read_dialect(UVICORN.scope("/", {})) is ServerDialect.TELLS_LOSS_BY_MISSING_REASON


@pytest.mark.parametrize(
    ("scope", "offers"),
    [
        ({}, False),
        ({"extensions": None}, False),
        ({"extensions": {}}, False),
        ({"extensions": {"websocket.http.response": {}}}, True),
    ],
    ids=repr,
)
def test_a_denial_response_is_used_only_where_it_is_offered(scope: Any, offers: bool):
    assert compat.offers_denial_response(scope) is offers


# --- channel layers --------------------------------------------------------------------------


def test_the_layer_in_memory_is_in_this_process():
    assert compat.is_in_process(InMemoryChannelLayer())
    assert not compat.is_in_process(BaseChannelLayer())
    assert channels.layers.InMemoryChannelLayer is InMemoryChannelLayer


def test_the_layers_of_channels_redis_have_the_paths_that_the_checks_know():
    for path in (checks.CORE_LAYER, checks.PUBSUB_LAYER):
        module, _, name = path.rpartition(".")
        assert inspect.isclass(getattr(pytest.importorskip(module), name))


def test_in_redis_py_a_url_wins_over_the_keywords_beside_it():
    connection = pytest.importorskip("redis.asyncio.connection")

    pool = connection.ConnectionPool.from_url("redis://host?socket_timeout=3", socket_timeout=15)

    assert pool.connection_kwargs["socket_timeout"] == 3


def test_both_retries_of_redis_py_live_where_the_check_looks():
    assert real("redis.retry", "Retry").__module__ == "redis.retry"
    assert real("redis.asyncio.retry", "Retry").__module__ == "redis.asyncio.retry"


def test_a_hook_of_a_synchronous_consumer_runs_in_the_thread_of_its_handlers():
    found: list[Any] = []

    class Chat(SyncConsumer):
        def note(self, event):
            found.append(threading.current_thread())

    async def both() -> None:
        await Chat().dispatch({"type": "note"})
        await compat.run_sync(Chat().note, {})

    run(both())

    assert found[0] is found[1] is not threading.main_thread()
