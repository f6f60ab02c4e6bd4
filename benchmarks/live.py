"""From click to screen: how long a published click takes to be painted on an open logs page.

    python -m benchmarks.live [--clicks 1000] [--rate 50]

Runs channel (durable, as always), site and worker as processes of their own and a real browser on the logs page,
publishes at a steady rate over one connection, and takes the time from just before the request is sent until the frame
after the one that shows the row. Both clocks are this machine's. Prints median, 99 % and the longest in milliseconds,
and how many clicks were shown.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import requests
from playwright.sync_api import Page, sync_playwright

from tests.e2e.browser import LAUNCH_ARGUMENTS, environment_of, find_chromium
from tests.e2e.processes import STREAM_ID, WIDGET_KEY, Demo
from tests.polling import wait_until
from tests.user_agent import USER_AGENT

_WATCH = """() => {
  window.shown = {};
  new MutationObserver((records) => {
    const names = records.flatMap(({ addedNodes }) => [...addedNodes])
      .map((row) => row.querySelector?.("[data-inlive-field=name]")?.textContent).filter(Boolean);
    // The page draws in an animation frame, and this runs in that same frame: the next one begins when it is painted.
    requestAnimationFrame((now) => {
      for (const name of names) window.shown[name] ??= performance.timeOrigin + now;
    });
  }).observe(document.querySelector("[data-inlive-list]"), { childList: true });
}"""

_CLICK = {"type": "banner", "action": "click", "user_id": "somebody", "page": "/", "isTrusted": True}


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clicks", type=int, default=1000, help="clicks that are published (default: %(default)s)")
    options.add_argument("--rate", type=float, default=50, help="of them a second (default: %(default)s)")
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="inlive-bench-") as folder, sync_playwright() as playwright:
        demo = Demo(Path(folder))
        demo.manage("migrate", "-v", "0")
        chromium = find_chromium()
        browser = playwright.chromium.launch(
            executable_path=chromium, args=LAUNCH_ARGUMENTS, env=environment_of(chromium)
        )
        with demo.channel(), demo.site(), demo.worker():
            page = browser.new_page()
            page.goto(demo.logs_url)
            page.locator("[data-inlive-status][data-state=live]").wait_for()
            _publish(demo, 20, arguments.rate, prefix="warm")
            # The first clicks have the page rendered anew.
            page.locator("[data-inlive-logs]:not([data-inlive-bare]) [data-inlive-status][data-state=live]").wait_for()
            page.evaluate(_WATCH)
            sent = _publish(demo, arguments.clicks, arguments.rate, prefix="click")
            wait_until(lambda: f"click-{arguments.clicks - 1}" in _shown(page))
            shown = _shown(page)
        browser.close()
    took = sorted(shown[name] - moment for name, moment in sent.items() if name in shown)
    print(f"{len(took):,} of {len(sent):,} clicks shown, {arguments.rate:g}/s")
    late = took[int(len(took) * 0.99)]
    print(f"median {statistics.median(took):.1f} ms, 99 % {late:.1f} ms, longest {took[-1]:.1f} ms")


def _shown(page: Page) -> dict[str, float]:
    """A click's name -> when it was painted, Unix milliseconds."""
    shown: dict[str, float] = page.evaluate("window.shown")
    return shown


def _publish(demo: Demo, count: int, rate: float, *, prefix: str) -> dict[str, float]:
    """Publish so many clicks; gives when each was sent, Unix milliseconds, by its name."""
    sent = {}
    with requests.Session() as session:
        session.headers.update({"Authorization": f"Bearer {_page_token()}", "User-Agent": USER_AGENT})
        begin = time.monotonic()
        for number in range(count):
            # Until the next click is due: a rate is what is asked for, and a slow answer mustn't lower it.
            time.sleep(max(0.0, begin + number / rate - time.monotonic()))
            name = f"{prefix}-{number}"
            sent[name] = time.time() * 1000
            message = {**_CLICK, "name": name, "time": int(sent[name])}
            body = {"type": "broadcast", "widget_key": WIDGET_KEY, "message": message}
            session.post(f"{demo.channel_url}/publish/{STREAM_ID}", json=body, timeout=10).raise_for_status()
    return sent


def _page_token() -> str:
    from django.conf import settings

    if not settings.configured:
        settings.configure(SECRET_KEY=Demo.SECRET_KEY)
    from inlive_banner.signing import ChannelSigner

    return ChannelSigner(token_max_age_seconds=3600, ticket_seconds=3600).make_page_token(STREAM_ID)


if __name__ == "__main__":
    main()
