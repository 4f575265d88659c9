"""Regions and their zones. Source: EC2 API, DescribeRegions and DescribeAvailabilityZones."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from moorage.api.call import Call
from moorage.api.ec2.errors import InvalidParameterValue
from moorage.api.ec2.filters import Filter, Noun, choose, refuse_dry_run
from moorage.api.ec2.zones import zone_id, zone_name
from moorage.base.errors import Refused

OPTED = "opt-in-not-required"


class RegionOut(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    region_name: str
    endpoint: str
    opt_in_status: str = OPTED


class DescribeRegionsRequest(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    filters: tuple[Filter, ...] = ()
    region_names: tuple[str, ...] = ()
    all_regions: bool | None = None  # also those not opted in to; there are none
    dry_run: bool | None = None


class DescribeRegionsResponse(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    regions: tuple[RegionOut, ...]


def _no_region(missing: Sequence[str]) -> Refused:
    return InvalidParameterValue(f"Invalid region name: [{', '.join(missing)}]")


_REGION: Noun[RegionOut] = Noun(
    id=lambda region: region.region_name,
    not_found=_no_region,
    fields={
        "endpoint": lambda region: (region.endpoint,),
        "opt-in-status": lambda region: (region.opt_in_status,),
        "region-name": lambda region: (region.region_name,),
    },
)


def describe_regions(call: Call, request: DescribeRegionsRequest) -> DescribeRegionsResponse:
    endpoint = call.installation.endpoint.partition("://")[2]  # EC2 tells hosts, not URLs
    regions = [RegionOut(region_name=region, endpoint=endpoint) for region in call.installation.regions]
    found = choose(_REGION, regions, request.region_names, request.filters)
    refuse_dry_run(request.dry_run)
    return DescribeRegionsResponse(regions=tuple(found))


class ZoneOut(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    zone_name: str
    zone_id: str
    region_name: str
    state: str = "available"
    opt_in_status: str = OPTED
    group_name: str
    network_border_group: str
    zone_type: str = "availability-zone"
    messages: tuple[()] = ()


class DescribeAvailabilityZonesRequest(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    filters: tuple[Filter, ...] = ()
    zone_names: tuple[str, ...] = ()
    zone_ids: tuple[str, ...] = ()
    all_availability_zones: bool | None = None  # also those not opted in to; there are none
    dry_run: bool | None = None


class DescribeAvailabilityZonesResponse(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    availability_zones: tuple[ZoneOut, ...]


def _no_zone(missing: Sequence[str]) -> Refused:
    return InvalidParameterValue(f"Invalid availability zone: [{', '.join(missing)}]")


_ZONE: Noun[ZoneOut] = Noun(
    id=lambda zone: zone.zone_name,
    not_found=_no_zone,
    fields={
        "group-name": lambda zone: (zone.group_name,),
        "message": lambda _: (),
        "opt-in-status": lambda zone: (zone.opt_in_status,),
        "parent-zone-id": lambda _: (),
        "parent-zone-name": lambda _: (),
        "region-name": lambda zone: (zone.region_name,),
        "state": lambda zone: (zone.state,),
        "zone-id": lambda zone: (zone.zone_id,),
        "zone-name": lambda zone: (zone.zone_name,),
        "zone-type": lambda zone: (zone.zone_type,),
    },
)


def describe_availability_zones(
    call: Call, request: DescribeAvailabilityZonesRequest
) -> DescribeAvailabilityZonesResponse:
    region = call.scope.region
    zones = [_zone(region, letter) for letter in call.installation.zones]
    found = choose(_ZONE, zones, [*request.zone_names, *_names_of_ids(zones, request.zone_ids)], request.filters)
    refuse_dry_run(request.dry_run)
    return DescribeAvailabilityZonesResponse(availability_zones=tuple(found))


def _zone(region: str, letter: str) -> ZoneOut:
    return ZoneOut(
        zone_name=zone_name(region, letter),
        zone_id=zone_id(region, letter),
        region_name=region,
        group_name=f"{region}-zg-1",
        network_border_group=region,
    )


def _names_of_ids(zones: Sequence[ZoneOut], ids: Sequence[str]) -> list[str]:
    by_id = {zone.zone_id: zone.zone_name for zone in zones}
    missing = [one for one in dict.fromkeys(ids) if one not in by_id]
    if missing:
        raise InvalidParameterValue(f"Invalid availability zone-id: [{', '.join(missing)}]")
    return [by_id[one] for one in ids]
