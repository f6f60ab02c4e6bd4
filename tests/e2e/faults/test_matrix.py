"""The matrix in docs/faults.md names each test of the faults, and none that isn't there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.e2e.processes import ROOT

FOLDER = Path(__file__).parent

ELSEWHERE = (
    "tests/e2e/test_channel_faults.py",
    "tests/e2e/test_channel_fsync.py",
    "tests/channel/logs/test_sqlite_torn.py",
    "tests/test_exactly_once_machine.py",
)
"""Modules of faults that stand beside what they are about."""


def test_matrix_has_a_row_for_each_test_and_no_other() -> None:
    lines = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith(("| fault |", "| --- |"))]
    named = [name for row in rows for name in re.findall(r"`(test_\w+)`", row)]
    modules = [path for path in FOLDER.glob("test_*.py") if path != Path(__file__)]
    modules += [ROOT / name for name in ELSEWHERE]
    nodes = [node for path in modules for node in ast.parse(path.read_text(encoding="utf-8")).body]
    tests = [node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]

    assert sorted(named) == sorted(tests)
    assert len(named) == len(rows), "a row without a test, or with two"
    assert {row.count(" | ") for row in rows} == {4}, "a row without one of its five cells"
