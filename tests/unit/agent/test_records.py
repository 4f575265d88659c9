"""What survives the agent."""

from __future__ import annotations

from pathlib import Path

import msgspec

from moorage.agent.life import new_life
from moorage.agent.spec import Exit, PortBinding
from moorage.agent.state import Registration, TaskRecords, load_registration, save_registration

from .world import IMAGE, NOW_S, plan


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    life = new_life(plan(1, True, False, ports=(80,)), order=7)
    life.ports = (PortBinding(container="c0", container_port=80, host_port=32768),)
    life.containers[0].pulled(msgspec.structs.replace(IMAGE, stop_signal="SIGQUIT"))
    life.containers[0].phase = "running"
    life.containers[0].ended(Exit(code=3, oom_killed=False, at_s=NOW_S))
    record = life.record("boot-1")
    records = TaskRecords(tmp_path / "tasks")
    records.save(record)
    assert TaskRecords(tmp_path / "tasks").load() == ([record], [])


def test_a_forgotten_record_is_gone(tmp_path: Path) -> None:
    records = TaskRecords(tmp_path)
    record = new_life(plan(), order=0).record("boot-1")
    records.save(record)
    records.forget(record.plan.id)
    records.forget(record.plan.id)
    assert records.load() == ([], [])


def test_a_damaged_record_is_told_by_its_task_and_kept_aside(tmp_path: Path) -> None:
    (tmp_path / ("a" * 32 + ".json")).write_bytes(b"\0\0\0")
    (tmp_path / ("b" * 32 + ".json.new")).write_bytes(b"{")
    assert TaskRecords(tmp_path).load() == ([], ["a" * 32])
    assert TaskRecords(tmp_path).load() == ([], ["a" * 32])


def test_the_registration_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "registration.json"
    assert load_registration(file) is None
    registration = Registration(container_instance="arn:x", cluster="default", region="us-east-1")
    save_registration(file, registration)
    assert load_registration(file) == registration
    file.write_bytes(b"{")
    assert load_registration(file) is None
