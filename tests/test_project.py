"""The demo site's own middleware."""

from __future__ import annotations

import pytest
from django.http import HttpRequest, HttpResponse

from project.middleware import ContentSecurityPolicyMiddleware


def policy_of(status: int) -> str | None:
    middleware = ContentSecurityPolicyMiddleware(lambda _request: HttpResponse(status=status))
    return middleware(HttpRequest()).headers.get("Content-Security-Policy")


@pytest.mark.parametrize(
    ("channel_url", "connect"),
    [
        ("/channel", "connect-src 'self';"),
        ("https://channel.example.org/prefix/", "connect-src 'self' https://channel.example.org;"),
        ("http://127.0.0.1:8001", "connect-src 'self' http://127.0.0.1:8001;"),
    ],
)
def test_policy_allows_the_site_and_the_channel_only(settings, channel_url: str, connect: str) -> None:
    settings.INLIVE_BANNER = {**settings.INLIVE_BANNER, "CHANNEL_URL": channel_url}

    policy = policy_of(200)

    assert policy is not None
    assert policy.startswith("default-src 'self'; ")
    assert connect in policy


def test_policy_leaves_djangos_error_pages_alone() -> None:
    """Their style is inline; without it they can't be read."""
    assert policy_of(404) is None
