"""Puts minified scripts into the wheel. A checkout or an editable install serves their sources as they are.

The script of the logs page is bundled with its modules, so that a browser asks for one file. The minifiers, terser and
esbuild, are from npm; `make wheel` and `make test` install them into build/npm. Where they aren't there, as for those
who install from source without Node.js, the wheel gets the sources: they do the same, and are larger.
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
"""Minifies a script by itself: smaller than esbuild does, and the banner's bytes count."""
_ESBUILD = Path("build", "npm", "node_modules", "esbuild", "bin", "esbuild")
"""Bundles and minifies."""
_CONST = re.compile(r"(?<![\w$.\"'` ])const (?=[\w$\[{])")
"""Declarations as terser writes them. `let` is shorter, and of two kinds of declaration one compresses better; writing
to a `const` would have failed in the tests, which run the sources. In text of ours the word stands behind a space."""
_SCRIPTS = Path("inlive_banner", "static", "inlive_banner")


_BUNDLED = "logs.js"
_MODULES = _SCRIPTS / "logs"
"""What is bundled into it. pyproject.toml leaves them out of the wheel."""


class MinifyScripts(BuildHookInterface[Any]):
    """Replaces each script of the wheel by what the minifiers make of it, under the same name."""

    _folder: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Minify. Raises `CalledProcessError` for a script that a minifier can't read."""
        root = Path(self.root)
        if version == "editable":
            return
        node = shutil.which("node")
        included = build_data["force_include"]
        if not node or not (root / _TERSER).is_file() or not (root / _ESBUILD).is_file():
            self.app.display_warning("The scripts aren't minified: `make wheel` would, with Node.js and npm.")
            for module in (root / _MODULES).glob("*.js"):
                included[str(module)] = (_MODULES / module.name).as_posix()
            return
        self._folder = tempfile.TemporaryDirectory()
        for source in sorted((root / _SCRIPTS).glob("*.js")):
            minified = Path(self._folder.name, source.name)
            # All are of this machine's own: Node.js, and what was installed beside this file.
            if source.name == _BUNDLED:
                text = _run(
                    str(root / _ESBUILD), str(source), "--bundle", "--minify", "--format=esm", "--target=es2022"
                )
            else:
                text = _run(node, str(root / _TERSER), str(source), "--module", "--compress", "--mangle")
                text = _CONST.sub("let ", text)
            minified.write_text(text.rstrip("\n"), encoding="utf-8")
            included[str(minified)] = (_SCRIPTS / source.name).as_posix()

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Clean up."""
        if self._folder:
            self._folder.cleanup()


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8").stdout  # noqa: S603
