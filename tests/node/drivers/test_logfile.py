"""Container logs are read as they grow."""

from __future__ import annotations

from pathlib import Path

from moorage.agent.drivers.logfile import LINE_BYTES_MAX, LogReader

_AT = "2026-01-02T03:04:05.250000000+00:00"
_AT_S = 1767323045.25


def _write(path: Path, *lines: str, end: str = "\n") -> None:
    with path.open("a") as file:
        file.write("".join(f"{_AT} {line}{end}" for line in lines))


def test_lines_come_with_time_and_stream(tmp_path: Path) -> None:
    path = tmp_path / "log"
    _write(path, "stdout F hello there", "stderr F  oh")
    with LogReader(path) as reader:
        first, second = reader.read()
        assert (first.at_s, first.stream, first.text) == (_AT_S, "stdout", "hello there")
        assert (second.stream, second.text) == ("stderr", " oh")
        assert reader.read() == []


def test_pieces_are_joined_per_stream(tmp_path: Path) -> None:
    path = tmp_path / "log"
    _write(path, "stdout P one ", "stderr F between", "stdout P two ")
    with LogReader(path) as reader:
        assert [line.text for line in reader.read()] == ["between"]
        _write(path, "stdout F three")
        assert [line.text for line in reader.read()] == ["one two three"]


def test_a_line_still_being_written_is_left_for_later(tmp_path: Path) -> None:
    path = tmp_path / "log"
    _write(path, "stdout F whole")
    _write(path, "stdout F ha", end="")
    with LogReader(path) as reader:
        assert [line.text for line in reader.read()] == ["whole"]
        with path.open("a") as file:
            file.write("lf\n")
        assert [line.text for line in reader.read()] == ["half"]


def test_another_reader_goes_on_from_the_cursor(tmp_path: Path) -> None:
    path = tmp_path / "log"
    _write(path, "stdout F first", "stdout P begun ")
    with LogReader(path) as reader:
        reader.read()
        cursor = reader.cursor
    _write(path, "stdout F ended")
    with LogReader(path, cursor) as reader:
        assert [line.text for line in reader.read()] == ["begun ended"]


def test_a_file_started_anew_is_read_after_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "log"
    _write(path, "stdout F old")
    with LogReader(path) as reader:
        reader.read()
        _write(path, "stdout F last of the old")
        path.rename(tmp_path / "gone")
        _write(path, "stdout F new")
        texts = [line.text for _ in range(2) for line in reader.read()]
    assert texts == ["last of the old", "new"]


def test_the_end_gives_what_was_never_finished(tmp_path: Path) -> None:
    path = tmp_path / "log"
    _write(path, "stdout P no newline")
    with LogReader(path) as reader:
        assert reader.read() == []
        assert [line.text for line in reader.finish()] == ["no newline"]
        assert reader.finish() == []


def test_an_endless_line_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for _ in range(40):
        _write(path, "stdout P " + "x" * 8192)
    with LogReader(path) as reader:
        lines = reader.read()
        assert [len(line.text) for line in lines] == [LINE_BYTES_MAX]
        assert len(reader.finish()[0].text) == 40 * 8192 - LINE_BYTES_MAX


def test_a_log_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    with LogReader(tmp_path / "log") as reader:
        assert reader.read() == []
        _write(tmp_path / "log", "stdout F now")
        assert [line.text for line in reader.read()] == ["now"]


def test_broken_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"\xff\n\nnonsense\n" + f"{_AT} stdout F \xff\n".encode("latin-1"))
    with LogReader(path) as reader:
        assert [line.text for line in reader.read()] == ["\ufffd"]
