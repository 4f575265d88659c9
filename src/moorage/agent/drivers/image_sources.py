"""Where a node looks for an image: the installation's own registry first, then the one its name points to."""

from __future__ import annotations

import ipaddress
import threading
from typing import Final
from urllib.parse import urlsplit

import msgspec

from moorage.oci.auth import Credentials
from moorage.oci.client import RegistryClient, registry_url
from moorage.oci.errors import ImageError, ImageNotFound, RegistryUnavailable
from moorage.oci.reference import Reference, installation_repository

_OWN: Final = "the installation's registry"


class ImageSources(msgspec.Struct, frozen=True, kw_only=True):
    """The registries that a node may ask."""

    installation_url: str = ""  # such as http://127.0.0.1:8000; empty: there is none
    username: str = ""  # the node's access key id
    password: str = ""  # and its secret key
    own_hosts: tuple[str, ...] = ()  # further names (host or host:port) that mean the installation itself
    plain_http_hosts: tuple[str, ...] = ()  # registries (host:port) without TLS, on private addresses
    other_registries: bool = True  # whether a reference's own registry is asked as well


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """A registry that is asked for an image, and the image's name there."""

    label: str
    client: RegistryClient
    repository: str


class Registries:
    """The clients of all registries in use, kept for their connections and tokens."""

    def __init__(self, sources: ImageSources) -> None:
        self._sources = sources
        self._lock = threading.Lock()
        self._clients: dict[str, RegistryClient] = {}
        own = urlsplit(sources.installation_url).netloc
        self._own_hosts = frozenset((*sources.own_hosts, own)) - {""}

    def close(self) -> None:
        with self._lock:
            for client in self._clients.values():
                client.close()

    def resolve(self, wanted: Reference) -> tuple[str, Origin]:
        """The image's digest and the first registry that has it; else what each of them said."""
        said: list[tuple[str, ImageError | RegistryUnavailable]] = []
        for origin in self._origins(wanted):
            try:
                return origin.client.resolve(origin.repository, wanted.target), origin
            except (ImageError, RegistryUnavailable) as error:
                said.append((origin.label, error))
        if all(isinstance(error, ImageNotFound) for _, error in said):
            raise ImageNotFound(f"failed to resolve ref {wanted}: {wanted}: not found")
        reasons = "; ".join(_reason(label, error) for label, error in said)
        if any(isinstance(error, RegistryUnavailable) for _, error in said):
            raise RegistryUnavailable(f"failed to resolve ref {wanted}: {reasons}")
        raise ImageError(f"failed to resolve ref {wanted}: {reasons}")

    def _origins(self, wanted: Reference) -> list[Origin]:
        found = []
        if self._sources.installation_url:
            client = self._client(self._sources.installation_url, own=True)
            repository = installation_repository(wanted, self._own_hosts)
            found.append(Origin(label=_OWN, client=client, repository=repository))
        if self._sources.other_registries and wanted.registry not in self._own_hosts:
            plain = wanted.registry in self._sources.plain_http_hosts or _is_loopback(wanted.registry)
            client = self._client(registry_url(wanted.registry, plain_http=plain), own=False)
            found.append(Origin(label=wanted.registry, client=client, repository=wanted.repository))
        return found

    def _client(self, url: str, *, own: bool) -> RegistryClient:
        sources = self._sources
        credentials = Credentials(username=sources.username, password=sources.password)
        with self._lock:
            if url not in self._clients:
                self._clients[url] = RegistryClient(
                    url, credentials if own and sources.username else None, plain_http=url.startswith("http:")
                )
            return self._clients[url]


def _reason(label: str, error: ImageError | RegistryUnavailable) -> str:
    return f"not found in {label}" if isinstance(error, ImageNotFound) else str(error)


def _is_loopback(registry: str) -> bool:
    """A registry on this very host needs no TLS; Docker has the same rule."""
    host = urlsplit(f"//{registry}").hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
