"""``@on_disconnect``: the most specific handler runs, and mistakes are told at import."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer
from hypothesis import given, settings, strategies as st

from resilient_channels import (
    AsyncResilientMixin,
    AsyncResilientWebsocketConsumer,
    CloseCode,
    DisconnectInfo,
    DisconnectKind,
    ResilientMixin,
    ResilientWebsocketConsumer,
    on_disconnect,
)
from resilient_channels.disconnects import DisconnectTable

KIND = DisconnectKind


def info(code: int = 1001, kind: DisconnectKind = KIND.CLIENT) -> DisconnectInfo:
    return DisconnectInfo(code, "", kind)


def found(cls: type, code: int = 1001, kind: DisconnectKind = KIND.CLIENT) -> str | None:
    """The handler of *cls* for such an end."""
    return DisconnectTable(cls, is_sync=True).find(info(code, kind))


# --- what is most specific -------------------------------------------------------------------


class Specific:
    @on_disconnect()
    def bare(self, info): ...

    @on_disconnect(KIND.CLIENT)
    def by_kind(self, info): ...

    @on_disconnect(range(4000, 5000))
    def wide(self, info): ...

    @on_disconnect(range(4000, 4100))
    def narrow(self, info): ...

    @on_disconnect(4001)
    def exact(self, info): ...


@pytest.mark.parametrize(
    ("code", "kind", "handler"),
    [
        (4001, KIND.CLIENT, "exact"),
        (4001, KIND.SERVER, "exact"),
        (4002, KIND.CLIENT, "narrow"),
        (4000, KIND.CLIENT, "narrow"),
        (4099, KIND.CLIENT, "narrow"),
        (4100, KIND.CLIENT, "wide"),
        (4999, KIND.SERVER, "wide"),
        (3999, KIND.CLIENT, "by_kind"),
        (1000, KIND.CLIENT, "by_kind"),
        (1006, KIND.LOST, "bare"),
        (3999, KIND.SERVER, "bare"),
    ],
)
def test_the_most_specific_handler_runs(code: int, kind: DisconnectKind, handler: str):
    assert found(Specific, code, kind) == handler


def test_the_order_in_the_class_does_not_matter():
    names = [name for name in vars(Specific) if not name.startswith("__")]
    reverse = type("Reverse", (), {name: vars(Specific)[name] for name in reversed(names)})

    for code in (4001, 4002, 4100, 1000):
        assert found(reverse, code) == found(Specific, code)


def test_without_a_match_none_runs():
    class Chat:
        @on_disconnect(4001, KIND.LOST)
        def some(self, info): ...

    assert found(Chat, 4002) is None


def test_a_class_without_handlers_has_none():
    assert found(object) is None


def test_one_handler_may_have_many_conditions():
    class Chat:
        @on_disconnect(4001, CloseCode.RESTART, range(3000, 3010), KIND.LOST)
        def some(self, info): ...

    matching = [(4001, KIND.CLIENT), (3512, KIND.DRAIN), (3009, KIND.SERVER), (1006, KIND.LOST)]

    assert {found(Chat, *end) for end in matching} == {"some"}


@pytest.mark.parametrize("condition", [CloseCode.NORMAL, 1000], ids=repr)
def test_a_close_code_is_as_good_as_its_number(condition: int):
    class Chat:
        @on_disconnect(condition)
        def normal(self, info): ...

        @on_disconnect(KIND.CLIENT)
        def other(self, info): ...

    assert found(Chat, 1000) == "normal"


@pytest.mark.parametrize("code", [4000, 4010, 4090])
def test_a_range_with_steps_matches_its_steps(code: int):
    class Chat:
        @on_disconnect(range(4000, 4100, 10))
        def tens(self, info): ...

    assert found(Chat, code) == "tens"
    assert found(Chat, code + 1) is None


def decorated_without_parentheses(method: Callable[..., Any]) -> Callable[..., Any]:
    return on_disconnect(method)


def decorated_with_parentheses(method: Callable[..., Any]) -> Callable[..., Any]:
    return on_disconnect()(method)


@pytest.mark.parametrize("decorate", [decorated_without_parentheses, decorated_with_parentheses])
def test_the_bare_decorator_takes_what_no_other_does(decorate: Callable[..., Any]):
    class Chat:
        @decorate
        def other(self, info): ...

        @on_disconnect(KIND.LOST)
        def lost(self, info): ...

    assert found(Chat, 1001) == "other"
    assert found(Chat, 1006, KIND.LOST) == "lost"


def test_the_decorated_method_is_the_method_itself():
    def method(self, info): ...

    assert on_disconnect(4000)(method) is method
    assert on_disconnect(method) is method


def test_a_method_may_carry_other_decorators():
    def logged(method):
        @functools.wraps(method)
        def wrapper(*args):
            return method(*args)

        return wrapper

    class Outside:
        @logged
        @on_disconnect(4000)
        def handler(self, info): ...

    class Inside:
        @on_disconnect(4000)
        @logged
        def handler(self, info): ...

    assert found(Outside, 4000) == found(Inside, 4000) == "handler"


def test_decorators_on_top_of_each_other_add_up():
    """Symptom: of two stacked decorators only the upper one counted."""

    class Chat:
        @on_disconnect(4000)
        @on_disconnect(KIND.LOST)
        def handler(self, info): ...

    assert found(Chat, 4000) == "handler"
    assert found(Chat, 1006, KIND.LOST) == "handler"


# --- inheritance -----------------------------------------------------------------------------


class Parent:
    @on_disconnect(4001)
    def parents_exact(self, info): ...

    @on_disconnect(KIND.LOST)
    def parents_lost(self, info): ...

    @on_disconnect
    def parents_bare(self, info): ...


def test_handlers_are_inherited():
    class Child(Parent):
        pass

    assert found(Child, 4001) == "parents_exact"
    assert found(Child, 1000) == "parents_bare"


def test_an_equally_specific_handler_of_the_subclass_comes_first():
    class Child(Parent):
        @on_disconnect(4001)
        def exact(self, info): ...

        @on_disconnect(KIND.LOST)
        def lost(self, info): ...

        @on_disconnect
        def bare(self, info): ...

    assert found(Child, 4001) == "exact"
    assert found(Child, 1006, KIND.LOST) == "lost"
    assert found(Child, 1000) == "bare"


def test_a_more_specific_handler_of_the_parent_comes_before_a_vaguer_one_of_the_subclass():
    class Child(Parent):
        @on_disconnect
        def bare(self, info): ...

    assert found(Child, 4001) == "parents_exact"


def test_a_method_overridden_without_the_decorator_is_no_handler_any_more():
    class Child(Parent):
        def parents_exact(self, info): ...

    assert found(Child, 4001) == "parents_bare"


def test_a_method_overridden_with_another_condition_has_only_that():
    class Child(Parent):
        @on_disconnect(4002)
        def parents_exact(self, info): ...

    assert found(Child, 4002) == "parents_exact"
    assert found(Child, 4001) == "parents_bare"


def test_a_handler_can_be_removed():
    class Child(Parent):
        parents_exact = None

    assert found(Child, 4001) == "parents_bare"


def test_handlers_of_a_mixin_count():
    class Chat(Parent, Specific):
        pass

    assert found(Chat, 4001) == "parents_exact"
    assert found(Chat, 4002) == "narrow"


def test_private_handlers_are_found():
    class Chat:
        @on_disconnect
        def __hidden(self, info): ...

    assert found(Chat) == "_Chat__hidden"


# --- ties ------------------------------------------------------------------------------------

TIES: list[tuple[Any, Any]] = [
    (4001, 4001),
    (CloseCode.RESTART, 3512),
    (KIND.LOST, KIND.LOST),
    (range(4000, 4010), range(4000, 4010)),
    (range(4000, 4010), range(4009, 4019)),
    (range(4000, 4010), range(4005, 4025, 2)),
]


@pytest.mark.parametrize(("first", "second"), TIES, ids=repr)
def test_a_tie_is_refused_when_the_class_is_made(first: Any, second: Any):
    with pytest.raises(TypeError, match=r"Chat: (one|other)\(\) and (one|other)\(\) are equally"):

        class Chat(ResilientWebsocketConsumer):
            @on_disconnect(first)
            def one(self, info): ...

            @on_disconnect(second)
            def other(self, info): ...


def test_two_bare_handlers_are_a_tie():
    with pytest.raises(TypeError, match=r"Chat: (one|other)\(\) and (one|other)\(\) are"):

        class Chat(AsyncResilientWebsocketConsumer):
            @on_disconnect
            async def one(self, info): ...

            @on_disconnect()
            async def other(self, info): ...


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (4001, 4002),
        (KIND.LOST, KIND.TIMEOUT),
        (range(4000, 4010), range(4010, 4020)),
        (range(4000, 4010), range(4000, 4011)),
        (range(4000, 4020, 2), range(4001, 4021, 2)),
        (4001, range(4001, 4002)),
    ],
    ids=repr,
)
def test_what_cannot_be_confused_is_no_tie(first: Any, second: Any):
    class Chat(ResilientWebsocketConsumer):
        @on_disconnect(first)
        def one(self, info): ...

        @on_disconnect(second)
        def other(self, info): ...

    assert found(Chat, 1001) is None


def test_a_handler_does_not_tie_with_itself():
    class Chat(ResilientWebsocketConsumer):
        @on_disconnect(4001, 4001, range(4000, 4010), range(4000, 4010))
        def one(self, info): ...

    assert found(Chat, 4001) == "one"


# --- colours ---------------------------------------------------------------------------------


def test_a_plain_handler_on_an_asynchronous_consumer_is_refused():
    with pytest.raises(TypeError, match=r"Chat\.left: @on_disconnect needs `async def` here"):

        class Chat(AsyncResilientMixin, AsyncWebsocketConsumer):
            @on_disconnect
            def left(self, info): ...


def test_an_asynchronous_handler_on_a_synchronous_consumer_is_refused():
    with pytest.raises(TypeError, match=r"Chat\.left: @on_disconnect needs `def` here"):

        class Chat(ResilientMixin, WebsocketConsumer):
            @on_disconnect
            async def left(self, info): ...


def test_a_mixin_of_the_project_is_looked_at_with_its_consumer():
    class Leaving(AsyncResilientMixin):
        @on_disconnect
        def left(self, info): ...

    with pytest.raises(TypeError, match=r"Leaving\.left: @on_disconnect needs `async def`"):
        type("Chat", (Leaving, AsyncWebsocketConsumer), {})


# --- bad conditions --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition", [None, True, False, "1000", 1000.0, [1000], {1000}, (1000, 1001), int, object()]
)
def test_a_condition_that_is_none_is_refused_with_what_was_given(condition: Any):
    with pytest.raises(TypeError, match="on_disconnect takes close codes, ranges") as caught:
        on_disconnect(condition)

    assert repr(condition) in str(caught.value)


def test_one_bad_condition_among_good_ones_is_refused():
    with pytest.raises(TypeError, match="not 'lost'"):
        on_disconnect(4000, "lost")  # type: ignore[call-overload]


@pytest.mark.parametrize("nothing", [range(0), range(4100, 4000)])
def test_a_range_of_nothing_is_refused(nothing: range):
    with pytest.raises(ValueError, match="contains no close code"):
        on_disconnect(nothing)


@pytest.mark.parametrize("thing", [None, 1, "method", functools.partial(print), Parent(), Parent])
def test_only_methods_can_be_decorated(thing: Any):
    with pytest.raises(TypeError, match=r"on_disconnect (takes|decorates)"):
        on_disconnect(4000)(thing)


@pytest.mark.parametrize("kind", [staticmethod, classmethod, property])
def test_what_is_no_plain_method_cannot_be_decorated(kind: Any):
    with pytest.raises(TypeError, match="on_disconnect"):
        on_disconnect(4000)(kind(lambda *args: None))


# --- against the sentence --------------------------------------------------------------------

conditions = st.one_of(
    st.integers(4000, 4010),
    st.sampled_from(KIND),
    st.builds(range, st.integers(4000, 4004), st.integers(4005, 4011)),
    st.none(),
)


def specificity(condition: Any) -> tuple[int, int]:
    order = [int, range, KIND, type(None)]
    rank = next(n for n, kind in enumerate(order) if isinstance(condition, kind))
    return rank, len(condition) if isinstance(condition, range) else 0


def matches(condition: Any, end: DisconnectInfo) -> bool:
    if condition is None:
        return True
    if isinstance(condition, KIND):
        return end.kind is condition
    return end.code in ([condition] if isinstance(condition, int) else condition)


@settings(max_examples=100, deadline=None, database=None, derandomize=True)
@given(chosen=st.lists(conditions, max_size=6), code=st.integers(4000, 4011), kind=...)
def test_a_class_is_refused_or_its_choice_is_the_only_best(
    chosen: list[Any], code: int, kind: DisconnectKind
):
    def make(condition: Any) -> Any:
        def method(self, info): ...

        return on_disconnect(*(() if condition is None else (condition,)))(method)

    body = {f"handler{n}": make(condition) for n, condition in enumerate(chosen)}
    end = info(code, kind)
    fitting = sorted(
        (specificity(condition), f"handler{n}")
        for n, condition in enumerate(chosen)
        if matches(condition, end)
    )

    try:
        table = DisconnectTable(type("Chat", (), body), is_sync=True)
    except TypeError:
        return

    assert table.find(end) == (fitting[0][1] if fitting else None)
    assert len([rank for rank, _ in fitting if rank == fitting[0][0]]) <= 1
