"""Where the machine lacks something, `make` says so in one line that can be acted on."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ("sh", "mkdir", "cp", "touch", "rm")
"""What a Makefile may expect anywhere."""


@pytest.fixture
def bare_folder(tmp_path: Path) -> Path:
    """The Makefile in a folder whose name has a space, and a `bin` with nothing but the simplest tools."""
    folder = tmp_path / "a folder"
    (folder / "bin").mkdir(parents=True)
    (folder / "tests" / "e2e").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "tests/e2e/package.json"):
        shutil.copy(ROOT / name, folder / name)
    for tool in TOOLS:
        path = shutil.which(tool)
        assert path, f"this machine has no {tool}"
        (folder / "bin" / tool).symlink_to(path)
    return folder


def add_tool(folder: Path, name: str, script: str) -> None:
    path = folder / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def make(folder: Path, target: str) -> subprocess.CompletedProcess[str]:
    path = shutil.which("make")
    assert path
    return subprocess.run(
        [path, target],
        cwd=folder,
        env={"PATH": str(folder / "bin")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def own_lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What was printed to stderr, without make's own last line."""
    return [line for line in done.stderr.splitlines() if not line.startswith("make")]


def test_make_without_python_says_what_to_install(bare_folder: Path) -> None:
    done = make(bare_folder, ".venv/bin/python")

    assert done.returncode != 0
    (line,) = own_lines(done)
    assert "No Python 3.11 or newer" in line
    assert "python3-venv" in line


def test_make_with_an_old_python_says_what_to_install(bare_folder: Path) -> None:
    add_tool(bare_folder, "python3", "exit 1")

    assert "No Python 3.11 or newer" in own_lines(make(bare_folder, ".venv/bin/python"))[0]


def test_make_takes_the_first_python_that_fits(bare_folder: Path) -> None:
    add_tool(bare_folder, "python3", "exit 1")
    add_tool(
        bare_folder,
        "python3.12",
        'case "$*" in *venv*) mkdir -p .venv/bin; cp bin/python3.12 .venv/bin/python;; --version) echo Fitting;; esac',
    )

    done = make(bare_folder, ".venv/bin/python")

    assert done.returncode == 0, done.stderr
    assert "Making .venv with Fitting" in done.stdout


def test_make_broken_off_leaves_no_half_environment(bare_folder: Path) -> None:
    """A venv whose pip couldn't be brought up to date would fail for ever after."""
    add_tool(
        bare_folder,
        "python3",
        'case "$*" in *venv*) mkdir -p .venv/bin; cp bin/python3 .venv/bin/python;; *pip*) exit 1;; esac',
    )

    done = make(bare_folder, ".venv/bin/python")

    assert done.returncode != 0
    assert not (bare_folder / ".venv" / "bin" / "python").exists()


def test_make_without_npm_and_browser_says_what_to_install(bare_folder: Path) -> None:
    done = make(bare_folder, "build/npm/installed")

    assert done.returncode != 0
    assert own_lines(done) == ["The tests need a browser: install Node.js 20 or newer with npm, or Chromium."]


def test_make_without_npm_falls_back_to_the_systems_browser(bare_folder: Path) -> None:
    add_tool(bare_folder, "chromium", "exit 0")

    done = make(bare_folder, "build/npm/installed")

    assert done.returncode == 0, done.stderr
    assert "the tests use this system's browser" in done.stdout


def test_make_where_npm_fails_fails_and_tries_again_next_time(bare_folder: Path) -> None:
    add_tool(bare_folder, "npm", "exit 1")

    assert make(bare_folder, "build/npm/installed").returncode != 0
    assert not (bare_folder / "build" / "npm" / "installed").exists()
