"""The node's image store against a real registry: what is pulled, what is not, and what is said when it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from moorage.agent.drivers.images import ImageSources, ImageStore, PullBehavior
from moorage.agent.spec import DriverError
from moorage.oci.client import RegistryClient
from moorage.oci.errors import ImageError
from moorage.oci.manifest import ContainerConfig
from moorage.oci.source import ImageSource
from moorage.oci.transfer import Progress, push
from moorage.wire.http import Request, Response
from tests.unit.oci.images import assemble, file, image, tar
from tests.unit.registry.served import SECRET, USER, client, registry

pytestmark = pytest.mark.root

BASE = tar([file("etc/base", b"base" * 5000)])


class Place:
    """A registry that notes what it is asked, and a store that pulls from it."""

    def __init__(self, home: Path, stack: ExitStack) -> None:
        self.home = home
        self.asked: list[str] = []
        self.closed = False
        self.url = stack.enter_context(registry(home / "registry", self._note))
        self.client: RegistryClient = stack.enter_context(client(self.url))
        self._stack = stack
        self.store = self.open_store()

    def _note(self, request: Request) -> Response | None:
        if "authorization" in request.headers:
            self.asked.append(f"{request.method} {request.path}")
        return Response(status=404) if self.closed else None

    def open_store(self, sources: ImageSources | None = None) -> ImageStore:
        own = ImageSources(installation_url=self.url, username=USER, password=SECRET, other_registries=False)
        store = ImageStore(self.home / "images", sources or own)
        self._stack.callback(store.close)
        return store

    def push(self, name: str, source: ImageSource, tag: str = "latest") -> str:
        digest = push(source, self.client, name, tag)
        self.asked.clear()
        return digest

    def layers(self) -> list[str]:
        return sorted(each.name for each in (self.home / "images/layers").iterdir() if each.is_dir())

    def blobs_asked(self) -> int:
        return sum("/blobs/" in each for each in self.asked)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(tmp_path, stack)


def _image(note: str, *, config: ContainerConfig | None = None) -> ImageSource:
    return image(BASE, tar([file("etc/note", note.encode())]), config=config)


def test_an_image_is_pulled_with_its_configuration(place: Place) -> None:
    config = ContainerConfig(
        entrypoint=("/bin/e",), cmd=("c",), env=("A=b",), user="7:8", working_dir="/w", stop_signal="SIGINT"
    )
    digest = place.push("app", _image("x", config=config))
    told: list[Progress] = []
    found = place.store.ensure("app", on_progress=told.append)
    assert found.digest == digest
    assert [Path(each, "etc").exists() for each in found.layers] == [True, True]
    assert (Path(found.layers[1]) / "etc/note").read_text() == "x"
    assert (found.entry_point, found.command, found.environment) == (("/bin/e",), ("c",), ("A=b",))
    assert (found.user, found.working_directory, found.stop_signal) == ("7:8", "/w", "SIGINT")
    assert {each.done_bytes == each.total_bytes for each in told} == {True}


def test_a_known_tag_costs_one_head_and_a_known_digest_nothing(place: Place) -> None:
    digest = place.push("app", _image("x"))
    first = place.store.ensure("app")
    place.asked.clear()
    assert place.store.ensure("app") == first
    assert place.asked == ["HEAD /v2/app/manifests/latest"]
    assert place.store.ensure(f"app@{digest}") == first
    assert place.asked == ["HEAD /v2/app/manifests/latest"]


def test_a_moved_tag_is_noticed_and_shared_layers_are_not_pulled_again(place: Place) -> None:
    place.push("app", _image("old"))
    old = place.store.ensure("app")
    place.push("app", _image("new"))
    new = place.store.ensure("app")
    assert (Path(new.layers[1]) / "etc/note").read_text() == "new"
    assert new.layers[0] == old.layers[0]
    assert place.blobs_asked() == 2  # configuration and the upper layer


def test_many_who_ask_at_once_share_one_pull(place: Place) -> None:
    place.push("app", _image("x"))
    with ThreadPoolExecutor(24) as pool:
        found = list(pool.map(lambda _: place.store.ensure("app"), range(24)))
    assert len(set(found)) == 1
    assert place.blobs_asked() == 3
    assert len([each for each in place.asked if each.startswith("HEAD")]) < 24


def test_a_restarted_agent_knows_its_images(place: Place) -> None:
    place.push("app", _image("x"))
    first = place.store.ensure("app")
    place.store.close()
    place.asked.clear()
    assert place.open_store().ensure("app") == first
    assert place.blobs_asked() == 0


@pytest.mark.parametrize(
    ("pull", "asks", "falls_back"),
    [("default", True, True), ("always", True, False), ("once", False, True), ("prefer-cached", False, True)],
)
def test_each_pull_behavior_does_what_ecs_says(
    place: Place, pull: PullBehavior, asks: bool, falls_back: bool
) -> None:
    place.push("app", _image("x"))
    first = place.store.ensure("app", pull=pull)
    place.asked.clear()
    assert place.store.ensure("app", pull=pull) == first
    assert bool(place.asked) == asks
    place.closed = True
    if falls_back:
        assert place.store.ensure("app", pull=pull) == first
    else:
        with pytest.raises(DriverError, match="not found"):
            place.store.ensure("app", pull=pull)


def test_an_image_that_is_nowhere_is_told_in_the_words_of_ecs(place: Place) -> None:
    with pytest.raises(DriverError) as failure:
        place.store.ensure("nowhere:1")
    assert failure.value.kind == "CannotPullContainerError"
    assert failure.value.reason == (
        "pull image manifest has been retried 1 time(s): failed to resolve ref docker.io/library/nowhere:1: "
        "docker.io/library/nowhere:1: not found"
    )


def test_a_name_that_is_none_is_told_before_anyone_is_asked(place: Place) -> None:
    with pytest.raises(DriverError, match="must be lowercase"):
        place.store.ensure("NoSuch/Name")
    assert place.asked == []


def test_a_registry_that_is_away_is_told(place: Place) -> None:
    gone = ImageSources(installation_url="http://127.0.0.1:1", other_registries=False)
    with pytest.raises(DriverError, match="Connection refused"):
        place.open_store(gone).ensure("app")


def test_the_references_own_registry_is_asked_when_the_installation_has_it_not(place: Place, tmp_path: Path) -> None:
    place.push("app", _image("x"))
    host = place.url.removeprefix("http://")
    with registry(tmp_path / "empty") as own:
        sources = ImageSources(installation_url=own, username=USER, password=SECRET)
        with pytest.raises(DriverError, match=r"not found in the installation's registry; .*unauthorized"):
            place.open_store(sources).ensure(f"{host}/app")


def test_a_layer_that_is_not_what_its_diff_id_says_is_refused(place: Place) -> None:
    honest = _image("x")
    blobs: dict[str, bytes] = {}
    for each in honest.manifest.layers:
        stream = honest.open_blob(each)
        blobs[each.digest] = stream.read(1 << 20)
    lying = assemble(blobs, list(honest.manifest.layers), ["sha256:" + "0" * 64, honest.config.rootfs.diff_ids[1]])
    place.push("app", lying)
    with pytest.raises(DriverError, match="expected diff id"):
        place.store.ensure("app")
    assert len(place.layers()) <= 1
    assert "0" * 64 not in place.layers()


def test_a_layer_damaged_in_the_registry_is_refused_and_leaves_nothing(place: Place) -> None:
    source = image(BASE)
    place.push("app", source)
    digest = source.manifest.layers[0].digest.removeprefix("sha256:")
    [blob] = (place.home / "registry/content").rglob(digest)
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 0xFF
    blob.write_bytes(data)
    with pytest.raises(DriverError) as failure:
        place.store.ensure("app")
    assert failure.value.kind == "CannotPullContainerError"
    assert place.layers() == []
    assert list((place.home / "images/scratch").glob("*/*")) == []


def test_a_layer_that_leads_out_is_refused_by_name(place: Place) -> None:
    place.push("app", image(tar([file("../../../escaped")])))
    with pytest.raises(DriverError, match=r"'../../../escaped' leads out of its directory"):
        place.store.ensure("app")


def test_a_lost_layer_or_record_is_pulled_again(place: Place) -> None:
    place.push("app", _image("x"))
    first = place.store.ensure("app")
    Path(first.layers[1]).rename(place.home / "away")
    assert place.store.ensure("app") == first
    for record in (place.home / "images").glob("*/*.json"):
        record.write_text("{broken")
    assert place.open_store().ensure("app", pull="prefer-cached") == first


def test_layers_in_the_making_of_the_dead_are_swept_and_of_the_living_are_not(place: Place) -> None:
    dead = place.home / "images/scratch/dead/half"
    dead.mkdir(parents=True)
    (dead / "file").write_text("half")
    living = sorted((place.home / "images/scratch").iterdir())
    place.open_store()
    left = list((place.home / "images/scratch").iterdir())
    assert not dead.exists()
    assert set(living) - {dead.parent} <= set(left)


def _reclaim(place: Place, reference: str, in_use: tuple[str, ...] = ()) -> int:
    return place.store.remove(reference, in_use=in_use)


def test_removing_an_image_keeps_what_others_need(place: Place) -> None:
    place.push("one", _image("one"))
    place.push("two", _image("two"))
    one, two = place.store.ensure("one"), place.store.ensure("two")
    assert place.store.usage().layers == 3
    assert _reclaim(place, "one") == len("one")
    assert not Path(one.layers[1]).exists()
    assert Path(two.layers[0]).exists()
    assert [each.references for each in place.store.list()] == [("docker.io/library/two:latest",)]
    assert _reclaim(place, "two") == len("two") + len(b"base" * 5000)
    assert (place.layers(), place.store.usage().used_bytes) == ([], 0)
    assert place.store.ensure("one") == one


def test_an_image_with_two_names_goes_with_the_last(place: Place) -> None:
    place.push("app", _image("x"), "v1")
    place.push("app", _image("x"), "v2")
    found = place.store.ensure("app:v1")
    place.store.ensure("app:v2")
    assert _reclaim(place, "app:v1") == 0
    assert Path(found.layers[0]).exists()
    assert _reclaim(place, "app:v2") > 0


@pytest.mark.parametrize("name", [lambda _: "app", lambda digest: f"app@{digest}"])
def test_an_image_in_use_is_not_removed(place: Place, name: Callable[[str], str]) -> None:
    digest = place.push("app", _image("x"))
    place.store.ensure("app")
    with pytest.raises(ImageError, match="in use by a container"):
        _reclaim(place, name(digest), (digest,))
    assert _reclaim(place, name(digest)) > 0
    with pytest.raises(ImageError, match="no such image"):
        _reclaim(place, name(digest))
