"""Security groups. Source: EC2 API, DescribeSecurityGroups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import msgspec

from moorage.api.call import Call
from moorage.api.ec2.errors import not_found
from moorage.api.ec2.filters import Filter, Noun, Tag, Values, choose, one_page, refuse_dry_run, tags_out
from moorage.base.ids import Scope, SecurityGroupId
from moorage.model.network import SecurityGroup, SecurityGroupRule
from moorage.store import State

NOT_FOUND = partial(not_found, "InvalidGroup.NotFound", "security group")


class GroupPair(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    group_id: str
    user_id: str
    description: str | None = None


class IpRange(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    cidr_ip: str
    description: str | None = None


class Ipv6Range(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    cidr_ipv6: str
    description: str | None = None


class IpPermission(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """All rules of one direction that differ only in the other side."""

    ip_protocol: str
    from_port: int | None = None
    to_port: int | None = None
    ip_ranges: tuple[IpRange, ...] = ()
    ipv6_ranges: tuple[Ipv6Range, ...] = ()
    prefix_list_ids: tuple[()] = ()
    user_id_group_pairs: tuple[GroupPair, ...] = ()


class SecurityGroupOut(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    group_id: str
    group_name: str
    description: str
    vpc_id: str
    owner_id: str
    security_group_arn: str
    ip_permissions: tuple[IpPermission, ...]
    ip_permissions_egress: tuple[IpPermission, ...]
    tags: tuple[Tag, ...]


class DescribeSecurityGroupsRequest(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    filters: tuple[Filter, ...] = ()
    group_ids: tuple[str, ...] = ()
    group_names: tuple[str, ...] = ()  # of the default VPC; other groups are found by filter
    max_results: int | None = None
    next_token: str | None = None
    dry_run: bool | None = None


class DescribeSecurityGroupsResponse(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    security_groups: tuple[SecurityGroupOut, ...]
    next_token: str | None = None


def describe_security_groups(call: Call, request: DescribeSecurityGroupsRequest) -> DescribeSecurityGroupsResponse:
    state = call.store.view()
    noun = _noun(state)
    ids = [*request.group_ids, *_ids_of_names(state, call.scope, request.group_names)]
    found = choose(noun, state.security_groups.by("scope", call.scope), ids, request.filters)
    chosen, following = one_page(noun, found, request.next_token, request.max_results)
    refuse_dry_run(request.dry_run)
    return DescribeSecurityGroupsResponse(security_groups=tuple(map(_out, chosen)), next_token=following)


def _ids_of_names(state: State, scope: Scope, names: Sequence[str]) -> list[SecurityGroupId]:
    defaults = {vpc.id for vpc in state.vpcs.by("scope", scope) if vpc.is_default}
    by_name = {group.name: group.id for vpc in defaults for group in state.security_groups.by("vpc", vpc)}
    missing = [name for name in dict.fromkeys(names) if name not in by_name]
    if missing:
        raise NOT_FOUND(missing)
    return [by_name[name] for name in names]


def _noun(state: State) -> Noun[SecurityGroup]:
    fields: dict[str, Values[SecurityGroup]] = {
        "description": lambda group: (group.description,),
        "group-id": lambda group: (group.id,),
        "group-name": lambda group: (group.name,),
        "owner-id": lambda group: (group.account,),
        "vpc-id": lambda group: (group.vpc,),
    }
    fields |= _rule_fields("ip-permission.", False, state)
    fields |= _rule_fields("egress.ip-permission.", True, state)
    return Noun(id=lambda group: group.id, tags=lambda group: group.tags, not_found=NOT_FOUND, fields=fields)


def _rule_fields(prefix: str, egress: bool, state: State) -> dict[str, Values[SecurityGroup]]:
    def rules(group: SecurityGroup) -> Iterable[SecurityGroupRule]:
        return (rule for rule in group.rules if rule.egress == egress)

    def names(group: SecurityGroup) -> Iterable[str]:
        others = (state.security_groups.get(rule.group) for rule in rules(group) if rule.group)
        return [other.name for other in others if other is not None]

    return {
        f"{prefix}cidr": lambda group: [r.cidr for r in rules(group) if r.cidr and ":" not in r.cidr],
        f"{prefix}ipv6-cidr": lambda group: [r.cidr for r in rules(group) if r.cidr and ":" in r.cidr],
        f"{prefix}from-port": lambda group: [str(r.from_port) for r in rules(group) if r.from_port is not None],
        f"{prefix}to-port": lambda group: [str(r.to_port) for r in rules(group) if r.to_port is not None],
        f"{prefix}group-id": lambda group: [r.group for r in rules(group) if r.group],
        f"{prefix}group-name": names,
        f"{prefix}protocol": lambda group: [r.protocol for r in rules(group)],
        f"{prefix}user-id": lambda group: [group.account for r in rules(group) if r.group],
    }


def _out(group: SecurityGroup) -> SecurityGroupOut:
    return SecurityGroupOut(
        group_id=group.id,
        group_name=group.name,
        description=group.description,
        vpc_id=group.vpc,
        owner_id=group.account,
        security_group_arn=Scope(group.account, group.region).arn("ec2", f"security-group/{group.id}"),
        ip_permissions=_permissions(group, False),
        ip_permissions_egress=_permissions(group, True),
        tags=tags_out(group.tags),
    )


def _permissions(group: SecurityGroup, egress: bool) -> tuple[IpPermission, ...]:
    together: dict[tuple[str, int | None, int | None], list[SecurityGroupRule]] = {}
    for rule in group.rules:
        if rule.egress == egress:
            together.setdefault((rule.protocol, rule.from_port, rule.to_port), []).append(rule)
    return tuple(
        IpPermission(
            ip_protocol=protocol,
            from_port=from_port,
            to_port=to_port,
            ip_ranges=tuple(
                IpRange(cidr_ip=r.cidr, description=r.description) for r in rules if r.cidr and ":" not in r.cidr
            ),
            ipv6_ranges=tuple(
                Ipv6Range(cidr_ipv6=r.cidr, description=r.description) for r in rules if r.cidr and ":" in r.cidr
            ),
            user_id_group_pairs=tuple(
                GroupPair(group_id=r.group, user_id=group.account, description=r.description)
                for r in rules
                if r.group
            ),
        )
        for (protocol, from_port, to_port), rules in together.items()
    )
