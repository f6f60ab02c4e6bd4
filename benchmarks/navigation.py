"""What a banner costs its visitor: the time from a click to the next page, with a channel that takes half a second.

    python -m benchmarks.navigation [--clicks 100] [--delay 500]

Clicks a plain link and a banner in turn, in a real browser; both lead to the same page in the same tab. The channel
is of another origin, and holds preflights and publishes for the delay. Prints milliseconds from the click until the
next page's first byte and until it is loaded, the long tasks and layout shifts of the pages left, and the clicks that
the channel has had.
"""

from __future__ import annotations

import argparse
import statistics
import time
from itertools import cycle, islice

from playwright.sync_api import Page, sync_playwright

from tests.e2e.banner_pages import PUBLISH, banner, banner_page
from tests.e2e.browser import LAUNCH_ARGUMENTS, environment_of, find_chromium
from tests.e2e.origin import Answer, Origin, Request, serving
from tests.polling import wait_until

_SCRIPT = '<script type="module" src="/static/banner.js"></script>'

_OBSERVE = """<script>
const entries = { longtask: 0, "layout-shift": 0 };
for (const type in entries)
  new PerformanceObserver((list) => (entries[type] += list.getEntries().length)).observe({ type, buffered: true });
addEventListener("click", () => {
  window.name = JSON.stringify({ clicked: performance.timeOrigin + performance.now(), entries });
}, true);
</script></head>"""

_THERE = "<!DOCTYPE html><html><head><title>There</title><link rel=icon href=data:,></head><body>There</body></html>"

_MEASURE = """() => new Promise((resolve) => setTimeout(() => {
  const { clicked, entries } = JSON.parse(window.name);
  const [{ responseStart, loadEventEnd }] = performance.getEntriesByType("navigation");
  const since = (moment) => performance.timeOrigin + moment - clicked;
  resolve([since(responseStart), since(loadEventEnd), entries.longtask, entries["layout-shift"]]);
}))"""


def main() -> None:
    """Measure and print, a line per kind of link."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clicks", type=int, default=100, help="clicks per kind (default: %(default)s)")
    options.add_argument("--delay", type=int, default=500, help="milliseconds of the channel (default: %(default)s)")
    arguments = options.parse_args()
    with serving() as origin, sync_playwright() as playwright:
        pages = _put_pages(origin, arguments.delay / 1000)
        chromium = find_chromium()
        browser = playwright.chromium.launch(
            executable_path=chromium, args=LAUNCH_ARGUMENTS, env=environment_of(chromium)
        )
        page = browser.new_page()
        measured: dict[str, list[list[float]]] = {kind: [] for kind in pages}
        _click(page, pages["plain link"])  # warms the browser up
        for kind in islice(cycle(pages), 2 * arguments.clicks):
            measured[kind].append(_click(page, pages[kind]))
        ids = wait_until(lambda: _published(origin, arguments.clicks), what="the clicks")
        browser.close()
    for kind, rows in measured.items():
        _report(kind, rows)
    print(f"published: {len(ids)} of {arguments.clicks} clicks")


def _put_pages(origin: Origin, delay_seconds: float) -> dict[str, str]:
    def slow(request: Request) -> Answer:
        time.sleep(delay_seconds)
        return Answer(status=204) if request.method == "OPTIONS" else Answer.sentence(200, "OK", {})

    origin.answer("OPTIONS", PUBLISH, slow)
    origin.answer("POST", PUBLISH, slow)
    origin.page("/there", _THERE)
    # The same server by another name is another origin.
    channel = origin.url.replace("127.0.0.1", "localhost")
    with_banner = banner_page(banner("benchmark", channel=channel, token="t", href="/there"))  # noqa: S106
    plain = banner_page('<a href="/there">Banner</a>').replace(_SCRIPT, "")
    return {
        "plain link": origin.page("/plain", plain.replace("</head>", _OBSERVE)),
        "banner": origin.page("/banner", with_banner.replace("</head>", _OBSERVE)),
    }


def _click(page: Page, address: str) -> list[float]:
    page.goto(address, wait_until="networkidle")
    page.get_by_text("Banner").click(no_wait_after=True)
    page.wait_for_url("**/there", wait_until="load")
    measured: list[float] = page.evaluate(_MEASURE)
    return measured


def _published(origin: Origin, count: int) -> set[str] | None:
    ids = {request.json["publish_id"] for request in origin.had("POST", PUBLISH)}
    return ids if len(ids) >= count else None


def _report(kind: str, rows: list[list[float]]) -> None:
    first_byte, loaded, long_tasks, shifts = zip(*rows, strict=True)
    quantiles = statistics.quantiles(loaded, n=20)
    print(
        f"{kind:>10}: first byte {statistics.median(first_byte):.1f} ms, loaded {statistics.median(loaded):.1f} ms "
        f"(95%: {quantiles[-1]:.1f} ms); long tasks {sum(long_tasks):.0f}, layout shifts {sum(shifts):.0f}"
    )


if __name__ == "__main__":
    main()
