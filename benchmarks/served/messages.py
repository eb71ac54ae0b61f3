"""What a group is told; the same bytes reach a member whoever distributes them."""

from __future__ import annotations

GROUP = "everybody"
EVENT = {"type": "chat.message", "text": "to be read by everybody", "number": 12345}
# What a control connection can be asked for; each word is one message to the whole group.
SEND, BROADCAST = "send", "broadcast"
