"""What EC2 tells of an account. Source: EC2 API, DescribeAccountAttributes."""

from __future__ import annotations

from typing import Final

import msgspec

from moorage.api.call import Call
from moorage.api.ec2.errors import InvalidParameterValue
from moorage.api.ec2.filters import refuse_dry_run

# Five groups on an interface is also what ECS lets a task name.
GROUPS_PER_INTERFACE: Final = 5


class AttributeValue(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    attribute_value: str


class AccountAttribute(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    attribute_name: str
    attribute_values: tuple[AttributeValue, ...]


class DescribeAccountAttributesRequest(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    attribute_names: tuple[str, ...] = ()
    dry_run: bool | None = None


class DescribeAccountAttributesResponse(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    account_attributes: tuple[AccountAttribute, ...]


def describe_account_attributes(
    call: Call, request: DescribeAccountAttributesRequest
) -> DescribeAccountAttributesResponse:
    vpcs = call.store.view().vpcs.by("scope", call.scope)
    known = {
        "supported-platforms": "VPC",
        "default-vpc": next((vpc.id for vpc in vpcs if vpc.is_default), "none"),
        "vpc-max-security-groups-per-interface": str(GROUPS_PER_INTERFACE),
    }
    for name in request.attribute_names:
        if name not in known:
            raise InvalidParameterValue(f"Value ({name}) for parameter attributeName is invalid.")
    refuse_dry_run(request.dry_run)
    return DescribeAccountAttributesResponse(
        account_attributes=tuple(
            AccountAttribute(attribute_name=name, attribute_values=(AttributeValue(attribute_value=value),))
            for name, value in known.items()
            if not request.attribute_names or name in request.attribute_names
        )
    )
