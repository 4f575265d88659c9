"""EC2's own variant of the query protocol: other names in forms, no result element in answers.

Source: https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html
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

__all__ = ["EC2", "Ec2Protocol"]

_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'


class InvalidParameterValue(Refused):
    """A parameter has not its member's type."""

    code = "InvalidParameterValue"


class _FormNames:
    """Members capitalised, lists always flat, and never a name between a list and its numbers."""

    def of_member(self, name: str, member: Member) -> str:
        return member.query_name or _capitalised(member.location_name or name)

    def of_element(self, _shape: Shape) -> None:
        return None


class _ElementNames:
    def of_member(self, name: str, member: Member) -> str:
        return member.location_name or name

    def of_element(self, shape: Shape) -> str:
        return shape.members["member"].location_name or "item"


def _capitalised(name: str) -> str:
    return name[0].upper() + name[1:]


class Ec2Protocol:
    """`Action=` in a form; the output's members directly in `<…Response>`."""

    family: Family = "ec2"

    def __init__(self) -> None:
        self._readers = Compiler(FormReaderMaker(_FormNames()))
        self._writers = Compiler(XmlWriterMaker(_ElementNames()))

    def parse(self, operation: Operation, request: Request, body: bytes) -> Input:
        """The request's members, from the query string and the form together."""
        tree = tree_of(parameters(request, body))
        try:
            value = self._readers.of(operation.input)(tree)
        except Mismatch as mismatch:
            raise InvalidParameterValue(
                f"Invalid value '{mismatch.found}' for {mismatch.place}. It must be {mismatch.wanted}."
            ) from None
        assert isinstance(value, dict)  # an operation's input is a structure
        return value

    def answer(self, operation: Operation, output: Output | None, request_id: str) -> Response:
        """The output; an operation without one answers `<return>true</return>`."""
        inside = "<return>true</return>"
        if operation.output is not None:
            inside = write_members(self._writers, operation.output, output)
        text = (
            f'{_DECLARATION}<{operation.name}Response xmlns="{operation.facts.xml_namespace}/">'
            f"<requestId>{request_id}</requestId>{inside}</{operation.name}Response>"
        )
        return Response(headers=_headers(request_id), body=text.encode())

    def refuse(self, error: Refused, request_id: str, operation: Operation | None = None) -> Response:
        """`<Response>` with one error."""
        text = (
            f"{_DECLARATION}<Response><Errors><Error><Code>{escape(error.code)}</Code>"
            f"<Message>{escape(error.message)}</Message></Error></Errors><RequestID>{request_id}</RequestID></Response>"
        )
        return Response(status=status_of(error, operation), headers=_headers(request_id), body=text.encode())


def _headers(request_id: str) -> list[tuple[str, str]]:
    return [("x-amzn-RequestId", request_id), ("Content-Type", "text/xml;charset=UTF-8")]


EC2: Final = Ec2Protocol()
