"""The tables of deviations speak of cases that there are, and of layers that there are."""

import ast
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from layers.deviations import DEVIATIONS, UNDECIDED
from support.layers_contract import PAIRS, SUBJECTS

CASES = {
    node.name
    for path in Path(__file__).parent.glob("test_*.py")
    for node in ast.parse(path.read_text()).body
    if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)
}
LAYERS = {subject.name for subject in SUBJECTS} | {
    f"{here.name}+{there.name}" for here, there in PAIRS
}


@pytest.mark.parametrize("table", [DEVIATIONS, UNDECIDED], ids=["deviations", "undecided"])
def test_every_row_is_for_a_case_that_there_is(table):
    assert set(table) <= CASES


@pytest.mark.parametrize("table", [DEVIATIONS, UNDECIDED], ids=["deviations", "undecided"])
def test_every_row_is_for_a_layer_that_there_is(table):
    # In front of a layer's name, or after it, stand a case's other parameters.
    idle = [
        pattern
        for row in table.values()
        for pattern in row
        if not any(
            fnmatchcase(where, pattern)
            or fnmatchcase(f"one joins-{where}", pattern)
            or fnmatchcase(f"both join-{where}", pattern)
            or fnmatchcase(f"{where}-send", pattern)
            for where in LAYERS
        )
    ]

    assert idle == []
