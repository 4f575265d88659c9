"""The address at which containers ask their agent about themselves, and the sockets behind it.

169.254.170.2 is an address of the node's gateway link, so it is there whether or not the host has a network. The
firewall leads port 80 of it to the socket of the node that a packet's link belongs to; all nodes of a host have the
same address and a port each. What the host itself sends bears no node's mark: it goes to one port that all living
agents of the host share. A sandbox without a link gets a socket of the agent's inside its own namespace.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable
from typing import Final

from moorage.agent.drivers import processes
from moorage.agent.spec import DriverError, SandboxId

ADDRESS: Final = "169.254.170.2"
# The published agent's own, which instances keep from their tasks: shared by the host's agents.
SHARED_PORT: Final = 51_679
# A node's own port is the first free one from here.
OWN_PORTS: Final = range(51_680, 52_680)
BACKLOG: Final = 128  # connections waiting to be taken: three seconds of the endpoint's rate

_IP_FREEBIND_ON: Final = (socket.IPPROTO_IP, 15)  # <linux/in.h>; the socket module has no name for it

# A task without a network may listen on port 80 itself: its packets for us are led past it.
_INSIDE: Final = f"""\
table ip moorage {{
    chain told {{
        type nat hook output priority -100; policy accept;
        ip daddr {ADDRESS} tcp dport 80 dnat to {ADDRESS}:{SHARED_PORT}
    }}
}}
"""


Told = Callable[[SandboxId, socket.socket | None], None]


class Inside:
    """The sockets inside sandboxes without a link. Whoever `watch`es is handed each one, and told of its end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[SandboxId, socket.socket] = {}
        self._told: Told | None = None

    def opened(self, sandbox: SandboxId, listener: socket.socket) -> None:
        with self._lock:
            told = self._told
            if told is None:
                self._waiting[sandbox] = listener
        if told is not None:
            told(sandbox, listener)

    def ended(self, sandbox: SandboxId) -> None:
        with self._lock:
            told, waiting = self._told, self._waiting.pop(sandbox, None)
        if waiting is not None:
            waiting.close()
        if told is not None:
            told(sandbox, None)

    def watch(self, told: Told) -> None:
        """From now on `told` owns the sockets; it is called from any thread."""
        with self._lock:
            self._told = told
            waiting, self._waiting = self._waiting, {}
        for sandbox, listener in waiting.items():
            told(sandbox, listener)

    def close(self) -> None:
        """Close what nobody has taken."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for listener in waiting.values():
            listener.close()


def listen() -> socket.socket:
    """A socket on the endpoint's address, on a port that is the node's alone. The address may come later."""
    for port in OWN_PORTS:
        try:
            return _listening(port, _IP_FREEBIND_ON)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    reason = f"no port of {ADDRESS} from {OWN_PORTS.start} to {OWN_PORTS.stop - 1} is free"
    raise DriverError("ResourceInitializationError", reason)


def listen_shared() -> socket.socket:
    """A socket for what the host itself asks. The kernel chooses one of the agents that listen, so one that is gone
    is never chosen; but one that listens must answer."""
    return _listening(SHARED_PORT, (socket.SOL_SOCKET, socket.SO_REUSEPORT))


def _listening(port: int, *options: tuple[int, int]) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        for level, option in ((socket.SOL_SOCKET, socket.SO_REUSEADDR), *options):
            made.setsockopt(level, option, 1)
        made.bind((ADDRESS, port))
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made


def listen_inside() -> socket.socket:
    """Call inside a network namespace that has a loopback and nothing else, whose rules are nobody else's."""
    nft = processes.find_tool("nft", "nftables")
    code, said = processes.run_tool(
        nft, ["-f", "-"], f"table ip moorage {{}}\ndelete table ip moorage\n{_INSIDE}".encode()
    )
    if code != 0:
        raise DriverError("ContainerNetworkingError", f"nft refused: {said}")
    return _listening(SHARED_PORT)
