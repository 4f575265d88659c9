"""runc in crun's place: cgroups made by the runtime, the filter compiled by it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from moorage.agent.drivers.node import NodeConfig
from moorage.agent.spec import DriverError, Isolation, RootImage

from .host import PRIVATE, VPC, Host, traces


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("isolation", ["namespaces", "userns"])
def test_runc_runs_limits_and_refuses_as_crun_does(tmp_path: Path, image: RootImage, isolation: Isolation) -> None:
    config = NodeConfig(
        installation=secrets.token_hex(4),
        agent="runc",
        directory=str(tmp_path / "node"),
        vpc_cidr=VPC,
        private_cidr=PRIVATE,
        runtime="runc",
        isolations=(isolation,),
    )
    host = Host(config, image)
    try:
        host.sandbox(1, isolation=isolation)
        shown = host.start(
            1, "grep Seccomp: /proc/self/status; mount -t tmpfs x /tmp 2>/dev/null || echo no; exit 3", 0
        )
        assert host.wait_exit(shown).code == 3
        assert host.log(shown).splitlines()[0].split() == ["Seccomp:", "2"]
        assert host.log(shown).splitlines()[-1] == "no"
        hog = host.start(1, "exec tail /dev/zero", 1, memory_max_bytes=32 << 20)
        assert host.wait_exit(hog).oom_killed
        with pytest.raises(DriverError, match="no-such-program") as refused:
            host.started(1, ("no-such-program",), 2)
        assert refused.value.kind == "CannotStartContainerError"
    finally:
        host.node.close()
    assert not {kind: things for kind, things in traces(config).items() if things}
