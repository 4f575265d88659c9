"""HTTP as a registry's client needs it: authentication, redirects, retries, and no plain text by accident."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Mapping
from typing import BinaryIO, Final
from urllib.parse import urljoin, urlsplit

import msgspec
import urllib3
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError

from moorage.oci.auth import ANY, Challenge, Credentials, Wallet, challenges
from moorage.oci.errors import ImageCorrupt, ImageDenied, RegistryUnavailable

# A registry on the same continent connects well within a second; five allow for a lost packet or two.
CONNECT_TIMEOUT_S: Final = 5.0
# Between two bytes, not for the whole: large blobs take as long as they take.
READ_TIMEOUT_S: Final = 60.0
# First try, a quick second for a dropped connection, a later third for a registry that restarts.
RETRY_PAUSES_S: Final = (0.2, 1.0)
RETRIED_STATUSES: Final = frozenset({429, 500, 502, 503, 504})
# Blobs are commonly redirected once, to object storage.
REDIRECTS_MAX: Final = 5
# Documents (manifests, configurations, listings, tokens, errors) are read whole up to this.
DOCUMENT_MAX_BYTES: Final = 8 * 1024 * 1024
# Threads that pull from one registry at once: a few layers of a few images.
_CONNECTIONS: Final = 16
_BLOCK_BYTES: Final = 256 * 1024

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A registry's answer, read whole."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class _Token(msgspec.Struct, frozen=True):
    token: str = ""
    access_token: str = ""


class Transport:
    """Requests to one registry. `pause` waits between tries; the simulator and tests pass their own."""

    def __init__(
        self,
        base_url: str,
        credentials: Credentials | None = None,
        *,
        plain_http: bool = False,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._credentials = credentials
        self._plain_http = plain_http
        self._pause = pause
        self._wallet = Wallet()
        self._plain_hosts: set[str] = set()  # known to be near
        self._pool = urllib3.PoolManager(
            num_pools=8,
            maxsize=_CONNECTIONS,
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
            blocksize=_BLOCK_BYTES,
        )

    def close(self) -> None:
        """Close idle connections."""
        self._pool.clear()

    def call(
        self, method: str, url: str, *, scope: str = ANY, headers: Mapping[str, str] = {}, body: bytes | None = None
    ) -> Answer:
        """The whole answer; failures of the way there are retried, so only for what may be done twice."""
        for pause_s in (*RETRY_PAUSES_S, None):
            try:
                answer = self._document(self.open(method, url, scope=scope, headers=headers, body=body))
            except RegistryUnavailable as error:
                # Nobody there: a second try straight after says the same, and a task waits for the answer.
                hopeless = isinstance(error.__cause__, NameResolutionError | NewConnectionError)
                if pause_s is None or hopeless:
                    raise
            else:
                if answer.status not in RETRIED_STATUSES:
                    return answer
                if pause_s is None:
                    raise RegistryUnavailable(f'{method} "{self._absolute(url)}": status {answer.status}')
            self._pause(pause_s)
        raise AssertionError("the last round returns or raises")

    def once(
        self, method: str, url: str, *, scope: str, headers: Mapping[str, str], body: bytes | BinaryIO
    ) -> Answer:
        """Like `call` without a second try, for bodies that can be sent once only."""
        return self._document(self.open(method, url, scope=scope, headers=headers, body=body))

    def open(
        self,
        method: str,
        url: str,
        *,
        scope: str = ANY,
        headers: Mapping[str, str] = {},
        body: bytes | BinaryIO | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """The answer with its body still to be read. Challenges are answered, redirects of reads followed."""
        target = self._absolute(url)
        response = self._send(method, target, self._authorized(headers, scope, target), body)
        again = body is None or isinstance(body, bytes)  # a stream cannot be sent a second time
        if again and response.status == 401 and self._origin(target) == self._origin(self.base_url):
            offered = response.headers.get("www-authenticate", "")
            response.drain_conn()
            self._answer_challenge(offered, scope, target)
            response = self._send(method, target, self._authorized(headers, scope, target), body)
        if method not in ("GET", "HEAD"):
            return response
        for _ in range(REDIRECTS_MAX):
            location = response.headers.get("location")
            if response.status not in _REDIRECTS or not location:
                return response
            response.drain_conn()
            target = urljoin(target, location)
            response = self._send(method, target, self._authorized(headers, scope, target), None)
        raise RegistryUnavailable(f'{method} "{self._absolute(url)}": more than {REDIRECTS_MAX} redirects')

    def _absolute(self, url: str) -> str:
        return urljoin(self.base_url + "/", url)

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | BinaryIO | None
    ) -> urllib3.BaseHTTPResponse:
        self._check_plain(url)
        try:
            return self._pool.urlopen(
                method,
                url,
                headers={"User-Agent": "moorage", **headers},
                body=body,
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=False,
            )
        except (HTTPError, OSError) as error:
            raise RegistryUnavailable(f'failed to do request: {method} "{url}": {_plainly(error)}') from error

    def _authorized(self, headers: Mapping[str, str], scope: str, url: str) -> dict[str, str]:
        """Credentials go to the registry itself only, never along a redirect to another origin."""
        value = self._wallet.get(scope)
        if value is None or self._origin(url) != self._origin(self.base_url):
            return dict(headers)
        return {**headers, "Authorization": value}

    def _answer_challenge(self, offered: str, scope: str, url: str) -> None:
        for challenge in challenges(offered):
            if challenge.scheme == "bearer" and challenge.realm:
                self._wallet.put_token(scope, self._token(challenge, scope))
                return
            if challenge.scheme == "basic" and self._credentials is not None:
                self._wallet.put_basic(self._credentials)
                return
        raise ImageDenied(f"{url}: unauthorized: authentication required")

    def _token(self, challenge: Challenge, scope: str) -> str:
        url = urljoin(self.base_url + "/", challenge.token_url(scope))
        headers = {"Authorization": self._credentials.basic} if self._credentials is not None else {}
        answer = self._document(self._send("GET", url, headers, None))
        if answer.status in (401, 403):
            raise ImageDenied(f"{challenge.realm}: the credentials were refused (status {answer.status})")
        if answer.status != 200:
            raise RegistryUnavailable(f'failed to fetch token: GET "{challenge.realm}": status {answer.status}')
        try:
            given = msgspec.json.decode(answer.body, type=_Token)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RegistryUnavailable(f'failed to fetch token: GET "{challenge.realm}": {error}') from error
        return given.token or given.access_token

    def _document(self, response: urllib3.BaseHTTPResponse) -> Answer:
        try:
            body = response.read(DOCUMENT_MAX_BYTES + 1)
        except (HTTPError, OSError) as error:
            raise RegistryUnavailable(f'failed to read answer of "{response.url}": {_plainly(error)}') from error
        if len(body) > DOCUMENT_MAX_BYTES:
            response.close()
            raise ImageCorrupt(f'"{response.url}": a document longer than {DOCUMENT_MAX_BYTES} bytes')
        response.drain_conn()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(status=response.status, headers=headers, body=body)

    def _check_plain(self, url: str) -> None:
        """Plain HTTP only where it was asked for, and there only to hosts that are ours or near."""
        parts = urlsplit(url)
        if parts.scheme == "https":
            return
        host = parts.hostname or ""
        if parts.scheme != "http" or not self._plain_http:
            raise ImageDenied(f"{url}: only https is used with this registry")
        if host in self._plain_hosts:
            return
        if any(ipaddress.ip_address(each).is_global for each in _addresses(host)):
            raise ImageDenied(f"{url}: plain http is for loopback and private addresses only")
        self._plain_hosts.add(host)

    @staticmethod
    def _origin(url: str) -> tuple[str, str | None, int]:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or (80 if parts.scheme == "http" else 443)


def _addresses(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise RegistryUnavailable(f"{host}: {error.strerror or error}") from error
    return [str(each[4][0]).partition("%")[0] for each in found]


def _plainly(error: Exception) -> str:
    """The reason without the names of the client's own objects."""
    reason = error.__cause__ or error
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason).rpartition(">: ")[2] or type(reason).__name__
