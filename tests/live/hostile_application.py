"""The live application for clients that mean harm: its handlers take any JSON there is."""

from live.application import ROUTES, AsyncSubject, Noter, SyncSubject, application

__all__ = ["application"]

KNOWN = ("echo", "block", "work")


def is_known(content):
    return isinstance(content, dict) and content.get("do") in KNOWN


class AsyncTolerant(AsyncSubject):
    async def receive_json(self, content):
        if is_known(content):
            await super().receive_json(content)


class SyncTolerant(SyncSubject):
    def receive_json(self, content):
        if is_known(content):
            super().receive_json(content)


ROUTES["/async/"] = Noter(AsyncTolerant.as_asgi())
ROUTES["/sync/"] = Noter(SyncTolerant.as_asgi())
