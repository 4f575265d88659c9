"""AWS's query protocol: a form in, XML out.

Source: https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
"""

from __future__ import annotations

from typing import Final

from moorage.base.errors import Refused
from moorage.wire.form import FormReaderMaker, parameters, tree_of
from moorage.wire.http import Request, Response
from moorage.wire.protocol import Family, Output, status_of
from moorage.wire.service import Operation
from moorage.wire.shapes import Compiler, Input, Member, Mismatch, Shape
from moorage.wire.xml import XmlWriterMaker, escape, write_members

__all__ = ["QUERY", "QueryProtocol"]


class MalformedInput(Refused):
    """A parameter has not its member's type."""

    code = "MalformedInput"


def _member_name(name: str, member: Member) -> str:
    if member.shape.kind == "list" and member.shape.flattened:
        # A flattened list has its elements' name, and only failing that its own.
        name = member.location_name or name
        return member.shape.members["member"].location_name or name
    return member.location_name or name


def _element_name(shape: Shape) -> str:
    return shape.members["member"].location_name or "member"


class _FormNames:
    def of_member(self, name: str, member: Member) -> str:
        return _member_name(name, member)

    def of_element(self, shape: Shape) -> str | None:
        return None if shape.flattened else _element_name(shape)


class _ElementNames:
    def of_member(self, name: str, member: Member) -> str:
        return _member_name(name, member)

    def of_element(self, shape: Shape) -> str:
        return _element_name(shape)


class QueryProtocol:
    """`Action=` in a form; `<…Response>` around `<…Result>` as the answer."""

    family: Family = "query"

    def __init__(self) -> None:
        self._readers = Compiler(FormReaderMaker(_FormNames()))
        self._writers = Compiler(XmlWriterMaker(_ElementNames()))

    def parse(self, operation: Operation, request: Request, body: bytes) -> Input:
        """The request's members, from the query string and the form together."""
        tree = tree_of(parameters(request, body))
        try:
            value = self._readers.of(operation.input)(tree)
        except Mismatch as mismatch:
            raise MalformedInput(f"'{mismatch.found}' at '{mismatch.place}' is not {mismatch.wanted}") from None
        assert isinstance(value, dict)  # an operation's input is a structure
        return value

    def answer(self, operation: Operation, output: Output | None, request_id: str) -> Response:
        """The output in its result element, where the operation has one."""
        result = ""
        if operation.output is not None:
            wrapper = operation.result_wrapper or f"{operation.name}Result"
            result = f"<{wrapper}>{write_members(self._writers, operation.output, output)}</{wrapper}>"
        text = (
            f'<{operation.name}Response xmlns="{operation.facts.xml_namespace}">{result}'
            f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation.name}Response>"
        )
        return Response(headers=_headers(request_id), body=text.encode())

    def refuse(self, error: Refused, request_id: str, operation: Operation | None = None) -> Response:
        """`<ErrorResponse>`, with whose fault it was."""
        status = status_of(error, operation)
        namespace = f' xmlns="{operation.facts.xml_namespace}"' if operation else ""
        text = (
            f"<ErrorResponse{namespace}><Error><Type>{'Sender' if status < 500 else 'Receiver'}</Type>"
            f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        return Response(status=status, headers=_headers(request_id), body=text.encode())


def _headers(request_id: str) -> list[tuple[str, str]]:
    return [("x-amzn-RequestId", request_id), ("Content-Type", "text/xml")]


QUERY: Final = QueryProtocol()
