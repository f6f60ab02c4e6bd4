"""Times, lengths of time, labels and health in words, as the admin shows them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils.formats import date_format, number_format
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.timezone import is_aware, localtime
from django.utils.translation import gettext_lazy as _

from inlive_banner.health import Health, State
from inlive_banner.livelog import LABEL_WORDS

__all__ = ["health_in_words", "label_in_words", "length_in_words", "to_the_second"]

_HEALTH_WORDS: dict[State, Promise] = {
    State.UNBEGUN: _("no worker yet"),
    State.ABSENT: _("no worker; nothing recorded since {time}"),
    State.BEHIND: _("behind by {lag}"),
    State.RECORDING: _("recording now"),
    State.WAITING: _("waiting for events, connected since {time}"),
}


def health_in_words(health: Health) -> str:
    """A sentence without a full stop."""
    time = to_the_second(health.since) if health.since else ""
    lag = length_in_words(health.lag) if health.lag else ""
    return capfirst(str(_HEALTH_WORDS[health.state]).format(time=time, lag=lag))


def label_in_words(label: str) -> str:
    """Why something isn't counted with what people do; "-" where it is."""
    return str(LABEL_WORDS.get(label, label)) or "-"


def length_in_words(time: timedelta) -> str:
    """A length of time in its largest fitting unit: seconds, minutes or hours."""
    seconds = int(time.total_seconds())
    for unit, unit_seconds, limit in ((_("{number} s"), 1, 120), (_("{number} min"), 60, 7200)):
        if seconds < limit:
            return str(unit).format(number=number_format(seconds // unit_seconds))
    return str(_("{number} h")).format(number=number_format(seconds // 3600, force_grouping=True))


def to_the_second(time: datetime) -> str:
    """In the current time zone. Django's own formats end at the minute, and several clicks share one."""
    local = localtime(time) if is_aware(time) else time
    return f"{date_format(local, 'DATE_FORMAT')}, {local:%H:%M:%S}"
