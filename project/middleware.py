"""A strict Content-Security-Policy: banner, logs and admin need nothing inline and nothing from elsewhere."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from inlive_banner.conf import settings

__all__ = ["ContentSecurityPolicyMiddleware"]

_POLICY = (
    "default-src 'self'; connect-src {connect}; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)


class ContentSecurityPolicyMiddleware(MiddlewareMixin):
    """Sends the policy with every page but Django's own error pages, whose style is inline."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Add the header."""
        del request
        if response.status_code < HTTPStatus.BAD_REQUEST:
            channel = urlsplit(settings.channel_url)
            # A channel of another origin, as a process of its own has it, has to be named.
            origin = f" {channel.scheme}://{channel.netloc}" if channel.netloc else ""
            response.headers["Content-Security-Policy"] = _POLICY.format(connect=f"'self'{origin}")
        return response
