"""Executing commands in the tests' installation: a person at a terminal, with the plugin between."""

from __future__ import annotations

import threading
from typing import Any

from tests.node.platform.installation import FOREVER, Installation, until
from tests.node.platform.plugin import Plugin

ENABLED = {"request": {"enableExecuteCommand": True}}


def running(installation: Installation, **how: Any) -> str:
    """The ARN of a task in which commands may be executed."""
    arn: str = installation.running(FOREVER, **ENABLED, **how)["taskArn"]
    return arn


class Person:
    """Somebody who executes a command and looks at what comes."""

    def __init__(self, installation: Installation, arn: str, command: str = "/bin/sh", **more: Any) -> None:
        answer = installation.ecs.execute_command(task=arn, command=command, interactive=True, **more)
        self.session = answer["session"]
        self.screen = b""
        self.plugin = Plugin(self.session, self._see)
        self._thread = threading.Thread(target=self.plugin.run)
        self._thread.start()

    def _see(self, shown: bytes) -> None:
        self.screen += shown

    def type(self, text: str) -> None:
        self.plugin.ready.wait(30)
        self.plugin.type(text.encode())

    def wait_for(self, text: str) -> None:
        """Until that is on the screen; what is up to there is looked at no more."""
        until(lambda: text.encode() in self.screen, f"{text!r} on the screen {self.screen[-500:]!r}")
        self.screen = self.screen.partition(text.encode())[2]

    def prompt(self) -> None:
        self.wait_for("# ")

    def until_closed(self, patience_s: float = 30.0) -> dict[str, Any] | None:
        """The server's last word, or None where there was none."""
        self._thread.join(patience_s)
        assert not self._thread.is_alive(), f"the session goes on; on the screen: {self.screen[-500:]!r}"
        return self.plugin.closed
