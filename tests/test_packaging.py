"""What is built has everything in it, and no test is passed over in silence."""

from __future__ import annotations

import ast
import email
import gzip
import re
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from pathlib import Path

import pytest
from django.template import Context, Template
from django.templatetags.static import static

import inlive_banner
from tests.wheel import BUNDLED, SCRIPTS, build_wheel

ROOT = Path(__file__).resolve().parent.parent
TEST_MODULES = sorted((ROOT / "tests").rglob("test_*.py"), key=str)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, as it would be published."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(wheel.read(name))


def test_wheel_holds_each_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    """Templates, static files, migrations, the marker for types: whatever lies in the package."""
    package = ROOT / "inlive_banner"
    files = {path.relative_to(ROOT).as_posix() for path in package.rglob("*") if path.is_file()}
    expected = {name for name in files if "__pycache__" not in name and not name.startswith(BUNDLED)}

    missing = expected - set(wheel.namelist())

    assert not missing
    for kind in (
        "py.typed",
        "migrations/0001_initial.py",
        "banner.js",
        "retry.js",
        "views.js",
        "consent.js",
        "actions.js",
        "banner.css",
        "banner.html",
        "logs.html",
        "ar/LC_MESSAGES/django.mo",
    ):
        assert any(name.endswith(kind) for name in expected), f"{kind} isn't in the package itself"


def test_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    """The demo, the tests and what tools leave behind stay at home."""
    tops = {name.split("/")[0] for name in wheel.namelist()}

    assert tops == {"inlive_banner", f"django_inlive_banner-{inlive_banner.__version__}.dist-info"}
    assert not [name for name in wheel.namelist() if "__pycache__" in name]


def test_page_with_a_banner_loads_at_most_a_thousand_bytes_of_script(wheel: zipfile.ZipFile) -> None:
    """Of the wheel, minified, and compressed as a server would."""
    page = Template("{% load inlive_banner %}{% inlive_banner %}{% inlive_banner %}").render(Context())
    sources = re.findall(r'<script[^>]* src="([^"]+)"', page)

    names = [source.removeprefix(static("inlive_banner/")) for source in sources]
    sizes = {name: len(gzip.compress(wheel.read(SCRIPTS + name), 9)) for name in names}

    assert list(sizes) == ["banner.js"]
    assert sum(sizes.values()) <= 1000, sizes


def test_wheel_has_its_scripts_minified(wheel: zipfile.ZipFile) -> None:
    """By what `make test` installs from npm. A checkout serves the sources."""
    sources = {path.name: path.stat().st_size for path in (ROOT / SCRIPTS).glob("*.js")}
    sources["logs.js"] += sum(path.stat().st_size for path in (ROOT / BUNDLED).glob("*.js"))

    sizes = {name: wheel.getinfo(SCRIPTS + name).file_size for name in sources}

    assert all(sizes[name] < sources[name] / 2 for name in sources), (sizes, sources)


def test_wheel_has_the_logs_script_in_one_file(wheel: zipfile.ZipFile) -> None:
    script = wheel.read(f"{SCRIPTS}logs.js").decode()

    assert not [name for name in wheel.namelist() if name.startswith(BUNDLED)]
    assert not re.search(r"""\bimport\b|\bfrom\s*["']""", script)
    assert re.search(r"export\s*\{[^}]*\breadInteraction\b", script)


def test_wheel_that_is_built_without_node_has_each_script_as_it_is(tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path, PATH="")

    for path in (ROOT / SCRIPTS).rglob("*.js"):
        assert wheel.read(path.relative_to(ROOT).as_posix()) == path.read_bytes()


def test_wheel_has_the_version_of_the_package(metadata: Message) -> None:
    assert metadata["Version"] == inlive_banner.__version__


def test_wheel_asks_for_the_server_only_as_an_extra(metadata: Message) -> None:
    """A site that shows banners and reads logs needs no ASGI server."""
    needed = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    names = {re.split(r"[<>=\[ ]", line)[0] for line in needed}

    assert names == {"django", "msgspec", "requests", "sseclient-py"}


def test_package_is_imported_without_django() -> None:
    """`inlive_banner.__version__` can be asked for anywhere."""
    script = "import sys, inlive_banner; sys.exit(any(name.split('.')[0] == 'django' for name in sys.modules))"

    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=30, check=False)

    assert done.returncode == 0


def test_dependency_has_its_reason_beside_it() -> None:
    """One line of comment on why each is there; sets of them that are included explain themselves."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)
    groups = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    dependencies = {entry for group in groups for entry in group if isinstance(entry, str)}

    explained = set(re.findall(r'^ *"([^"]+)", +# \w', text, re.MULTILINE))

    assert dependencies <= explained


@pytest.mark.parametrize("path", TEST_MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_class_of_tests_is_named_so_that_pytest_finds_it(path: Path) -> None:
    """pytest passes over a plain class called `SomethingTests`, and says nothing."""
    classes = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
    with_tests = [
        node.name
        for node in classes
        if any(isinstance(part, ast.FunctionDef) and part.name.startswith("test") for part in node.body)
    ]

    assert not [name for name in with_tests if not name.startswith("Test")]


def test_module_of_tests_is_named_so_that_pytest_finds_it() -> None:
    """Only `test_….py` is collected: no other module may have tests."""
    others = [path for path in (ROOT / "tests").rglob("*.py") if not path.name.startswith("test_")]

    overlooked = [
        path.name
        for path in others
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]

    assert not overlooked
