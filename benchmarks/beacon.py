"""Hears a container's first sign of life: the connection that its own process opens towards its gateway.

The process is busybox's `nc GATEWAY PORT`, alone in its container. What is timed is the arrival of its first packet
on the host, stamped by the kernel, by a socket that stands before every firewall rule: a sandbox that may not talk to
the host is heard as well. It needs nothing that one of the contenders would have to open, mount or read.
"""

from __future__ import annotations

import contextlib
import ctypes
import select
import socket
import struct
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

_ETH_P_IP: Final = 0x0800
_SO_ATTACH_FILTER: Final = 26
_SO_TIMESTAMPNS: Final = 35
_IP_FREEBIND: Final = 15
_TCP: Final = 6
_SYN: Final = 0x02
_RECEIVE_BYTES: Final = 4 << 20  # a burst of thousands of first packets, at under a kilobyte of accounting each


class Sign(NamedTuple):
    """A process that has been heard for the first time."""

    at_ns: int  # since the epoch
    source: str


class Beacon:
    """Hears connections to one port, whatever their destination address; retransmissions count once."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._heard: set[tuple[bytes, bytes, bytes]] = set()
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.setblocking(False)
        _only_port(self._socket, self.port)

    def close(self) -> None:
        self._socket.close()

    @contextlib.contextmanager
    def answering(self, *gateways: str) -> Iterator[None]:
        """While the block runs, processes that connect stay connected and hence alive; afterwards they end.

        The gateways need not exist yet. A contender may forbid its containers the host: those wait, alive too.
        """
        with contextlib.ExitStack() as sockets:
            for gateway in set(gateways):
                listener = sockets.enter_context(socket.socket())
                listener.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind((gateway, self.port))
                listener.listen(4096)  # nobody accepts: the kernel completes the connections
            yield

    def wait(self, count: int, within_s: float) -> list[Sign]:
        """The next `count` processes heard; fewer where time runs out."""
        deadline_s = time.monotonic() + within_s
        signs: list[Sign] = []
        while len(signs) < count:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not select.select([self._socket], [], [], left_s)[0]:
                break
            signs.extend(self._take())
        return signs

    def _take(self) -> Iterator[Sign]:
        with contextlib.suppress(BlockingIOError):
            while True:
                packet, ancillary, _, _ = self._socket.recvmsg(64, 128)
                header = (packet[0] & 0xF) * 4
                # Address, port and first sequence number: another process may come to the same address and port.
                key = packet[12:16], packet[header : header + 2], packet[header + 4 : header + 8]
                if not packet[header + 13] & _SYN or key in self._heard:
                    continue
                self._heard.add(key)
                seconds, nanoseconds = struct.unpack("qq", ancillary[0][2][:16])
                yield Sign(seconds * 1_000_000_000 + nanoseconds, socket.inet_ntoa(key[0]))


def _only_port(listener: socket.socket, port: int) -> None:
    """Let only TCP to `port` through: everything else would wake the measuring process for nothing."""
    program = [
        (0x30, 0, 0, 9),  # the protocol
        (0x15, 0, 4, _TCP),
        (0xB1, 0, 0, 0),  # the header's length
        (0x48, 0, 0, 2),  # the destination port
        (0x15, 0, 1, port),
        (0x06, 0, 0, 0xFFFF),
        (0x06, 0, 0, 0),
    ]
    code = b"".join(struct.pack("HBBI", *each) for each in program)
    buffer = ctypes.create_string_buffer(code)
    listener.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(program), ctypes.addressof(buffer))
    )
