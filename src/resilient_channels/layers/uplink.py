"""The way between this process and a wrapped layer: what a hub needs of it, on one event loop.

An uplink gives each group a channel of its own, so that a message that arrives says which group
it is for, and a process with many members costs the layer one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .canary import Ear
    from .directory import Directory
    from .supervision import Supervisor


class Hub(Protocol):
    """What an uplink needs of its hub."""

    directory: Directory

    def get_supervisor(self) -> Supervisor: ...
    def claim_number(self) -> int: ...
    def keep_stray(self, channel: str, event: Mapping[str, Any], /) -> None: ...
    def channel_named(self, group: str) -> None: ...
    async def deliver(self, group: str, event: Mapping[str, Any], /) -> None: ...


class Uplink(Protocol):
    """One kind of layer, seen from a hub."""

    def owns(self, channel: str) -> bool:
        """Whether *channel* is one of this process and loop."""

    async def new_channel(self, patience: float, *args: Any) -> str:
        """A channel name of this process; within *patience* seconds, whatever the layer does."""

    def open(self, group: str) -> None:
        """Somebody is in *group* now: give it a channel, and listen there."""

    def close(self, group: str) -> str | None:
        """Nobody is in *group* any more; returns the channel to be taken out of it."""

    def channel_for(self, group: str) -> str | None:
        """The channel of *group*, once there is one."""

    async def get_channel(self, group: str) -> str | None:
        """The channel of *group*, when there is one; none if nobody wants it any more."""

    def listen(self, channel: str) -> None:
        """Somebody receives from *channel*: let what is sent to it arrive in the directory."""

    def stop_listening(self, channel: str) -> None:
        """Nobody receives from *channel* any more."""

    def make_ear(self) -> Ear:
        """How a probe listens."""

    def restart(self) -> None:
        """Begin to receive anew: what waits now may wait for ever."""

    async def stop(self) -> None:
        """Stop listening altogether."""
