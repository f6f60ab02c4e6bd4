"""Django's settings under faults: the demo's, with short times where a fault would otherwise take minutes to show."""

from __future__ import annotations

from project.settings import *  # noqa: F403  (settings are made of names)
from project.settings import DATABASES, INLIVE_BANNER, env

INLIVE_BANNER["STREAMS"] |= {stream_id: {"PUBLIC": True} for stream_id in env.list("FAULTS_STREAMS", default=[])}
INLIVE_BANNER["KEEP_ALIVE"] = env.float("FAULTS_KEEP_ALIVE", default=15.0)

if "sqlite3" in DATABASES["default"]["ENGINE"]:
    # Shorter than a lock of the tests lasts, so that the worker sees the error, too, and not only the wait.
    DATABASES["default"]["OPTIONS"]["timeout"] = 1
else:
    DATABASES["default"].setdefault("OPTIONS", {})["connect_timeout"] = 5
