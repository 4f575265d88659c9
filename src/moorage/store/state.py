"""The tables of the platform: which records there are, by what they are found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from moorage.model.account_setting import AccountSetting
from moorage.model.cluster import Cluster
from moorage.model.container_instance import ContainerInstance
from moorage.model.log import LogGroup, LogStream
from moorage.model.network import NetworkInterface, SecurityGroup, Subnet, Vpc
from moorage.model.principal import AccessKey
from moorage.model.task import ClientToken, Task
from moorage.model.task_definition import TaskDefinition, TaskFamily
from moorage.store.table import Table, Writer
from moorage.store.usage import Usage

SCHEMA_VERSION = 1
"""Raised when a stored record can no longer be read by older code; the journal refuses a newer one."""

R = TypeVar("R", bound=msgspec.Struct)


def joined(*parts: str) -> str:
    """A key of several parts; the separator is in no AWS name."""
    return "\x1f".join(parts)


class State:
    """The whole state, for reading. `seq` is the number of the last transaction it contains."""

    def __init__(self) -> None:
        self.seq = 0
        self.usage = Usage()
        self.clusters = Table("clusters", Cluster, lambda r: r.arn, {"scope": lambda r: [(r.account, r.region)]})
        self.task_families = Table(
            "task_families",
            TaskFamily,
            lambda r: joined(r.account, r.region, r.name),
            {"scope": lambda r: [(r.account, r.region)]},
        )
        self.task_definitions = Table(
            "task_definitions",
            TaskDefinition,
            lambda r: r.arn,
            {
                "scope": lambda r: [(r.account, r.region)],
                "family": lambda r: [(r.account, r.region, r.family)],
                "active": lambda r: [(r.account, r.region, r.family)] if r.status == "ACTIVE" else [],
            },
        )
        self.container_instances = Table(
            "container_instances",
            ContainerInstance,
            lambda r: r.arn,
            {
                "cluster": lambda r: [r.cluster] if r.status != "INACTIVE" else [],
                "disconnected": lambda r: [True] if not r.agent_connected and r.status != "INACTIVE" else [],
            },
            self.usage.observe_instance,
        )
        self.tasks = Table(
            "tasks",
            Task,
            lambda r: r.arn,
            {
                "cluster": lambda r: [r.cluster],
                "instance": lambda r: [r.instance] if not r.stopped else [],  # what it has to run or to stop
                "stopped": lambda r: [True] if r.stopped else [],
                "definition": lambda r: [r.task_definition] if not r.stopped else [],
            },
            self.usage.observe,
        )
        self.client_tokens = Table(
            "client_tokens",
            ClientToken,
            lambda r: joined(r.account, r.region, r.operation, r.cluster, r.token),
        )
        self.account_settings = Table(
            "account_settings",
            AccountSetting,
            lambda r: joined(r.account, r.region, r.principal_arn, r.name),
            {"scope": lambda r: [(r.account, r.region)]},
        )
        self.vpcs = Table("vpcs", Vpc, lambda r: r.id, {"scope": lambda r: [(r.account, r.region)]})
        self.subnets = Table(
            "subnets",
            Subnet,
            lambda r: r.id,
            {"scope": lambda r: [(r.account, r.region)], "vpc": lambda r: [r.vpc]},
        )
        self.security_groups = Table(
            "security_groups",
            SecurityGroup,
            lambda r: r.id,
            {"scope": lambda r: [(r.account, r.region)], "vpc": lambda r: [r.vpc]},
        )
        self.network_interfaces = Table(
            "network_interfaces",
            NetworkInterface,
            lambda r: r.id,
            {
                "scope": lambda r: [(r.account, r.region)],
                "subnet": lambda r: [r.subnet],
                "address": lambda r: [(r.vpc, r.address)],
            },
        )
        self.log_groups = Table(
            "log_groups",
            LogGroup,
            lambda r: joined(r.account, r.region, r.name),
            {"scope": lambda r: [(r.account, r.region)]},
        )
        self.log_streams = Table(
            "log_streams",
            LogStream,
            lambda r: joined(r.account, r.region, r.group, r.name),
            {"group": lambda r: [(r.account, r.region, r.group)]},
        )
        self.access_keys = Table("access_keys", AccessKey, lambda r: r.id)

        self.tables: dict[str, Table[Any]] = {
            table.name: table for table in vars(self).values() if isinstance(table, Table)
        }


class StateTx:
    """The state inside a transaction: the same tables, writable. Nothing here may wait."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.usage = state.usage
        self.changes: dict[tuple[str, str], msgspec.Struct | None] = {}
        self.clusters = self._writer(state.clusters)
        self.task_families = self._writer(state.task_families)
        self.task_definitions = self._writer(state.task_definitions)
        self.container_instances = self._writer(state.container_instances)
        self.tasks = self._writer(state.tasks)
        self.client_tokens = self._writer(state.client_tokens)
        self.account_settings = self._writer(state.account_settings)
        self.vpcs = self._writer(state.vpcs)
        self.subnets = self._writer(state.subnets)
        self.security_groups = self._writer(state.security_groups)
        self.network_interfaces = self._writer(state.network_interfaces)
        self.log_groups = self._writer(state.log_groups)
        self.log_streams = self._writer(state.log_streams)
        self.access_keys = self._writer(state.access_keys)

    def _writer(self, table: Table[R]) -> Writer[R]:
        return Writer(table, self.changes)

    def touched(self) -> Iterable[str]:
        """The names of the tables that this transaction has written to, without repetition."""
        return dict.fromkeys(name for name, _ in self.changes)
