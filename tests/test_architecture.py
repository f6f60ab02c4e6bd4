"""Imports point one way. Each part may import what its row allows, and nothing else of ours."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "inlive_banner"
MODULES = sorted((ROOT / PACKAGE).rglob("*.py"), key=str)

SITE_SIDE = {
    "access",
    "arguments",
    "banner",
    "conf",
    "envelope",
    "exceptions",
    "links",
    "livelog",
    "models",
    "page",
    "panel",
    "query",
    "signing",
    "views",
}
"""What pages are made of. It knows neither the channel's server nor the worker."""

ALLOWED: dict[str, AbstractSet[str]] = {
    "exceptions": set(),
    "tokens": set(),
    "envelope": {"exceptions"},
    "signing": {"exceptions", "tokens"},
    "conf": {"channel.config", "envelope", "exceptions", "signing"},
    "channel": {"channel", "envelope", "exceptions", "tokens"},
    "channel.logs": {"channel.logs", "envelope", "exceptions"},
    "tail": {"envelope", "exceptions", "models", "tail"},
    "models": {"envelope", "rollups"},
    "rollups": set(),
    "migrations": set(),
    "asgi": {"channel", "conf"},
    "apps": {"checks", "retention_checks", "site_checks", "template_checks"},
    "checks": {"banner", "conf", "envelope", "exceptions"},
    "site_checks": {"conf"},
    "template_checks": set(),
    "retention": {"conf", "exceptions"},
    "retention_checks": {"conf", "exceptions", "retention"},
    "streams": {"conf", "exceptions", "models"},
    "pruning": {"models", "streams"},
    "uncounting": {"models", "tail"},
    "erasing": {"envelope", "models", "streams", "tail", "uncounting"},
    "access": SITE_SIDE - {"views"},
    "api_tokens": {"access", "conf", "exceptions"},
    "arguments": {"exceptions"},
    "banner": {"arguments", "conf", "exceptions", "links"},
    "links": {"exceptions"},
    "": {"publishing"},  # the package itself, for the types of a function that loads it when it is called
    "publishing": {"arguments", "conf", "envelope", "exceptions"},
    "rendering": set(),
    "jinja2": {"banner", "conf", "page", "rendering"},
    "snippet": {"banner", "exceptions", "page", "rendering"},
    "outbox": {"conf", "envelope", "exceptions", "models", "publishing"},
    "visitors": {"channel.address", "conf", "exceptions"},
    "redirection": {"arguments", "conf", "envelope", "exceptions", "links", "outbox", "page", "publishing", "visitors"},
    "page": {"conf"},
    "periods": set(),
    "query": {"envelope", "models", "periods"},
    "moment": {"envelope", "models"},
    "buckets": {"models"},
    "rows": {"envelope", "models", "query"},
    "counts": {"buckets", "envelope", "models", "periods", "query"},
    "figures": {"buckets", "counts", "envelope", "models", "periods", "query", "rows"},
    "chart": {"buckets", "numbers"},
    "livelog": {"conf", "envelope", "figures", "models", "moment", "query", "rows"},
    "panel": {"chart", "counts", "envelope", "livelog", "models", "periods", "query"},
    "exporting": {"models"},
    "chunks": {"models", "query", "rows"},
    "paging": {"models", "moment", "query", "rows"},
    "downloads": set(),
    "answers": {"buckets", "counts", "figures", "periods", "query"},
    "api_requests": {"access", "api_tokens", "conf", "envelope", "exceptions", "periods", "query"},
    "api": {
        "answers",
        "api_requests",
        "chunks",
        "downloads",
        "exceptions",
        "exporting",
        "figures",
        "models",
        "moment",
        "paging",
        "periods",
        "query",
    },
    "views": SITE_SIDE | {"api_requests"},
    "urls": {"api", "redirection", "views"},
    "health": {"envelope", "models"},
    "search": {"models"},
    "listing": {"access", "conf", "envelope", "models", "query", "rows"},
    "changelists": {"access", "listing", "query"},
    "wording": {"health", "livelog"},
    "filters": SITE_SIDE | {"panel", "periods", "query"},
    "admin": SITE_SIDE | {"changelists", "exporting", "filters", "health", "listing", "search", "wording"},
    "repeating": set(),
    "numbers": set(),
    "templatetags": SITE_SIDE | {"numbers", "repeating"},
    "management": {"management"},  # and all the others, added below
}
ALLOWED["management"] = set(ALLOWED)
"""Part -> the parts that it may import. A module's row is the longest that its name begins with."""

TYPES_ONLY = "TYPE_CHECKING"

FREE_OF_DJANGO = ("exceptions", "tokens", "envelope", "channel")
"""These run without Django; what they need is passed in."""


def test_table_has_a_row_for_each_module() -> None:
    missing = [name for path in MODULES if (name := name_of(path)) and not row_of(name)]

    assert not missing, f"Say what these may import: {missing}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_module_imports_only_what_its_row_allows(path: Path) -> None:
    name = name_of(path)
    allowed = ALLOWED.get(row_of(name), set())

    arrows = [part for part in own_parts(imports_of(path)) if not covered(part, allowed)]

    assert not arrows, f"{name or PACKAGE} may import {sorted(allowed)} of ours, but imports {sorted(set(arrows))}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_module_free_of_django_imports_none_of_it(path: Path) -> None:
    if not covered(name_of(path), FREE_OF_DJANGO):
        return

    assert not [name for name in imports_of(path) if name.split(".")[0] == "django"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_settings_are_read_by_conf_alone(path: Path) -> None:
    if name_of(path) == "conf":
        return

    assert "django.conf.settings" not in imports_of(path)


def test_package_itself_imports_nothing_that_needs_django() -> None:
    """`inlive_banner.__version__` can be read where Django isn't set up or isn't there."""
    path = ROOT / PACKAGE / "__init__.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    at_start = [node for node in tree.body if not (isinstance(node, ast.If) and ast.unparse(node.test) == TYPES_ONLY)]

    assert set(imports_in(ast.Module(at_start, []), path)) == {"importlib", f"typing.{TYPES_ONLY}", "typing.Any"}


@pytest.mark.parametrize(
    ("statement", "module", "expected"),
    [
        ("import inlive_banner.models", "conf", "inlive_banner.models"),
        ("from inlive_banner import models", "conf", "inlive_banner.models"),
        ("from inlive_banner.models import Position", "conf", "inlive_banner.models.Position"),
        ("from . import models", "conf", "inlive_banner.models"),
        ("from .hub import Hub", "channel/app", "inlive_banner.channel.hub.Hub"),
        ("from ..models import Position", "channel/app", "inlive_banner.models.Position"),
        ("def f():\n    from inlive_banner.models import Position", "conf", "inlive_banner.models.Position"),
    ],
)
def test_imports_are_found_in_every_form(statement: str, module: str, expected: str) -> None:
    """The tests above are worth something only if no form of import escapes them."""
    path = ROOT / PACKAGE / f"{module}.py"

    assert list(imports_in(ast.parse(statement), path)) == [expected]


def name_of(path: Path) -> str:
    """`channel.logs.sqlite` for inlive_banner/channel/logs/sqlite.py, "" for the package's own __init__."""
    parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def row_of(name: str) -> str:
    return max((row for row in ALLOWED if covered(name, {row})), key=len, default="")


def covered(name: str, parts: AbstractSet[str] | tuple[str, ...]) -> bool:
    """Whether a module is one of the parts or lies in one."""
    return any(f"{name}.".startswith(f"{part}.") for part in parts)


def own_parts(imports: Iterator[str]) -> Iterator[str]:
    """What is ours among the imports, named from the package on."""
    for name in imports:
        if name.split(".")[0] in (PACKAGE, "project", "tests"):
            yield name.removeprefix(f"{PACKAGE}.")


def imports_of(path: Path) -> Iterator[str]:
    return imports_in(ast.parse(path.read_text(encoding="utf-8")), path)


def imports_in(tree: ast.Module, path: Path) -> Iterator[str]:
    """Every imported name in full, wherever in the module it is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            package = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
            module = [*package, *([node.module] if node.module else [])]
            yield from (".".join([*module, alias.name]) for alias in node.names)
