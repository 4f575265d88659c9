"""The HTTP server's limits. Each has a number, a unit and a reason."""

from __future__ import annotations

from typing import Final

# The request line and all headers together; a presigned URL with a session token needs some 4 KiB of them.
HEAD_MAX_BYTES: Final = 64 * 1024
# SDKs send about twenty; browsers behind proxies about forty.
HEADERS_MAX: Final = 128
# Beyond this many requests read ahead of the one in work, the sender waits.
PIPELINED_MAX: Final = 16
# A body waits here for its reader: one large TCP window, so that a fast sender is not slowed by the hand-over.
BODY_BUFFER_BYTES: Final = 256 * 1024

# Open sockets; two for each agent and one for each busy client, well under the usual limit of descriptors.
CONNECTIONS_MAX: Final = 16_384

# A head comes in one packet or two; whoever takes longer than this holds the socket on purpose.
HEAD_TIMEOUT_S: Final = 20.0
# Longer than the minute for which SDKs and load balancers keep a connection, so that they close first and no
# request meets a socket that is just being closed.
IDLE_TIMEOUT_S: Final = 75.0
# While somebody waits for a body, each window must bring at least this much: about 1 KiB/s, a bad phone line.
BODY_WINDOW_S: Final = 30.0
BODY_WINDOW_MIN_BYTES: Final = 30 * 1024
# An answer of which the client takes nothing for so long is given up.
WRITE_STALL_S: Final = 60.0
# After an answer to a request that was not read to its end: time for the client to read it before the reset.
LINGER_S: Final = 2.0
# How often the deadlines above are looked at; one timer for all connections instead of one for each request.
SWEEP_PERIOD_S: Final = 1.0

# A websocket message; the agents' largest is a payload of tasks, which ECS keeps below this.
FRAME_MAX_BYTES: Final = 1024 * 1024
# Messages read ahead of their reader before the sender waits.
MESSAGES_AHEAD_MAX: Final = 32
# Often enough for the address translators in between, most of which forget an idle flow after a minute or more.
PING_PERIOD_S: Final = 20.0
SILENCE_MAX_S: Final = 60.0
assert SILENCE_MAX_S >= 3 * PING_PERIOD_S  # Two lost pings are not a lost peer.
# A peer that was told to close and does not answer is cut.
CLOSE_TIMEOUT_S: Final = 5.0
