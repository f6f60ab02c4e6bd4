from __future__ import annotations

import io
import json

from inlive_banner.tail.reporter import Reporter, lag_seconds
from tests.tail.test_notices import make_report


def test_reporter_with_json_prints_a_line_per_batch_and_no_summary() -> None:
    out = io.StringIO()
    reporter = Reporter(out, as_json=True)

    reporter.batch(make_report(lag_seconds=5, lost=1))
    reporter.batch(make_report())
    reporter.summary([15])

    first, second = map(json.loads, out.getvalue().splitlines())
    assert 5 <= first.pop("lag_seconds") < 10
    assert first == {
        "stream": 15,
        "inserted": 1,
        "views": 0,
        "duplicates": 0,
        "passed_over": 0,
        "malformed": 0,
        "lost": 1,
        "position": "0123456789abcdef-1",
    }
    assert second["lag_seconds"] is None


def test_reporter_with_json_marks_what_was_only_a_dry_run() -> None:
    out = io.StringIO()
    Reporter(out, as_json=True, dry_run=True).batch(make_report())

    assert json.loads(out.getvalue())["dry_run"] is True


def test_reporter_with_text_prints_only_a_summary_of_each_stream() -> None:
    out = io.StringIO()
    reporter = Reporter(out, as_json=False)
    reporter.batch(make_report(lost=1))
    reporter.batch(make_report(lost=2))
    assert out.getvalue() == ""

    reporter.summary([15, 16])

    first, second = out.getvalue().splitlines()
    assert first == (
        "stream 15: 2 recorded, 0 views counted, 0 stored before, 0 passed over, 0 malformed, 3 lost; "
        "position 0123456789abcdef-1"
    )
    assert second.startswith("stream 16: 0 recorded")
    assert second.endswith("position unchanged")


def test_lag_is_never_negative_whatever_the_clocks_say() -> None:
    assert lag_seconds(make_report(lag_seconds=-60)) == 0
