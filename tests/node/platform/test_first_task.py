"""A task runs, on both launch types, and everything that AWS tells of it is true."""

from __future__ import annotations

import urllib.request

from tests.node.platform.installation import Installation, address_of, until


def test_a_fargate_task_answers_at_the_address_that_describe_tasks_tells(shared: Installation) -> None:
    task = shared.run(["httpd", "-f", "-p", "8080", "-h", "/etc"], fargate=True)
    task = shared.until_status(task["taskArn"], "RUNNING")
    url = f"http://{address_of(task)}:8080/passwd"

    def fetched() -> bytes | None:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                body: bytes = answer.read()
                return body
        except OSError:
            return None

    assert b"root" in until(fetched, url)
    shared.client("ecs").stop_task(task=task["taskArn"])
    shared.until_status(task["taskArn"], "STOPPED")


def test_an_instance_task_ends_with_its_exit_code_and_its_output(shared: Installation) -> None:
    task = shared.run(["sh", "-c", "echo one; echo two >&2; exit 7"], logs="/test/first")
    task = shared.until_status(task["taskArn"], "STOPPED")
    assert task["containers"][0]["exitCode"] == 7
    assert task["stopCode"] == "EssentialContainerExited"
    assert sorted(shared.log_lines("/test/first", task)) == ["one", "two"]
