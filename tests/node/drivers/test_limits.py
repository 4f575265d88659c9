"""Limits hold."""

from __future__ import annotations

import time

from moorage.agent.spec import Ulimit

from .host import Host

_HOG = "head -c 200000000 /dev/zero | tail >/dev/null; echo survived"  # tail keeps the one endless line in memory


def test_a_container_that_takes_more_memory_than_its_own_limit_is_killed(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    ended = host.wait_exit(host.start(number, "exec tail /dev/zero", memory_max_bytes=32 << 20))
    assert (ended.code, ended.oom_killed) == (137, True)


def test_a_container_that_takes_more_memory_than_its_task_is_killed(host: Host, number: int) -> None:
    host.sandbox(number, "none", memory_max_bytes=32 << 20)
    ended = host.wait_exit(host.start(number, "exec tail /dev/zero"))
    assert (ended.code, ended.oom_killed) == (137, True)


def test_a_container_within_its_memory_is_left_alone(host: Host, number: int) -> None:
    host.sandbox(number, "none", memory_max_bytes=400 << 20)
    container = host.start(number, _HOG)
    assert (host.wait_exit(container).oom_killed, host.log(container)) == (False, "survived")


def test_the_cpu_quota_of_a_task_holds(host: Host, number: int) -> None:
    host.sandbox(number, "none", cpu_quota_us=25_000)
    began = time.monotonic()
    loop = "t=$(cut -d' ' -f1 /proc/uptime); i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; cat /proc/$$/stat"
    fields = host.output(host.start(number, loop)).split()
    took_s, used_s = time.monotonic() - began, (int(fields[13]) + int(fields[14])) / 100
    assert used_s <= 0.25 * took_s * 1.3 + 0.1


def test_the_number_of_processes_of_a_task_is_bounded(host: Host, number: int) -> None:
    host.sandbox(number, "none", pids_max=8)
    container = host.start(number, "i=0; while [ $i -lt 20 ]; do sleep 30 & i=$((i+1)); done; echo all; kill -9 -1")
    host.wait_exit(container)
    assert "can't fork" in host.log(container)


def test_ulimits_are_as_asked_and_open_files_are_bounded(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    asked = Ulimit(name="nofile", soft=100, hard=200)
    assert host.output(host.start(number, "ulimit -Sn; ulimit -Hn", ulimits=(asked,))).split() == ["100", "200"]
    assert int(host.output(host.start(number, "ulimit -Hn", 1))) <= 65_535
