"""Each claim in the documentation names its tests, and each test here has its claim."""

import ast
import re
from pathlib import Path

import pytest

from security.test_bounds import all_tests

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "explanation" / "security.md"

CLAIM = re.compile(r"^\| (?P<claim>[^|]+) \| (?P<tests>`test_[^|]+) \|$", re.MULTILINE)
CLAIMS = {
    match["claim"]: re.findall(r"`(test_\w+)`", match["tests"])
    for match in CLAIM.finditer(PAGE.read_text(encoding="utf-8"))
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_every_claim_is_proven_by_tests_that_exist(claim: str):
    assert set(CLAIMS[claim]) <= all_tests()


def test_every_row_of_a_table_of_claims_is_one():
    text = PAGE.read_text(encoding="utf-8")
    tables = re.findall(
        r"^\| Claim \| Proven by \|\n\|---\|---\|\n((?:\|.*\n)+)", text, re.MULTILINE
    )

    assert sum(table.count("\n") for table in tables) == len(CLAIMS) > 20


def test_every_test_here_proves_a_claim():
    proven = {test for tests in CLAIMS.values() for test in tests}
    here = {
        node.name
        for path in [*HERE.glob("test_*.py"), *(HERE.parent / "fuzz").glob("test_*.py")]
        if path.name != "test_claims.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }

    assert here - proven == set()
