"""The response standard: how soon an incident must be reached, and from when the clock runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from geodata.sites import PlaceClass


class Clock(StrEnum):
    """Where the clock starts (T1, T2, T3); it stops when the first unit that may act alone reaches the scene."""

    RECEIVED = "received"
    ORDERED = "ordered"
    ROLLING = "rolling"


class Reading(StrEnum):
    """What the limit of an incident follows; several chained: the most demanding of them."""

    PLACE_CLASS = "place_class"
    """1 minute to vital sites 要害部位, 3 to key areas 重点地区, 5 to the rest."""
    ECHELON = "echelon"
    """1 minute for the smallest units at hand 最小应急单元, 3 for patrol cars, 5 for city units: each tier's own first
    arrival."""
    SEVERITY = "severity"
    """By the incident's priority."""


def _one_three_five() -> dict[PlaceClass, float]:
    return {PlaceClass.GENERAL: 300.0, PlaceClass.KEY: 180.0, PlaceClass.VITAL: 60.0}


def _by_priority() -> dict[int, float]:
    return {1: 60.0, 2: 180.0, 3: 300.0, 4: 600.0}


def _by_tier() -> dict[int, float]:
    return {1: 60.0, 3: 180.0, 5: 300.0}


@dataclass(frozen=True, kw_only=True)
class ResponseStandard:
    """The 1-3-5 minute circle (1、3、5分钟快速反应处置圈) in one or several of its readings."""

    limits_s: Mapping[PlaceClass, float] = field(default_factory=_one_three_five)
    target_share: float = 0.90
    """Of the incidents, within their limit. Assumed."""
    amber_share: float = 0.80
    """From here up to the target a share is shown as nearly met. Assumed."""
    headline: Clock = Clock.ORDERED
    readings: tuple[Reading, ...] = (Reading.PLACE_CLASS,)
    priority_limits_s: Mapping[int, float] = field(default_factory=_by_priority)
    """Of the severity reading, by priority 1 to 4. Assumed: the local rules are not published."""
    tier_limits_s: Mapping[int, float] = field(default_factory=_by_tier)
    """Of the echelon reading, by `UnitKind.echelon`."""

    def __post_init__(self) -> None:
        for name, keys in (("limits_s", list(PlaceClass)), ("priority_limits_s", [1, 2, 3, 4])):
            limits: Mapping[int, float] = getattr(self, name)
            if set(limits) != set(keys) or not all(s > 0 for s in limits.values()):
                raise ValueError(f"{name} {dict(limits)}, expected seconds above 0 for each of {keys}")
        tiers = self.tier_limits_s
        if not tiers or set(tiers) - {1, 3, 5} or not all(s > 0 for s in tiers.values()):
            raise ValueError(f"tier_limits_s {dict(tiers)}, expected seconds above 0 for some of 1, 3 and 5")
        if not self.readings or len(set(self.readings)) < len(self.readings):
            raise ValueError(
                f"readings {self.readings}, expected one or more of {[r.value for r in Reading]}, each once"
            )
        if not 0 < self.amber_share <= self.target_share <= 1:
            raise ValueError(
                f"amber {self.amber_share} and target {self.target_share}, expected 0 < amber <= target <= 1"
            )

    def limit_s(self, place_class: NDArray[np.uint8], priority: NDArray[np.uint8] | None = None) -> NDArray[np.float64]:
        """(n,) the limit in seconds of incidents by their `PlaceClass` value and their priority, which the severity
        reading asks for.

        The echelon reading sets no limit of an incident as a whole, as each tier has its own; where it stands alone the
        limit is that of the last tier.

        Raises:
            ValueError: no priorities, though the severity reading is chosen.
        """
        limits_s = []
        if Reading.PLACE_CLASS in self.readings:
            limits_s.append(np.array([self.limits_s[c] for c in PlaceClass])[place_class])
        if Reading.SEVERITY in self.readings:
            if priority is None:
                raise ValueError("the severity reading needs the priorities of the incidents")
            limits_s.append(np.array([self.priority_limits_s[p] for p in range(1, 5)])[priority.astype(np.intp) - 1])
        if not limits_s:
            limits_s.append(np.full(len(place_class), max(self.tier_limits_s.values())))
        return np.asarray(np.minimum.reduce(limits_s), np.float64)


def _places(vital_s: float, key_s: float, general_s: float) -> dict[PlaceClass, float]:
    return {PlaceClass.GENERAL: general_s, PlaceClass.KEY: key_s, PlaceClass.VITAL: vital_s}


STANDARDS: Mapping[str, ResponseStandard] = {
    "one_three_five": ResponseStandard(),
    "echelon": ResponseStandard(readings=(Reading.ECHELON,)),
    "severity": ResponseStandard(readings=(Reading.SEVERITY,)),
    "chained": ResponseStandard(readings=tuple(Reading)),
    "urban_5_suburb_10": ResponseStandard(limits_s=_places(300, 300, 600)),
    "key_5_urban_10": ResponseStandard(limits_s=_places(300, 300, 600), headline=Clock.RECEIVED),
    "eight_minutes": ResponseStandard(limits_s=_places(480, 480, 480), headline=Clock.RECEIVED),
    "uk_15_20": ResponseStandard(limits_s=_places(900, 900, 1200), headline=Clock.RECEIVED),
    "nfpa_1710": ResponseStandard(limits_s=_places(240, 240, 240), headline=Clock.ROLLING),
}
"""By the name that a scenario gives.

`urban_5_suburb_10`: local 110 rules, by which the built-up area is given as a key area and the rest is suburb.
`key_5_urban_10`: Hubei 2024. `eight_minutes`: Inner Mongolia. `uk_15_20`: the immediate grade, rural places as general
ones. `nfpa_1710`: the travel time of the first unit, 240 s in nine of ten cases (NFPA 1710, 2020, 4.1.2.1), which is
written for fire engines. Which clock the published times of Hubei, Inner Mongolia and the UK run on is assumed: from
the call.
"""
