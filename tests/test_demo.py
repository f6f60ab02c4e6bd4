"""What the demo prepares before it starts its processes; tests/e2e/test_demo.py starts them."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import environ
import pytest

from project.demo import DemoError, check_port, environment, keep_secrets, main, welcome
from tests.ports import free_port


@pytest.fixture
def taken_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_secrets_of_a_data_folder_stay_the_same(tmp_path: Path) -> None:
    """A restart ends no session and changes no password."""
    assert keep_secrets(tmp_path / "new" / "data") == keep_secrets(tmp_path / "new" / "data")


def test_secrets_of_two_data_folders_differ(tmp_path: Path) -> None:
    first, second = keep_secrets(tmp_path / "one"), keep_secrets(tmp_path / "two")

    assert first.secret_key != second.secret_key
    assert first.admin_password != second.admin_password


def test_secrets_file_is_for_its_owner_only(tmp_path: Path) -> None:
    keep_secrets(tmp_path)

    (path,) = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_secrets_left_half_written_are_made_anew(tmp_path: Path) -> None:
    """A crash while they were written leaves the draft, which nothing has used yet."""
    (tmp_path / "secrets.new").write_text('{"secret_k')

    assert keep_secrets(tmp_path).secret_key


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"secret_key": "a", "admin_password": "b", "more": 1}'])
def test_secrets_file_of_something_else_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(content)

    with pytest.raises(DemoError, match="Delete it"):
        keep_secrets(tmp_path)

    assert path.read_text() == content


def test_data_that_is_a_file_is_refused_with_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DemoError, match="Choose another folder"):
        keep_secrets(tmp_path / "file")


def test_port_that_is_free_is_accepted(taken_port: int) -> None:
    check_port(free_port())


@pytest.mark.parametrize("port", [-1, 65536])
def test_port_out_of_range_is_refused(port: int) -> None:
    with pytest.raises(DemoError, match=f"Port {port} can't be used"):
        check_port(port)


def test_port_taken_ends_the_demo_with_one_line(
    taken_port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"

    assert main(["--port", str(taken_port), "--data", str(data)]) == 1

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert str(taken_port) in printed.err
    assert not data.exists()


def test_environment_keeps_all_files_below_the_data_folder(tmp_path: Path) -> None:
    """Also where the folder's name would mean something in a URL."""
    data = tmp_path / "a folder, 100% ours"
    made = environment(port=8000, data=data, secret_key="secret")

    env = environ.Env()
    env.ENVIRON = made
    assert Path(env.db("DATABASE_URL")["NAME"]).parent == data
    assert Path(made["INLIVE_CHANNEL_LOG"].removeprefix("sqlite:///")).parent == data


def test_environment_keeps_to_the_loopback() -> None:
    made = environment(port=8123, data=Path("/data"), secret_key="secret")

    assert made["INLIVE_CHANNEL_INTERNAL_URL"] == "http://127.0.0.1:8123/channel"


def test_welcome_names_the_addresses_and_the_password() -> None:
    printed = welcome(8123, "the-password")

    for part in ("http://127.0.0.1:8123/", "/inlive/logs/", "/admin/", "user admin", "the-password"):
        assert part in printed
