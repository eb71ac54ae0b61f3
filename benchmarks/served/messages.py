"""What a group is told; the same bytes reach a member whoever distributes them."""

from __future__ import annotations

GROUP = "everybody"
EVENT = {"type": "chat.message", "text": "to be read by everybody", "number": 12345}
# What a control connection can be asked for; each word is one message to the whole group.
SEND, BROADCAST = "send", "broadcast"
# What a strained one can be asked for: fill your own buffers; tell everybody "count size pause".
FILL, TELL = "fill", "tell"
