"""Numbered places where a scripted double can be told to fail."""

import asyncio

HANG = "hang"
FREEZE = "freeze"  # as a stopped process: who calls waits until it goes on
Fault = BaseException | type[BaseException] | str


class Faults:
    """Counts the calls that pass, and makes the nth of them fail or hang.

    Attributes:
        passed: the names of the places passed so far, in order.
    """

    def __init__(self, at: int | None = None, fault: Fault = HANG) -> None:
        self.at = at
        self.fault = fault
        self.passed: list[str] = []

    async def point(self, name: str) -> None:
        self.passed.append(name)
        if len(self.passed) == self.at:
            await strike(self.fault)


async def strike(fault: Fault) -> None:
    """Raise *fault*, or wait for ever."""
    if fault == HANG:
        await asyncio.get_running_loop().create_future()
    assert not isinstance(fault, str), fault
    if isinstance(fault, BaseException):
        fault.__context__ = None  # raised for the thousandth time, it would remember them all
        fault = fault.with_traceback(None)
    raise fault


class Plan:
    """What the coming calls of one operation shall do: faults, in order, then nothing."""

    def __init__(self) -> None:
        self._queue: list[Fault] = []
        self._standing: Fault | None = None
        self._frozen: list[asyncio.Future[None]] = []

    def add(self, fault: Fault, times: int) -> None:
        self._queue.extend([fault] * times)

    def stand(self, fault: Fault | None) -> None:
        self._standing = fault
        if fault is None:
            self._queue.clear()
        if fault != FREEZE:
            frozen, self._frozen = self._frozen, []
            for call in frozen:
                if not call.done():
                    call.set_result(None)

    @property
    def is_frozen(self) -> bool:
        return self._standing == FREEZE

    async def play(self) -> None:
        if self._queue:
            await strike(self._queue.pop(0))
        elif self.is_frozen:
            call = asyncio.get_running_loop().create_future()
            self._frozen.append(call)
            await call
        elif self._standing is not None:
            await strike(self._standing)
