"""`make demo`: start Moorage, run real containers on Fargate and on an instance, show what they print.

It does nothing that a user could not do: `moor` starts the platform and imports the image, boto3 does the rest.
A second run finds everything in place and only runs the tasks again.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.exceptions import ClientError
from rich.console import Console
from rich.panel import Panel
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

BIN: Final = Path(sys.executable).parent
IMAGE: Final = "demo/busybox:1"
LOG_GROUP: Final = "/moorage/demo"
# A container is running well within a second; a minute is a machine under water.
PATIENCE_S: Final = 60.0

HELLO: Final = """
echo "hello from $AWS_EXECUTION_ENV"
echo "kernel    $(uname -sr)"
echo "host name $(hostname)"
echo "address   $(ip -4 -o addr show scope global | awk '{print $4}')"
echo "user      $(id -u), which is $(awk '{print $2}' /proc/self/uid_map) on the host"
limits="/sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max"
echo "memory    at most $(cat $limits 2>/dev/null | head -1) bytes"
""".strip()
PAGE: Final = "<h1>A task on Moorage</h1>"

console = Console(highlight=False)


def main() -> None:
    """The demo, step by step."""
    try:
        columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=console) as steps:
            run(steps)
    except subprocess.CalledProcessError as error:
        console.print((error.stderr or error.stdout or "").strip(), style="red")
        sys.exit(f"The demo stops here: `{' '.join(map(str, error.cmd))}` failed.")
    except ClientError as error:
        sys.exit(f"The demo stops here: the API refused: {error}")
    except Stuck as error:
        sys.exit(f"The demo stops here: {error}")
    say_what_next()


def run(steps: Progress) -> None:
    """Every step with a line of its own."""
    with step(steps, "Moorage is up"):
        moor("up", "--detach")
        os.environ |= environment()
    with step(steps, "the image is in the registry"):
        import_image()
    ecs, logs = boto3.client("ecs"), boto3.client("logs")
    ecs.create_cluster(clusterName="default")
    for line, launch_type in (("a task on Fargate", "FARGATE"), ("a task on the instance", "EC2")):
        with step(steps, line) as tell:
            began = time.monotonic()
            task = run_hello(ecs, launch_type)
            took = f"{time.monotonic() - began:.2f} s from RunTask to STOPPED"
            tell(f"{line}: exit code {task['containers'][0].get('exitCode')}")
        output = "\n".join(printed(logs, task, "hello"))
        console.print(Panel(output, title=f"{launch_type}  {task['taskArn']}", subtitle=took))
    with step(steps, "a web server on Fargate") as tell:
        url = web_server(ecs)
        with urllib.request.urlopen(url, timeout=5) as answer:
            body = answer.read().decode().strip()
        tell(f"a web server on Fargate answers at {url}: {body}")


@contextmanager
def step(steps: Progress, line: str) -> Iterator[Callable[[str], None]]:
    """A line of the display, ticked off at the end; the caller may put another text in its place."""
    shown = steps.add_task(line, total=1)
    yield lambda text: steps.update(shown, description=text)
    steps.update(shown, completed=1)


class Stuck(Exception):
    """Something that should have happened has not."""


def moor(*words: str) -> str:
    """Run the command; its progress goes to the terminal, what it prints comes back."""
    return subprocess.run([BIN / "moor", *words], check=True, stdout=subprocess.PIPE, text=True).stdout


def environment() -> dict[str, str]:
    """What `moor env` would export."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        os.environ.pop(name, None)
    found: dict[str, str] = json.loads(moor("env", "--json"))
    return found


def import_image() -> None:
    """An image of Debian's static busybox, made here and imported, unless it is there already."""
    known = json.loads(moor("image", "ls", "--json"))
    if any(one["name"] == IMAGE for one in known):
        return
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "busybox.tar"
        build_rootfs(archive)
        moor("image", "import", str(archive), IMAGE)


def build_rootfs(archive: Path) -> None:
    """A root file system in a tar: busybox under the name of each of its commands."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise Stuck("busybox is not installed; apt-get install busybox-static")
    names = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split()
    with tarfile.open(archive, "w") as tar:
        for folder in ("bin", "etc", "proc", "sys", "dev", "tmp", "www"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        tar.add(busybox, "bin/busybox")
        for name in sorted(set(names) - {"busybox"}):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for path, text in (("etc/passwd", "root:x:0:0::/:/bin/sh\n"), ("www/index.html", PAGE + "\n")):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(text), 0o644
            tar.addfile(entry, BytesIO(text.encode()))


def container(name: str, command: list[str]) -> dict[str, Any]:
    """A container definition that logs to CloudWatch Logs."""
    options = {
        "awslogs-group": LOG_GROUP,
        "awslogs-region": os.environ["AWS_REGION"],
        "awslogs-stream-prefix": "demo",
        "awslogs-create-group": "true",
    }
    return {
        "name": name,
        "image": IMAGE,
        "command": command,
        "memory": 64,
        "logConfiguration": {"logDriver": "awslogs", "options": options},
    }


def fargate(family: str, definition: dict[str, Any]) -> dict[str, Any]:
    """What RegisterTaskDefinition takes for Fargate."""
    account = boto3.client("sts").get_caller_identity()["Account"]
    return {
        "family": family,
        "requiresCompatibilities": ["FARGATE"],
        "networkMode": "awsvpc",
        "cpu": "256",
        "memory": "512",
        "executionRoleArn": f"arn:aws:iam::{account}:role/ecsTaskExecutionRole",
        "containerDefinitions": [definition],
    }


def network() -> dict[str, Any]:
    """RunTask's networkConfiguration: the default subnets."""
    subnets = boto3.client("ec2").describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])[
        "Subnets"
    ]
    return {"awsvpcConfiguration": {"subnets": [subnet["SubnetId"] for subnet in subnets]}}


def run_hello(ecs: Any, launch_type: str) -> dict[str, Any]:
    """Register, run, and wait for the end."""
    hello = container("hello", ["/bin/sh", "-c", HELLO])
    if launch_type == "FARGATE":
        ecs.register_task_definition(**fargate("demo-fargate", hello))
        answer = ecs.run_task(
            taskDefinition="demo-fargate", launchType="FARGATE", networkConfiguration=network(), startedBy="make-demo"
        )
    else:
        ecs.register_task_definition(family="demo-instance", containerDefinitions=[hello])
        answer = ecs.run_task(taskDefinition="demo-instance", launchType="EC2", startedBy="make-demo")
    return until(ecs, placed(answer), "STOPPED")


def web_server(ecs: Any) -> str:
    """The URL of the demo's web task; an earlier run's is used again."""
    running = ecs.list_tasks(family="demo-web", desiredStatus="RUNNING")["taskArns"]
    if running:
        task = ecs.describe_tasks(tasks=running[:1])["tasks"][0]
    else:
        served = container("web", ["httpd", "-f", "-p", "80", "-h", "/www"])
        ecs.register_task_definition(**fargate("demo-web", served | {"portMappings": [{"containerPort": 80}]}))
        answer = ecs.run_task(
            taskDefinition="demo-web", launchType="FARGATE", networkConfiguration=network(), startedBy="make-demo"
        )
        task = placed(answer)
    task = until(ecs, task, "RUNNING")
    details = {pair["name"]: pair["value"] for pair in task["attachments"][0]["details"]}
    url = f"http://{details['privateIPv4Address']}/"
    wait_for_port(url)
    return url


def wait_for_port(url: str) -> None:
    """RUNNING says that the process is there; listening takes it a moment longer."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise Stuck(f"{url} does not answer: {error}") from error
            time.sleep(0.05)


def placed(answer: dict[str, Any]) -> dict[str, Any]:
    """The one task of a RunTask answer."""
    if answer["failures"]:
        raise Stuck(f"the task was not placed: {answer['failures']}")
    task: dict[str, Any] = answer["tasks"][0]
    return task


def until(ecs: Any, task: dict[str, Any], status: str) -> dict[str, Any]:
    """The task once it has that status."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        task = ecs.describe_tasks(tasks=[task["taskArn"]])["tasks"][0]
        if task["lastStatus"] == status:
            return task
        if task["lastStatus"] == "STOPPED":
            raise Stuck(f"the task stopped: {task.get('stoppedReason')}; {task['containers'][0].get('reason', '')}")
        time.sleep(0.05)
    raise Stuck(f"the task is {task['lastStatus']} and not {status} after {PATIENCE_S:.0f} s")


def printed(logs: Any, task: dict[str, Any], name: str) -> Iterator[str]:
    """What the container has printed, from CloudWatch Logs."""
    stream = f"demo/{name}/{task['taskArn'].rpartition('/')[2]}"
    for event in logs.get_log_events(logGroupName=LOG_GROUP, logStreamName=stream, startFromHead=True)["events"]:
        yield event["message"]


def say_what_next() -> None:
    """A few commands that work in the reader's shell."""
    here = Path.cwd()
    tool = BIN.relative_to(here) if BIN.is_relative_to(here) else BIN
    console.print(
        f"""
[bold]What to try next[/bold]
  eval "$({tool}/moor env)"                 this shell's AWS clients now mean Moorage
  {tool}/aws ecs list-tasks --output table
  {tool}/aws ecs describe-clusters --clusters default --include STATISTICS
  {tool}/aws logs filter-log-events --log-group-name {LOG_GROUP} --query 'events[].message'
  {tool}/moor run {IMAGE} -- sh -c 'echo from Fargate; nproc'
  {tool}/moor run --ec2 {IMAGE} -- uname -a
  {tool}/moor ps --all                      every task, with its exit code
  {tool}/moor down                          stops it all and leaves nothing behind
""",
        soft_wrap=True,
    )


if __name__ == "__main__":
    main()
