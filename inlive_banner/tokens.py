"""The rights that the channel checks, and the shape of what checks them; `signing` is the one that ships.

Free of Django, so that the channel can be given any signer.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

__all__ = ["STAFF", "PublishRight", "Ticket", "TokenSigner"]

STAFF = "staff"
"""The label that a token may carry: whoever publishes with it is one of the site's own people."""


class PublishRight(NamedTuple):
    """A right to publish to a stream."""

    user_id: str = ""
    """Whose it is; "" where the token is for anybody (a page's, a service's)."""
    label: str = ""
    """`STAFF`, or "" where the token says nothing."""
    service: bool = False
    """True for the site's own processes, which publish in a visitor's name: what they say of the visitor's address
    and user agent is believed."""


class Ticket(NamedTuple):
    """A right to read a stream."""

    expires_at: float
    """Unix seconds. The stream that was opened with the ticket ends then."""
    silent: bool
    """True for a service (the worker): it reads, and isn't counted or announced as a viewer."""


class TokenSigner(Protocol):
    """Makes and checks what lets a client publish or read. Stateless: any node, any restart."""

    def make_publish_token(self, stream_id: int, user_id: str, *, staff: bool = False) -> str:
        """A token for one user of one stream, of characters that survive an unencoded query string."""

    def read_publish_token(self, stream_id: int, token: str) -> PublishRight:
        """The right that a publish, page or service token gives. Raises `InvalidTokenError`."""

    def read_ticket(self, stream_id: int, ticket: str) -> Ticket:
        """The right that a reader's ticket gives. Raises `InvalidTokenError`."""
