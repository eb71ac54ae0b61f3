"""Whose a connection is, found out without a query and without resolving anything."""

import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from channels.auth import UserLazyObject
from django.contrib.auth.models import AnonymousUser, Group, User
from django.core.exceptions import SynchronousOnlyOperation
from django.utils.functional import SimpleLazyObject, lazy

from resilient_channels.users import identify_user


def key(user: Any) -> Any:
    return identify_user({"user": user})


def some(**attributes: Any) -> SimpleNamespace:
    return SimpleNamespace(**{"is_authenticated": True, "pk": 1, **attributes})


def resolved(user: Any) -> UserLazyObject:
    """As ``AuthMiddleware`` leaves it."""
    lazy_user = UserLazyObject()
    lazy_user._wrapped = user
    return lazy_user


def test_an_authenticated_user_has_a_key_of_its_own():
    assert key(User(pk=1)) == key(User(pk=1)) != key(User(pk=2))
    assert key(User(pk=1)) is not None


def test_a_key_is_a_number_a_text_or_whatever_the_model_has():
    number = uuid.uuid4()

    assert key(some(pk=number)) == key(some(pk=number))
    assert key(some(pk=("a", 1))) == key(some(pk=("a", 1)))


def test_two_models_of_users_do_not_share_their_numbers():
    group = Group(pk=1)
    group.is_authenticated = True

    assert key(group) is not None
    assert key(group) != key(User(pk=1))


def test_a_proxy_model_is_the_same_user():
    class Colleague(User):
        class Meta:
            proxy = True
            app_label = "auth"

    assert key(Colleague(pk=1)) == key(User(pk=1))


@pytest.mark.parametrize(
    "user",
    [
        None,
        AnonymousUser(),
        User(),
        "somebody",
        {"id": 1},
        some(is_authenticated=False),
        some(pk=None),
        some(pk=[1]),
        SimpleNamespace(pk=1),
        SimpleNamespace(is_authenticated=True),
        resolved(AnonymousUser()),
        resolved(None),
    ],
    ids=lambda user: type(user).__name__,
)
def test_whoever_is_not_known_has_no_key(user: Any):
    assert key(user) is None


def test_without_any_user_there_is_no_key():
    assert identify_user({}) is None


# --- lazy users ----------------------------------------------------------------------------------


def test_a_user_that_was_resolved_is_that_user():
    assert key(resolved(User(pk=1))) == key(User(pk=1))
    assert key(resolved(resolved(User(pk=1)))) == key(User(pk=1))


@pytest.mark.parametrize("wrap", [lambda user: user, resolved], ids=["bare", "wrapped"])
def test_a_user_that_nobody_has_resolved_stays_as_it_is(wrap: Any):
    def query() -> User:
        raise AssertionError("resolved")

    assert key(wrap(SimpleLazyObject(query))) is None
    assert key(wrap(UserLazyObject())) is None


def test_a_lazy_user_counts_once_somebody_has_asked_for_it():
    user = SimpleLazyObject(lambda: User(pk=1))
    assert key(user) is None

    assert user.is_authenticated
    assert key(user) == key(User(pk=1))


def test_lazy_objects_around_each_other_without_end_are_given_up():
    snake = UserLazyObject()
    snake._wrapped = snake

    assert key(snake) is None


def test_a_user_that_raises_is_nobody():
    class Odd:
        @property
        def is_authenticated(self):
            raise LookupError

    assert key(Odd()) is None
    assert key(lazy(lambda: 1, int)()) is None


def test_a_user_that_would_need_the_database_is_nobody():
    """Symptom: the handshake failed because no query may run on an event loop."""

    class Asks:
        pk = 1

        @property
        def is_authenticated(self):
            raise SynchronousOnlyOperation

    assert key(Asks()) is None


def test_a_user_of_whom_only_a_part_was_loaded_is_known_without_a_query():
    part = User.from_db("default", ["id", "username"], [1, "somebody"])
    assert part.get_deferred_fields()

    assert key(part) == key(User(pk=1))
