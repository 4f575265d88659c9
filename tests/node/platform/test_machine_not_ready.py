"""`moor up` on a machine that is not ready says what is missing and how to get it, and changes nothing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.node.platform.installation import BIN, Installation, free_port


def up(home: Path, *words: str, path: str = os.environ["PATH"], prefix: tuple[str, ...] = ()) -> str:
    """Run `moor up`, which must fail; what it says."""
    command = [*prefix, str(BIN / "moor"), "up", "--detach", *words]
    environment = os.environ | {"MOORAGE_HOME": str(home), "PATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("tool", "package"), [("crun", "crun"), ("conmon", "conmon"), ("nft", "nftables"), ("ip", "iproute2")]
)
def test_a_missing_tool_is_named_with_its_package(tmp_path: Path, tool: str, package: str) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in {"crun", "conmon", "nft", "ip"} - {tool}:
        found = shutil.which(name)
        assert found is not None
        (tools / name).symlink_to(found)
    said = up(tmp_path / "home", "--listen", f"127.0.0.1:{free_port()}", path=str(tools))
    assert f"apt-get install {package}" in said
    assert not (tmp_path / "home").exists()


def test_who_is_not_root_is_told_to_be() -> None:
    # The interpreter may lie where only root can look, so it becomes nobody after the program is loaded.
    program = (
        "import os, sys; from moorage.cli import main; os.setgroups([]); os.setgid(65534); os.setuid(65534); "
        "sys.argv = ['moor', 'up', '--detach']; main.main()"
    )
    with tempfile.TemporaryDirectory(prefix="moorage-nobody-") as place:
        environment = os.environ | {"MOORAGE_HOME": f"{place}/home"}
        Path(place).chmod(0o777)
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
        )
        assert not (Path(place) / "home").exists()
    assert done.returncode == 1
    assert "not root" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_named_with_the_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = up(tmp_path / "home", "--listen", f"127.0.0.1:{port}")
    assert f"127.0.0.1:{port} cannot be listened on: Address already in use" in said
    assert "--listen" in said
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--listen", "nonsense"), "is not HOST:PORT"),
        (("--listen", "127.0.0.1:70000"), "is not HOST:PORT"),
        (("--account", "12"), "12 digits"),
        (("--vpc-cidr", "300.0.0.0/16"), "--vpc-cidr"),
        (("--vpc-cidr", "10.0.0.0/8"), "the prefix must be from /16 to /26"),
        (("--region", "nowhere and back"), "reads like us-east-1"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    assert sentence in up(tmp_path / "home", *words)
    assert not (tmp_path / "home").exists()


def test_a_range_that_the_machine_uses_is_refused(shared: Installation, tmp_path: Path) -> None:
    taken = shared.settings["vpc_cidr"]
    said = up(tmp_path / "home", "--listen", f"127.0.0.1:{free_port()}", "--vpc-cidr", taken)
    assert "is in use on this machine" in said


def test_commands_without_an_installation_say_how_to_get_one(tmp_path: Path) -> None:
    nowhere = Installation(tmp_path / "nowhere")
    for words in (("status",), ("ps",), ("env",), ("image", "ls"), ("run", "x"), ("stop", "x"), ("logs", "x")):
        done = nowhere.moor(*words, check=False)
        assert done.returncode == 1
        assert "moor up" in done.stderr
    assert "nothing to do" in nowhere.moor("down").stdout


def test_a_damaged_settings_file_is_named(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "installation.json").write_text("{ not json")
    assert "installation.json is damaged" in up(home)


def test_a_damaged_journal_is_told_of_and_not_waited_for(own: Installation) -> None:
    own.moor("down")
    (own.home / "state.db").write_bytes(b"this is no database")
    for side_file in own.home.glob("state.db-*"):
        side_file.unlink()
    said = up(own.home)
    assert "file is not a database" in said
