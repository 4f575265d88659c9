"""What a registration may say of volumes and of where they are mounted."""

from __future__ import annotations

import pytest

from tests.unit.rules.drafts import a_part, refusal, registered

EFS = {"fileSystemId": "fs-12345678"}


def test_every_kind_of_volume_is_kept_as_given() -> None:
    docker = {"scope": "shared", "autoprovision": True, "driver": "local", "labels": {"a": "b"}}
    volumes = [
        {"name": "scratch"},
        {"name": "empty", "host": {}},
        {"name": "host", "host": {"sourcePath": "/srv"}},
        {"name": "docker", "dockerVolumeConfiguration": docker},
        {"name": "efs", "efsVolumeConfiguration": EFS | {"rootDirectory": "/a", "transitEncryption": "ENABLED"}},
    ]
    definition = registered(volumes=volumes)
    assert [volume.name for volume in definition.volumes] == [volume["name"] for volume in volumes]
    assert definition.file_systems == ("fs-12345678",)
    assert {"ecs.capability.efs", "ecs.capability.docker-plugin.local"} <= set(definition.requires_attributes)


@pytest.mark.parametrize(
    ("volume", "why"),
    [
        ({"name": ""}, "Invalid volume name ''"),
        ({"name": "a/b"}, "Invalid volume name 'a/b'"),
        ({"name": "v", "host": {"sourcePath": "srv"}}, "must be an absolute path"),
        ({"name": "v", "host": {"sourcePath": "/s"}, "efsVolumeConfiguration": EFS}, "Only one of"),
        ({"name": "v", "dockerVolumeConfiguration": {"autoprovision": True}}, "only where the scope is shared"),
        ({"name": "v", "dockerVolumeConfiguration": {"driverOpts": {"size": "1g"}}}, "does not take the option size"),
        ({"name": "v", "dockerVolumeConfiguration": {"driverOpts": {"type": "nfs"}}}, "needs the option device"),
        ({"name": "v", "efsVolumeConfiguration": {"fileSystemId": "mine"}}, "'mine' is no file system id"),
        ({"name": "v", "efsVolumeConfiguration": EFS | {"rootDirectory": "x"}}, "rootDirectory"),
        ({"name": "v", "efsVolumeConfiguration": EFS | {"authorizationConfig": {"iam": "ENABLED"}}}, "IAM"),
    ],
)
def test_volumes_that_cannot_be_are_refused(volume: dict[str, object], why: str) -> None:
    assert why in refusal(volumes=[volume])


def test_a_driver_of_its_own_knows_its_options_itself() -> None:
    volume = {"name": "v", "dockerVolumeConfiguration": {"driver": "rexray/ebs", "driverOpts": {"size": "5"}}}
    assert "ecs.capability.docker-plugin.rexray/ebs" in registered(volumes=[volume]).requires_attributes


def test_volume_names_are_unique() -> None:
    assert "used more than once" in refusal(volumes=[{"name": "v"}, {"name": "v"}])


def test_what_is_mounted_is_a_volume_of_the_task() -> None:
    point = {"sourceVolume": "v", "containerPath": "/data"}
    assert registered(a_part(mountPoints=[point]), volumes=[{"name": "v"}]).containers[0].mount_points
    assert refusal(a_part(mountPoints=[point])) == "Unknown volume 'v'."


@pytest.mark.parametrize("path", ["", "data", "/", "//", "/" + "x" * 4096])
def test_a_volume_is_mounted_below_the_root(path: str) -> None:
    point = {"sourceVolume": "v", "containerPath": path}
    assert "must be an absolute path below /" in refusal(a_part(mountPoints=[point]), volumes=[{"name": "v"}])


def test_one_place_holds_one_volume() -> None:
    points = [{"sourceVolume": "v", "containerPath": path} for path in ("/data", "/data/")]
    assert "More than one volume is mounted at /data" in refusal(a_part(mountPoints=points), volumes=[{"name": "v"}])
    tmpfs = {"tmpfs": [{"containerPath": "/data", "size": 1}]}
    part = a_part(mountPoints=points[:1], linuxParameters=tmpfs)
    assert "More than one volume" in refusal(part, volumes=[{"name": "v"}])


@pytest.mark.parametrize("lender", ["", "nobody", "app"])
def test_volumes_are_had_from_another_container(lender: str) -> None:
    text = refusal(a_part(volumesFrom=[{"sourceContainer": lender}]))
    assert "another container of the task" in text or "form a circle" in text


def test_containers_do_not_have_their_volumes_from_each_other() -> None:
    parts = [a_part(name=name, volumesFrom=[{"sourceContainer": other}]) for name, other in (("a", "b"), ("b", "a"))]
    assert "form a circle" in refusal(*parts)
