"""Availability zones: a region's name and a letter, and the id that AWS derives from the region's name."""

from __future__ import annotations

import re
from typing import Final

_DIRECTIONS: Final = {
    "north": "n",
    "south": "s",
    "east": "e",
    "west": "w",
    "central": "c",
    "northeast": "ne",
    "northwest": "nw",
    "southeast": "se",
    "southwest": "sw",
    "gov": "g",
    "iso": "i",
    "isob": "ib",
}


def zone_name(region: str, letter: str) -> str:
    """`us-east-1a`."""
    return f"{region}{letter}"


def zone_id(region: str, letter: str) -> str:
    """`use1-az1`: every account sees zone a as az1 here, where AWS shuffles the letters between accounts."""
    first, *others, number = region.split("-")
    short = "".join(_DIRECTIONS.get(word, word[:1]) for word in others)
    return f"{first}{short}{number}-az{ord(letter) - ord('a') + 1}"


def id_of_zone(zone: str) -> str:
    """The id of the zone of that name."""
    match = re.fullmatch(r"(.+\d)([a-z])", zone)
    assert match, zone
    return zone_id(match[1], match[2])
