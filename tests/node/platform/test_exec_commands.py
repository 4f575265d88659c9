"""The commands that people execute commands with: `aws ecs execute-command`, and `moor exec`."""

from __future__ import annotations

import os
import pty
import select
import shlex
import subprocess
import sys
import time
from pathlib import Path

from tests.node.platform.execution import running
from tests.node.platform.installation import BIN, FOREVER, PATIENCE_S, Installation, short

ROOT = Path(__file__).parents[3]


class Terminal:
    """A program on a terminal of its own, and the person before it."""

    def __init__(self, words: list[str], environment: dict[str, str], *, cols: int = 91, rows: int = 27) -> None:
        self.screen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.system(f"stty cols {cols} rows {rows}")
            os.execvpe(words[0], words, environment)

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while text.encode() not in self.screen:
            assert self._look(deadline), f"no {text!r} on the screen: {self.screen.decode(errors='replace')}"
        self.screen = self.screen.partition(text.encode())[2]

    def until_ended(self) -> int:
        deadline = time.monotonic() + PATIENCE_S
        while self._look(deadline):
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _look(self, deadline: float) -> bool:
        """More on the screen; False at the program's end, or when patience is."""
        ready, _, _ = select.select([self.fd], [], [], max(0.0, deadline - time.monotonic()))
        try:
            seen = os.read(self.fd, 65_536) if ready else b""
        except OSError:  # EIO: the program has left its terminal
            return False
        self.screen += seen
        return bool(seen)


def interrupt(terminal: Terminal) -> None:
    terminal.wait_for("# ")
    terminal.type("stty size\r")
    terminal.wait_for("27 91\r\n")
    terminal.wait_for("# ")
    terminal.type("echo go; cat\r")
    terminal.wait_for("cat\r\ngo\r\n")
    terminal.type("again\r")
    terminal.wait_for("again\r\nagain\r\n")
    terminal.type("\x03")
    terminal.wait_for("^C")
    terminal.wait_for("# ")
    terminal.type("echo code=$?\r")
    terminal.wait_for("code=130")


def test_the_aws_command_opens_a_shell(shared: Installation, tmp_path: Path) -> None:
    arn = running(shared)
    plugin = tmp_path / "session-manager-plugin"
    plugin.write_text(
        f'#!/bin/sh\ncd {shlex.quote(str(ROOT))}\nexec {sys.executable} -m tests.node.platform.plugin "$@"\n'
    )
    plugin.chmod(0o755)
    key, secret = shared.key()
    environment = os.environ | {
        "PATH": f"{tmp_path}:{BIN}:{os.environ['PATH']}",
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": shared.region,
        "AWS_DEFAULT_REGION": shared.region,
        "AWS_ENDPOINT_URL": shared.endpoint,
    }
    words = ["aws", "ecs", "execute-command", "--task", arn, "--container", "main", "--interactive"]
    terminal = Terminal([*words, "--command", "/bin/sh"], environment)
    interrupt(terminal)
    terminal.type("exit 3\r")
    terminal.wait_for("Exiting session with sessionId: ecs-execute-command-")
    assert terminal.until_ended() == 0
    shared.stopped({"taskArn": arn})


def test_moor_exec_opens_a_shell_and_ends_with_its_code(shared: Installation) -> None:
    arn = running(shared)
    terminal = Terminal([str(BIN / "moor"), "exec", short({"taskArn": arn})[:12], "/bin/sh"], shared.environment)
    interrupt(terminal)
    terminal.type("exit 3\r")
    assert terminal.until_ended() == 3
    shared.stopped({"taskArn": arn})


def test_moor_exec_without_a_terminal_takes_a_pipe(shared: Installation) -> None:
    arn = running(shared)
    words = [BIN / "moor", "exec", arn, "--container", "main", "--", "sh", "-c", 'cat; echo "$0"', "a b"]
    done = subprocess.run(
        words, env=shared.environment, input="one\ntwo", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.replace("\r", "").endswith("one\ntwoa b\n")
    shared.stopped({"taskArn": arn})


def test_moor_exec_tells_why_it_cannot(shared: Installation) -> None:
    task = shared.running(FOREVER)
    done = shared.moor("exec", task["taskArn"], "true", check=False)
    assert done.returncode == 1
    assert "execute command was not enabled when the task was run" in done.stderr
    shared.stopped(task)
