"""What road classes, speeds and one-way marks look like in other people's files."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from geodata.network import OneWay, RoadClass

POSTED_LIMIT_SHARE = 0.65
"""Off-peak driving speed, stops at junctions included, as a share of the posted limit. Assumed."""
PLAUSIBLE_KMH = (3.0, 150.0)
"""A speed outside is taken for an error, and the class decides. Assumed."""
KMH_PER_MPH = 1.609344
KMH_PER_KNOT = 1.852

_BY_CLASS = {
    RoadClass.EXPRESSWAY: ("motorway", "motorway_link", "trunk", "trunk_link"),
    RoadClass.ARTERIAL: ("primary", "primary_link"),
    RoadClass.COLLECTOR: ("secondary", "secondary_link", "tertiary", "tertiary_link"),
    RoadClass.LOCAL: ("unclassified", "residential", "living_street", "service", "road"),
    RoadClass.PEDESTRIAN: ("pedestrian",),
}
CLASS_OF_HIGHWAY = {word: cls for cls, words in _BY_CLASS.items() for word in words}
"""The OSM `highway` values that units drive on: patrol cars, and on pedestrian streets those whose rules allow it. Ways
for walking and cycling alone (footway, path, cycleway, steps) are no streets."""
_CHINESE = {
    RoadClass.EXPRESSWAY: ("快速路", "高速路", "高速公路"),
    RoadClass.ARTERIAL: ("主干路", "主干道"),
    RoadClass.COLLECTOR: ("次干路", "次干道"),
    RoadClass.LOCAL: ("支路",),
    RoadClass.PEDESTRIAN: ("步行街",),
}
CLASS_WORDS = (
    CLASS_OF_HIGHWAY
    | {word: cls for cls, words in _CHINESE.items() for word in words}
    | {cls.name.lower(): cls for cls in RoadClass}
    | {str(cls.value): cls for cls in RoadClass}
)
"""What a class column may hold: OSM words, the Chinese classes, the names or the numbers of `RoadClass`."""

ONE_WAY_WORDS = (
    dict.fromkeys(("yes", "y", "true", "1", "f", "ft", "forward", "是", "单向"), OneWay.FORWARD)
    | dict.fromkeys(("-1", "reverse", "t", "tf", "backward", "逆向"), OneWay.BACKWARD)
    | dict.fromkeys(("no", "n", "false", "0", "b", "both", "否", "双向", ""), OneWay.NO)
)
"""What a one-way column may hold, case aside. F, T and B: Forward, againsT and Both, as GDAL and osmnx write them."""

NO_WORDS = frozenset(word for word, mark in ONE_WAY_WORDS.items() if mark is OneWay.NO)
"""What a column that says yes or no holds for no."""

_SPEED = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(km/?h|kph|kmh|mph|knots|公里/小时)?\s*$", re.IGNORECASE)


def parse_kmh(text: str) -> float:
    """km/h of one speed as OSM writes it ("50", "30 mph"), NaN where it holds no single number."""
    match = _SPEED.match(text)
    if not match:
        return math.nan
    unit = (match[2] or "").lower()
    return float(match[1]) * {"mph": KMH_PER_MPH, "knots": KMH_PER_KNOT}.get(unit, 1.0)


def is_plausible(kmh: float) -> bool:
    return PLAUSIBLE_KMH[0] <= kmh <= PLAUSIBLE_KMH[1]


def parse_level(level: str, bridge: str, tunnel: str) -> tuple[float, bool]:
    """The level of a street: as told, or else 1 on a bridge and -1 in a tunnel; and whether what is told is a number.
    "no" and the like tell of no bridge and no tunnel."""
    if level:
        try:
            told = float(level)
        except ValueError:
            told = math.nan
        return (told, True) if math.isfinite(told) else (0.0, False)
    return (1.0 if bridge.lower() not in NO_WORDS else -1.0 if tunnel.lower() not in NO_WORDS else 0.0), True


def clean_text(value: object) -> str:
    """A table's value as text: nothing for missing ones, no ".0" behind a whole number."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    return "" if text in ("<NA>", "NaT") else text


def count_words(counts: Mapping[str, int], most: int = 5) -> str:
    """The commonest values with their numbers, for a remark."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{value!r} × {n:,}" for value, n in ranked[:most])
    return shown + (f" and {len(ranked) - most} more" if len(ranked) > most else "")
