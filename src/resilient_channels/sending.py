"""Sending to groups from anywhere: from consumers, views, threads, workers and commands.

All three report a :class:`SendOutcome` instead of raising because the channel layer is down. A
programming error still raises: a name that the grammar forbids, an event that is no ``dict`` or
cannot be put into bytes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from channels.layers import get_channel_layer
from django.core.exceptions import ImproperlyConfigured

from . import compat
from .conf import get_policies
from .core.frames import check_event, encode, make_broadcast, without_mark
from .core.outcomes import SendOutcome
from .courier import courier
from .exceptions import LayerUnavailable
from .layers import ResilientChannelLayer
from .layers.attempts import attempt
from .layers.supervisors import find_home, get_supervisor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from .core.policies import LayerPolicy

DEFAULT_ALIAS = "default"


async def safe_group_send(
    group: str, event: Mapping[str, Any], *, alias: str = DEFAULT_ALIAS
) -> SendOutcome:
    """Send *event* to a group, and say what became of it.

    Failures are retried within ``LAYER.deadline``. On any channel layer, wrapped or not.

    Args:
        group: The group's name.
        event: What its members' handlers get; its ``type`` names the handler.
        alias: Which of ``CHANNEL_LAYERS``.

    Returns:
        ``SENT``: the layer took it, which is no receipt. ``TIMED_OUT``: the layer did not take it
        in time; it may arrive all the same, and in an outage members of this process got it at
        once if the layer is a :class:`~resilient_channels.layers.ResilientChannelLayer`.

    Raises:
        ImproperlyConfigured: There is no such alias.
        TypeError, AssertionError: A name or an event that the layer refuses.
    """
    return await _send(get_layer(alias), alias, group, event)


async def broadcast(
    group: str, payload: object, *, type: str, key: str | None = None, alias: str = DEFAULT_ALIAS
) -> SendOutcome:
    """Send *payload* to the clients of a whole group, encoded once and not once for each.

    Consumers with the mixin on a hub send it to their clients as it is: one text frame, made by
    ``json.dumps``, past their handlers. Everybody else gets an ordinary event: consumers without
    the mixin, those that override ``send``, ``send_json`` or ``encode_json``, and everyone on
    a layer that is no hub. So a handler like this one has to be there::

        async def chat_message(self, event):
            await self.send_json(event["payload"])

    Order is kept with the group's other events. A client that reads slowly holds up nobody else.

    Args:
        group: The group's name.
        payload: What can be put into JSON (and into the layer's own format).
        type: The type of the ordinary event.
        key: With ``OUTBOX.overflow = "coalesce"``: a frame that still waits for a client under the
            same key is replaced by this one.
        alias: Which of ``CHANNEL_LAYERS``.

    Returns:
        As :func:`safe_group_send`.

    Raises:
        ImproperlyConfigured: There is no such alias.
        TypeError, ValueError, AssertionError: A name that the layer refuses, or a payload that
            cannot be encoded.
    """
    layer = get_layer(alias)
    event = make_broadcast(type, payload, key)
    encode(event)  # or raise here, and not where it arrives
    if not isinstance(layer, ResilientChannelLayer):
        return await _send(layer, alias, group, without_mark(event))
    limit = asyncio.get_running_loop().time() + _get_policy().deadline
    return await _report(layer.broadcast(group, event, limit))


def notify(group: str, event: Mapping[str, Any], *, alias: str = DEFAULT_ALIAS) -> SendOutcome:
    """Send *event* to a group from synchronous code, and say what became of it.

    From views, threads, Celery tasks, management commands, tests. Opens no connection per call and
    is tied to no event loop: one thread of its own, with one loop, does the sending for the whole
    process. Blocks for ``LAYER.deadline`` and a second at most.

    On a thread whose event loop is running it cannot wait, and hands over; there,
    ``await safe_group_send(...)`` tells more.

    Inside of a database transaction, send when it is committed:
    ``transaction.on_commit(lambda: notify(...))``.

    Returns:
        As :func:`safe_group_send`; ``QUEUED`` where it could not wait, ``DROPPED`` where more than
        ``LAYER.pending`` wait already.

    Raises:
        ImproperlyConfigured: There is no such alias.
        TypeError, AssertionError: A name or an event that the layer refuses.
    """
    layer = get_layer(alias)
    # Now, and not where nobody hears of it.
    check_event(event)
    _check_group_name(layer, group)
    home = find_home(layer) if compat.is_in_process(layer) else None
    policy = _get_policy()
    return courier.run(
        _send(layer, alias, group, event),
        home,
        alias=alias,
        patience=policy.deadline,
        pending=policy.pending,
    )


def get_layer(alias: str) -> Any:
    """The layer that the settings call *alias*.

    Raises:
        ImproperlyConfigured: There is none.
    """
    layer = get_channel_layer(alias)
    if layer is None:
        raise ImproperlyConfigured(f"CHANNEL_LAYERS has no {alias!r}")
    return layer


async def _send(layer: Any, alias: str, group: str, event: Mapping[str, Any]) -> SendOutcome:
    policy = _get_policy()
    limit = asyncio.get_running_loop().time() + policy.deadline
    if isinstance(layer, ResilientChannelLayer):
        return await _report(layer.tell_group(group, event, limit))
    check_event(event)
    _check_group_name(layer, group)
    supervisor = get_supervisor(alias, layer, policy)
    return await _report(attempt(supervisor, "group_send", limit, layer.group_send, group, event))


async def _report(sending: Awaitable[None]) -> SendOutcome:
    try:
        await sending
    except LayerUnavailable:
        return SendOutcome.TIMED_OUT
    return SendOutcome.SENT


def _check_group_name(layer: Any, group: str) -> None:
    """Raise what the layer raises for a name that it refuses, where it tells beforehand."""
    if hasattr(type(layer), "require_valid_group_name"):
        layer.require_valid_group_name(group)


def _get_policy() -> LayerPolicy:
    return get_policies(ResilientChannelLayer).layer
