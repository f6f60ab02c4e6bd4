"""The check against the schema finds what is wrong; else the tests that use it would prove nothing."""

from __future__ import annotations

from typing import Any

import pytest

from inlive_banner.exporting import COLUMNS, row_fields
from tests.json_schema import DEFINITIONS, faults
from tests.rows import make_interaction

ROW = row_fields(make_interaction(1))


def test_good_row_has_no_faults() -> None:
    assert faults(ROW, "interaction") == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"banner": None}, "$.banner: None isn't type string"),
        ({"viewed": 1}, "$.viewed: 1 isn't type boolean"),
        ({"received_at": "2026-11-24"}, "$.received_at: '2026-11-24' isn't pattern"),
        ({"visitor_time": ""}, "$.visitor_time: '' isn't anyOf"),
        ({"page_title": "x"}, "$: page_title isn't described"),
    ],
)
def test_fault_is_found(changes: dict[str, Any], fault: str) -> None:
    found = faults(ROW | changes, "interaction")

    assert len(found) == 1
    assert found[0].startswith(fault)


@pytest.mark.parametrize(
    ("value", "schema", "fault"),
    [
        ({"code": 400}, "error", "$: no message"),
        ([{"value": "x", "count": -1}], DEFINITIONS["bars"]["anyOf"][0], "$[0].count: -1 isn't minimum 0"),
        (101, {"type": "number", "maximum": 100}, "$: 101 isn't maximum 100"),
        ("x", {"enum": ["y"]}, "$: 'x' isn't enum ['y']"),
        (True, {"type": "integer"}, "$: True isn't type integer"),
    ],
)
def test_fault_of_each_other_rule_is_found(value: Any, schema: Any, fault: str) -> None:
    assert faults(value, schema) == [fault]


def test_rule_that_is_not_known_is_not_passed_over() -> None:
    with pytest.raises(KeyError):
        faults(1, {"multipleOf": 2})


def test_schema_describes_a_row_as_it_is_exported() -> None:
    assert tuple(DEFINITIONS["interaction"]["properties"]) == COLUMNS
    assert tuple(DEFINITIONS["interaction"]["required"]) == COLUMNS
