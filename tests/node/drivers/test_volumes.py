"""Volumes of a task: what its containers share, what outlives it, and what it can never reach."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from moorage.agent.drivers import syscalls
from moorage.agent.spec import (
    ContainerId,
    DockerVolume,
    DriverError,
    FileSystemVolume,
    HostVolume,
    Isolation,
    Mount,
    MountPoint,
    ScratchVolume,
    Tmpfs,
    VolumesFrom,
)

from .host import Host, container_id, sandbox_id

BOTH = pytest.mark.parametrize("isolation", ["namespaces", "userns"])
DATA = MountPoint(volume="data", target="/data")


@BOTH
def test_containers_of_a_task_share_a_scratch_volume(host: Host, number: int, isolation: Isolation) -> None:
    host.sandbox(number, isolation=isolation, volumes=(ScratchVolume(name="data"),))
    host.output(host.start(number, "echo word > /data/note", 0, mount_points=(DATA,)))
    look = "stat -c %u:%g:%a /other; cat /other/note; touch /other/x 2>/dev/null || echo refused"
    other = MountPoint(volume="data", target="/other", readonly=True)
    assert host.output(host.start(number, look, 1, mount_points=(other,))).split() == ["0:0:755", "word", "refused"]
    host.node.remove_sandbox(sandbox_id(number))
    host.sandbox(number, isolation=isolation, volumes=(ScratchVolume(name="data"),))
    assert host.output(host.start(number, "ls -A /data", 0, mount_points=(DATA,))) == ""


@BOTH
def test_an_empty_volume_is_filled_from_the_image(host: Host, number: int, isolation: Isolation) -> None:
    host.sandbox(number, isolation=isolation, volumes=(ScratchVolume(name="etc"), ScratchVolume(name="home")))
    points = (MountPoint(volume="etc", target="/copied/../etc"), MountPoint(volume="home", target="/home/app/"))
    look = "grep -c root /etc/passwd; stat -c %u /home/app /etc/passwd"
    assert host.output(host.start(number, look, mount_points=points)).split() == ["1", "1000", "0"]


def test_a_directory_of_the_host_is_made_where_it_is_missing(host: Host, number: int, tmp_path: Path) -> None:
    host.sandbox(number, "none", volumes=(HostVolume(name="data", path=f"{tmp_path}/a/b"),))
    host.output(host.start(number, "echo word > /data/note", mount_points=(DATA,)))
    assert (tmp_path / "a/b/note").read_text() == "word\n"
    host.node.remove_sandbox(sandbox_id(number))
    assert (tmp_path / "a/b/note").exists()


def test_a_file_of_the_host_can_be_a_volume(host: Host, number: int, tmp_path: Path) -> None:
    (tmp_path / "conf").write_text("setting")
    host.sandbox(number, "none", volumes=(HostVolume(name="data", path=f"{tmp_path}/conf"),))
    point = MountPoint(volume="data", target="/etc/app/conf", readonly=True)
    assert host.output(host.start(number, "cat /etc/app/conf", mount_points=(point,))) == "setting"


def test_mounts_inside_each_other_are_made_outside_in(host: Host, number: int) -> None:
    host.sandbox(number, "none", volumes=(ScratchVolume(name="data"), ScratchVolume(name="deep")))
    points = (MountPoint(volume="deep", target="/data/a/b"), DATA)
    host.output(host.start(number, "echo deep > /data/a/b/x; echo wide > /data/y", mount_points=points))
    assert (
        host.output(host.start(number, "cat /d/x", 1, mount_points=(MountPoint(volume="deep", target="/d"),)))
        == "deep"
    )


def test_a_shared_volume_outlives_its_tasks_and_is_made_only_where_asked(host: Host, number: int) -> None:
    name = f"keep-{secrets.token_hex(4)}"
    kept = DockerVolume(name=name, shared=True)
    with pytest.raises(DriverError, match="does not exist, and autoprovision is off"):
        host.sandbox(number, "none", volumes=(kept,))
    made = DockerVolume(name=name, shared=True, autoprovision=True)
    point = MountPoint(volume=name, target="/data")
    try:
        host.sandbox(number, "none", volumes=(made,))
        host.output(host.start(number, "echo word > /data/note", mount_points=(point,)))
        host.node.remove_sandbox(sandbox_id(number))
        host.sandbox(number, "none", volumes=(kept,))
        assert host.output(host.start(number, "cat /data/note", mount_points=(point,))) == "word"
        other = DockerVolume(name=name, shared=True, autoprovision=True, options=(("device", "tmpfs"),))
        with pytest.raises(DriverError, match="exists with other driver options"):
            host.sandbox(number + 100, "none", volumes=(other,))
    finally:
        _remove_shared(host, name)


def _remove_shared(host: Host, name: str) -> None:
    home = host.config.path / "volumes" / name
    for each in sorted(home.rglob("*"), reverse=True):
        each.unlink() if each.is_file() else each.rmdir()
    home.rmdir()
    home.parent.rmdir()


def test_driver_options_decide_what_is_mounted(host: Host, number: int) -> None:
    options = (("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=2m,mode=700"))
    host.sandbox(number, "none", volumes=(DockerVolume(name="data", shared=False, options=options),))
    host.output(host.start(number, "echo word > /data/note", 0, mount_points=(DATA,)))
    look = host.output(host.start(number, "cat /data/note; grep /data /proc/mounts", 1, mount_points=(DATA,)))
    assert look.startswith("word\n")
    assert "size=2048k,mode=700" in look


def test_a_bound_directory_survives_the_volume(host: Host, number: int, tmp_path: Path) -> None:
    options = (("type", "none"), ("device", str(tmp_path)), ("o", "bind"))
    host.sandbox(number, "none", volumes=(DockerVolume(name="data", shared=False, options=options),))
    host.output(host.start(number, "echo word > /data/note", mount_points=(DATA,)))
    host.node.remove_sandbox(sandbox_id(number))
    assert (tmp_path / "note").read_text() == "word\n"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"device": "tmpfs", "type": "nosuchfs"}, "mounting the volume"),
        ({"type": "tmpfs"}, "needs the option device"),
        ({"device": "tmpfs", "size": "1m"}, "does not know the option size"),
    ],
)
def test_options_that_cannot_be_fail_the_sandbox(host: Host, number: int, options: dict[str, str], why: str) -> None:
    volume = DockerVolume(name="data", shared=False, options=tuple(options.items()))
    with pytest.raises(DriverError, match=why):
        host.sandbox(number, "none", volumes=(volume,))


@BOTH
def test_a_file_system_is_the_directory_of_the_settings(
    host: Host, number: int, isolation: Isolation, file_system: Path
) -> None:
    (file_system / "projects/greeting").write_text("hello")
    volume = FileSystemVolume(name="data", file_system="fs-12345678", root="/projects", encrypted=True)
    host.sandbox(number, isolation=isolation, volumes=(volume,))
    script = "cat /data/greeting; stat -c :%u /data/greeting; echo x > /data/made; chown 1000 /data/made"
    assert host.output(host.start(number, script, mount_points=(DATA,))) == "hello:0"
    made = file_system / "projects/made"
    assert made.stat().st_uid == 1000
    made.unlink()


@pytest.mark.parametrize(
    ("volume", "why"),
    [
        (FileSystemVolume(name="data", file_system="fs-0"), "have no directory for the file system fs-0"),
        (FileSystemVolume(name="data", file_system="fs-12345678", root="/nowhere"), "No such file"),
        (FileSystemVolume(name="data", file_system="fs-12345678", root="/leaves"), "No such file"),
        (FileSystemVolume(name="data", file_system="fs-12345678", root="/../../etc"), "No such file"),
    ],
)
def test_nothing_outside_of_a_file_system_is_reached(
    host: Host, number: int, volume: FileSystemVolume, why: str
) -> None:
    with pytest.raises(DriverError, match=why):
        host.sandbox(number, "none", volumes=(volume,))


def test_a_container_has_the_volumes_of_another(host: Host, number: int, tmp_path: Path) -> None:
    volumes = (ScratchVolume(name="data"), HostVolume(name="host", path=str(tmp_path)))
    host.sandbox(number, "none", volumes=volumes)
    points = (DATA, MountPoint(volume="host", target="/host", readonly=True))
    host.output(host.start(number, "echo word > /data/note", 0, mount_points=points, lends_volumes=True))
    lend = VolumesFrom(container=container_id(number, 0))
    script = "cat /data/note; touch /data/x && echo may; touch /host/x 2>/dev/null || echo not"
    assert host.output(host.start(number, script, 1, volumes_from=(lend,))).split() == ["word", "may", "not"]
    lend = VolumesFrom(container=container_id(number, 1), readonly=True)
    script = "cat /data/note; touch /data/y 2>/dev/null || echo not"
    assert host.output(host.start(number, script, 2, volumes_from=(lend,))).split() == ["word", "not"]


@BOTH
def test_what_an_image_declares_as_volume_is_lent_with_its_content(
    host: Host, number: int, isolation: Isolation
) -> None:
    usual = host.image
    host.sandbox(number, isolation=isolation)
    host.image = type(usual)(digest="x", layers=usual.layers, volumes=("/home/app", "/new"))
    try:
        host.output(host.start(number, "echo word > /home/app/note", 0, lends_volumes=True))
    finally:
        host.image = usual
    lend = VolumesFrom(container=container_id(number, 0))
    script = "cat /home/app/note; stat -c %u /home/app; ls -d /new"
    assert host.output(host.start(number, script, 1, volumes_from=(lend,))).split() == ["word", "1000", "/new"]


def test_a_declared_volume_is_writable_under_a_read_only_root(host: Host, number: int) -> None:
    usual = host.image
    host.sandbox(number, "none")
    host.image = type(usual)(digest="x", layers=usual.layers, volumes=("/state",))
    try:
        script = "touch /state/x && echo may; touch /x 2>/dev/null || echo not"
        assert host.output(host.start(number, script, readonly_root=True)).split() == ["may", "not"]
    finally:
        host.image = usual


def test_volumes_of_a_container_that_was_not_started_cannot_be_had(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    with pytest.raises(DriverError, match="was not started"):
        host.start(number, "true", 1, volumes_from=(VolumesFrom(container=ContainerId(f"{number:032x}-0")),))


def test_volumes_survive_the_agent(host: Host, number: int) -> None:
    options = (("type", "tmpfs"), ("device", "tmpfs"))
    volumes = (ScratchVolume(name="data"), DockerVolume(name="memory", shared=False, options=options))
    host.sandbox(number, "none", volumes=volumes)
    points = (DATA, MountPoint(volume="memory", target="/memory"))
    host.output(host.start(number, "echo a > /data/x; echo b > /memory/x", 0, mount_points=points))
    host.reopen()
    assert host.output(host.start(number, "cat /data/x /memory/x", 1, mount_points=points)).split() == ["a", "b"]


def test_volumes_lie_beside_what_else_is_mounted(host: Host, number: int, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("given\n")
    host.sandbox(number, "none", volumes=(ScratchVolume(name="data"),))
    mount = Mount(source=str(tmp_path / "hosts"), target="/etc/hosts")
    container = host.start(
        number,
        "cat /etc/hosts; ls -d /data/deep",
        mounts=(mount,),
        mount_points=(DATA,),
        tmpfs=(Tmpfs(target="/data/deep"),),
    )
    assert host.output(container).split() == ["given", "/data/deep"]


def test_what_a_crash_left_mounted_is_unmounted_before_anything_is_removed(
    host: Host, number: int, tmp_path: Path
) -> None:
    (tmp_path / "precious").write_text("data")
    host.sandbox(number, "none")
    container = host.start(number, "sleep 60")
    place = host.node._parts.stage / "bundles" / container / "volume-0"

    def leave_mounted() -> None:
        place.mkdir()
        syscalls.mount(str(tmp_path), str(place), None, syscalls.MS_BIND)

    host.node._parts.crew.run(leave_mounted)
    host.node.remove_container(container)
    assert (tmp_path / "precious").read_text() == "data"
    assert not host.node._parts.crew.run(place.parent.exists)
