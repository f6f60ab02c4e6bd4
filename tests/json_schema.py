"""Checks values against `docs/api.schema.json`: as much of JSON Schema as that file uses, and nothing passed over."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_PATH = Path(__file__).parent.parent / "docs" / "api.schema.json"

DEFINITIONS = json.loads(_PATH.read_text(encoding="utf-8"))["$defs"]

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def faults(value: Any, schema: str | dict[str, Any], where: str = "$") -> list[str]:
    """What is wrong with the value, each with its place; `schema` is one, or the name of a definition.

    Stricter than JSON Schema in one thing: an object has no other members than those that are described. Raises
    `KeyError` for a rule that isn't known here.
    """
    if isinstance(schema, str):
        return faults(value, DEFINITIONS[schema], where)
    found: list[str] = []
    for key, rule in schema.items():
        if key in _WITHIN:
            found += _WITHIN[key](value, rule, where)
        elif not _FITS[key](value, rule):
            found.append(f"{where}: {value!r} isn't {key} {rule}")
    return found


def _is_of(value: Any, types: str | list[str]) -> bool:
    names = [types] if isinstance(types, str) else types
    return any(isinstance(value, _TYPES[name]) and (not isinstance(value, bool) or name == "boolean") for name in names)


def _member_faults(value: Any, properties: dict[str, Any], where: str) -> Iterator[str]:
    for name, item in value.items() if isinstance(value, dict) else ():
        if name in properties:
            yield from faults(item, properties[name], f"{where}.{name}")
        else:
            yield f"{where}: {name} isn't described"


def _item_faults(value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
    for index, item in enumerate(value if isinstance(value, list) else ()):
        yield from faults(item, schema, f"{where}[{index}]")


_WITHIN: dict[str, Callable[[Any, Any, str], Any]] = {
    "$ref": lambda value, rule, where: faults(value, rule.removeprefix("#/$defs/"), where),
    "properties": _member_faults,
    "items": _item_faults,
    "required": lambda value, rule, where: [f"{where}: no {name}" for name in rule if name not in (value or ())],
}
"""Rules of which the faults of parts are those of the whole."""

_FITS: dict[str, Callable[[Any, Any], bool]] = {
    "$comment": lambda _value, _rule: True,
    "description": lambda _value, _rule: True,
    "type": _is_of,
    "enum": lambda value, rule: value in rule,
    "anyOf": lambda value, rule: any(not faults(value, one) for one in rule),
    "pattern": lambda value, rule: not isinstance(value, str) or re.search(rule, value, re.ASCII) is not None,
    "minimum": lambda value, rule: not _is_of(value, "number") or value >= rule,
    "maximum": lambda value, rule: not _is_of(value, "number") or value <= rule,
}
