"""What the harness says when something was left behind."""

import asyncio
import io
from typing import Any


class TasksLeft(AssertionError):
    """Tasks that were still pending when the test had ended."""

    def __init__(self, tasks: list[str]) -> None:
        self.tasks = tasks
        super().__init__("tasks were left pending:\n" + "\n".join(tasks))


class NeverRetrieved(AssertionError):
    """Failures that nobody looked at."""

    def __init__(self, complaints: list[str]) -> None:
        self.complaints = complaints
        super().__init__("failures that nobody looked at:\n" + "\n".join(complaints))


def describe_task(task: asyncio.Task[Any]) -> str:
    out = io.StringIO()
    task.print_stack(limit=6, file=out)
    return f"  {task.get_name()}: {out.getvalue().rstrip()}"


def is_unretrieved(future: asyncio.Future[Any]) -> bool:
    # asyncio's own flag: set with the exception, cleared by whoever reads it.
    return future.done() and not future.cancelled() and bool(future._log_traceback)
