"""Layers unpacked: what comes out of an honest tar, and that nothing comes out of place from a hostile one."""

from __future__ import annotations

import contextlib
import os
import stat
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from moorage.agent.drivers.layers import is_opaque, unpack
from moorage.agent.drivers.trees import remove_tree
from moorage.oci.errors import ImageCorrupt
from moorage.oci.streams import BytesReader
from tests.unit.oci.images import Member, directory, entry, file, hardlink, symlink, tar

pytestmark = pytest.mark.root

OPAQUE = "trusted.overlay.opaque"
# Capability sets as setcap writes them: version 2, cap_net_bind_service effective and permitted.
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "above" / "layer"
    made.mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("untouched")
    return made


def _unpack(root: Path, *members: Member) -> None:
    unpack(BytesReader(tar(members)), root)


def _is_whiteout(path: Path) -> bool:
    there = path.lstat()
    return stat.S_ISCHR(there.st_mode) and there.st_rdev == 0


def test_owner_mode_time_and_attributes_are_kept(root: Path) -> None:
    info, content = file("bin/tool", b"run", mode=0o6755, uid=1000, gid=70_000)
    info.pax_headers = {
        "SCHILY.xattr.user.note": "kept",
        "SCHILY.xattr.security.capability": CAPABILITY.decode("latin-1"),
        "mtime": "1000000000.25",
    }
    _unpack(root, directory("bin", 0o2750), (info, content))
    there = (root / "bin/tool").stat()
    assert (there.st_mode, there.st_uid, there.st_gid) == (stat.S_IFREG | 0o6755, 1000, 70_000)
    assert there.st_mtime_ns == 1_000_000_000_250_000_000
    assert os.getxattr(root / "bin/tool", "user.note") == b"kept"
    assert os.getxattr(root / "bin/tool", "security.capability") == CAPABILITY
    above = (root / "bin").stat()
    assert (stat.S_IMODE(above.st_mode), above.st_mtime) == (0o2750, 1_000_000_000)


def test_links_devices_and_pipes_are_made(root: Path) -> None:
    _unpack(
        root,
        file("a", b"x"),
        hardlink("d/b", "a"),
        symlink("s", "/absolute/target"),
        hardlink("s2", "s"),
        entry("null", tarfile.CHRTYPE, device=(1, 3), mode=0o666),
        entry("disk", tarfile.BLKTYPE, device=(7, 0), mode=0o600),
        entry("pipe", tarfile.FIFOTYPE, mode=0o622),
    )
    assert (root / "a").stat().st_ino == (root / "d/b").stat().st_ino
    assert os.readlink(root / "s") == os.readlink(root / "s2") == "/absolute/target"
    assert (root / "null").stat().st_rdev == os.makedev(1, 3)
    assert stat.S_ISBLK((root / "disk").stat().st_mode)
    assert (root / "pipe").stat().st_mode == stat.S_IFIFO | 0o622


def test_the_top_entry_dresses_the_layer_itself(root: Path) -> None:
    _unpack(root, directory("./", 0o711), file("./f"))
    assert stat.S_IMODE(root.stat().st_mode) == 0o711


def test_parents_that_the_tar_forgot_are_made_readable(root: Path) -> None:
    _unpack(root, file("a/b/c", b"x"))
    assert stat.S_IMODE((root / "a/b").stat().st_mode) == 0o755


def test_a_later_entry_replaces_an_earlier_one(root: Path) -> None:
    _unpack(
        root,
        directory("d"), file("d/x"), symlink("d/y", "z"),
        file("d", b"now a file"),
        symlink("e", "d"), directory("e"), file("e/inside"),
        file("f", b"one"), hardlink("g", "f"), file("f", b"two"),
    )  # fmt: skip
    assert (root / "d").read_bytes() == b"now a file"
    assert (root / "e").is_dir()
    assert not (root / "e").is_symlink()
    assert ((root / "f").read_bytes(), (root / "g").read_bytes()) == (b"two", b"one")


def test_whiteouts_become_overlayfs_own(root: Path) -> None:
    _unpack(root, file("etc/.wh.passwd"), directory("var"), file("var/.wh..wh..opq"), file(".wh..wh.plnk"))
    assert _is_whiteout(root / "etc/passwd")
    assert is_opaque(root / "var")
    assert sorted(os.listdir(root)) == ["etc", "var"]


def test_whiteouts_hide_what_is_below_and_not_what_the_layer_itself_brings(root: Path) -> None:
    _unpack(
        root,
        file("d/new"), file(".wh.d"),
        file(".wh.e"), file("e/new"),
        file("f", b"x"), file(".wh.f"),
        file(".wh.g"), file("g", b"y"),
        file(".wh.h"), directory("h"),
    )  # fmt: skip
    assert (root / "d/new").exists()
    assert is_opaque(root / "d")
    assert ((root / "f").read_bytes(), (root / "g").read_bytes()) == (b"x", b"y")
    assert is_opaque(root / "h")
    assert (root / "e/new").exists()
    assert is_opaque(root / "e")


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "d/.wh...", "d/.wh."])
def test_a_whiteout_of_no_possible_name_is_refused(root: Path, name: str) -> None:
    with pytest.raises(ImageCorrupt):
        _unpack(root, directory("d"), file(name))


@pytest.mark.parametrize("name", ["../outside/new", "a/../../outside/new", "..", "d/..", "/../outside/new"])
def test_a_path_that_leads_out_is_refused(root: Path, name: str) -> None:
    for member in (file(name), directory(name), symlink(name, "x"), hardlink(name, "d")):
        with pytest.raises(ImageCorrupt, match="leads out"):
            _unpack(root, member)


def test_an_absolute_path_is_one_of_the_layer(root: Path) -> None:
    _unpack(root, file("/etc/moorage-test", b"x"))
    assert (root / "etc/moorage-test").exists()


@pytest.mark.parametrize("target", ["../../outside", "/../../outside", "..", "/", "../../../../../.."])
def test_a_symlink_leads_nowhere_outside(root: Path, tmp_path: Path, target: str) -> None:
    members = [symlink("way", target), file("way/file", b"changed"), file("way/new"), file("way/.wh.hidden")]
    with contextlib.suppress(ImageCorrupt):
        _unpack(root, *members)
    assert sorted(os.listdir(tmp_path / "outside")) == ["file"]
    assert (tmp_path / "outside/file").read_text() == "untouched"
    assert os.listdir(root.parent) == ["layer"]


def test_an_absolute_symlink_is_taken_from_the_layers_top(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageCorrupt):
        _unpack(root, symlink("way", str(tmp_path / "outside")), file("way/file", b"changed"))
    assert (tmp_path / "outside/file").read_text() == "untouched"


def test_a_symlink_as_last_component_is_replaced_and_not_followed(root: Path, tmp_path: Path) -> None:
    outside = str(tmp_path / "outside/file")
    _unpack(
        root, symlink("f", outside), file("f", b"changed"), symlink("d", str(tmp_path / "outside")), directory("d")
    )
    assert (tmp_path / "outside/file").read_text() == "untouched"
    assert stat.S_IMODE((tmp_path / "outside").stat().st_mode) == 0o755
    assert (root / "f").read_bytes() == b"changed"


@pytest.mark.parametrize("target", ["../../outside/file", "/etc/passwd", "way/file", "missing", ".", "d"])
def test_a_hard_link_binds_nothing_from_outside(root: Path, tmp_path: Path, target: str) -> None:
    way = symlink("way", str(tmp_path / "outside"))
    with pytest.raises((ImageCorrupt, OSError)):
        _unpack(root, way, directory("d"), hardlink("stolen", target))
    assert not (root / "stolen").exists()
    assert (tmp_path / "outside/file").stat().st_nlink == 1


def test_a_link_within_the_layer_is_followed_to_its_directory(root: Path) -> None:
    _unpack(root, directory("usr/lib"), symlink("lib", "usr/lib"), file("lib/a"), symlink("l", "/usr"), file("l/b"))
    assert (root / "usr/lib/a").exists()
    assert (root / "usr/b").exists()


@pytest.mark.parametrize(
    "members",
    [
        [file("a"), file("a/b")],
        [symlink("a", "a"), file("a/b")],
        [symlink("a", "missing"), file("a/b")],
        [symlink("a", "")],
        [file("n" * 300)],
        [hardlink("a", "missing")],
        [file(".")],
    ],
)
def test_what_cannot_be_unpacked_is_the_layers_fault(root: Path, members: list[Member]) -> None:
    with pytest.raises(ImageCorrupt):
        _unpack(root, *members)


def test_attributes_that_would_steer_overlayfs_are_not_taken(root: Path) -> None:
    info, content = directory("d")
    names = [OPAQUE, "trusted.overlay.redirect", "user.overlay.opaque", "trusted.other", "security.selinux"]
    info.pax_headers = {f"SCHILY.xattr.{name}": "y" for name in names}
    _unpack(root, (info, content))
    assert not set(os.listxattr(root / "d")) & set(names)


def test_a_tree_deeper_than_any_recursion_is_unpacked_and_removed(root: Path) -> None:
    members = [directory("a/" * 1500), symlink("s", "a/" * 1500), directory("s/" + "b/" * 1500)]
    _unpack(root, *members)
    remove_tree(root)
    assert not root.exists()
    remove_tree(root)


_names = some.lists(some.sampled_from(["a", "b", "..", ".", "", ".wh.a", ".wh..wh..opq", "/"]), max_size=4).map(
    "/".join
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    some.lists(
        some.one_of(
            some.builds(file, _names, some.binary(max_size=9)),
            some.builds(directory, _names),
            some.builds(symlink, _names, _names),
            some.builds(hardlink, _names, _names),
        ),
        max_size=9,
    )
)
def test_no_tar_whatever_touches_anything_outside(
    tmp_path_factory: pytest.TempPathFactory, members: list[Member]
) -> None:
    home = tmp_path_factory.mktemp("fuzz")
    layer = home / "x/layer"
    layer.mkdir(parents=True)
    (home / "x/a").write_text("outside")
    (home / "b").write_text("outside")
    with contextlib.suppress(ImageCorrupt):
        _unpack(layer, *members)
    assert sorted(os.listdir(home)) == ["b", "x"]
    assert sorted(os.listdir(home / "x")) == ["a", "layer"]
    assert ((home / "x/a").read_text(), (home / "b").read_text()) == ("outside", "outside")
    assert ((home / "x/a").stat().st_nlink, (home / "b").stat().st_nlink) == (1, 1)
    remove_tree(home)
