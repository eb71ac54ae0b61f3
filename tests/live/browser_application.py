"""The live application with a page for a browser: empty, under a strict policy."""

from pathlib import Path

import resilient_channels
from live.application import application as live_application

CLIENT = Path(resilient_channels.__file__).parent / "static/resilient_channels/resilient-socket.js"
PAGE = b"<!doctype html><html lang=en><title>A page</title><link rel=icon href=data:,>"
POLICY = b"default-src 'none'; script-src 'self'; connect-src 'self'; img-src data:"
FILES = {
    "/": (b"text/html; charset=utf-8", PAGE),
    "/resilient-socket.js": (b"text/javascript; charset=utf-8", CLIENT.read_bytes()),
}


async def application(scope, receive, send):
    if scope["type"] == "http" and scope["path"] in FILES:
        kind, body = FILES[scope["path"]]
        headers = [(b"content-type", kind), (b"content-security-policy", POLICY)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
    else:
        await live_application(scope, receive, send)
