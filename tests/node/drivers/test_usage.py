"""What the node tells of its containers' use, and of itself."""

from __future__ import annotations

import os

from moorage.agent.spec import ContainerId

from .host import Host, container_id, wait_for


def test_cpu_memory_processes_and_disk_are_counted(host: Host, number: int) -> None:
    host.sandbox(number)
    work = "dd if=/dev/zero of=/big bs=1M count=8 conv=fsync 2>/dev/null; echo done; sleep 1000"
    container = host.start(number, work, memory_max_bytes=64 << 20)
    host.wait_log(container, "done")
    used = host.node.usage(container)
    assert used is not None
    assert used.cpu.total_ns > 0
    assert used.cpu.host_ns > used.cpu.total_ns
    assert used.cpu.host_cpus == os.cpu_count()
    assert 0 < used.memory.usage_bytes <= used.memory.limit_bytes == 64 << 20
    assert used.memory.stats
    assert used.processes >= 1


def test_a_link_counts_what_the_sandbox_receives_and_sends(host: Host, number: int) -> None:
    host.sandbox(number)
    container = host.start(number, "while :; do ping -c 1 -W 1 10.213.0.1 >/dev/null; usleep 10000; done")

    def both_ways() -> bool:
        used = host.node.usage(container)
        return used is not None and used.link is not None and used.link.tx_packets > 5 < used.link.rx_packets

    wait_for("packets both ways", both_ways)


def test_a_task_in_the_hosts_network_has_no_link_of_its_own(host: Host, number: int) -> None:
    host.sandbox(number, "host")
    used = host.node.usage(host.start(number, "sleep 1000"))
    assert used is not None
    assert used.link is None


def test_every_isolation_is_counted(host: Host, number: int) -> None:
    host.sandbox(number, "awsvpc", "userns")
    used = host.node.usage(host.start(number, "sleep 1000"))
    assert used is not None
    assert used.cpu.total_ns > 0
    assert used.processes >= 1


def test_what_is_not_there_has_used_nothing(host: Host, number: int) -> None:
    assert host.node.usage(ContainerId("f" * 32 + "-0")) is None
    assert host.node.times(container_id(number)) == (None, None)


def test_a_container_is_made_before_it_is_started(host: Host, number: int) -> None:
    host.sandbox(number)
    made_s, started_s = host.node.times(host.start(number, "sleep 1000"))
    assert made_s is not None
    assert started_s is not None
    assert made_s <= started_s


def test_a_node_in_order_has_no_complaint_and_knows_its_clock(host: Host) -> None:
    assert host.node.complaint() == ""
    clock = host.node.clock()
    assert (clock.error_bound_ms is None) == (not clock.synchronized)
