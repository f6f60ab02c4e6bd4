"""The examples of `docs/api.md`, run as they stand there."""

from __future__ import annotations

import re
import shlex
import time
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User

from inlive_banner.api import DEFAULT_LIMIT, MAX_LIMIT
from inlive_banner.api_requests import FILTERS
from inlive_banner.api_tokens import make_token
from inlive_banner.chunks import ROWS_PER_QUERY
from inlive_banner.figures import COUNTED_ROWS
from inlive_banner.models import Interaction
from inlive_banner.paging import ROWS_LOOKED_AT
from inlive_banner.rows import LOOKED_AT
from tests.json_schema import DEFINITIONS
from tests.rows import make_interaction
from tests.test_docs import names_in_table

DOCUMENT = (Path(__file__).parent.parent / "docs" / "api.md").read_text(encoding="utf-8")
CURLS = re.findall(r"^curl .*$", DOCUMENT, re.MULTILINE)
SITE = "https://www.example.org"


@pytest.fixture
def token(db: None) -> str:
    user = User.objects.create_user("reporting")
    user.user_permissions.add(Permission.objects.get(codename="view_interaction"))
    return make_token(user)


@pytest.mark.parametrize("command", CURLS)
def test_curl_example_is_answered(client: Any, token: str, command: str) -> None:
    arguments = shlex.split(command.replace("$TOKEN", token).replace("$SITE", SITE))
    (url,) = (argument for argument in arguments if argument.startswith(SITE))
    name, _, value = arguments[arguments.index("-H") + 1].partition(": ")

    assert client.get(url.removeprefix(SITE), headers={name: value}).status_code == 200


def test_there_is_a_curl_example_of_each_address() -> None:
    assert {re.search(r"\$SITE(/[a-z/]+)", command)[1] for command in CURLS} == names_in_first_table()  # type: ignore[index]


@pytest.mark.django_db(transaction=True)
def test_python_example_follows_the_log(token: str, live_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Interaction.objects.bulk_create(make_interaction(number) for number in range(1, 151))

    def record_meanwhile(_seconds: float) -> None:
        Interaction.objects.bulk_create(make_interaction(number) for number in range(151, 161))

    (code,) = re.findall(r"```python\n(import time.*?)```", DOCUMENT, re.DOTALL)
    example: dict[str, Any] = {}
    exec(code, example)
    monkeypatch.setattr(time, "sleep", record_meanwhile)
    rows = example["follow"](live_server.url, token, "/inlive/api/interactions/?after=0")
    found = [row["publish_id"] for row in islice(rows, 160)]

    assert found == [f"publish-{number:03}" for number in range(1, 161)]


def test_tables_name_each_parameter_and_number() -> None:
    assert names_in_table("What is asked for", DOCUMENT) - {"400", "401"} == set(FILTERS) - {"bots"}
    assert names_in_table("The rows in pages", DOCUMENT) == {"limit", "before", "after"}
    described = names_in_table("The numbers", DOCUMENT)
    assert described | {"stream_id", "position"} == set(DEFINITIONS["figures"]["properties"])


def test_limits_are_those_of_the_code() -> None:
    assert f"1 to {MAX_LIMIT}, {DEFAULT_LIMIT} without it" in DOCUMENT
    assert f"{ROWS_PER_QUERY:,} rows at a time" in DOCUMENT
    assert f"{ROWS_LOOKED_AT:,} rows of all streams" in DOCUMENT
    assert f"newest {COUNTED_ROWS:,} rows" in DOCUMENT
    assert f"looks at {LOOKED_AT:,} rows of the rarest one" in DOCUMENT


def names_in_first_table() -> set[str]:
    return set(re.findall(r"^\| `(/inlive/[^`]+)`", DOCUMENT, re.MULTILINE))
