"""Whatever AWS's model lets through is registered or refused in ECS's own way, and told back as it was given."""

from __future__ import annotations

from functools import cache
from typing import Any, get_args

import msgspec
from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.session import get_session
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.api.ecs.task_definitions import RegisterTaskDefinitionRequest
from moorage.base.errors import Refused
from moorage.gateway.requests import BadMember, members
from moorage.model.task_definition import TaskDefinition
from moorage.rules.task_definitions_containers import CAPABILITIES, ULIMITS
from tests.unit.api.ecs.asking import ask
from tests.unit.support import make_call

MODELLED = {"", "ClientException", "InvalidParameterException", "LimitExceededException"}
# What members really hold, so that the deeper rules are reached too.
WORDS = st.sampled_from(
    ["app", "web", "256", "512", "1 vCPU", ".5GB", "busybox", "arn:aws:iam::123456789012:role/r", "SYS_PTRACE", ""]
)
LIKELY = {
    "family": st.just("web"),
    "image": st.sampled_from(["busybox"] * 9 + ["no image"]),
    "name": st.sampled_from(["app", "web", "nofile", "core"]),
    "softLimit": st.integers(-2, 3),
    "hardLimit": st.integers(-1, 3),
    **dict.fromkeys(("mountPoints", "volumesFrom", "systemControls", "volumes", "tags"), st.just([])),
}
ALWAYS = ("name", "image", "containerPort")
"""Not required by the model; without them nothing deeper is looked at."""
NUMBERS = st.sampled_from([0, 1, 2, 22, 80, 64, 128, 256, 65535, -1, 2**31, 10**30])


@cache
def _input() -> StructureShape:
    return get_session().get_service_model("ecs").operation_model("RegisterTaskDefinition").input_shape


def _values(shape: Shape, kind: Any) -> st.SearchStrategy[Any]:
    """Anything of that shape; where `kind` has a struct in it, only of the members that the struct has."""
    if isinstance(shape, StructureShape):
        ours = _members(kind)
        values = {
            name: LIKELY.get(name, _values(member, ours.get(name))) if ours else _values(member, None)
            for name, member in shape.members.items()
            if not ours or name in ours
        }
        always = [*shape.required_members, *(ALWAYS if ours else ())]
        required = {name: values.pop(name) for name in always if name in values}
        return st.fixed_dictionaries(required, optional=values)
    if isinstance(shape, ListShape):
        return st.lists(_values(shape.member, kind), max_size=3)
    if isinstance(shape, MapShape):
        return st.dictionaries(WORDS | st.text(max_size=4), WORDS | st.text(max_size=4), max_size=2)
    if shape.type_name == "boolean":
        return st.booleans()
    if shape.type_name in ("integer", "long"):
        return NUMBERS | st.integers(0, 400)
    listed = getattr(shape, "enum", None)
    return (st.sampled_from(listed) | st.text(max_size=3)) if listed else WORDS | st.text(max_size=300)


def _members(kind: Any) -> dict[str, Any]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return members(kind)
    return next((found for one in get_args(kind) if (found := _members(one))), {})


def _answer_or_refusal(request: dict[str, Any]) -> str:
    """The code of the refusal, "" if there was none."""
    try:
        ask(make_call(), "RegisterTaskDefinition", **request)
    except BadMember:
        return "InvalidParameterException"
    except Refused as error:
        return error.code if error.message and error.status == 400 else "no sentence"
    return ""


@given(st.deferred(lambda: _values(_input(), None)))
@settings(max_examples=50, deadline=None)
def test_any_modelled_request_is_registered_or_refused_as_ecs_refuses(request: dict[str, Any]) -> None:
    assert _answer_or_refusal(request) in MODELLED


@given(st.deferred(lambda: _values(_input(), RegisterTaskDefinitionRequest)))
@settings(max_examples=300, deadline=None)
def test_any_supported_request_is_registered_or_refused_as_ecs_refuses(request: dict[str, Any]) -> None:
    assert _answer_or_refusal(request) in MODELLED


def _optional(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=members)


PLAIN = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
PORTS = st.lists(st.integers(3000, 49000), max_size=3, unique=True).map(
    lambda ports: [{"containerPort": port, "hostPort": port, "protocol": "tcp"} for port in ports]
)
ULIMIT = st.tuples(st.sampled_from(sorted(ULIMITS)), st.integers(0, 100), st.integers(100, 200)).map(
    lambda one: {"name": one[0], "softLimit": one[1], "hardLimit": one[2]}
)
MEMBERS = {
    "cpu": st.integers(0, 512),
    "memoryReservation": st.integers(4, 64),
    "portMappings": PORTS,
    "entryPoint": st.lists(PLAIN, max_size=2),
    "command": st.lists(PLAIN, max_size=3),
    "environment": st.lists(
        st.fixed_dictionaries({"name": st.from_regex(r"\A[A-Z_]{1,6}\Z"), "value": PLAIN}), max_size=2
    ),
    "mountPoints": st.just([]),
    "volumesFrom": st.just([]),
    "systemControls": st.just([]),
    "stopTimeout": st.integers(0, 600),
    "user": st.sampled_from(["root", "1000:1000", "app:staff"]),
    "workingDirectory": PLAIN.map(lambda text: "/" + text),
    "privileged": st.booleans(),
    "readonlyRootFilesystem": st.booleans(),
    "ulimits": st.lists(ULIMIT, max_size=2, unique_by=lambda one: one["name"]),
    "dockerLabels": st.dictionaries(PLAIN, PLAIN, max_size=2),
    "linuxParameters": _optional(
        initProcessEnabled=st.booleans(),
        capabilities=_optional(
            add=st.lists(st.sampled_from(sorted(CAPABILITIES)), max_size=2),
            drop=st.lists(st.sampled_from(sorted(CAPABILITIES)), max_size=2),
        ),
    ),
    "logConfiguration": st.just({"logDriver": "json-file", "options": {"max-file": "3"}}),
}
PART = st.fixed_dictionaries(
    {
        "name": st.just("app"),
        "image": st.sampled_from(["busybox", "registry:5000/a/b:c"]),
        "memory": st.integers(64, 99),
        "essential": st.just(True),
    },
    optional=dict(MEMBERS),
)
REQUEST = st.fixed_dictionaries(
    {"family": st.from_regex(r"\A[A-Za-z0-9_-]{1,12}\Z"), "containerDefinitions": PART.map(lambda part: [part])},
    optional={
        "networkMode": st.sampled_from(["bridge", "host", "awsvpc"]),
        "cpu": st.sampled_from(["1024", "2048"]),
        "memory": st.sampled_from(["128", "4096"]),
        "taskRoleArn": st.just("arn:aws:iam::123456789012:role/app"),
        "volumes": st.just([]),
        "runtimePlatform": st.just({"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"}),
        "requiresCompatibilities": st.just(["EC2"]),
    },
)


@given(REQUEST)
@settings(deadline=None)
def test_what_is_registered_is_told_back_and_survives_the_journal(request: dict[str, Any]) -> None:
    call = make_call()
    ask(call, "RegisterTaskDefinition", **request)
    told = ask(call, "DescribeTaskDefinition", taskDefinition=request["family"])["taskDefinition"]
    (part,) = request["containerDefinitions"]
    assert {name: told["containerDefinitions"][0][name] for name in part} == part
    assert {name: told[name] for name in request if name != "containerDefinitions"} == {
        name: value for name, value in request.items() if name != "containerDefinitions"
    }
    (record,) = call.store.view().task_definitions
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=TaskDefinition) == record
