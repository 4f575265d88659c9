"""The node's nftables table: address translation, and what sandboxes may not reach.

The table is written as one transaction when the node opens, with the port mappings of adopted sandboxes in it.
Starting a sandbox touches it only for host ports, one map element each: everything else matches on the group or the
name of a link. Names end in `*` where every link of the installation on this host is meant.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from moorage.agent.drivers import endpoint, processes
from moorage.agent.drivers.config import NodeConfig
from moorage.agent.spec import DriverError, PortBinding

_TABLE = """\
table ip {table} {{}}
delete table ip {table}
table ip {table} {{
    map tcp_ports {{ type inet_service : ipv4_addr . inet_service; {tcp} }}
    map udp_ports {{ type inet_service : ipv4_addr . inet_service; {udp} }}
    chain unforged {{
        type filter hook prerouting priority raw; policy accept;
        # Links of bridge mode route 127.0.0.0/8 so that the host reaches its mapped ports there. Not the other way.
        iifname "{prefix}*" ip daddr 127.0.0.0/8 drop
        # The agent's endpoint is the containers' and the host's, not the network's.
        iifname != "lo" iifname != "mr*" ip daddr {endpoint} tcp dport {{ {endpoint_port}, {shared_port} }} drop
    }}
    # Before the mapped ports of any node: the endpoint's address is one of the host's.
    chain told_in {{
        type nat hook prerouting priority dstnat - 1; policy accept;
        meta iifgroup {{ {shared}, {isolated} }} ip daddr {endpoint} tcp dport 80 dnat to {endpoint}:{endpoint_port}
    }}
    chain told_out {{
        type nat hook output priority -101; policy accept;
        {told_out}
    }}
    chain mapped_in {{
        type nat hook prerouting priority dstnat; policy accept;
        meta iifgroup {isolated} return
        fib daddr type local dnat to tcp dport map @tcp_ports
        fib daddr type local dnat to udp dport map @udp_ports
    }}
    chain mapped_out {{
        type nat hook output priority -100; policy accept;
        fib daddr type local dnat to tcp dport map @tcp_ports
        fib daddr type local dnat to udp dport map @udp_ports
    }}
    chain leaving {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {vpc} ip daddr != {vpc} masquerade
        ip saddr {private} ip daddr != {private} masquerade
        # A mapped port reached through 127.0.0.1, or by its own container, needs an address that answers go to.
        oifname "{prefix}*" ip saddr 127.0.0.0/8 masquerade
        ct status dnat ip saddr {private} ip daddr {private} masquerade
    }}
    chain to_host {{
        type filter hook input priority filter; policy accept;
        meta iifgroup {isolated} ct state established,related accept
        meta iifgroup {isolated} ip daddr {endpoint} tcp dport {endpoint_port} accept
        meta iifgroup {isolated} drop
    }}
    chain across {{
        type filter hook forward priority filter; policy accept;
        # Installations side by side do not meet, and an address of the VPC that no node here has goes nowhere else.
        iifname "{prefix}*" oifname "mr*" oifname != "{prefix}*" drop
        iifname "{prefix}*" ip daddr {vpc} oifname != "{prefix}*" reject with icmp type host-unreachable
    }}
}}
"""
# Only tasks in plain namespaces can share the host's network.
_TOLD_OUT = "ip daddr {endpoint} tcp dport 80 dnat to {endpoint}:{shared_port}"


class Firewall:
    """One nftables table."""

    def __init__(self, config: NodeConfig) -> None:
        self._config = config
        self._nft = processes.find_tool("nft", "nftables")

    def open(self, mappings: Iterable[tuple[PortBinding, str]], endpoint_port: int) -> None:
        """Write the whole table anew; `mappings` are the host ports of sandboxes that live, with their addresses."""
        config = self._config
        elements: dict[str, list[str]] = {"tcp": [], "udp": []}
        for binding, address in mappings:
            elements[binding.protocol].append(_element(binding, address))
        written = {
            name: f"elements = {{ {', '.join(entries)} }}" if entries else "" for name, entries in elements.items()
        }
        self._apply(
            _TABLE.format(
                table=config.nft_table,
                prefix=config.link_prefix,
                vpc=config.vpc_cidr,
                private=config.private_cidr,
                shared=config.link_group,
                isolated=config.isolated_group,
                endpoint=endpoint.ADDRESS,
                endpoint_port=endpoint_port,
                shared_port=endpoint.SHARED_PORT,
                told_out=_TOLD_OUT.format(endpoint=endpoint.ADDRESS, shared_port=endpoint.SHARED_PORT)
                if "namespaces" in config.isolations
                else "",
                **written,
            )
        )

    def add(self, bindings: Iterable[PortBinding], address: str) -> None:
        lines = [self._line("add", each, _element(each, address)) for each in bindings]
        if lines:
            self._apply("".join(lines))

    def remove(self, bindings: Iterable[PortBinding]) -> None:
        """Remove mappings, also those of a half-made sandbox, which may not be there."""
        lines = [self._line("delete", each, str(each.host_port)) for each in bindings]
        if not lines:
            return
        try:
            self._apply("".join(lines))
        except DriverError:  # one missing element undoes the whole transaction: take them singly
            for line in lines:
                with contextlib.suppress(DriverError):
                    self._apply(line)

    def close(self) -> None:
        table = self._config.nft_table
        self._apply(f"table ip {table} {{}}\ndelete table ip {table}\n")

    def _line(self, verb: str, binding: PortBinding, element: str) -> str:
        return f"{verb} element ip {self._config.nft_table} {binding.protocol}_ports {{ {element} }}\n"

    def _apply(self, script: str) -> None:
        code, said = processes.run_tool(self._nft, ["-f", "-"], script.encode())
        if code != 0:
            raise DriverError("ContainerNetworkingError", f"nft refused: {said}")


def _element(binding: PortBinding, address: str) -> str:
    return f"{binding.host_port} : {address} . {binding.container_port}"
