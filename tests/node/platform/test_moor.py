"""The `moor` command: tasks, their output and their ends, for people and for scripts."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.node.platform.installation import BIN, FOREVER, IMAGE, LOG_GROUP, Installation, short, until


@pytest.mark.parametrize("where", [[], ["--ec2"], ["--ec2", "--network", "host"]], ids=["fargate", "ec2", "host"])
def test_run_prints_the_output_and_ends_with_the_containers_code(shared: Installation, where: list[str]) -> None:
    done = shared.moor("run", *where, IMAGE, "--", "sh", "-c", "echo out; exit 7", check=False)
    assert (done.stdout, done.returncode) == ("out\n", 7)
    assert shared.moor("run", *where, IMAGE, "echo", "fine").returncode == 0


def test_run_hands_over_environment_and_size(shared: Installation) -> None:
    done = shared.moor("run", "-e", "A=b c", "--cpu", "512", "--memory", "1GB", IMAGE, "--", "sh", "-c", 'echo "$A"')
    assert done.stdout == "b c\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((IMAGE, "no-such-command"), "no-such-command"),
        (("no/such:image", "true"), "CannotPullContainerError"),
        (("--memory", "1", IMAGE, "true"), "No Fargate configuration"),
        (("-e", "novalue", IMAGE), "NAME=VALUE"),
        (("--network", "host", IMAGE), "--ec2"),
        (("--ec2", "--memory", "4000000", IMAGE), "not placed"),
        (("--ec2", "--network", "moon", IMAGE), "moon"),
    ],
)
def test_run_says_why_it_cannot(shared: Installation, words: tuple[str, ...], sentence: str) -> None:
    done = shared.moor("run", *words, check=False)
    assert done.returncode in (1, 2)
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_detached_run_then_ps_logs_and_stop_by_the_beginning_of_the_id(shared: Installation) -> None:
    script = "trap 'echo bye; exit 0' TERM; echo hello; sleep 100000 & wait"
    task = shared.moor("run", "--detach", IMAGE, "--", "sh", "-c", script).stdout.strip()
    until(lambda: "hello" in shared.moor("logs", task[:10]).stdout, "the first line")
    listed = json.loads(shared.moor("ps", "--json").stdout)
    assert any(one["taskArn"].endswith(task) for one in listed)
    assert task[:12] in shared.moor("ps").stdout
    told = json.loads(shared.moor("stop", "--json", task[:10]).stdout)
    assert told[0]["desiredStatus"] == "STOPPED"
    shared.until_status(told[0]["taskArn"], "STOPPED")
    assert task[:12] not in shared.moor("ps").stdout
    assert task[:12] in shared.moor("ps", "--all").stdout
    assert shared.moor("logs", task).stdout == "hello\nbye\n"
    lines = [json.loads(line) for line in shared.moor("logs", "--json", task).stdout.splitlines()]
    assert [line["message"] for line in lines] == ["hello", "bye"]


def test_logs_follows_until_the_task_has_stopped(shared: Installation) -> None:
    task = shared.running(
        FOREVER,
        logs=LOG_GROUP,
        container={"command": ["sh", "-c", "trap 'echo end; exit' TERM; echo begin; sleep 10000 & wait"]},
    )
    words = [str(BIN / "moor"), "logs", "-f", short(task)]
    with subprocess.Popen(words, env=shared.environment, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "begin\n"
        shared.ecs.stop_task(task=task["taskArn"])
        assert following.stdout.read() == "end\n"
    assert following.returncode == 0


def test_run_in_another_cluster_makes_it(shared: Installation) -> None:
    done = shared.moor("run", "--cluster", "made-by-run", IMAGE, "echo", "there")
    assert done.stdout == "there\n"
    listed = json.loads(shared.moor("ps", "--all", "--cluster", "made-by-run", "--json").stdout)
    assert len(listed) == 1


def test_status_tells_programs_and_clusters(shared: Installation) -> None:
    told = json.loads(shared.moor("status", "--json").stdout)
    assert told["endpoint"] == shared.endpoint
    assert set(told["programs"]) == {"supervisor", "server", "fargate", "instance"}
    assert all(told["programs"].values())
    assert any(one["name"] == "default" for one in told["clusters"])
    assert shared.endpoint in shared.moor("status").stdout


def test_up_again_says_that_it_runs_and_changes_nothing(shared: Installation) -> None:
    pids = json.loads(shared.moor("status", "--json").stdout)["programs"]
    assert "already runs" in shared.moor("up", "--detach").stdout
    assert json.loads(shared.moor("status", "--json").stdout)["programs"] == pids


@pytest.mark.parametrize(
    "words", [("stop", "nothing"), ("logs", "nothing"), ("ps", "--cluster", "nothing"), ("image", "rm", "no/such:1")]
)
def test_what_is_not_there_is_said_in_one_line(shared: Installation, words: tuple[str, ...]) -> None:
    done = shared.moor(*words, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.strip().splitlines()) == 1


def test_every_command_explains_itself(shared: Installation) -> None:
    for words in (
        ["up"],
        ["down"],
        ["status"],
        ["env"],
        ["run"],
        ["ps"],
        ["logs"],
        ["stop"],
        ["image"],
        ["image", "import"],
        ["image", "pull"],
    ):
        assert "Usage:" in shared.moor(*words, "--help").stdout
    assert "moor, version" in shared.moor("--version").stdout
