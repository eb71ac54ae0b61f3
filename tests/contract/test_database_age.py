"""Connections are closed when plain Channels closes them, whoever opened them."""

import asyncio

import pytest
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import DatabaseError

from contract.variants import Variant, note
from support.databases import aquery, begin, break_connection, describe, query
from support.loop import virtual

WAYS = {
    "orm": aquery,
    "sync_to_async": sync_to_async(query),
    "database_sync_to_async": database_sync_to_async(query),
}
"""How handlers come to the database."""

DEEDS = {"break": break_connection, "begin": begin}
"""What they may do to their connection."""


class Reader(AsyncWebsocketConsumer):
    """Does what it is told, and answers with the state that the next handler finds."""

    async def receive(self, text_data=None, bytes_data=None):
        if text_data in DEEDS:
            await sync_to_async(DEEDS[text_data])()
        elif text_data != "look":
            try:
                await WAYS[text_data]()
            except DatabaseError as error:
                await self.send(type(error).__name__)
                return
        await self.send(await sync_to_async(describe)())


both = pytest.mark.parametrize(
    "variant",
    [Variant(False, False), Variant(False, True), Variant(False, False, True)],
    ids=lambda variant: variant.name,
)
any_way = pytest.mark.parametrize("way", WAYS)


class LastQuery(Reader):
    async def disconnect(self, code):
        note(self, await sync_to_async(describe)())
        await aquery()
        note(self, await sync_to_async(describe)())


class Talk:
    """A conversation that Channels' test client has no part in: it would keep connections open."""

    def __init__(self, variant: Variant, consumer: type = Reader) -> None:
        self._server = variant.server(variant(consumer))

    async def __aenter__(self) -> "Talk":
        self._server.client_connects()
        await self._server.next_sent()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.client_closes()
        assert await self._server.ended() is None

    async def say(self, text: str) -> str:
        self._server.client_sends(text)
        return (await self._server.next_sent())["text"]


@both
@pytest.mark.parametrize("way", ["orm", "sync_to_async"])
@virtual
async def test_without_an_age_a_connection_is_closed_before_the_next_message(
    variant: Variant, way: str, make_database
):
    make_database(CONN_MAX_AGE=0)
    async with Talk(variant) as talk:
        answers = [await talk.say(what) for what in (way, "look", "look", way, way, "look")]

    assert answers == ["open 1", "closed", "closed", "open 2", "open 3", "closed"]


@both
@virtual
async def test_channels_own_wrapper_closes_what_it_has_opened(variant: Variant, make_database):
    database = make_database(CONN_MAX_AGE=0)
    async with Talk(variant) as talk:
        answers = [await talk.say("database_sync_to_async") for _ in range(3)]

    assert answers == ["closed"] * 3
    assert database.opened == 3


@both
@any_way
@virtual
async def test_a_connection_is_closed_with_the_first_message_after_its_age(
    variant: Variant, way: str, make_database
):
    make_database(CONN_MAX_AGE=5)
    answers = []
    async with Talk(variant) as talk:
        for what, pause in ((way, 0), ("look", 2), (way, 2.9), ("look", 0.2), (way, 9), (way, 5)):
            await asyncio.sleep(pause)
            answers.append(await talk.say(what))

    assert answers == ["open 1", "open 1", "open 1", "closed", "open 2", "open 3"]


@both
@any_way
@virtual
async def test_a_connection_without_end_is_kept(variant: Variant, way: str, make_database):
    database = make_database(CONN_MAX_AGE=None)
    answers = []
    async with Talk(variant) as talk:
        for pause in (0, 0.1, 2, 3600):
            await asyncio.sleep(pause)
            answers += [await talk.say(way), await talk.say("look")]

    assert answers == ["open 1"] * 8
    assert database.opened == 1


@both
@pytest.mark.parametrize("way", ["orm", "sync_to_async"])
@virtual
async def test_a_broken_connection_is_replaced_with_the_next_message(
    variant: Variant, way: str, make_database
):
    make_database(CONN_MAX_AGE=None)
    async with Talk(variant) as talk:
        # Several messages in one moment: nothing may depend on how long ago the last visit was.
        answers = [await talk.say(what) for what in (way, "look", "break", way, "look", way)]

    assert answers == ["open 1", "open 1", "open 1", "ProgrammingError", "closed", "open 2"]


@both
@virtual
async def test_a_connection_that_broke_unused_is_replaced_where_health_is_checked(
    variant: Variant, make_database
):
    make_database(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=True)
    async with Talk(variant) as talk:
        answers = [await talk.say(what) for what in ("orm", "orm", "break", "orm", "orm")]

    assert answers == ["open 1", "open 1", "open 1", "open 2", "open 2"]


@both
@virtual
async def test_a_transaction_that_was_left_open_is_not_the_next_handlers(
    variant: Variant, make_database
):
    make_database(CONN_MAX_AGE=None)
    async with Talk(variant) as talk:
        answers = [await talk.say(what) for what in ("orm", "orm", "begin", "look")]

    assert answers == ["open 1", "open 1", "open 1", "closed"]


@both
@virtual
async def test_a_handler_finds_a_connection_closed_that_a_task_had_opened(
    variant: Variant, make_database
):
    make_database(CONN_MAX_AGE=0)
    async with Talk(variant) as talk:
        assert await talk.say("look") == "closed"
        await asyncio.create_task(aquery())

        assert await talk.say("look") == "closed"


@both
@virtual
async def test_what_disconnect_has_opened_is_closed_after_it(variant: Variant, make_database):
    make_database(CONN_MAX_AGE=0)
    async with Talk(variant, LastQuery) as talk:
        assert await talk.say("orm") == "open 1"

    assert variant.notes == ["closed", "open 2"]
    assert await sync_to_async(describe)() == "closed"
