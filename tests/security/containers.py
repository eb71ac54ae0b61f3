"""Finds everything in the library's source that can hold a growing number of things."""

import ast
from collections.abc import Iterator
from pathlib import Path

import resilient_channels

SOURCE = Path(resilient_channels.__file__).parent
# What runs once, when a process starts or a command is called.
STARTUP = ("checks", "management", "templatetags")

MAKERS = {
    "set", "dict", "list", "deque", "defaultdict", "Counter", "OrderedDict", "Queue", "WeakSet",
    "WeakKeyDictionary", "WeakValueDictionary",
}  # fmt: skip


def find_containers() -> Iterator[str]:
    """``path:Class.attribute``, ``path:name`` or ``path:function()`` of each."""
    for path in sorted(SOURCE.rglob("*.py")):
        place = path.relative_to(SOURCE).as_posix()
        if not place.startswith(STARTUP):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            yield from (f"{place}:{name}" for name in dict.fromkeys(find_in(tree.body, "")))


def find_in(body: list[ast.stmt], owner: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from find_in(node.body, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if any(is_cache(decorator) for decorator in node.decorator_list):
                yield f"{owner}{node.name}()"
            for inner in ast.walk(node):
                yield from find_attributes(inner, owner)
        else:
            yield from find_names(node, owner)


def find_attributes(node: ast.AST, owner: str) -> Iterator[str]:
    for target, value in assignments(node):
        if isinstance(target, ast.Attribute) and is_empty(value):
            yield f"{owner}{target.attr}"


def find_names(node: ast.stmt, owner: str) -> Iterator[str]:
    for target, value in assignments(node):
        if isinstance(target, ast.Name) and is_empty(value):
            yield f"{owner}{target.id}"


def assignments(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                yield from zip(target.elts, node.value.elts, strict=False)
            else:
                yield target, node.value
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        yield node.target, node.value


def is_empty(value: ast.expr) -> bool:
    """Whether *value* begins with nothing in it, and may be filled."""
    if isinstance(value, ast.Dict):
        return not value.keys
    if isinstance(value, ast.List | ast.Tuple | ast.Set):
        return not value.elts
    if isinstance(value, ast.Call):
        made = value.func
        name = made.attr if isinstance(made, ast.Attribute) else getattr(made, "id", "")
        return name in MAKERS and not value.args
    return False


def is_cache(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return getattr(called, "id", getattr(called, "attr", "")) in ("cache", "lru_cache")
