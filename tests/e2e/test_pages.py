"""Pages and links of a production-like site: real processes, no browser.

The site has hashed static files, served by WhiteNoise, and django-csp's policy, which knows nonces only.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from tests.e2e.channel_server import ChannelServer
from tests.e2e.processes import ROOT, Process
from tests.polling import wait_until
from tests.ports import free_port
from tests.templatetags.test_inlive_banner import Elements

WHITENOISE = "whitenoise.storage.CompressedManifestStaticFilesStorage"
DJANGO = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"


class Site:
    """A site and its channel, in a folder of their own."""

    def __init__(self, folder: Path, *, storage: str = WHITENOISE, **banner_settings: Any) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database = folder / "site.sqlite3"
        self.channel = ChannelServer(folder, **{"CHANNEL_URL": "/channel", "LOGS_PUBLIC": True, **banner_settings})
        banner = json.loads(self.channel.environment["INLIVE_BANNER_JSON"])
        banner["CHANNEL_INTERNAL_URL"] = f"http://127.0.0.1:{self.channel.port}"
        self.channel.environment["INLIVE_BANNER_JSON"] = json.dumps(banner)
        self.environment = {
            **self.channel.environment,
            "DJANGO_SETTINGS_MODULE": "tests.e2e.pages_settings",
            "PAGES_DATABASE": str(self.database),
            "PAGES_STATIC_ROOT": str(folder / "static-root"),
            "PAGES_STORAGE": storage,
        }

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of `manage.py`'s commands to its end."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start_manage(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin one of them."""
        environment = {**os.environ, **self.environment}
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @contextmanager
    def running(self) -> Iterator[Process]:
        """Serve it."""
        arguments = ("-m", "tests.e2e.serve_pages", str(self.port))
        process = Process(*arguments, environment=self.environment, output=self.folder / "site.log")
        try:
            process.wait_for(f"{self.url}/elsewhere/")
            yield process
        finally:
            process.end()

    @property
    def pending(self) -> int:
        """How many publishes are in the outbox."""
        connection = sqlite3.connect(self.database)
        try:
            count: int = connection.execute("SELECT COUNT(*) FROM inlive_banner_pending").fetchone()[0]
            return count
        finally:
            connection.close()

    def page(self) -> tuple[requests.Response, Elements]:
        """The page, as a client without scripts gets it."""
        response = requests.get(self.url, timeout=10)
        return response, Elements(response.text)

    def link(self) -> str:
        """The address of the banner that leads by way of the site."""
        _, elements = self.page()
        (href,) = [a["href"] for a in elements.all("a") if a.get("data-inlive-banner") == "counted"]
        return urljoin(self.url, href)

    def click(self, link: str, **headers: str) -> float:
        """Follow a link as a browser does; returns the seconds until the answer."""
        named = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", **headers}
        response = requests.get(link, headers=named, timeout=10, allow_redirects=False)
        assert (response.status_code, response.headers["Location"]) == (302, "/elsewhere/")
        return response.elapsed.total_seconds()


@pytest.fixture(scope="module")
def template_database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A migrated, empty database."""
    site = Site(tmp_path_factory.mktemp("migrated"))
    done = site.manage("migrate", "--verbosity=0")
    assert done.returncode == 0, done.stdout + done.stderr
    return site.database.read_bytes()


def make_site(folder: Path, database: bytes, **options: Any) -> Site:
    site = Site(folder, **options)
    site.database.write_bytes(database)
    done = site.manage("collectstatic", "--noinput", "--verbosity=0")
    assert done.returncode == 0, done.stdout + done.stderr
    return site


@pytest.fixture
def site(tmp_path: Path, template_database: bytes) -> Site:
    return make_site(tmp_path, template_database)


@pytest.mark.parametrize("storage", [WHITENOISE, DJANGO], ids=["whitenoise", "manifest"])
def test_page_of_hashed_static_files_brings_all_of_them(tmp_path: Path, template_database: bytes, storage: str) -> None:
    site = make_site(tmp_path, template_database, storage=storage, TRACK_VIEWS=True, CONSENT=True)

    with site.running():
        _, elements = site.page()
        attributes = [attributes for _, attributes in elements.found]
        scripts = [element["src"] for element in elements.all("script")]
        scripts += [value for element in attributes for name, value in element.items() if is_script(name)]
        styles = [element["href"] for element in elements.all("link")]

        names = {re.sub(r"\.[0-9a-f]{12}\.", ".", url.rpartition("/")[2]) for url in scripts + styles}
        assert {"banner.js", "views.js", "consent.js", "logs.js", "banner.css", "logs.css"} <= names
        for urls, kind in ((scripts, "text/javascript"), (styles, "text/css")):
            for url in urls:
                response = requests.get(urljoin(site.url, url), timeout=10)

                assert re.search(r"\.[0-9a-f]{12}\.(js|css)$", url), f"{url} can't be cached for ever"
                assert response.status_code == 200, url
                assert response.headers["Content-Type"].startswith(kind)
                assert "immutable" in response.headers["Cache-Control"]


def is_script(attribute: str) -> bool:
    return attribute == "data-inlive-retry"


def test_page_under_django_csp_has_the_policys_nonce_on_each_tag_and_nothing_inline(site: Site) -> None:
    with site.running():
        response, elements = site.page()
        unusable = requests.get(f"{site.url}/inlive/go/?to=https://evil.example/", timeout=10)

    for answer, found in ((response, elements), (unusable, Elements(unusable.text))):
        (nonce,) = set(re.findall(r"'nonce-([^']+)'", answer.headers["Content-Security-Policy"]))
        tags = found.all("script") + found.all("link")
        assert tags
        assert [tag.get("nonce") for tag in tags] == [nonce] * len(tags)
        assert all(tag.get("src") or tag.get("href") for tag in tags)
        assert not found.all("style")
        assert not [attributes for _, attributes in found.found if "style" in attributes]
    assert unusable.status_code == 400


def test_click_without_scripts_is_published_once_by_the_site(site: Site) -> None:
    with site.channel.running(), site.running():
        link = site.link()
        site.click(link, Referer=f"{site.url}/")
        wait_until(lambda: not site.pending, what="the outbox to be empty")

        (envelope,) = site.channel.everything()

    assert envelope["interaction"] == "click"
    assert envelope["message"]["name"] == "counted"
    assert envelope["message"]["page"] == "/"
    assert envelope["message"]["user_id"]
    assert "label" not in envelope


def test_click_while_the_channel_is_away_leads_on_at_once_and_is_sent_when_it_is_back(site: Site) -> None:
    with site.running():
        link = site.link()
        assert max(site.click(link) for _ in range(5)) < 1
        wait_until(lambda: site.pending == 5, what="the clicks in the outbox")
        with site.channel.running():
            # By the site's own thread, without another click.
            wait_until(lambda: not site.pending, deadline_seconds=20, what="the outbox to be empty")

            envelopes = site.channel.everything()

    assert len({envelope["publish_id"] for envelope in envelopes}) == len(envelopes) == 5


def test_click_of_a_site_that_was_killed_is_sent_by_the_command(site: Site) -> None:
    with site.running() as process:
        link = site.link()
        for _ in range(3):
            site.click(link)
        process.kill()
    assert site.pending == 3
    failed = site.manage("inlive_publish", "--pending")
    assert (failed.returncode, failed.stdout) == (1, "0 sent, 3 left\n"), failed.stderr

    with site.channel.running():
        done = site.manage("inlive_publish", "--pending", "--format=json")
        envelopes = site.channel.everything()

    assert (done.returncode, done.stdout) == (0, '{"sent": 3, "left": 0}\n'), done.stderr
    assert len(envelopes) == 3


def test_clicks_that_several_processes_send_at_once_are_in_the_log_once(site: Site) -> None:
    with site.running() as process:
        link = site.link()
        for _ in range(40):
            site.click(link)
        process.kill()

    with site.channel.running(), site.running():
        commands = [site.start_manage("inlive_publish", "--pending") for _ in range(3)]
        site.click(link)
        for command in commands:
            printed, _ = command.communicate(timeout=60)
            assert command.returncode == 0, printed
        wait_until(lambda: not site.pending, what="the outbox to be empty")
        envelopes = site.channel.everything()

    assert len({envelope["publish_id"] for envelope in envelopes}) == len(envelopes) == 41


def test_command_publishes_to_the_channel(site: Site) -> None:
    with site.channel.running():
        done = site.manage("inlive_publish", "--name=sale", "--action=share", "--user=u-1", "--count=2")
        envelopes = site.channel.everything()

    assert done.returncode == 0, done.stderr
    assert [envelope["message"]["action"] for envelope in envelopes] == ["share", "share"]
    assert not [envelope["label"] for envelope in envelopes if "label" in envelope]
    assert envelopes[0]["id"] in done.stdout
