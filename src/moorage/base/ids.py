"""Identifiers: one type per id, and the ARN that carries most of them.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
"""

from __future__ import annotations

from typing import NamedTuple, NewType

AccountId = NewType("AccountId", str)
Region = NewType("Region", str)
ClusterArn = NewType("ClusterArn", str)
TaskArn = NewType("TaskArn", str)
TaskDefinitionArn = NewType("TaskDefinitionArn", str)
ContainerInstanceArn = NewType("ContainerInstanceArn", str)
VpcId = NewType("VpcId", str)
SubnetId = NewType("SubnetId", str)
SecurityGroupId = NewType("SecurityGroupId", str)
NetworkInterfaceId = NewType("NetworkInterfaceId", str)
AccessKeyId = NewType("AccessKeyId", str)

_PARTITIONS = (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"), ("eusc-", "aws-eusc"))


def partition_of(region: str) -> str:
    """The partition in which a region lies; everything not listed apart is in `aws`."""
    for prefix, partition in _PARTITIONS:
        if region.startswith(prefix):
            return partition
    return "aws"


class Scope(NamedTuple):
    """What isolates one customer's resources from another's: an account in a region."""

    account: AccountId
    region: Region

    def arn(self, service: str, resource: str) -> str:
        """`resource` is all that follows the account, such as `cluster/default`."""
        return f"arn:{partition_of(self.region)}:{service}:{self.region}:{self.account}:{resource}"


class Arn(NamedTuple):
    """The six colon-separated fields of an ARN after the word `arn`."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    @staticmethod
    def parse(text: str) -> Arn | None:
        """The fields of `text`, or None where it is no ARN."""
        fields = text.split(":", 5)
        if len(fields) != 6 or fields[0] != "arn" or not fields[5]:
            return None
        return Arn(*fields[1:])
