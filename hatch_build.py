"""Puts minified scripts into the wheel. A checkout or an editable install serves their sources as they are.

The minifier is terser from npm, which `make wheel` and `make test` install into build/npm. Where it isn't there,
as for those who install from source without Node.js, the wheel gets the sources: they do the same, and are larger.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_TERSER = Path("build", "npm", "node_modules", "terser", "bin", "terser")
_CONST = re.compile(r"(?<![\w$.\"'` ])const (?=[\w$\[{])")
"""Declarations as terser writes them. `let` is shorter, and of two kinds of declaration one compresses better; writing
to a `const` would have failed in the tests, which run the sources. In text of ours the word stands behind a space."""
_SCRIPTS = Path("inlive_banner", "static", "inlive_banner")


class MinifyScripts(BuildHookInterface[Any]):
    """Replaces each script of the wheel by what terser makes of it, under the same name."""

    _folder: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Minify. Raises `CalledProcessError` for a script that terser can't read."""
        root = Path(self.root)
        node = shutil.which("node")
        if version == "editable":
            return
        if not node or not (root / _TERSER).is_file():
            self.app.display_warning("The scripts aren't minified: `make wheel` would, with Node.js and npm.")
            return
        self._folder = tempfile.TemporaryDirectory()
        for source in sorted((root / _SCRIPTS).glob("*.js")):
            minified = Path(self._folder.name, source.name)
            options = ("--module", "--compress", "--mangle")
            # Both are of this machine's own: Node.js, and what was installed beside this file.
            command = [node, str(root / _TERSER), str(source), *options]
            done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
            minified.write_text(_CONST.sub("let ", done.stdout.rstrip("\n")), encoding="utf-8")
            build_data["force_include"][str(minified)] = (_SCRIPTS / source.name).as_posix()

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Clean up."""
        if self._folder:
            self._folder.cleanup()
