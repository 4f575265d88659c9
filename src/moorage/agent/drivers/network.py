"""Links, addresses and routes of sandboxes.

Routed, not bridged. Each sandbox has a veth pair; the host's end carries a route to that one address, the sandbox's
end sends everything to the subnet's gateway, and both ends know the other's hardware address beforehand. So there is
no broadcast, no ARP, and no table that a thousand ports would fill.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from moorage.agent.drivers import endpoint, netlink
from moorage.agent.drivers.config import NodeConfig
from moorage.agent.drivers.netlink import NetlinkSocket
from moorage.agent.spec import DriverError, SandboxId, SandboxSpec

HOST_MAC: Final = "ee:ee:ee:ee:ee:ee"  # of every host end: each is alone on its pair with its one neighbour
TASK_LINK: Final = "eth0"


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """How a sandbox hangs on the host."""

    address: str
    prefix_len: int
    gateway: str
    mac: str
    isolated: bool  # no way to the host
    mapped: bool  # has host ports that 127.0.0.1 must reach


class Network:
    """The node's links."""

    def __init__(self, config: NodeConfig) -> None:
        self._config = config
        self._private = ipaddress.IPv4Network(config.private_cidr)
        self._lock = threading.Lock()
        self._gateways: set[str] = set()  # already on the gateway link
        self._addresses: dict[str, SandboxId] = {}  # of bridge mode

    def open(self, taken: Iterable[tuple[str, SandboxId]]) -> None:
        """Make the link that bears the gateways' addresses; `taken` are bridge-mode addresses in use."""
        self._addresses.update(taken)
        with NetlinkSocket() as host:
            with contextlib.suppress(FileExistsError):
                # A bridge without ports: the kind of link that bears addresses and that every kernel has.
                host.request(netlink.new_bridge(self._config.gateway_link, self._config.link_group))
            index = host.link_index(self._config.gateway_link)
            host.request(netlink.link_settings(index), netlink.link_up(index))
            # A host without any network reaches it too, and a packet of the host's own has it as its source.
            host.request(netlink.new_address(index, endpoint.ADDRESS, 32))

    def plan(self, spec: SandboxSpec) -> Attachment | None:
        """Decide a sandbox's address and hardware address; None where it has no link."""
        isolated = spec.isolation != "namespaces"
        if spec.network_mode == "awsvpc":
            if spec.interface is None:
                raise DriverError("ContainerNetworkingError", "an awsvpc sandbox needs an interface")
            return Attachment(
                address=spec.interface.address,
                prefix_len=spec.interface.prefix_len,
                gateway=spec.interface.gateway,
                mac=spec.interface.mac,
                isolated=isolated,
                mapped=False,
            )
        if spec.network_mode == "bridge":
            address = self._take_private_address(spec.id)
            octets = ipaddress.IPv4Address(address).packed
            return Attachment(
                address=address,
                prefix_len=self._private.prefixlen,
                gateway=str(self._private[1]),
                mac="0a:58:" + ":".join(f"{octet:02x}" for octet in octets),
                isolated=isolated,
                mapped=True,
            )
        return None

    def _take_private_address(self, sandbox: SandboxId) -> str:
        with self._lock:
            for known, owner in self._addresses.items():
                if owner == sandbox:
                    return known
            for number in range(2, self._private.num_addresses - 1):
                address = str(self._private[number])
                if address not in self._addresses:
                    self._addresses[address] = sandbox
                    return address
        reason = f"the bridge-mode range {self._private} has no free address"
        raise DriverError("ContainerNetworkingError", reason)

    def attach(self, sandbox: SandboxId, attachment: Attachment, namespace: int, inside: NetlinkSocket) -> None:
        """Make the pair and connect both ends. A pair that a crash left behind is replaced."""
        name = self._config.link_name(sandbox)
        group = self._config.isolated_group if attachment.isolated else self._config.link_group
        pair = netlink.new_veth(
            name,
            HOST_MAC,
            group,
            peer=TASK_LINK,
            peer_mac=attachment.mac,
            peer_namespace=namespace,
        )
        with NetlinkSocket() as host:
            self._ensure_gateway(host, attachment.gateway)
            try:
                host.request(pair)
            except FileExistsError:
                host.request(netlink.delete_link(name))
                host.request(pair)
            _connect_inside(inside, attachment)
            _connect_host(host, name, attachment)

    def _ensure_gateway(self, host: NetlinkSocket, gateway: str) -> None:
        with self._lock:
            if gateway in self._gateways:
                return
            index = host.link_index(self._config.gateway_link)
            host.request(netlink.new_address(index, gateway, 32))
            self._gateways.add(gateway)

    def forget(self, sandbox: SandboxId) -> None:
        """The sandbox's namespace is going, and its links with it."""
        with self._lock:
            for address in [address for address, owner in self._addresses.items() if owner == sandbox]:
                del self._addresses[address]


def delete_all_links(config: NodeConfig) -> None:
    with NetlinkSocket() as host:
        for group in (config.isolated_group, config.link_group):
            _delete(host, netlink.delete_group(group))


def _delete(host: NetlinkSocket, message: bytes) -> None:
    try:
        host.request(message)
    except OSError as error:
        if error.errno not in (errno.ENODEV, errno.ESRCH):
            raise


def _connect_inside(inside: NetlinkSocket, attachment: Attachment) -> None:
    index = inside.link_index(TASK_LINK)
    inside.request(
        netlink.link_settings(index),
        netlink.link_up(index),
        netlink.new_address(index, attachment.address, attachment.prefix_len),
        netlink.new_neighbour(index, attachment.gateway, HOST_MAC),
        netlink.new_route(index, attachment.gateway, source=attachment.address),
        netlink.new_route(index, None, gateway=attachment.gateway, source=attachment.address),
    )


def _connect_host(host: NetlinkSocket, name: str, attachment: Attachment) -> None:
    index = host.link_index(name)
    conf = [(netlink.CONF_RP_FILTER, 1), (netlink.CONF_SEND_REDIRECTS, 0)]  # 1: no forged source addresses
    if attachment.mapped:
        conf.append((netlink.CONF_ROUTE_LOCALNET, 1))
    host.request(
        netlink.link_settings(index, conf),
        netlink.link_up(index),
        netlink.new_neighbour(index, attachment.address, attachment.mac),
        netlink.new_route(index, attachment.address, source=attachment.gateway),
    )


def prepare_endpoint() -> None:
    """Call inside the namespace of a sandbox without a link: the endpoint's address, on the loopback."""
    with NetlinkSocket() as inside:
        inside.request(netlink.new_address(1, endpoint.ADDRESS, 32))


def prepare_namespace() -> NetlinkSocket:
    """Call inside a new network namespace: loopback up, Docker's two settings, and a socket that stays in it."""
    # Any process may listen on port 80 and send pings: there is nobody else in the namespace to protect.
    _set("net/ipv4/ip_unprivileged_port_start", "0")
    _set("net/ipv4/ping_group_range", "0 65535")
    inside = NetlinkSocket()
    inside.request(netlink.loopback_up())
    return inside


def _set(name: str, value: str) -> None:
    Path("/proc/sys", name).write_text(value)


def current_namespace() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)
