"""Django's settings of a channel under test: the demo's, with `INLIVE_BANNER` as the test gives it in JSON."""

from __future__ import annotations

import json
import os

from project.settings import *  # noqa: F403  (settings are made of names)

INLIVE_BANNER = json.loads(os.environ["INLIVE_BANNER_JSON"])
