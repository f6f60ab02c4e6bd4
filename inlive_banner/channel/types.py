"""The shapes of ASGI (https://asgi.readthedocs.io/en/latest/specs/www.html), as far as the channel uses them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

__all__ = ["ASGIApp", "Message", "Receive", "Scope", "Send"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Coroutine[Any, Any, Message]]
Send = Callable[[Message], Coroutine[Any, Any, None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
