"""`kill -9` of the server: no acknowledged write is lost, nothing else changes, no container is touched."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import boto3  # type: ignore[import-untyped]  # it ships no types
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.node.platform.installation import FOREVER, Installation, short, until
from tests.node.platform.traces import container_pids

KILLS = 8
WRITERS = 4


@dataclass
class Writer:
    """Writes without pause and remembers what was acknowledged; what failed may or may not have happened."""

    number: int
    created: list[str] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    tagged: int = -1
    tag_tried: int = -1
    logged: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def cluster(self) -> str:
        return f"writer-{self.number}"

    def step(self, ecs: Any, logs: Any, number: int, clock_ms: int) -> None:
        """One write of each kind."""
        name = f"{self.cluster}-{number}"
        self.tried.append(name)
        ecs.create_cluster(clusterName=name)
        self.created.append(name)
        self.tag_tried = number
        arn = ecs.describe_clusters(clusters=[self.cluster])["clusters"][0]["clusterArn"]
        ecs.tag_resource(resourceArn=arn, tags=[{"key": "last", "value": str(number)}])
        self.tagged = number
        event = {"timestamp": clock_ms, "message": name}
        logs.put_log_events(logGroupName="/kill", logStreamName=self.cluster, logEvents=[event])
        self.logged.append(name)


def write(installation: Installation, writer: Writer, over: threading.Event) -> None:
    key, secret = installation.key()
    session = boto3.session.Session(key, secret, region_name=installation.region)
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10)
    ecs, logs = (session.client(name, endpoint_url=installation.endpoint, config=config) for name in ("ecs", "logs"))
    number = 0
    while not over.is_set():
        number += 1
        try:
            writer.step(ecs, logs, number, int(time.time() * 1000))
        except ClientError as error:
            writer.wrong.append(str(error))
        except BotoCoreError:
            over.wait(0.02)  # the server is away


def test_eight_kills_lose_no_acknowledged_write_and_touch_no_container(breakable: Installation) -> None:
    tasks = [breakable.running(FOREVER, fargate=fargate) for fargate in (True, False)]
    before = {short(task): container_pids(breakable.settings, short(task)) for task in tasks}
    breakable.client("logs").create_log_group(logGroupName="/kill")
    writers = [Writer(number) for number in range(WRITERS)]
    for writer in writers:
        breakable.ecs.create_cluster(clusterName=writer.cluster)
        breakable.client("logs").create_log_stream(logGroupName="/kill", logStreamName=writer.cluster)
    over = threading.Event()
    threads = [threading.Thread(target=write, args=(breakable, writer, over)) for writer in writers]
    for thread in threads:
        thread.start()
    try:
        kill_often(breakable, writers)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert [wrong for writer in writers for wrong in writer.wrong] == []
    check_clusters(breakable, writers)
    check_logs(breakable, writers)
    for task in tasks:
        now = breakable.task(task["taskArn"])
        assert (now["lastStatus"], now["startedAt"]) == ("RUNNING", task["startedAt"])
        assert container_pids(breakable.settings, short(task)) == before[short(task)]
        breakable.stopped(task)


def has_written(writers: list[Writer], mark: int) -> bool:
    return sum(len(writer.created) for writer in writers) >= mark


def kill_often(installation: Installation, writers: list[Writer]) -> None:
    """Kill the server in the middle of writing, at moments counted in writes."""
    dice = random.Random(8127)
    for _ in range(KILLS):
        pid = installation.pid("server")
        mark = sum(len(writer.created) for writer in writers) + dice.randrange(3, 60)
        until(partial(has_written, writers, mark), f"{mark} writes")
        os.kill(pid, signal.SIGKILL)
        installation.until_ready(other_than={"server": pid})


def check_clusters(installation: Installation, writers: list[Writer]) -> None:
    """Each acknowledged cluster and tag is there, and no cluster that nobody asked for."""
    pages = installation.ecs.get_paginator("list_clusters").paginate()
    found = {arn.rpartition("/")[2] for page in pages for arn in page["clusterArns"]}
    assert {name for writer in writers for name in writer.created} <= found
    asked = {name for writer in writers for name in (writer.cluster, *writer.tried)}
    assert found <= asked | {"default"}
    for writer in writers:
        described = installation.ecs.describe_clusters(clusters=[writer.cluster], include=["TAGS"])
        (tag,) = described["clusters"][0]["tags"]
        assert writer.tagged <= int(tag["value"]) <= writer.tag_tried


def check_logs(installation: Installation, writers: list[Writer]) -> None:
    """Each acknowledged log event is there, in order, once."""
    logs = installation.client("logs")
    for writer in writers:
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName="/kill", logStreamNames=[writer.cluster]
        )
        found = [event["message"] for page in pages for event in page["events"]]
        assert [name for name in found if name in set(writer.logged)] == writer.logged
        assert len(found) == len(set(found))
