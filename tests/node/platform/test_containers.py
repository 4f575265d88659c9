"""What a container is given: command, environment, user, directory, limits; and what a caller may override."""

from __future__ import annotations

import pytest

from tests.node.platform.installation import IMAGE, Installation, container_of

BOTH = pytest.mark.parametrize("how", [{"fargate": True}, {}], ids=["fargate", "instance"])


@BOTH
def test_the_environment_is_the_definitions_with_the_overrides_over_it(
    shared: Installation, how: dict[str, bool]
) -> None:
    container = {"environment": [{"name": "A", "value": "one two"}, {"name": "B", "value": "$HOME; `x`"}]}
    overrides = {"containerOverrides": [{"name": "main", "environment": [{"name": "A", "value": "three"}]}]}
    lines = shared.output(
        ["sh", "-c", 'echo "$A"; echo "$B"; echo "$AWS_REGION"'],
        container=container,
        request={"overrides": overrides},
        **how,
    )
    assert lines == ["three", "$HOME; `x`", "us-east-1"]


@BOTH
def test_user_and_working_directory_hold(shared: Installation, how: dict[str, bool]) -> None:
    container = {"user": "nobody", "workingDirectory": "/made/for/this"}
    lines = shared.output(
        ["sh", "-c", "id -u; id -g; pwd; touch /root/x 2>/dev/null || echo no"], container=container, **how
    )
    assert lines == ["65534", "65534", "/made/for/this", "no"]


def test_a_numeric_user_and_group_need_not_be_known(shared: Installation) -> None:
    assert shared.output(["sh", "-c", "id -u; id -g"], container={"user": "1234:567"}) == ["1234", "567"]


def test_an_entry_point_gets_the_command_as_its_arguments(shared: Installation) -> None:
    container = {"entryPoint": ["sh", "-c", 'echo "$0|$1|$#"']}
    assert shared.output(["first", "second third"], container=container) == ["first|second third|1"]


def test_a_command_override_replaces_the_command(shared: Installation) -> None:
    overrides = {"containerOverrides": [{"name": "main", "command": ["echo", "instead"]}]}
    assert shared.output(["echo", "defined"], request={"overrides": overrides}) == ["instead"]


def test_an_override_of_a_container_that_is_not_there_is_refused(shared: Installation) -> None:
    overrides = {"containerOverrides": [{"name": "nobody", "command": ["true"]}]}
    with pytest.raises(shared.ecs.exceptions.InvalidParameterException, match="nobody"):
        shared.run(["true"], request={"overrides": overrides})


@BOTH
@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_the_exit_code_is_the_containers(shared: Installation, code: int, how: dict[str, bool]) -> None:
    task = shared.ended(["sh", "-c", f"exit {code}"], **how)
    assert container_of(task)["exitCode"] == code
    assert task["stopCode"] == "EssentialContainerExited"
    assert task["stoppedReason"] == "Essential container in task exited"
    for name in ("createdAt", "startedAt", "stoppingAt", "executionStoppedAt", "stoppedAt"):
        assert name in task


def test_memory_is_limited_as_the_definition_says_and_the_limit_holds(shared: Installation) -> None:
    read = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"
    assert shared.output(["sh", "-c", read]) == [str(64 << 20)]
    task = shared.ended(["awk", 'BEGIN{while(1) a[i++]=sprintf("%9999d",i)}'])
    assert container_of(task)["exitCode"] == 137
    assert container_of(task)["reason"].startswith("OutOfMemoryError")


def test_cpu_is_a_weight_on_an_instance(shared: Installation) -> None:
    read = "cat /sys/fs/cgroup/cpu/cpu.shares 2>/dev/null || cat /sys/fs/cgroup/cpu.weight"
    (small,) = shared.output(["sh", "-c", read], container={"cpu": 128})
    (large,) = shared.output(["sh", "-c", read], container={"cpu": 512})
    assert int(small) < int(large)


def test_a_task_size_on_an_instance_is_a_hard_limit_of_cpu(shared: Installation) -> None:
    burn = (
        "while :; do :; done & a=$!; while :; do :; done & b=$!; sleep 2; cat /proc/$a/stat /proc/$b/stat; kill $a $b"
    )
    lines = shared.output(["sh", "-c", burn], task={"cpu": "256", "memory": "128"})
    ticks = sum(int(value) for line in lines[:2] for value in line.rpartition(")")[2].split()[11:13])
    assert 20 <= ticks <= 75, lines


def test_a_read_only_root_is_read_only(shared: Installation) -> None:
    lines = shared.output(["sh", "-c", "touch /x 2>/dev/null || echo no"], container={"readonlyRootFilesystem": True})
    assert lines == ["no"]


def test_what_one_container_writes_no_other_sees(shared: Installation) -> None:
    script = "cat /tmp/mark 2>/dev/null || echo clean; echo dirty > /tmp/mark"
    assert [shared.output(["sh", "-c", script]) for _ in range(2)] == [["clean"], ["clean"]]


def test_a_container_that_is_not_essential_may_end_alone(shared: Installation) -> None:
    side = {"name": "side", "image": IMAGE, "command": ["sh", "-c", "exit 3"], "memory": 32, "essential": False}
    task = shared.ended(["sh", "-c", "sleep 1; exit 4"], others=[side])
    assert (container_of(task, "side")["exitCode"], container_of(task)["exitCode"]) == (3, 4)
