"""Every error that the package raises on purpose.

Each class also subclasses the builtin that a caller would expect, and says in its message what was wrong,
the offending value, and what to do about it.
"""

from __future__ import annotations

__all__ = [
    "ConfigurationError",
    "ExpiredTokenError",
    "InliveBannerError",
    "InvalidBannerError",
    "InvalidEnvelopeError",
    "InvalidPublishError",
    "InvalidTokenError",
    "InvalidTokenOptionError",
    "LogBusyError",
    "LogError",
    "LogOwnedError",
    "LogUnavailableError",
    "PublishError",
    "PublishRefusedError",
    "PublishUnavailableError",
    "RefusedRequestError",
    "RevokedTokenError",
    "SourceError",
    "SourceRefusedError",
    "SourceUnavailableError",
]


class InliveBannerError(Exception):
    """The root of all errors of this package."""


class ConfigurationError(InliveBannerError, ValueError):
    """A setting is missing or can't be used. The message names the setting and shows a value that works."""


class RowsRetentionError(InliveBannerError, ValueError):
    """Rows would be deleted that could be delivered again, and then be counted a second time."""


class InvalidBannerError(InliveBannerError, ValueError):
    """An argument of a banner can't be used. The message names the argument and says what to write instead."""

    def __init__(self, message: str, *, argument: str) -> None:
        super().__init__(message)
        self.argument = argument
        """The argument at fault, by its name in the template tag."""


class InvalidPublishError(InliveBannerError, ValueError):
    """What is to be published can't be. The message names the argument and says what to give instead."""

    def __init__(self, message: str, *, argument: str) -> None:
        super().__init__(message)
        self.argument = argument
        """The argument of `publish()` at fault."""


class InvalidEnvelopeError(InliveBannerError, ValueError):
    """A message from outside isn't what the wire protocol asks for."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field
        """The JSON field at fault, or "" where the whole body is."""


class InvalidTokenError(InliveBannerError, PermissionError):
    """A token or ticket is forged, expired, or made for another stream or purpose."""


class ExpiredTokenError(InvalidTokenError):
    """The time of an API token is over. Its reader needs a new one."""


class RevokedTokenError(InvalidTokenError):
    """An API token was good, and its account has ended it: by another password, or by being closed."""


class InvalidTokenOptionError(InliveBannerError, ValueError):
    """An API token can't be made like this. The message says what to do first, or to give instead."""

    def __init__(self, message: str, *, argument: str) -> None:
        super().__init__(message)
        self.argument = argument
        """The argument of `make_token()` at fault."""


class RefusedRequestError(InliveBannerError, ValueError):
    """A request to the API can't be answered. The message says why, and what to ask instead."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status of the answer."""


class LogError(InliveBannerError, OSError):
    """The root of the durable log's errors."""


class LogUnavailableError(LogError):
    """The log can't be opened, read or written now; nothing of the failed append was stored."""


class LogOwnedError(LogError):
    """Another process owns the log's file."""


class LogBusyError(LogUnavailableError):
    """The log is at its size limit or its queue is full: try again later; nothing was stored."""


class SourceError(InliveBannerError, ConnectionError):
    """The root of the worker's errors in talking to the channel."""


class SourceUnavailableError(SourceError):
    """The channel can't be reached or broke off. Worth trying again."""

    def __init__(self, message: str, *, retry_after_seconds: float = 0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        """How long the channel asks to wait before; 0 where it doesn't say."""


class SourceRefusedError(SourceError):
    """The channel answered that this worker may not read the stream. Trying again won't help."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status of the refusal."""


class PublishError(InliveBannerError, ConnectionError):
    """The root of the errors in publishing to the channel from the server."""

    def __init__(self, message: str, *, publish_id: str) -> None:
        super().__init__(message)
        self.publish_id = publish_id
        """Publish with the same one again, and it counts once however often it arrived."""


class PublishUnavailableError(PublishError):
    """The channel can't be reached, or can't take anything now. Worth trying again; it may have arrived."""

    def __init__(self, message: str, *, publish_id: str, retry_after_seconds: float = 0) -> None:
        super().__init__(message, publish_id=publish_id)
        self.retry_after_seconds = retry_after_seconds
        """How long the channel asks to wait before; 0 where it doesn't say."""


class PublishRefusedError(PublishError):
    """The channel has said no. Trying the same again won't help."""

    def __init__(self, message: str, *, publish_id: str, status: int) -> None:
        super().__init__(message, publish_id=publish_id)
        self.status = status
        """The HTTP status of the refusal."""
