"""The wheel, built as it would be published."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

__all__ = ["SCRIPTS", "build_wheel"]

ROOT = Path(__file__).resolve().parent.parent

SCRIPTS = "inlive_banner/static/inlive_banner/"
"""Where the wheel has its scripts."""


def build_wheel(folder: Path) -> zipfile.ZipFile:
    """Build it into a folder; returns it, open."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))
