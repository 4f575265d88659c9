"""One function for each table: its record, its key, and by what else its records are found."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

from moorage.model.account_setting import AccountSetting
from moorage.model.cluster import Cluster
from moorage.model.container_instance import ContainerInstance
from moorage.model.exec_session import ExecSession
from moorage.model.log import LogGroup, LogStream
from moorage.model.network import NetworkInterface, SecurityGroup, Subnet, Vpc
from moorage.model.principal import AccessKey
from moorage.model.task import ClientToken, Task
from moorage.model.task_definition import TaskDefinition, TaskFamily
from moorage.store.table import Observer, Table


class _Scoped(Protocol):
    @property
    def account(self) -> str: ...

    @property
    def region(self) -> str: ...


def joined(*parts: str) -> str:
    """A key of several parts; the separator is in no AWS name."""
    return "\x1f".join(parts)


def _scope(record: _Scoped) -> list[Hashable]:
    return [(record.account, record.region)]


def clusters() -> Table[Cluster]:
    return Table("clusters", Cluster, lambda r: r.arn, {"scope": _scope})


def task_families() -> Table[TaskFamily]:
    return Table("task_families", TaskFamily, lambda r: joined(r.account, r.region, r.name), {"scope": _scope})


def task_definitions() -> Table[TaskDefinition]:
    return Table(
        "task_definitions",
        TaskDefinition,
        lambda r: r.arn,
        {
            "scope": _scope,
            "family": lambda r: [(r.account, r.region, r.family)],
            "active": lambda r: [(r.account, r.region, r.family)] if r.status == "ACTIVE" else [],
            "deleting": lambda r: [True] if r.status == "DELETE_IN_PROGRESS" else [],
        },
    )


def container_instances(observe: Observer[ContainerInstance]) -> Table[ContainerInstance]:
    return Table(
        "container_instances",
        ContainerInstance,
        lambda r: r.arn,
        {
            "cluster": lambda r: [r.cluster] if r.status != "INACTIVE" else [],
            "disconnected": lambda r: [True] if not r.agent_connected and r.status != "INACTIVE" else [],
        },
        observe,
    )


def tasks(observe: Observer[Task]) -> Table[Task]:
    return Table(
        "tasks",
        Task,
        lambda r: r.arn,
        {
            "cluster": lambda r: [r.cluster],
            "instance": lambda r: [r.instance] if not r.stopped else [],  # what it has to run or to stop
            "stopped": lambda r: [True] if r.stopped else [],
            "definition": lambda r: [r.task_definition] if not r.stopped else [],
            "attachment": lambda r: [r.attachment_id] if r.attachment_id and not r.stopped else [],
        },
        observe,
        _task_lists,
    ).following("instance")


def _task_lists(task: Task) -> list[Hashable]:
    """By what ListTasks finds tasks: the cluster and the desired status, alone and with one thing more."""
    cluster, status = task.cluster, task.desired_status
    lists: list[Hashable] = [
        (cluster, status),
        (cluster, status, "family", task.family),
        (cluster, status, "instance", task.instance),
        (cluster, status, "launch_type", task.launch_type),
    ]
    if task.started_by is not None:
        lists.append((cluster, status, "started_by", task.started_by))
    return lists


def client_tokens() -> Table[ClientToken]:
    return Table("client_tokens", ClientToken, lambda r: joined(r.account, r.region, r.operation, r.cluster, r.token))


def exec_sessions() -> Table[ExecSession]:
    return Table(
        "exec_sessions",
        ExecSession,
        lambda r: r.id,
        {
            "instance": lambda r: [r.instance] if r.opened_at is not None else [],  # what it is to run
            "container": lambda r: [(r.task, r.container)],
        },
    )


def account_settings() -> Table[AccountSetting]:
    return Table(
        "account_settings",
        AccountSetting,
        lambda r: joined(r.account, r.region, r.principal_arn, r.name),
        {"scope": _scope},
    )


def vpcs() -> Table[Vpc]:
    return Table("vpcs", Vpc, lambda r: r.id, {"scope": _scope})


def subnets() -> Table[Subnet]:
    return Table("subnets", Subnet, lambda r: r.id, {"scope": _scope, "vpc": lambda r: [r.vpc]})


def security_groups() -> Table[SecurityGroup]:
    return Table("security_groups", SecurityGroup, lambda r: r.id, {"scope": _scope, "vpc": lambda r: [r.vpc]})


def network_interfaces() -> Table[NetworkInterface]:
    return Table(
        "network_interfaces",
        NetworkInterface,
        lambda r: r.id,
        {"scope": _scope, "subnet": lambda r: [r.subnet], "address": lambda r: [(r.vpc, r.address)]},
    )


def log_groups() -> Table[LogGroup]:
    return Table("log_groups", LogGroup, lambda r: joined(r.account, r.region, r.name), {"scope": _scope})


def log_streams() -> Table[LogStream]:
    return Table(
        "log_streams",
        LogStream,
        lambda r: joined(r.account, r.region, r.group, r.name),
        {"group": lambda r: [(r.account, r.region, r.group)]},
    )


def access_keys() -> Table[AccessKey]:
    return Table("access_keys", AccessKey, lambda r: r.id)
