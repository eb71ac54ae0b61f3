"""Write a consumer once, async; get its synchronous twin.

Only what Channels itself does by hand is translated: ``async def`` to ``def``, ``await x`` to
``x``, the async base classes to the sync ones, and awaited channel-layer calls to
``async_to_sync(...)``.  ``__call__`` and ``dispatch`` stay: Channels awaits them on sync
consumers, too.
"""

import ast
import functools
import inspect
import sys
import textwrap
from typing import Any

from asgiref.sync import async_to_sync
from channels.consumer import SyncConsumer
from channels.generic.websocket import JsonWebsocketConsumer, WebsocketConsumer

ALWAYS_ASYNC = ("__call__", "dispatch")
SYNC_NAMES = {
    "AsyncConsumer": SyncConsumer,
    "AsyncWebsocketConsumer": WebsocketConsumer,
    "AsyncJsonWebsocketConsumer": JsonWebsocketConsumer,
}


@functools.cache
def sync_twin(consumer: type) -> type:
    """The same consumer as a synchronous one."""
    lines, first = inspect.getsourcelines(consumer)
    module = ast.increment_lineno(ast.parse(textwrap.dedent("".join(lines))), first - 1)
    tree = ast.fix_missing_locations(Translator().visit(module))
    namespace = dict(vars(sys.modules[consumer.__module__]))
    namespace.update(SYNC_NAMES, async_to_sync=async_to_sync)
    for base in consumer.__bases__:
        if base.__module__ == consumer.__module__:  # a parent from the same test module
            namespace[base.__name__] = sync_twin(base)
    exec(compile(tree, inspect.getsourcefile(consumer) or "<twin>", "exec"), namespace)
    twin: type = namespace[consumer.__name__]
    return twin


class Translator(ast.NodeTransformer):
    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> Any:
        if node.name in ALWAYS_ASYNC:
            return node
        self.generic_visit(node)
        fields = {name: getattr(node, name) for name in node._fields}
        return ast.copy_location(ast.FunctionDef(**fields), node)

    def visit_Await(self, node: ast.Await) -> Any:
        self.generic_visit(node)
        call = node.value
        if isinstance(call, ast.Call) and is_layer_method(call.func):
            name = ast.Name("async_to_sync", ast.Load())
            call.func = ast.Call(name, [call.func], [])
        return call


def is_layer_method(func: ast.expr) -> bool:
    """``self.channel_layer.group_add`` and its kin."""
    return (
        isinstance(func, ast.Attribute)
        and isinstance(func.value, ast.Attribute)
        and func.value.attr == "channel_layer"
    )
