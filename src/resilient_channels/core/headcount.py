"""How many are there of each, and who came first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

T = TypeVar("T")


class Headcount(Generic[T]):
    """Members under keys, in order of arrival. A key is there as long as it has a member."""

    __slots__ = ("_members",)

    def __init__(self) -> None:
        self._members: dict[Hashable, dict[T, None]] = {}

    def __len__(self) -> int:
        return len(self._members)

    def count(self, key: Hashable) -> int:
        """How many are counted under *key*."""
        return len(self._members.get(key, ()))

    def oldest(self, key: Hashable) -> T:
        """Who came first of those under *key*.

        Raises:
            LookupError: Nobody is.
        """
        return next(iter(self._members[key]))

    def add(self, key: Hashable, member: T) -> None:
        """Count *member* under *key*."""
        self._members.setdefault(key, {})[member] = None

    def remove(self, key: Hashable, member: T) -> None:
        """Count *member* no longer, if it is counted."""
        members = self._members.get(key)
        if members is None:
            return
        members.pop(member, None)
        if not members:
            del self._members[key]
