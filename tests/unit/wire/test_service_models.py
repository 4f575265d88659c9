"""What is compiled out of botocore's models, and what the catalogue says of them."""

from __future__ import annotations

import pytest

from moorage.wire.catalogue import KNOWN, Known
from moorage.wire.service import ModelMissing, open_service
from tests.unit.wire.exchange import boto_model, operation, service


@pytest.mark.parametrize("known", KNOWN, ids=[known.name for known in KNOWN])
def test_the_catalogue_says_what_the_model_says(known: Known) -> None:
    facts = service(known.name).facts
    assert known == (known.name, facts.target_prefix, facts.api_version, facts.signed_as)


def test_no_two_services_share_version_and_signing_name() -> None:
    assert len({(known.api_version, known.signed_as) for known in KNOWN}) == len(KNOWN)


@pytest.mark.parametrize("name", ["ecs", "ec2", "logs", "sts"])
def test_every_operation_compiles_with_the_members_that_botocore_sees(name: str) -> None:
    model = boto_model(name)
    assert service(name).operation_names == set(model.operation_names)
    for operation_name in model.operation_names:
        ours, theirs = operation(name, operation_name), model.operation_model(operation_name)
        their_input = theirs.input_shape.members if theirs.input_shape else {}
        their_output = theirs.output_shape.members if theirs.output_shape else None
        assert set(ours.input.members) == set(their_input)
        assert (set(ours.output.members) if ours.output else None) == (
            None if their_output is None else set(their_output)
        )


def test_an_error_has_the_models_status_under_the_code_on_the_wire() -> None:
    assert operation("iam", "GetRole").statuses["NoSuchEntity"] == 404
    assert operation("ecs", "RunTask").statuses["ServerException"] == 500
    assert operation("ecs", "RunTask").statuses["ClientException"] == 400


def test_operations_for_those_without_a_key_are_marked() -> None:
    assert operation("sts", "AssumeRoleWithWebIdentity").unsigned
    assert not operation("sts", "GetCallerIdentity").unsigned


def test_an_operation_that_does_not_exist_is_none() -> None:
    assert service("ecs").operation("RunTasks") is None


def test_a_service_that_does_not_exist_is_an_error_that_names_it() -> None:
    with pytest.raises(ModelMissing, match="'abacus'"):
        open_service("abacus")
