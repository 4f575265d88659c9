"""The rules of security groups, one by one. Source: EC2 API, DescribeSecurityGroupRules."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import msgspec

from moorage.api.call import Call
from moorage.api.ec2.errors import not_found
from moorage.api.ec2.filters import Filter, Noun, Tag, choose, one_page, refuse_dry_run
from moorage.base.ids import Scope
from moorage.model.network import SecurityGroup, SecurityGroupRule


class ReferencedGroup(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    group_id: str
    user_id: str
    vpc_id: str


class SecurityGroupRuleOut(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    security_group_rule_id: str
    security_group_rule_arn: str
    group_id: str
    group_owner_id: str
    is_egress: bool
    ip_protocol: str
    from_port: int  # -1 where the protocol has no ports, unlike in DescribeSecurityGroups
    to_port: int
    cidr_ipv4: str | None = None
    cidr_ipv6: str | None = None
    referenced_group_info: ReferencedGroup | None = None
    description: str | None = None
    tags: tuple[Tag, ...] = ()


class DescribeSecurityGroupRulesRequest(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    filters: tuple[Filter, ...] = ()
    security_group_rule_ids: tuple[str, ...] = ()
    max_results: int | None = None
    next_token: str | None = None
    dry_run: bool | None = None


class DescribeSecurityGroupRulesResponse(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    security_group_rules: tuple[SecurityGroupRuleOut, ...]
    next_token: str | None = None


class _Line(NamedTuple):
    """A rule with the group it stands in."""

    group: SecurityGroup
    rule: SecurityGroupRule


_RULE: Noun[_Line] = Noun(
    id=lambda line: line.rule.id,
    tags=lambda _: (),  # rules take tags in EC2; ours have none yet, so that every tag filter finds nothing
    not_found=partial(not_found, "InvalidSecurityGroupRuleId.NotFound", "security group rule ID"),
    fields={
        "group-id": lambda line: (line.group.id,),
        "security-group-rule-id": lambda line: (line.rule.id,),
    },
)


def describe_security_group_rules(
    call: Call, request: DescribeSecurityGroupRulesRequest
) -> DescribeSecurityGroupRulesResponse:
    groups = call.store.view().security_groups.by("scope", call.scope)
    lines = [_Line(group, rule) for group in groups for rule in group.rules]
    found = choose(_RULE, lines, request.security_group_rule_ids, request.filters)
    chosen, following = one_page(_RULE, found, request.next_token, request.max_results)
    refuse_dry_run(request.dry_run)
    return DescribeSecurityGroupRulesResponse(security_group_rules=tuple(map(_out, chosen)), next_token=following)


def _out(line: _Line) -> SecurityGroupRuleOut:
    group, rule = line
    is_v6 = rule.cidr is not None and ":" in rule.cidr
    return SecurityGroupRuleOut(
        security_group_rule_id=rule.id,
        security_group_rule_arn=Scope(group.account, group.region).arn("ec2", f"security-group-rule/{rule.id}"),
        group_id=group.id,
        group_owner_id=group.account,
        is_egress=rule.egress,
        ip_protocol=rule.protocol,
        from_port=-1 if rule.from_port is None else rule.from_port,
        to_port=-1 if rule.to_port is None else rule.to_port,
        cidr_ipv4=None if is_v6 else rule.cidr,
        cidr_ipv6=rule.cidr if is_v6 else None,
        referenced_group_info=_referenced(group, rule),
        description=rule.description,
    )


def _referenced(group: SecurityGroup, rule: SecurityGroupRule) -> ReferencedGroup | None:
    if rule.group is None:
        return None
    return ReferencedGroup(group_id=rule.group, user_id=group.account, vpc_id=group.vpc)
