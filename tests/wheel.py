"""The wheel, built as it would be published."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

__all__ = ["BUNDLED", "SCRIPTS", "build_wheel"]

ROOT = Path(__file__).resolve().parent.parent

SCRIPTS = "inlive_banner/static/inlive_banner/"
"""Where the wheel has its scripts."""

BUNDLED = f"{SCRIPTS}logs/"
"""The modules of logs.js, which the wheel has in that one file."""


def build_wheel(folder: Path, **environment: str) -> zipfile.ZipFile:
    """Build it into a folder, with these variables in the environment; returns it, open."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    given = os.environ | environment
    done = subprocess.run(build, cwd=ROOT, env=given, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))
