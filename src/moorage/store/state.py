"""The tables of the platform: which records there are, by what they are found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from moorage.store import tables
from moorage.store.table import Table, Writer
from moorage.store.tables import joined
from moorage.store.usage import Usage

__all__ = ["SCHEMA_VERSION", "State", "StateTx", "joined"]

SCHEMA_VERSION = 1
"""Raised when a stored record can no longer be read by older code; the journal refuses a newer one."""

R = TypeVar("R", bound=msgspec.Struct)


class State:
    """The whole state, for reading. `seq` is the number of the last transaction it contains."""

    def __init__(self) -> None:
        self.seq = 0
        self.usage = Usage()
        self.clusters = tables.clusters()
        self.task_families = tables.task_families()
        self.task_definitions = tables.task_definitions()
        self.container_instances = tables.container_instances(self.usage.observe_instance)
        self.tasks = tables.tasks(self.usage.observe)
        self.client_tokens = tables.client_tokens()
        self.exec_sessions = tables.exec_sessions()
        self.account_settings = tables.account_settings()
        self.vpcs = tables.vpcs()
        self.subnets = tables.subnets()
        self.security_groups = tables.security_groups()
        self.network_interfaces = tables.network_interfaces()
        self.log_groups = tables.log_groups()
        self.log_streams = tables.log_streams()
        self.access_keys = tables.access_keys()
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
        self.exec_sessions = self._writer(state.exec_sessions)
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
