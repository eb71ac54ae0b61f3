"""What the library's source does not contain, and must not come to contain."""

import ast
from collections.abc import Iterator
from pathlib import Path

import resilient_channels

SOURCE = Path(resilient_channels.__file__).parent
FILES = {
    path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in SOURCE.rglob("*.py")
}

# Reading with one of these is running what was read.
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "marshal", "shelve", "yaml", "jsonpickle", "code"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__", "pickle", "system", "popen"}

# Where an attribute's name is not written down in the source, and what it is then.
COMPUTED = {
    "compat/layers.py": "a method of the layer that our own code names",
    "core/connection_policies.py": "an option's name, from a list beside it",
    "core/traffic_policies.py": "an option's name, from a list beside it",
    "conf.py": "the names of the setting and of the class attribute",
    "disconnects.py": "names of methods that the class has, at import",
    "dispatching.py": "the handler of a message, behind what `Driver._admits` refuses",
    "layers/hub.py": "a method of the layer that our own code names",
    "layers/proxy.py": "what the consumer's code asks of the layer",
    "layers/resilient.py": "what the project's code asks of the layer",
    "layers/side.py": "the consumer's method for one of our own notices",
    "mixins.py": "the name of the class attribute",
    "observers/logs.py": "the fields of an event of ours",
    "teardown.py": "a method that is marked with @on_disconnect",
    "traits.py": "the name of the error hook",
}


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    for place, tree in FILES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                yield place, name, node


def test_nothing_is_read_in_a_way_that_runs_it():
    imported = {
        (place, name.split(".")[0])
        for place, tree in FILES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
        )
    }
    assert not [found for found in imported if found[1] in UNSAFE_MODULES]
    plain = [(place, name) for place, name, call in calls() if isinstance(call.func, ast.Name)]
    assert not [found for found in plain if found[1] in UNSAFE_CALLS]


def test_a_client_chooses_no_attribute():
    computed = {
        place
        for place, name, call in calls()
        if name in ("getattr", "setattr", "delattr", "hasattr")
        and isinstance(call.func, ast.Name)
        and len(call.args) > 1
        and not isinstance(call.args[1], ast.Constant)
        and not place.startswith(("checks/", "management/"))
    }
    assert computed == set(COMPUTED)


def test_a_log_message_is_a_constant():
    """What is logged is in the record's fields, where each is escaped, never in its message."""
    logged = {
        (place, ast.unparse(call.args[0]))
        for place, name, call in calls()
        if name in ("debug", "info", "warning", "error", "exception", "critical")
        and ast.unparse(call.func).split(".")[0] in ("logger", "logging", "_logger", "_root_logger")
        and not isinstance(call.args[0], ast.Constant)
    }
    assert not logged


def test_no_two_connections_share_what_a_class_holds():
    """What can be changed is made for each object, in its __init__."""
    shared = {
        f"{place}:{cls.name}.{ast.unparse(target)}"
        for place, tree in FILES.items()
        for cls in ast.walk(tree)
        if isinstance(cls, ast.ClassDef)
        for node in cls.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and isinstance(node.value, ast.Dict | ast.List | ast.Set)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    }
    # Options, and what Channels wants a layer to say of itself: read, never written.
    assert shared == {
        "mixins.py:_Mixin.resilience",
        "layers/resilient.py:ResilientChannelLayer.extensions",
    }
