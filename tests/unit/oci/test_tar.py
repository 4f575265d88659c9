"""Tar streams, honest and hostile, read as the standard library writes and reads them."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from moorage.oci.errors import ImageCorrupt, ImageUnsupported
from moorage.oci.streams import BytesReader
from moorage.oci.tar import EXTENSION_MAX_BYTES, Entry, TarReader
from tests.unit.oci.images import Member, directory, entry, file, hardlink, symlink, tar

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


class Dribble:
    """A stream that gives a few bytes at a time, as a network may."""

    def __init__(self, data: bytes, step: int) -> None:
        self._stream = io.BytesIO(data)
        self._step = step

    def read(self, size: int, /) -> bytes:
        return self._stream.read(min(size, self._step))

    def close(self) -> None:
        self._stream.close()


def _entries(data: bytes) -> list[tuple[Entry, bytes]]:
    reader = TarReader(BytesReader(data))
    return [(each, b"".join(reader.content())) for each in reader]


@pytest.mark.parametrize("format", FORMATS)
def test_every_kind_of_entry_is_read(format: int) -> None:
    members = [
        directory("etc"),
        file("etc/passwd", b"root", mode=0o4755, uid=7, gid=8),
        symlink("etc/link", "passwd"),
        hardlink("etc/hard", "etc/passwd"),
        entry("dev/null", tarfile.CHRTYPE, device=(1, 3)),
        entry("fifo", tarfile.FIFOTYPE),
    ]
    found = _entries(tar(members, format))
    assert [each.kind for each, _ in found] == ["dir", "file", "symlink", "link", "char", "fifo"]
    passwd, content = found[1]
    assert (passwd.mode, passwd.uid, passwd.gid, content) == (0o4755, 7, 8, b"root")
    assert passwd.mtime_ns == 1_000_000_000 * 10**9
    assert found[3][0].link == b"etc/passwd"
    assert (found[4][0].major, found[4][0].minor) == (1, 3)


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_large_numbers_are_read(format: int) -> None:
    name = "d/" * 100 + "f" * 200
    info, content = file(name, b"x", uid=3_000_000_000)
    link = symlink("l" * 150, "t" * 300)
    found = _entries(tar([(info, content), link], format))
    assert (found[0][0].name, found[0][0].uid) == (name.encode(), 3_000_000_000)
    assert found[1][0].link == b"t" * 300


def test_pax_attributes_and_fractions_of_seconds_are_read() -> None:
    info, content = file("f")
    info.pax_headers = {"SCHILY.xattr.user.note": "hello", "mtime": "12.5"}
    found, _ = _entries(tar([(info, content)]))[0]
    assert found.xattrs == {b"user.note": b"hello"}
    assert found.mtime_ns == 12_500_000_000


def test_global_headers_say_nothing_about_files() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", pax_headers={"comment": "a commit"}) as made:
        made.addfile(file("f")[0])
    assert [each.name for each, _ in _entries(out.getvalue())] == [b"f"]


@settings(max_examples=60, deadline=None)
@given(
    some.lists(some.tuples(some.text("ab/é", min_size=1, max_size=140), some.binary(max_size=1500)), max_size=6),
    some.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    some.integers(1, 700),
)
def test_what_the_standard_library_writes_is_read_back(
    files: list[tuple[str, bytes]], format: int, step: int
) -> None:
    members: list[Member] = [file(name, content) for name, content in files if not name.endswith("/")]
    reader = TarReader(Dribble(tar(members, format), step))
    found = [(each.name.decode(), b"".join(reader.content())) for each in reader]
    assert found == [(info.name, content) for info, content in members]


@settings(max_examples=300, deadline=None)
@given(some.integers(0, 4095), some.binary(min_size=1, max_size=8))
def test_a_damaged_archive_is_read_or_refused_and_nothing_else(at: int, noise: bytes) -> None:
    info, content = file("f" * 120, b"content" * 60)
    info.pax_headers = {"SCHILY.xattr.user.a": "b", "mtime": "1.5"}
    good = tar([directory("d"), (info, content), symlink("s" * 150, "t")])
    data = good[:at] + noise + good[at + len(noise) :]
    try:
        _entries(data)
    except (ImageCorrupt, ImageUnsupported):
        return


@settings(max_examples=60, deadline=None)
@given(some.integers(1, 3000))
def test_an_archive_cut_inside_an_entry_is_refused(cut: int) -> None:
    good = tar([file("a", b"x" * 900), file("b", b"y" * 900)])[:3072]
    if cut % 1536 == 0:  # at the border of an entry an archive may end
        return
    with pytest.raises(ImageCorrupt):
        _entries(good[:cut])


def _claiming(kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def test_an_endless_extended_header_is_not_taken_into_memory() -> None:
    with pytest.raises(ImageCorrupt, match="extended header"):
        _entries(_claiming(b"x", EXTENSION_MAX_BYTES + 1))


def test_sparse_and_unknown_entries_are_refused_with_the_reason() -> None:
    with pytest.raises(ImageUnsupported, match="sparse"):
        _entries(_claiming(b"S", 0))
    with pytest.raises(ImageUnsupported, match="unknown entry type"):
        _entries(_claiming(b"Z", 0))
    info, content = file("f")
    info.pax_headers = {"GNU.sparse.major": "1"}
    with pytest.raises(ImageUnsupported, match="sparse"):
        _entries(tar([(info, content)]))


def test_zero_bytes_and_overlong_paths_are_refused() -> None:
    for name in ("a\0b", "a/" * 2048):
        info, content = file("f")
        info.pax_headers = {"path": name}
        with pytest.raises(ImageCorrupt, match="path"):
            _entries(tar([(info, content)]))
