"""A consumer that joins and leaves groups as its client asks."""

from collections.abc import Iterable

from shells.members import Member
from shells.visits import Visit, note, settle


class Roaming(Member):
    """Joins and leaves groups as its client asks."""

    groups = []

    async def receive(self, text_data=None, bytes_data=None):
        verb, group = text_data.split()
        if verb == "join":
            await self.channel_layer.group_add(group, self.channel_name)
        elif verb == "leave":
            await self.channel_layer.group_discard(group, self.channel_name)
        note(self, verb, group)


async def ask(visits: Iterable[Visit], order: str) -> None:
    """Let each client say *order*."""
    for visit in visits:
        visit.client_sends(order)
    await settle()


async def leave_all(visits: Iterable[Visit]) -> None:
    for visit in visits:
        await visit.leave()
