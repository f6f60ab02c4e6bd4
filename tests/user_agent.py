"""The user agent of the tests' clients: a browser's, because what a program sends is labelled as a crawler's."""

from __future__ import annotations

__all__ = ["USER_AGENT"]

USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36"
