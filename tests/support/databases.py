"""A database in a file, under an alias of its own, and what is open in it."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import count
from typing import TYPE_CHECKING, Any
from unittest import mock

import channels.db
import pytest
from asgiref.sync import SyncToAsync
from django.contrib.auth.models import Group
from django.db import connections
from django.db.backends.signals import connection_created

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor

ALIAS = "file"


def query() -> int:
    """Use the database as synchronous code does."""
    return Group.objects.using(ALIAS).count()


async def aquery() -> int:
    """Use it by way of Django's asynchronous methods."""
    return await Group.objects.using(ALIAS).acount()


def describe() -> str:
    """The connection of the running thread: ``"closed"``, or the how-manieth is open."""
    connection = connections[ALIAS]
    return "closed" if connection.connection is None else f"open {connection.number}"


def break_connection() -> None:
    """Do to the running thread's connection what a restarted server does."""
    connection = connections[ALIAS]
    connection.connection.close()
    connection.is_usable = lambda: False


def begin() -> None:
    """Leave the running thread's connection in a transaction."""
    connections[ALIAS].set_autocommit(False)


class FileDatabase:
    """The database of one test.

    Attributes:
        opened: How many connections to it were opened, in any thread.
    """

    def __init__(self) -> None:
        self.opened = 0
        self._numbers = count(1)

    def _note(self, connection: Any, **_: Any) -> None:
        if connection.alias == ALIAS:
            connection.number = next(self._numbers)
            vars(connection).pop("is_usable", None)
            self.opened += 1


def in_thread(function: Callable[[], None]) -> None:
    """Call *function* where handlers have their connections, from any code."""
    SyncToAsync.single_thread_executor.submit(function).result()


def create() -> None:
    """Make the table that is queried."""
    with connections[ALIAS].schema_editor() as editor:
        editor.create_model(Group)
    forget()


def forget(alias: str = ALIAS) -> None:
    """Drop the running thread's connection, even one that Django would not close."""
    if hasattr(connections._connections, alias):
        connection = connections[alias]
        if connection.connection is not None:
            connection.connection.close()
        connection.connection = None
        del connections[alias]


@pytest.fixture
def make_database(tmp_path, django_db_blocker) -> Iterator[Callable[..., FileDatabase]]:
    """Makes the database with a table; options as in ``DATABASES``, above all CONN_MAX_AGE."""
    with ExitStack() as stack:

        def make(**options: Any) -> FileDatabase:
            settings = {**connections.settings["default"], "NAME": str(tmp_path / "db"), **options}
            stack.enter_context(mock.patch.dict(connections.settings, {ALIAS: settings}))
            stack.callback(in_thread, forget)
            in_thread(create)
            database = FileDatabase()
            connection_created.connect(database._note, weak=False)
            stack.callback(connection_created.disconnect, database._note)
            return database

        with django_db_blocker.unblock():
            yield make
            stack.close()


class Hops:
    """Counts what is handed to threads, and calls of what closes old connections.

    Attributes:
        submitted: Executors that something was handed to, in that order.
        closings: How often old connections were closed, under the name that Channels calls.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.submitted: list[Executor | None] = []
        self.closings = 0
        self._close = channels.db.close_old_connections
        monkeypatch.setattr(channels.db, "close_old_connections", self._count)

    def watch(self, loop: AbstractEventLoop) -> None:
        """Count what is submitted on *loop* from now on."""
        original = loop.run_in_executor

        def submit(executor: Any, function: Any, *args: Any) -> Any:
            self.submitted.append(executor)
            return original(executor, function, *args)

        loop.run_in_executor = submit  # type: ignore[assignment]

    def _count(self) -> None:
        self.closings += 1
        self._close()


@pytest.fixture
def hops(monkeypatch: pytest.MonkeyPatch) -> Hops:
    """What is done in threads, counted."""
    return Hops(monkeypatch)
