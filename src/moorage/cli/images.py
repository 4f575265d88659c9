"""`moor image`: images in the installation's registry, through the OCI distribution API."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

from moorage.base.errors import MoorageError
from moorage.cli.client import Api
from moorage.cli.home import Home
from moorage.cli.output import console, errors, show_json, show_table
from moorage.oci import archive, reference, transfer
from moorage.oci.auth import Credentials
from moorage.oci.client import RegistryClient, registry_url
from moorage.oci.manifest import Platform
from moorage.oci.source import ImageSource

# What uname calls them, and what images call them.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@click.group()
def image() -> None:
    """Images that tasks can run: import a file, pull from another registry, list, remove."""


@image.command("import")
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Answer for a script.")
def import_image(file: Path, name: str, as_json: bool) -> None:
    """Import FILE as NAME: `docker save` output, an OCI layout (folder or tar), or a root file system tar."""
    with _told_plainly(), archive.opened(file, _own_platform()) as source:
        _push(source, name, as_json)


@image.command()
@click.argument("name")
@click.option("--as", "own_name", help="What to call it here. [default: the same name]")
@click.option("--username", help="For a registry that asks for one.")
@click.option("--password", envvar="MOOR_REGISTRY_PASSWORD", help="Better given as MOOR_REGISTRY_PASSWORD.")
@click.option("--plain-http", is_flag=True, help="Speak HTTP to a registry without TLS.")
@click.option("--json", "as_json", is_flag=True, help="Answer for a script.")
def pull(name: str, own_name: str | None, plain_http: bool, as_json: bool, **login: str | None) -> None:
    """Copy NAME from its registry into this installation's."""
    credentials = None
    if login["username"]:
        credentials = Credentials(username=login["username"], password=login["password"] or "")
    with _told_plainly():
        wanted = reference.parse(name)
        client = RegistryClient(
            registry_url(wanted.registry, plain_http=plain_http), credentials, plain_http=plain_http
        )
        source = client.image(wanted.repository, wanted.target, _own_platform())
        _push(source, own_name or name, as_json)


@image.command("ls")
@click.option("--json", "as_json", is_flag=True, help="Answer for a script.")
def list_images(as_json: bool) -> None:
    """List the images of the installation's registry."""
    with _told_plainly():
        client = _registry()
        found = [
            {"name": f"{repository}:{tag}", "digest": client.resolve(repository, tag)}
            for repository in client.catalog()
            for tag in client.tags(repository)
        ]
    if as_json:
        show_json(found)
    else:
        show_table(("image", "digest"), [(one["name"], one["digest"]) for one in found])


@image.command("rm")
@click.argument("names", nargs=-1, required=True)
def remove(names: tuple[str, ...]) -> None:
    """Remove images; tasks that run from them go on."""
    with _told_plainly():
        client = _registry()
        for name in names:
            _remove(client, _repository(reference.parse(name)), reference.parse(name).target)
            console.print(name)


def _remove(client: RegistryClient, repository: str, target: str) -> None:
    """Remove a name; with the last one of an image the image itself, so that its disk space comes back."""
    digest = client.resolve(repository, target)
    if target != digest:
        client.delete_manifest(repository, target)
    if target == digest or not any(client.resolve(repository, tag) == digest for tag in client.tags(repository)):
        client.delete_manifest(repository, digest)


def _repository(wanted: reference.Reference) -> str:
    """Where the installation's registry keeps it; its own address in front of a name changes nothing."""
    settings = Home.chosen().require()
    return reference.installation_repository(wanted, {settings.endpoint.removeprefix("http://")})


def _push(source: ImageSource, name: str, as_json: bool) -> None:
    wanted = reference.parse(name)
    if wanted.digest:
        raise click.ClickException(f"{name}: an image is named by a tag here; its digest follows from what it holds")
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bars:
        known: dict[str, TaskID] = {}

        def show(told: transfer.Progress) -> None:
            if told.digest not in known:
                known[told.digest] = bars.add_task(told.digest[7:19], total=told.total_bytes)
            bars.update(known[told.digest], completed=told.done_bytes)

        digest = transfer.push(source, _registry(), _repository(wanted), wanted.target, show)
    if as_json:
        show_json({"name": name, "digest": digest})
    else:
        console.print(f"{name} is {digest}")


def _registry() -> RegistryClient:
    """A client of the installation's registry, with the root key."""
    api = Api(Home.chosen())
    key, secret = api.root_key()
    return RegistryClient(api.settings.endpoint, Credentials(username=key, password=secret), plain_http=True)


def _own_platform() -> Platform:
    machine = platform.machine()
    return Platform(os="linux", architecture=ARCHITECTURES.get(machine, machine))


@contextmanager
def _told_plainly() -> Iterator[None]:
    try:
        yield
    except MoorageError as error:
        raise click.ClickException(str(error)) from error
