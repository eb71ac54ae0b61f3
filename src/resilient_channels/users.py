"""Who a connection belongs to, without asking the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.functional import LazyObject, empty

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

MAX_WRAPPINGS = 5
"""Lazy objects around lazy objects that are unwrapped."""


def identify_user(scope: Mapping[str, Any]) -> Hashable | None:
    """A key for the authenticated user in *scope*; ``None`` if there is none, or nobody knows yet.

    A lazy user counts once somebody has resolved it, as Channels' ``AuthMiddleware`` does before
    it calls what is inside. Here it is not: that may be a query, and this is the event loop.
    """
    user = scope.get("user")
    for _ in range(MAX_WRAPPINGS):
        # By type(): asking the object itself would resolve it.
        if not issubclass(type(user), LazyObject):
            break
        user = object.__getattribute__(user, "_wrapped")
    if user is None or user is empty or issubclass(type(user), LazyObject):
        return None
    try:
        if not user.is_authenticated or user.pk is None:
            return None
        key: Hashable = (_find_model(user), user.pk)
        hash(key)
    except Exception:  # noqa: BLE001  # a user of the project's own making; it may raise anything
        return None
    return key


def _find_model(user: Any) -> Any:
    """What the user's key is unique in: two models of users may both have a number 1."""
    options = getattr(type(user), "_meta", None)
    return getattr(options, "concrete_model", None) or type(user)
