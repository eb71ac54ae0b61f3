"""The buttons of the page: what each fault is called, and what it is in plain words."""

from __future__ import annotations

from dataclasses import dataclass

from . import amounts, durations, restarting

NEED_A_SUPERVISOR = ("deploy", "server-restart")


@dataclass(frozen=True)
class Fault:
    """One button."""

    name: str
    title: str
    about: str

    @property
    def is_impossible(self) -> bool:
        """Whether this server cannot do it."""
        return self.name in NEED_A_SUPERVISOR and not restarting.is_possible()


IN_THE_CONSUMER = (
    Fault("handler-exception", "Handler exception", "A handler raises: a bug like any other."),
    Fault(
        "unknown-event",
        "Unknown layer event",
        "The channel layer delivers an event of a type that this consumer has no handler for, "
        "as during a deployment.",
    ),
    Fault("send-after-close", "Send after close", "A handler closes the socket, then sends."),
    Fault("double-close", "Double close", "A handler closes the socket twice."),
    Fault(
        "slow-handler",
        f"Slow handler, {durations.SLOW_HANDLER:g} s",
        f"A handler takes {durations.SLOW_HANDLER:g} s, longer than the heartbeat forgives silence "
        f"({durations.BOUND:g} s). The page is there all the while.",
    ),
)
FROM_THE_CLIENT = (
    Fault("malformed-json", "Malformed JSON", "The page sends half a JSON document."),
    Fault("binary-frame", "Binary frame", "The page sends bytes to a consumer that expects JSON."),
    Fault("empty-frame", "Empty frame", "The page sends an empty message."),
    Fault(
        "flood",
        f"Flood of {amounts.FLOOD} messages",
        f"The page sends {amounts.FLOOD} messages at once. The resilient consumer takes "
        f"{amounts.BURST} at once, and {amounts.RATE:g} a second: no person types that fast.",
    ),
    Fault(
        "leave-in-handler",
        "Leave during a slow handler",
        f"The page leaves while a handler of {durations.LEFT_HANDLER:g} s is at work; the handler "
        "then answers nobody.",
    ),
    Fault("close-1000", "Close with 1000", "The page says goodbye in the ordinary way."),
    Fault("close-4000", "Close with 4000", "The page leaves with an application's own code."),
    Fault(
        "frozen-page",
        f"Frozen page, {durations.FROZEN:g} s",
        f"This page stops for {durations.FROZEN:g} s, like a laptop with its lid closed: nothing "
        "on it moves, reads or answers. Its TCP connections stay up.",
    ),
    Fault(
        "slow-reader",
        f"Slow reader, {amounts.STREAM_MB} MB",
        f"The server sends {amounts.STREAM_MB} MB to each pane while this page stops for "
        f"{durations.NOT_READING:g} s and reads none of it. That is too short for a heartbeat to "
        f"miss it. For the resilient consumer no more than {amounts.OUTBOX_MB:g} MB may wait.",
    ),
)
IN_THE_SERVER = (
    Fault(
        "layer-away",
        f"Layer away, {durations.LAYER_AWAY:g} s",
        f"The channel layer fails every call for {durations.LAYER_AWAY:g} s, as when Redis "
        "restarts.",
    ),
    Fault(
        "blocked-loop",
        f"Blocked event loop, {durations.BLOCKED:g} s",
        f"Somebody's code sleeps in the event loop for {durations.BLOCKED:g} s. All pongs are late "
        f"(the timeout is {durations.TIMEOUT:g} s), and it is not the clients' fault.",
    ),
    Fault(
        "deploy",
        "Deploy",
        "The server is told to end (SIGTERM), as by any deployment, and another one takes its "
        "place. The resilient clients are let go first, and told when to come back."
        if restarting.is_possible()
        else "Only a server that scripts/demo.py has started can be replaced from here.",
    ),
    Fault(
        "server-restart",
        "Server restart",
        "The server process dies without a word, and another one takes its place."
        if restarting.is_possible()
        else "Only a server that scripts/demo.py has started can be restarted from here.",
    ),
)
GROUPS = (
    ("In the consumer", IN_THE_CONSUMER),
    ("From the client", FROM_THE_CLIENT),
    ("In the server", IN_THE_SERVER),
)
