#!/usr/bin/env python3
"""The client's side of ECS Exec, written from the protocol alone: what `session-manager-plugin` does for `aws`.

    session-manager-plugin SESSION-JSON REGION StartSession PROFILE REQUEST-JSON ENDPOINT

Shares no code with the server. Like the published plugin it sends no more than a kilobyte at a time, looks at the
terminal's size twice a second, drops output, unacknowledged, that comes before it is a terminal, and ends with 0.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import sys
import termios
import threading
import time
import tty
import uuid
from collections.abc import Iterator
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

HEADER = struct.Struct(">I32sIQQQ16s32sII")
OUTPUT, SIZE, HANDSHAKE_REQUEST, HANDSHAKE_RESPONSE, HANDSHAKE_COMPLETE = 1, 3, 5, 6, 7


def packed(kind: str, payload: bytes, payload_type: int = 0, sequence: int = 0, flags: int = 0) -> bytes:
    identity = uuid.uuid4().bytes
    return (
        HEADER.pack(
            116,
            kind.ljust(32).encode(),
            1,
            int(time.time() * 1000),
            sequence,
            flags,
            identity[8:] + identity[:8],
            hashlib.sha256(payload).digest(),
            payload_type,
            len(payload),
        )
        + payload
    )


class Plugin:
    """One session. `shown` is called with what the terminal shows; `closed` is the server's last word."""

    def __init__(self, session: dict[str, Any], shown: Any) -> None:
        self.shown = shown
        self.closed: dict[str, Any] | None = None
        self.ready = threading.Event()
        self.request: dict[str, Any] = {}
        self._next = 0
        self._expected = 0
        self._lock = threading.Lock()
        self._unacknowledged: dict[int, bytes] = {}
        self._held = contextlib.ExitStack()
        opened = connect(session["streamUrl"], proxy=None, max_size=None, compression=None)
        self._socket: ClientConnection = self._held.enter_context(opened)
        opening = {
            "MessageSchemaVersion": "1.0",
            "RequestId": str(uuid.uuid4()),
            "TokenValue": session["tokenValue"],
            "ClientId": str(uuid.uuid4()),
            "ClientVersion": "1.2.0.0",
        }
        self._socket.send(json.dumps(opening))

    def send(self, payload_type: int, payload: bytes) -> None:
        with self._lock:
            message = packed("input_stream_data", payload, payload_type, self._next)
            self._unacknowledged[self._next] = message
            self._next += 1
            self._socket.send(message)

    def type(self, text: bytes) -> None:
        for start in range(0, len(text), 1024):
            self.send(OUTPUT, text[start : start + 1024])

    def resize(self, cols: int, rows: int) -> None:
        self.send(SIZE, json.dumps({"cols": cols, "rows": rows}).encode())

    def run(self) -> None:
        """Until the server closes the channel, or leaves."""
        threading.Thread(target=self._resend, daemon=True).start()
        with contextlib.suppress(ConnectionClosed):
            for message in self._socket:
                assert isinstance(message, bytes)
                if self._hear(message):
                    break
        self._held.close()

    def leave(self) -> None:
        """As if the machine had lost its power."""
        self._socket.socket.shutdown(2)

    def _resend(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                time.sleep(0.5)
                with self._lock:
                    first = next(iter(self._unacknowledged.values()), None)
                    if first is not None:
                        self._socket.send(first)

    def _hear(self, message: bytes) -> bool:
        length, kind, schema, _, sequence, _, raw, digest, payload_type, size = HEADER.unpack_from(message)
        payload = message[HEADER.size :]
        assert (length, schema, size) == (116, 1, len(payload))
        assert digest == hashlib.sha256(payload).digest()
        name = kind.decode().rstrip()
        if name == "acknowledge":
            with self._lock:
                self._unacknowledged.pop(json.loads(payload)["AcknowledgedMessageSequenceNumber"], None)
        elif name == "channel_closed":
            self.closed = json.loads(payload)
        elif name == "output_stream_data" and sequence <= self._expected:
            identity = str(uuid.UUID(bytes=raw[8:] + raw[:8]))
            if sequence == self._expected:
                if payload_type == OUTPUT and not self.ready.is_set():
                    return False
                self._expected += 1
                self._acknowledge(name, identity, sequence)
                self._take(payload_type, payload)
            else:
                self._acknowledge(name, identity, sequence)
        return self.closed is not None

    def _acknowledge(self, name: str, identity: str, sequence: int) -> None:
        content = {
            "AcknowledgedMessageType": name,
            "AcknowledgedMessageId": identity,
            "AcknowledgedMessageSequenceNumber": sequence,
            "IsSequentialMessage": True,
        }
        self._socket.send(packed("acknowledge", json.dumps(content).encode(), flags=3))

    def _take(self, payload_type: int, payload: bytes) -> None:
        if payload_type == HANDSHAKE_REQUEST:
            self.request = json.loads(payload)
            actions = [
                {"ActionType": one["ActionType"], "ActionStatus": 1, "ActionResult": None, "Error": ""}
                for one in self.request["RequestedClientActions"]
            ]
            answer = {"ClientVersion": "1.2.0.0", "ProcessedClientActions": actions, "Errors": None}
            self.send(HANDSHAKE_RESPONSE, json.dumps(answer).encode())
        elif payload_type == HANDSHAKE_COMPLETE:
            self.ready.set()
        else:  # the published plugin prints whatever it does not know
            self.shown(payload)


@contextlib.contextmanager
def raw_terminal() -> Iterator[None]:
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def look_at_size(plugin: Plugin) -> None:
    plugin.ready.wait()
    last = None
    with contextlib.suppress(ConnectionClosed):
        while True:
            size = os.get_terminal_size(1)
            if size != last:
                plugin.resize(size.columns, size.lines)
                last = size
            time.sleep(0.5)


def read_keys(plugin: Plugin) -> None:
    plugin.ready.wait()
    with contextlib.suppress(ConnectionClosed):
        while keys := os.read(0, 1024):
            plugin.type(keys)


def main() -> None:
    if len(sys.argv) == 1:
        print("The Session Manager plugin was installed successfully.")
        return
    session = {name[0].lower() + name[1:]: value for name, value in json.loads(sys.argv[1]).items()}
    print(f"Starting session with SessionId: {session['sessionId']}", flush=True)
    plugin = Plugin(session, lambda shown: os.write(1, shown))
    with raw_terminal():
        for work in (look_at_size, read_keys):
            threading.Thread(target=work, args=(plugin,), daemon=True).start()
        plugin.run()
    closed = plugin.closed or {}
    print(f"\n\nExiting session with sessionId: {closed.get('SessionId')}. {closed.get('Output', '')}\n", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
