"""A compact rtnetlink encoder and socket: the few messages that links, addresses, routes and neighbours need.

Links are on the launch path, where starting `ip` would cost more than all the rest of the network's work.
Messages are built as bytes and sent in one batch; each is acknowledged by the kernel, and the first refusal
is raised as an OSError that names the message.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence
from typing import Final, Self

NLM_F_REQUEST: Final = 0x1
NLM_F_ACK: Final = 0x4
NLM_F_REPLACE: Final = 0x100
NLM_F_EXCL: Final = 0x200
NLM_F_CREATE: Final = 0x400

RTM_NEWLINK: Final = 16
RTM_DELLINK: Final = 17
RTM_GETLINK: Final = 18
RTM_NEWADDR: Final = 20
RTM_NEWROUTE: Final = 24
RTM_NEWNEIGH: Final = 28

_NLMSG_ERROR: Final = 2
_IFF_UP: Final = 1
_RECEIVE_BYTES: Final = 65_536  # one answer to RTM_GETLINK is about 1 KiB; acknowledgements are 36 bytes

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_LINKINFO, _IFLA_NET_NS_FD = 1, 3, 18, 28
_IFLA_AF_SPEC, _IFLA_GROUP = 26, 27
_INFO_KIND, _INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFLA_INET_CONF, _IFLA_INET6_ADDR_GEN_MODE = 1, 8
_ADDR_GEN_NONE: Final = 1
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_IFA_F_NOPREFIXROUTE: Final = 0x200
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PREFSRC = 1, 4, 5, 7
_RT_TABLE_MAIN, _RTPROT_STATIC, _RTN_UNICAST = 254, 4, 1
_RT_SCOPE_UNIVERSE, _RT_SCOPE_LINK = 0, 253
_NDA_DST, _NDA_LLADDR, _NUD_PERMANENT = 1, 2, 0x80

# net.ipv4.conf.<link>.* by the number the kernel gives them
CONF_SEND_REDIRECTS: Final = 6
CONF_RP_FILTER: Final = 8
CONF_ROUTE_LOCALNET: Final = 26


def attribute(kind: int, value: bytes) -> bytes:
    size = len(value) + 4
    return struct.pack("=HH", size, kind) + value + b"\0" * (-size % 4)


def _u32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def _text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def message(kind: int, flags: int, body: bytes) -> bytes:
    """A message without its sequence number, which the socket writes."""
    return struct.pack("=IHHII", len(body) + 16, kind, flags | NLM_F_REQUEST, 0, 0) + body


def _link_header(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, change)


def hardware(mac: str) -> bytes:
    value = bytes.fromhex(mac.replace(":", ""))
    if len(value) != 6:
        raise ValueError(f"{mac!r} is not a hardware address")
    return value


def new_veth(name: str, mac: str, group: int, *, peer: str, peer_mac: str, peer_namespace: int) -> bytes:
    """A pair: `name` here, `peer` born inside the other network namespace; both still down."""
    other = (
        _link_header()
        + _text(_IFLA_IFNAME, peer)
        + attribute(_IFLA_ADDRESS, hardware(peer_mac))
        + _u32(_IFLA_NET_NS_FD, peer_namespace)
    )
    info = _text(_INFO_KIND, "veth") + attribute(_INFO_DATA, attribute(_VETH_INFO_PEER, other))
    body = (
        _link_header()
        + _text(_IFLA_IFNAME, name)
        + attribute(_IFLA_ADDRESS, hardware(mac))
        + _u32(_IFLA_GROUP, group)
        + attribute(_IFLA_LINKINFO, info)
    )
    return message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, body)


def new_bridge(name: str, group: int) -> bytes:
    body = (
        _link_header()
        + _text(_IFLA_IFNAME, name)
        + _u32(_IFLA_GROUP, group)
        + attribute(_IFLA_LINKINFO, _text(_INFO_KIND, "bridge"))
    )
    return message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, body)


def link_settings(index: int, conf: Sequence[tuple[int, int]] = ()) -> bytes:
    """Set IPv4 settings, and keep IPv6 from making up an address (and probing for duplicates of it).

    Apart from going up, because the kernel would go up first and the address would be there.
    """
    settings = b"".join(_u32(number, value) for number, value in conf)
    families = attribute(socket.AF_INET, attribute(_IFLA_INET_CONF, settings)) if conf else b""
    if socket.has_ipv6 and os.path.exists("/proc/sys/net/ipv6"):  # a kernel without IPv6 refuses to hear of it
        mode = attribute(_IFLA_INET6_ADDR_GEN_MODE, struct.pack("=B", _ADDR_GEN_NONE))
        families += attribute(socket.AF_INET6, mode)
    return message(RTM_NEWLINK, NLM_F_ACK, _link_header(index) + attribute(_IFLA_AF_SPEC, families))


def link_up(index: int) -> bytes:
    return message(RTM_NEWLINK, NLM_F_ACK, _link_header(index, _IFF_UP, _IFF_UP))


def loopback_up() -> bytes:
    return link_up(1)


def delete_link(name: str) -> bytes:
    return message(RTM_DELLINK, NLM_F_ACK, _link_header() + _text(_IFLA_IFNAME, name))


def delete_group(group: int) -> bytes:
    """Every link of a group at once: the kernel waits for its readers once, not once per link."""
    return message(RTM_DELLINK, NLM_F_ACK, _link_header() + _u32(_IFLA_GROUP, group))


def get_link(name: str) -> bytes:
    return message(RTM_GETLINK, NLM_F_ACK, _link_header() + _text(_IFLA_IFNAME, name))


def new_address(index: int, address: str, prefix_len: int) -> bytes:
    """An address that brings no route of its own: all routes here are written out."""
    local = socket.inet_aton(address)
    body = (
        struct.pack("=BBBBI", socket.AF_INET, prefix_len, 0, _RT_SCOPE_UNIVERSE, index)
        + attribute(_IFA_LOCAL, local)
        + attribute(_IFA_ADDRESS, local)
        + _u32(_IFA_FLAGS, _IFA_F_NOPREFIXROUTE)
    )
    return message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, body)


def new_route(index: int, destination: str | None, *, gateway: str = "", source: str = "") -> bytes:
    """A route to one address (or, with None, to everywhere) through a link, replacing the one that stood."""
    bits = 0 if destination is None else 32
    scope = _RT_SCOPE_UNIVERSE if gateway else _RT_SCOPE_LINK
    header = struct.pack(
        "=BBBBBBBBI",
        socket.AF_INET,
        bits,
        0,
        0,
        _RT_TABLE_MAIN,
        _RTPROT_STATIC,
        scope,
        _RTN_UNICAST,
        0,
    )
    body = header + _u32(_RTA_OIF, index)
    if destination is not None:
        body += attribute(_RTA_DST, socket.inet_aton(destination))
    if gateway:
        body += attribute(_RTA_GATEWAY, socket.inet_aton(gateway))
    if source:
        body += attribute(_RTA_PREFSRC, socket.inet_aton(source))
    return message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, body)


def new_neighbour(index: int, address: str, mac: str) -> bytes:
    body = (
        struct.pack("=BxxxiHBB", socket.AF_INET, index, _NUD_PERMANENT, 0, _RTN_UNICAST)
        + attribute(_NDA_DST, socket.inet_aton(address))
        + attribute(_NDA_LLADDR, hardware(mac))
    )
    return message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, body)


class NetlinkSocket:
    """A socket in the network namespace in which it was opened, whatever the thread does later."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def request(self, *messages: bytes) -> list[bytes]:
        """Send all, wait for every acknowledgement, and give the bodies of the answers that carry one."""
        batch = bytearray()
        first = self._sequence + 1
        for each in messages:
            self._sequence += 1
            numbered = bytearray(each)
            struct.pack_into("=I", numbered, 8, self._sequence)
            batch += numbered
        self._socket.send(batch)
        bodies: list[bytes] = []
        waiting = len(messages)
        failure: OSError | None = None
        while waiting:
            for kind, sequence, body in _messages(self._socket.recv(_RECEIVE_BYTES)):
                if kind != _NLMSG_ERROR:
                    bodies.append(body)
                    continue
                waiting -= 1
                code = -struct.unpack_from("=i", body)[0]
                if code and failure is None:
                    what = _describe(messages[sequence - first])
                    failure = OSError(code, os.strerror(code), what)
        if failure is not None:
            raise failure
        return bodies

    def link_index(self, name: str) -> int:
        (body,) = self.request(get_link(name))
        return int(struct.unpack_from("=i", body, 4)[0])


def _messages(data: bytes) -> list[tuple[int, int, bytes]]:
    found = []
    offset = 0
    while offset + 16 <= len(data):
        size, kind, _, sequence, _ = struct.unpack_from("=IHHII", data, offset)
        found.append((kind, sequence, data[offset + 16 : offset + size]))
        offset += (size + 3) & ~3
    return found


_NAMES: Final = {
    RTM_NEWLINK: "link",
    RTM_DELLINK: "link deletion",
    RTM_GETLINK: "link query",
    RTM_NEWADDR: "address",
    RTM_NEWROUTE: "route",
    RTM_NEWNEIGH: "neighbour",
}


def _describe(sent: bytes) -> str:
    return f"netlink {_NAMES[struct.unpack_from('=H', sent, 4)[0]]}"
