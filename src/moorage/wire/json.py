"""AWS's JSON protocols, 1.0 and 1.1: the operation in a header, JSON both ways.

Source: https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
"""

from __future__ import annotations

import binascii
import zlib
from base64 import b64decode
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from moorage.base.errors import Refused
from moorage.base.limits import REQUEST_BODY_MAX_BYTES
from moorage.wire.http import Request, Response
from moorage.wire.protocol import Family, Output, status_of
from moorage.wire.service import Operation
from moorage.wire.shapes import Compiler, Input, Mismatch, Reader, Shape, Value

__all__ = ["JSON_1_0", "JSON_1_1", "JsonProtocol", "SerializationRefused"]

_INTEGER_BITS: Final = {"integer": 31, "long": 63}
_FLOAT_WORDS: Final = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS  # zlib's way to say: expect a gzip header
_ENCODE = msgspec.json.Encoder().encode


class SerializationRefused(Refused):
    """The body is not JSON, or a value has not its member's type."""

    code = "SerializationException"


class JsonProtocol:
    """One version of the protocol; they differ in the content type alone."""

    family: Family = "json"

    def __init__(self, version: Literal["1.0", "1.1"]) -> None:
        self._content_type = f"application/x-amz-json-{version}"
        self._readers = Compiler(_ReaderMaker())

    def parse(self, operation: Operation, request: Request, body: bytes) -> Input:
        """The request's members; an empty body is an empty request."""
        if request.headers.get("content-encoding", "").lower() == "gzip":
            body = _inflate(body)
        try:
            value = self._readers.of(operation.input)(_decode(body))
        except Mismatch as mismatch:
            where = f" (at {mismatch.place})" if mismatch.path else ""
            raise SerializationRefused(f"{mismatch.found} can not be converted to {mismatch.wanted}{where}") from None
        assert isinstance(value, dict)  # an operation's input is a structure
        return value

    def answer(self, operation: Operation, output: Output | None, request_id: str) -> Response:
        """200 and the output; an operation without one answers an empty body."""
        body = b"" if operation.output is None else encode({} if output is None else output)
        return Response(headers=self._headers(request_id), body=body)

    def refuse(self, error: Refused, request_id: str, operation: Operation | None = None) -> Response:
        """`__type` and `message`; the code also in a header, where some SDKs look first."""
        headers = self._headers(request_id)
        headers.append(("x-amzn-ErrorType", error.code))
        message = error.message.encode("utf-8", "replace").decode()  # a file name in it may have lone surrogates
        body = _ENCODE({"__type": error.code, "message": message, **error.members})
        return Response(status=status_of(error, operation), headers=headers, body=body)

    def _headers(self, request_id: str) -> list[tuple[str, str]]:
        return [("x-amzn-RequestId", request_id), ("Content-Type", self._content_type)]


def encode(output: Output) -> bytes:
    """JSON without absent members."""
    raw = _ENCODE(output)
    # Structs leave UNSET out by themselves, and None where it is the default. For the rest, one scan of the bytes
    # tells whether there may be a null at all: nearly always there is none, and nothing is walked in Python.
    if b"null" not in raw:
        return raw
    return _ENCODE(without_none(msgspec.json.decode(raw)))


def without_none(value: object) -> object:
    """The same builtins with no None in any mapping."""
    if isinstance(value, Mapping):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_none(item) for item in value]
    return value


def _decode(body: bytes) -> object:
    if not body:
        return {}
    try:
        value: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SerializationRefused(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise SerializationRefused("the body is nested too deeply") from None
    return value


def _inflate(body: bytes) -> bytes:
    """A gzip body unpacked, never beyond what an unpacked one may have."""
    inflater = zlib.decompressobj(_GZIP_WINDOW)
    try:
        plain = inflater.decompress(body, REQUEST_BODY_MAX_BYTES)
    except zlib.error as error:
        raise SerializationRefused(f"the body is not gzip: {error}") from None
    if inflater.unconsumed_tail or not inflater.eof:
        raise SerializationRefused(f"the body is cut short or unpacks to more than {REQUEST_BODY_MAX_BYTES} bytes")
    return plain


class _ReaderMaker:
    """From decoded JSON to typed members."""

    def structure(self, _shape: Shape, fields: Mapping[str, Reader]) -> Reader:
        def read(value: object) -> Value:
            if type(value) is not dict:
                raise Mismatch(_token(value), "a structure")
            out: dict[str, Value] = {}
            for name, item in value.items():
                field = fields.get(name)
                if field is None or item is None:  # unknown members are dropped, null means absent
                    continue
                try:
                    out[name] = field(item)
                except Mismatch as mismatch:
                    raise mismatch.inside(name) from None
            return out

        return read

    def sequence(self, _shape: Shape, element: Reader) -> Reader:
        def read(value: object) -> Value:
            if type(value) is not list:
                raise Mismatch(_token(value), "a list")
            out: list[Value] = []
            for position, item in enumerate(value, 1):
                try:
                    out.append(element(item))
                except Mismatch as mismatch:
                    raise mismatch.inside(str(position)) from None
            return out

        return read

    def mapping(self, _shape: Shape, key: Reader, value: Reader) -> Reader:
        def read(whole: object) -> Value:
            if type(whole) is not dict:
                raise Mismatch(_token(whole), "a map")
            out: dict[str, Value] = {}
            for name, item in whole.items():
                if item is None:
                    continue
                try:
                    out[str(key(name))] = value(item)
                except Mismatch as mismatch:
                    raise mismatch.inside(name) from None
            return out

        return read

    def scalar(self, shape: Shape) -> Reader:
        if shape.document:
            return _document
        if shape.kind in _INTEGER_BITS:
            return _integer_reader(_INTEGER_BITS[shape.kind])
        return _SCALARS[shape.kind]


def _document(value: object) -> Value:
    return value  # type: ignore[return-value]  # any decoded JSON; nested nulls are the document's own business


def _string(value: object) -> Value:
    if type(value) is not str:
        raise Mismatch(_token(value), "a String")
    return value


def _boolean(value: object) -> Value:
    if type(value) is not bool:
        raise Mismatch(_token(value), "a Boolean")
    return value


def _integer_reader(bits: int) -> Reader:
    wanted = "an Integer" if bits == _INTEGER_BITS["integer"] else "a Long"
    limit = 1 << bits

    def read(value: object) -> Value:
        if type(value) is float and abs(value) < limit:
            value = int(value)  # AWS drops the fraction rather than refusing it
        if type(value) is not int or not -limit <= value < limit:
            raise Mismatch(_token(value), wanted)
        return value

    return read


def _float(value: object) -> Value:
    if type(value) is str and value in _FLOAT_WORDS:
        return _FLOAT_WORDS[value]
    if type(value) is not float and type(value) is not int:
        raise Mismatch(_token(value), "a Float")
    try:
        return float(value)
    except OverflowError:
        raise Mismatch(_token(value), "a Float") from None


def _timestamp(value: object) -> Value:
    if type(value) is not float and type(value) is not int:
        raise Mismatch(_token(value), "milliseconds since epoch")
    try:
        return float(value)
    except OverflowError:
        raise Mismatch(_token(value), "milliseconds since epoch") from None


def _blob(value: object) -> Value:
    if type(value) is not str:
        raise Mismatch(_token(value), "a Blob")
    try:
        return b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise Mismatch("STRING_VALUE that is not base64", "a Blob") from None


_SCALARS: Final[dict[str, Reader]] = {
    "string": _string,
    "character": _string,
    "boolean": _boolean,
    "float": _float,
    "double": _float,
    "timestamp": _timestamp,
    "blob": _blob,
}


def _token(value: object) -> str:
    """What AWS's own messages call a JSON value."""
    if value is True:
        return "TRUE_VALUE"
    if value is False:
        return "FALSE_VALUE"
    if value is None:
        return "NULL_VALUE"
    if isinstance(value, (int, float)):
        return "NUMBER_VALUE"
    if isinstance(value, str):
        return "STRING_VALUE"
    return "START_ARRAY" if isinstance(value, list) else "START_OBJECT"


JSON_1_0: Final = JsonProtocol("1.0")
JSON_1_1: Final = JsonProtocol("1.1")
