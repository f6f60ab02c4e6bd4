"""The browser of the tests: Chromium from npm, which needs nothing of the system; else the system's own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from xml.sax.saxutils import escape

from playwright.sync_api import BrowserContext, ConsoleMessage, WebError

__all__ = ["LAUNCH_ARGUMENTS", "Complaints", "environment_of", "find_chromium", "find_original_client"]

ROOT = Path(__file__).resolve().parents[2]

LAUNCH_ARGUMENTS = (
    "--no-sandbox",  # in containers the sandbox's own needs are rarely met; only our pages are opened
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-blink-features=AutomationControlled",  # the tests act for people: navigator.webdriver is false
)

_SYSTEM_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

_UNPACK = 'import chromium from "@sparticuz/chromium"; console.log(await chromium.executablePath());'
"""The package brings its browser compressed, and unpacks it into the folder for temporary files."""

_WITH_LIBRARIES = "AWS_Lambda_nodejs20.x"
"""The package unpacks the libraries too (NSS and expat) where it believes to be in a bare cloud function."""


NODE_MODULES = ROOT / "build" / "npm" / "node_modules"
"""Where `make test` installs what tests/e2e/package.json names."""


def find_chromium() -> Path:
    """The browser to launch. Raises `FileNotFoundError`, saying what to install, where there is none."""
    if (NODE_MODULES / "@sparticuz" / "chromium").is_dir() and shutil.which("node"):
        return _unpacked()
    for name in _SYSTEM_BROWSERS:
        if path := shutil.which(name):
            return Path(path)
    raise FileNotFoundError(
        "The browser tests found no browser. Install Node.js 20 or newer with npm and run `make test`, "
        f"or install one of: {', '.join(_SYSTEM_BROWSERS)}."
    )


def environment_of(chromium: Path) -> dict[str, str | float | bool]:
    """The environment to launch it with: the libraries and fonts that were unpacked beside it come first."""
    environment: dict[str, str | float | bool] = dict(os.environ)
    libraries = chromium.parent / "al2023" / "lib"
    if libraries.is_dir():
        environment["LD_LIBRARY_PATH"] = f"{libraries}:{os.environ.get('LD_LIBRARY_PATH', '')}".rstrip(":")
        environment["FONTCONFIG_FILE"] = str(_font_configuration(chromium.parent))
    return environment


def find_original_client() -> Path:
    """The folder of the original service's published client. Raises `FileNotFoundError`, saying what to do."""
    folder = NODE_MODULES / "@inlivedev" / "inlive-js-sdk" / "dist"
    if not folder.is_dir():
        raise FileNotFoundError(
            "The original service's client isn't installed. Install Node.js 20 or newer with npm, see that npm "
            "reaches its registry, and run `make test`."
        )
    return folder


def _unpacked() -> Path:
    package = json.loads((NODE_MODULES / "@sparticuz" / "chromium" / "package.json").read_text(encoding="utf-8"))
    target = NODE_MODULES.parent / f"chromium-{package['version']}"
    if not (target / "chromium").exists():
        # Unpacked beside and renamed, so that a run that is broken off leaves no half of a browser.
        folder = Path(tempfile.mkdtemp(prefix="chromium-", dir=NODE_MODULES.parent))
        subprocess.run(
            ["node", "--input-type=module", "--eval", _UNPACK],
            cwd=NODE_MODULES.parent,
            env={**os.environ, "TMPDIR": str(folder), "AWS_EXECUTION_ENV": _WITH_LIBRARIES},
            check=True,
            capture_output=True,
            timeout=120,
        )
        shutil.rmtree(target, ignore_errors=True)
        folder.rename(target)
    return target / "chromium"


def _font_configuration(folder: Path) -> Path:
    """A configuration that finds the unpacked font: the package's own looks for it in fixed places only.

    Without any font text has no size, and nothing that consists of text can be clicked.
    """
    path = folder / "fonts.conf"
    path.write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>'
        f"<dir>{escape(str(folder / 'fonts'))}</dir><dir>/usr/share/fonts</dir>"
        f"<cachedir>{escape(str(folder / 'font-cache'))}</cachedir></fontconfig>",
        encoding="utf-8",
    )
    return path


class Complaints:
    """What the pages of a context complain about: console errors, uncaught exceptions, refused content.

    A test fails if there are any but those that it has allowed.
    """

    def __init__(self, context: BrowserContext) -> None:
        self._heard: list[str] = []
        self._allowed: list[re.Pattern[str]] = []
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)

    def allow(self, pattern: str) -> None:
        """Expect complaints that the regular expression finds itself in."""
        self._allowed.append(re.compile(pattern))

    @property
    def heard(self) -> list[str]:
        """All complaints, the allowed ones too."""
        return list(self._heard)

    @property
    def unexpected(self) -> list[str]:
        """The complaints that no pattern allows."""
        return [line for line in self._heard if not any(pattern.search(line) for pattern in self._allowed)]

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._heard.append(f"{message.text} ({message.location.get('url', '')})")

    def _on_error(self, error: WebError) -> None:
        self._heard.append(str(error.error))
