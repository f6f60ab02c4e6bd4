"""The matrix in docs/faults.md names each test of the faults, and none that isn't there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.e2e.processes import ROOT

FOLDER = Path(__file__).parent


def test_matrix_has_a_row_for_each_test_and_no_other() -> None:
    rows = [line for line in (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    named = [name for row in rows for name in re.findall(r"`(test_\w+)`", row)]
    modules = [path for path in FOLDER.glob("test_*.py") if path != Path(__file__)]
    nodes = [node for path in modules for node in ast.parse(path.read_text(encoding="utf-8")).body]
    tests = [node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]

    assert sorted(named) == sorted(tests)
    assert len(named) == len(rows) - 2, "a row without a test"
