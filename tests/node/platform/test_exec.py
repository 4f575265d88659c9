"""ECS Exec in real containers, through the protocol of the published plugin."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.node.platform.execution import Person, running
from tests.node.platform.installation import FOREVER, Installation, until
from tests.node.platform.plugin import Plugin

BOTH = pytest.mark.parametrize("how", [{"fargate": True}, {}], ids=["fargate", "instance"])


@BOTH
def test_a_shell_in_the_container_answers_and_ends(shared: Installation, how: dict[str, bool]) -> None:
    arn = running(shared, container={"environment": [{"name": "WHO", "value": "me"}]}, **how)
    person = Person(shared, arn)
    person.prompt()
    person.type("echo $WHO-$((6*7)); cat /proc/1/cmdline | tr '\\0' ' '\n")
    person.wait_for("me-42")
    person.wait_for("sh -c trap")
    person.type("exit 3\n")
    closed = person.until_closed()
    assert closed is not None
    assert (closed["SessionId"], closed["Output"]) == (person.session["sessionId"], "")
    shared.stopped({"taskArn": arn})


def test_the_size_of_the_callers_terminal_is_the_programs(shared: Installation) -> None:
    arn = running(shared)
    person = Person(shared, arn, "sh -c 'stty size; while true; do read line; stty size; done'")
    person.plugin.ready.wait(30)
    person.plugin.resize(123, 45)
    person.wait_for("45 123\r\n")
    person.plugin.resize(67, 89)
    person.type("\n")
    person.wait_for("89 67\r\n")
    person.type("\x03")
    assert person.until_closed() is not None
    shared.stopped({"taskArn": arn})


@BOTH
def test_control_c_interrupts_what_runs(shared: Installation, how: dict[str, bool]) -> None:
    arn = running(shared, **how)
    person = Person(shared, arn)
    person.prompt()
    person.type("echo go; cat\n")
    person.wait_for("cat\r\ngo\r\n")
    person.type("again\n")
    person.wait_for("again\r\nagain\r\n")
    person.type("\x03")
    person.wait_for("^C")
    person.prompt()
    person.type("echo code=$?\n")
    person.wait_for("code=130")
    person.type("exit\n")
    person.until_closed()
    shared.stopped({"taskArn": arn})


def test_two_sessions_in_one_container_do_not_mix(shared: Installation) -> None:
    arn = running(shared)
    one, other = Person(shared, arn), Person(shared, arn)
    for person, name in ((one, "one"), (other, "other")):
        person.prompt()
        person.type(f"A={name}; echo $A$A\n")
    one.wait_for("oneone")
    other.wait_for("otherother")
    one.type("exit\n")
    one.until_closed()
    other.type("echo still $A\n")
    other.wait_for("still other")
    other.type("exit\n")
    other.until_closed()
    shared.stopped({"taskArn": arn})


def test_much_output_and_much_input_arrive_whole(shared: Installation) -> None:
    arn = running(shared)
    person = Person(shared, arn, "sh -c 'seq 1 60000; stty raw -echo; echo ready; head -c 300000 | md5sum'")
    person.wait_for("\r\n60000\r\n")
    person.wait_for("ready")
    person.type("x" * 300_000)
    person.wait_for(hashlib.md5(b"x" * 300_000).hexdigest())
    assert person.until_closed() is not None
    shared.stopped({"taskArn": arn})


def test_a_task_that_was_run_without_it_is_refused(shared: Installation) -> None:
    task = shared.running(FOREVER)
    assert task["enableExecuteCommand"] is False
    with pytest.raises(ClientError, match="execute command was not enabled when the task was run"):
        Person(shared, task["taskArn"])
    shared.stopped(task)


def test_the_task_tells_of_its_managed_agent(shared: Installation) -> None:
    arn = running(shared)
    task = shared.task(arn)
    assert task["enableExecuteCommand"] is True
    (agent,) = task["containers"][0]["managedAgents"]
    assert (agent["name"], agent["lastStatus"]) == ("ExecuteCommandAgent", "RUNNING")
    shared.stopped({"taskArn": arn})


def test_a_program_that_is_not_there_is_named(shared: Installation) -> None:
    arn = running(shared)
    person = Person(shared, arn, "/no/such/program")
    closed = person.until_closed()
    assert closed is not None
    assert "/no/such/program" in closed["Output"] + person.screen.decode()  # who says it depends on the runtime
    shared.stopped({"taskArn": arn})


def test_a_token_opens_once(shared: Installation) -> None:
    arn = running(shared)
    person = Person(shared, arn)
    person.prompt()
    for session in (person.session, person.session | {"tokenValue": "x" * 64}):
        again = Plugin(session, print)
        again.run()
        assert again.closed is None
        assert not again.ready.is_set()
    person.type("echo still here\n")
    person.wait_for("\r\nstill here")
    person.type("exit\n")
    person.until_closed()
    shared.stopped({"taskArn": arn})


def test_the_tasks_end_is_the_sessions(shared: Installation) -> None:
    arn = running(shared)
    person = Person(shared, arn)
    person.prompt()
    shared.stopped({"taskArn": arn})
    assert person.until_closed() is not None


def test_whoever_leaves_without_a_word_leaves_nothing_running(shared: Installation) -> None:
    arn = running(shared)
    person = Person(shared, arn, "sh -c \"trap '' HUP; echo here; while true; do sleep 43210; done\"")
    person.wait_for("here")
    assert _sleepers("43210")
    person.plugin.leave()
    person.until_closed()
    until(lambda: not _sleepers("43210"), "the program gone")
    shared.stopped({"taskArn": arn})


def _sleepers(word: str) -> list[str]:
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if words[:2] == ["sleep", word]:
            found.append(file.parent.name)
    return found


def test_a_killed_agent_ends_the_session_and_the_next_takes_new_ones(breakable: Installation) -> None:
    arn = running(breakable)
    person = Person(breakable, arn, "sh -c \"trap '' HUP; echo here; while true; do sleep 43211; done\"")
    person.wait_for("here")
    before = breakable.pid("instance")
    breakable.kill("instance")
    closed = person.until_closed()
    assert closed is not None
    assert closed["Output"] == "The agent of the task's node is gone."
    breakable.until_ready(other_than={"instance": before})
    until(lambda: not _sleepers("43211"), "the program gone")
    again = Person(breakable, arn)
    again.prompt()
    again.type("exit\n")
    assert again.until_closed() is not None
    breakable.stopped({"taskArn": arn})


def test_a_killed_server_ends_the_session_and_the_next_takes_new_ones(breakable: Installation) -> None:
    arn = running(breakable)
    person = Person(breakable, arn, "sh -c \"trap '' HUP; echo here; while true; do sleep 43212; done\"")
    person.wait_for("here")
    before = breakable.pid("server")
    breakable.kill("server")
    assert person.until_closed() is None
    until(lambda: not _sleepers("43212"), "the program gone")
    breakable.until_ready(other_than={"server": before})
    again = until(lambda: _try(breakable, arn), "a session again")
    again.prompt()
    again.type("exit\n")
    assert again.until_closed() is not None
    breakable.stopped({"taskArn": arn})


def _try(installation: Installation, arn: str) -> Person | None:
    """A session, once the agent has come back to the new server."""
    try:
        return Person(installation, arn)
    except ClientError:
        return None
