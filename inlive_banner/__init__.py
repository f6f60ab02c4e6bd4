"""Put a banner on any page, follow every interaction with it live, and keep each one exactly once."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from inlive_banner.publishing import PublishResult

__all__ = ["__version__", "publish"]

__version__ = "0.1.0"


def publish(
    name: str,
    action: str = "click",
    *,
    user_id: str = "",
    page: str = "",
    stream_id: int | str | None = None,
    extra: Mapping[str, Any] | None = None,
    publish_id: str | None = None,
    time: datetime | None = None,
    address: str = "",
    user_agent: str = "",
) -> PublishResult:
    """Publish what somebody did with a banner, from any process of the site that has Django set up.

    `name` is the banner's, `action` a verb of 1 to 64 characters. `user_id` is who did it, as the log shall show them;
    "" has the channel make one up. `page` is the path of the page. `stream_id` is one of the configured streams, the
    default one where it is None. `extra` is anything that JSON can say; live readers get it, the database doesn't keep
    it. `time` is when it was done, with a time zone; now, where it is None. `address` and `user_agent` are the
    visitor's, where there is one: from these the channel tells unique visitors and crawlers.

    Blocks until the channel has it on disk, for `PUBLISH_TIMEOUT` seconds at most, and tries again within that time.
    Whoever calls again after an error gives the error's `publish_id`, so that it counts once.

    Raises `InvalidPublishError` for what can't be published, `PublishUnavailableError` where the channel can't be
    reached or is busy, `PublishRefusedError` where it says no, `ConfigurationError` where settings are missing.
    All are `InliveBannerError`s.
    """
    # Loaded when it is called: the package can be imported where Django isn't set up, or isn't there.
    result: PublishResult = importlib.import_module("inlive_banner.publishing").publish(
        name,
        action,
        user_id=user_id,
        page=page,
        stream_id=stream_id,
        extra=extra,
        publish_id=publish_id,
        time=time,
        address=address,
        user_agent=user_agent,
    )
    return result
