"""Every member that EC2, Logs and STS take or answer is one that AWS's model has, under the same name."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Any

import botocore.loaders
import botocore.model
import msgspec
import pytest

from moorage.api.call import Later, Operation
from moorage.api.ec2 import OPERATIONS as EC2
from moorage.api.logs import OPERATIONS as LOGS
from moorage.api.sts import OPERATIONS as STS

_SERVICES: Mapping[str, Mapping[str, Operation]] = {"ec2": EC2, "logs": LOGS, "sts": STS}
_LOADER = botocore.loaders.Loader()
_MODELS = {
    name: botocore.model.ServiceModel(_LOADER.load_service_model(name, "service-2"), name) for name in _SERVICES
}
_CASES = [(service, name) for service, operations in _SERVICES.items() for name in operations]


def _structs(kind: Any) -> Iterator[type[msgspec.Struct]]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
    for argument in typing.get_args(kind):
        yield from _structs(argument)


def _strangers(kind: Any, shape: Any, path: str) -> Iterator[str]:
    while shape is not None and shape.type_name == "list":
        shape = shape.member
    for struct in _structs(kind):
        for field in msgspec.structs.fields(struct):
            member = None if shape is None else shape.members.get(field.encode_name)
            if member is None:
                yield f"{path}.{field.encode_name}"
            else:
                yield from _strangers(field.type, member, f"{path}.{field.encode_name}")


@pytest.mark.parametrize(("service", "name"), _CASES)
def test_every_member_is_in_the_model(service: str, name: str) -> None:
    hints = typing.get_type_hints(_SERVICES[service][name])
    model = _MODELS[service].operation_model(name)
    answer = typing.get_args(hints["return"])[0] if typing.get_origin(hints["return"]) is Later else hints["return"]
    assert not [*_strangers(hints["request"], model.input_shape, "request")]
    assert not [*_strangers(answer, model.output_shape, "answer")]


@pytest.mark.parametrize(("service", "name"), _CASES)
def test_every_required_member_is_required(service: str, name: str) -> None:
    request = typing.get_type_hints(_SERVICES[service][name])["request"]
    shape = _MODELS[service].operation_model(name).input_shape
    required = {field.encode_name for field in msgspec.structs.fields(request) if field.required}
    assert required == set(shape.required_members if shape else ())
