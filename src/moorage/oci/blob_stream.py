"""A blob as it comes from a registry, taken up again where a connection breaks."""

from __future__ import annotations

import re
from typing import Final

import urllib3
from urllib3.exceptions import HTTPError

from moorage.oci.errors import ImageDenied, ImageNotFound, RegistryUnavailable
from moorage.oci.transport import Transport

# A broken connection is taken up again this often; a registry that cuts each one is given up.
RESUMES_MAX: Final = 8
# One read of the socket: few calls, and little held.
_PIECE_BYTES: Final = 256 * 1024
_CONTENT_RANGE = re.compile(r"bytes (\d+)-")


class BlobStream:
    """A blob's bytes in order. What has been read is not asked for again, unless the registry knows no ranges."""

    def __init__(self, transport: Transport, url: str, scope: str) -> None:
        self._transport = transport
        self._url = url
        self._scope = scope
        self._at = 0
        self._resumes = 0
        self._response: urllib3.BaseHTTPResponse | None = None

    def read(self, size: int, /) -> bytes:
        while True:
            try:
                if self._response is None:
                    self._response = self._open()
                data = self._response.read(min(size, _PIECE_BYTES))
            except (HTTPError, OSError) as error:
                self._give_up_or_resume(error)
            except RegistryUnavailable as error:
                self._give_up_or_resume(error)
            else:
                self._at += len(data)
                return data

    def close(self) -> None:
        """Give the connection back where the blob was read to its end; else cut it."""
        if self._response is not None:
            self._response.close()
            self._response = None

    def _give_up_or_resume(self, error: Exception) -> None:
        self.close()
        self._resumes += 1
        if self._resumes > RESUMES_MAX or not self._at:
            if isinstance(error, RegistryUnavailable):
                raise error
            raise RegistryUnavailable(f'failed to read "{self._url}" after {self._at} bytes: {error}') from error

    def _open(self) -> urllib3.BaseHTTPResponse:
        headers = {"Range": f"bytes={self._at}-"} if self._at else {}
        response = self._transport.open("GET", self._url, scope=self._scope, headers=headers)
        if response.status in (200, 206):
            self._skip_what_was_read(response)
            return response
        response.drain_conn()
        if response.status == 404:
            raise ImageNotFound(f'"{self._url}": not found')
        if response.status in (401, 403):
            raise ImageDenied(f'"{self._url}": access denied')
        raise RegistryUnavailable(f'GET "{self._url}": status {response.status}')

    def _skip_what_was_read(self, response: urllib3.BaseHTTPResponse) -> None:
        start = 0
        if response.status == 206:
            told = _CONTENT_RANGE.match(response.headers.get("content-range", ""))
            start = int(told.group(1)) if told else -1
        if not 0 <= start <= self._at:
            response.close()
            raise RegistryUnavailable(f'GET "{self._url}": a range that was not asked for')
        left = self._at - start
        while left:
            piece = response.read(min(left, _PIECE_BYTES))
            if not piece:
                raise RegistryUnavailable(f'GET "{self._url}": shorter than before')
            left -= len(piece)
