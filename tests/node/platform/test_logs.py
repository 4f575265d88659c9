"""CloudWatch Logs holds what containers write, while they write it."""

from __future__ import annotations

from tests.node.platform.installation import LOG_GROUP, Installation, until

COUNTING = ["sh", "-c", "trap 'exit 0' TERM; i=0; while :; do i=$((i+1)); echo line $i; usleep 200000; done"]


def test_lines_arrive_while_the_task_runs_and_go_on_arriving(shared: Installation) -> None:
    task = shared.running(COUNTING, logs=LOG_GROUP, fargate=True)
    until(lambda: "line 1" in shared.log_lines(LOG_GROUP, task), "the first line")
    seen = len(shared.log_lines(LOG_GROUP, task))
    until(lambda: len(shared.log_lines(LOG_GROUP, task)) > seen, "more lines")
    assert shared.task(task["taskArn"])["lastStatus"] == "RUNNING"
    stopped = shared.stopped(task)
    lines = shared.log_lines(LOG_GROUP, stopped)
    assert lines == [f"line {number}" for number in range(1, len(lines) + 1)]


def test_filter_log_events_finds_words_and_json_members(shared: Installation) -> None:
    group = "/test/filter"
    script = (
        """echo 'GET /a 200'; echo 'GET /b 500'; echo '{"level": "error", "code": 7}'; echo '{"level": "info"}'"""
    )
    shared.ended(["sh", "-c", script], logs=group)
    logs = shared.client("logs")

    def found(pattern: str) -> list[str]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, filterPattern=pattern)
        return [event["message"] for page in pages for event in page["events"]]

    assert found("GET 500") == ["GET /b 500"]
    assert found('{ $.level = "error" && $.code > 5 }') == ['{"level": "error", "code": 7}']
    assert len(found("")) == 4


def test_standard_error_and_a_last_line_without_a_newline_are_kept(shared: Installation) -> None:
    lines = shared.output(["sh", "-c", "echo out; echo err >&2; printf 'no newline'"])
    assert sorted(lines) == ["err", "no newline", "out"]


def test_text_of_every_kind_comes_through_unharmed(shared: Installation) -> None:
    text = 'tab\\there "quoted" back\\\\slash größer 日本 🙂'
    (line,) = shared.output(["printf", text + "\\n"])
    assert line == 'tab\there "quoted" back\\slash größer 日本 🙂'


def test_ten_thousand_lines_arrive_in_order(shared: Installation) -> None:
    task = shared.ended(["seq", "10000"], logs=LOG_GROUP)
    stream = f"t/main/{task['taskArn'].rpartition('/')[2]}"
    logs = shared.client("logs")
    lines: list[str] = []
    token: dict[str, str] = {}
    while True:
        answer = logs.get_log_events(logGroupName=LOG_GROUP, logStreamName=stream, startFromHead=True, **token)
        lines += [event["message"] for event in answer["events"]]
        if token.get("nextToken") == answer["nextForwardToken"]:
            break
        token = {"nextToken": answer["nextForwardToken"]}
    assert lines == [str(number) for number in range(1, 10001)]
