"""The journal on a real file: groups, reopening, locks, and disks that refuse."""

from __future__ import annotations

import multiprocessing
import resource
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from moorage.store import Stalled, Store
from moorage.store.journal import Batch, Row
from moorage.store.sqlite import JournalRefused, SqliteJournal
from tests.unit.records import a_cluster
from tests.unit.store.loop import Loop


def _fill(store: Store, names: range) -> None:
    for number in names:
        with store.update() as tx:
            tx.clusters.put(a_cluster(f"cluster-{number}"))


def test_what_was_durable_is_there_after_reopening(tmp_path: Path) -> None:
    loop = Loop()
    store = Store(SqliteJournal(tmp_path / "state.db"), loop.notify)
    _fill(store, range(100))
    with store.update() as tx:
        tx.clusters.delete(a_cluster("cluster-7").arn)
    loop.run_until(lambda: store.settled)
    store.close()
    again = Store(SqliteJournal(tmp_path / "state.db"), Loop().notify)
    assert [cluster.name for cluster in again.view().clusters] == [f"cluster-{n}" for n in range(100) if n != 7]
    again.close()


def test_batches_that_wait_together_are_committed_together(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "state.db")
    told: list[int] = []
    refusals: list[str | None] = []
    for seq in range(1, 501):
        journal.append(Batch(seq, (Row("clusters", "same", b"%d" % seq),)))
    journal.start(told.append, refusals.append)
    journal.close()
    assert told == [500]  # one commit, and so one word, for all that had gathered
    reader = SqliteJournal(tmp_path / "state.db")
    assert list(reader.load()) == [Row("clusters", "same", b"500")]
    reader.close()


def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path) -> None:
    first = SqliteJournal(tmp_path / "state.db")
    with pytest.raises(JournalRefused, match="another Moorage server"):
        SqliteJournal(tmp_path / "state.db")
    first.close()
    SqliteJournal(tmp_path / "state.db").close()


def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "state.db") as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(JournalRefused, match="newer Moorage"):
        SqliteJournal(tmp_path / "state.db")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"not a database, and longer than a header" * 100)
    with pytest.raises(JournalRefused):
        SqliteJournal(tmp_path / "state.db")


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    SqliteJournal(tmp_path / "state.db").close()
    assert (tmp_path / "state.db").stat().st_mode & 0o777 == 0o600


def _die_after_acknowledging(path: Path, ready: multiprocessing.Queue[int]) -> None:
    loop = Loop()
    store = Store(SqliteJournal(path), loop.notify)
    number = len(store.view().clusters)
    while True:
        _fill(store, range(number, number + 5))
        number += 5
        loop.run_until(lambda: store.settled)
        ready.put(number)


def test_a_killed_process_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    for _ in range(3):
        ready: multiprocessing.Queue[int] = context.Queue()
        child = context.Process(target=_die_after_acknowledging, args=(tmp_path / "state.db", ready))
        child.start()
        acknowledged = max(ready.get(timeout=20) for _ in range(5))
        child.kill()
        child.join()
        store = Store(SqliteJournal(tmp_path / "state.db"), Loop().notify)
        assert len(store.view().clusters) >= acknowledged
        store.close()


@contextmanager
def file_size_limit(limit_bytes: int) -> Iterator[None]:
    """Writes of this process fail beyond a size, as they do on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_disk_that_refuses_stalls_the_store_and_loses_nothing_when_it_recovers(tmp_path: Path) -> None:
    loop = Loop()
    store = Store(SqliteJournal(tmp_path / "state.db"), loop.notify)
    with file_size_limit(64 * 1024):
        _fill(store, range(500))
        loop.run_until(lambda: store.stall_reason is not None)
        assert not store.settled
        with pytest.raises(Stalled, match="cannot be written"):
            _fill(store, range(500, 501))
    loop.run_until(lambda: store.settled and store.stall_reason is None)
    _fill(store, range(500, 501))
    loop.run_until(lambda: store.settled)
    store.close()
    again = Store(SqliteJournal(tmp_path / "state.db"), Loop().notify)
    assert len(again.view().clusters) == 501
    again.close()


@contextmanager
def _small_disk(path: Path, size: str) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "moorage-test", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


@pytest.mark.root
def test_a_really_full_disk_stalls_the_store_until_there_is_room(tmp_path: Path) -> None:
    with _small_disk(tmp_path, "16m"):
        (tmp_path / "ballast").write_bytes(bytes(15 * 1024 * 1024))
        loop = Loop()
        store = Store(SqliteJournal(tmp_path / "state.db"), loop.notify)
        try:
            _fill(store, range(8_000))
            loop.run_until(lambda: store.stall_reason is not None)
            (tmp_path / "ballast").unlink()
            loop.run_until(lambda: store.settled and store.stall_reason is None)
        finally:
            store.close()
        again = Store(SqliteJournal(tmp_path / "state.db"), Loop().notify)
        assert len(again.view().clusters) == 8_000
        again.close()
