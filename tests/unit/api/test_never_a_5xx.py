"""Whatever is asked, every operation answers as AWS's model says or refuses with a code of the model's."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moorage.boot.services import SERVICES
from moorage.store import State
from tests.unit.api.answers import faults
from tests.unit.api.generated import Requests
from tests.unit.api.populated import Populated, model_of

OPERATIONS = [(service, name) for service, operations in sorted(SERVICES.items()) for name in sorted(operations)]
READS = ("Describe", "List", "Get", "Filter", "Discover")
# What a JSON service may say beside the errors of the operation: the protocol's word for a value of the wrong type,
# and the service's for one that breaks a constraint or asks for what is not built.
COMMON = {"SerializationException", "InvalidParameterException", "AccessDeniedException"}

steps = st.lists(
    st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 2**32 - 1)),
    min_size=1,
    max_size=8,
)


def names_in(state: State) -> dict[str, list[str]]:
    """What exists, by a word that is in the names of the members that take it."""
    tasks = [name for task in state.tasks for name in (task.arn, task.id)]
    hosts = [name for host in state.container_instances for name in (host.arn, host.id)]
    return {
        "cluster": [name for one in state.clusters for name in (one.arn, one.name)],
        "taskdefinition": [
            name for one in state.task_definitions for name in (one.arn, one.family, one.family_revision)
        ],
        "task": tasks,
        "container-instance": hosts,
        "containerinstance": hosts,
        "targetid": hosts,
        "attachment": [one.description for one in state.network_interfaces],
        "resourcearn": tasks + hosts + [one.arn for one in state.log_groups],
        "subnet": [one.id for one in state.subnets],
        "group": [name for one in state.log_groups for name in (one.name, one.arn)],
        "stream": [one.name for one in state.log_streams],
        "vpc": [one.id for one in state.vpcs],
        "interface": [one.id for one in state.network_interfaces],
        "family": ["web", "eni", "fargate"],
        "token": ["once", "61", "zz"],
        "name": ["app", "CPU", "vpc-id", "tag:a", "containerInsights", "awsvpcTrunking"],
    }


def check_refusal(operation: Any, answer: dict[str, Any]) -> None:
    if "Error" in answer:  # EC2 and STS model no errors; what they say has at least a code and a sentence
        assert answer["Error"]["Code"]
        assert answer["Error"]["Message"]
        return
    code = answer["__type"]
    modelled = {shape.name: shape for shape in operation.error_shapes}
    assert code in modelled or code in COMMON, f"{code} is not in the model: {answer}"
    assert answer["message"]
    for name in set(answer) - {"__type", "message"}:
        assert name in modelled[code].members


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
def test_every_request_is_answered_by_the_model_or_refused_by_it(script: list[tuple[tuple[str, str], int]]) -> None:
    populated = Populated()
    for (service, name), seed in script:
        state = populated.store.view()
        operation = model_of(service).operation_model(name)
        request = Requests(names_in(state), typed=service in ("ec2", "sts")).make(operation, seed)
        before = state.seq
        status, answer = populated.ask(service, name, request)
        if status == 200:
            answer.pop("ResponseMetadata", None)
            if operation.output_shape is not None:
                assert not list(faults(answer, operation.output_shape)), (name, request)
        else:
            assert 400 <= status < 500, (name, request, answer)
            check_refusal(operation, answer)
        if status != 200 or name.startswith(READS):
            assert state.seq == before, f"{name} changed something"
