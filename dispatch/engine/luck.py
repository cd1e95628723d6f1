"""The luck of journeys: how much longer or shorter one takes than the dispatcher expects.

A number for each pair of incident and unit, worked out from the seed when it is asked for: as if all had been drawn
before the run, without the memory. Policies that send the same unit to the same incident meet the same luck.
"""

from __future__ import annotations

import numpy as np

from geodata.compiled import compiled


@compiled
def _mix(x: np.uint64) -> np.uint64:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@compiled
def journey_factor(key: int, incident: int, unit: int, sigma: float) -> float:
    if sigma == 0.0:
        return 1.0
    mixed = _mix(_mix(_mix(np.uint64(key)) ^ np.uint64(incident)) ^ np.uint64(unit))
    # two uniform numbers, the first above 0, make a normal one (Box and Muller, 1958)
    first = (float(mixed >> np.uint64(11)) + 1.0) / 9007199254740993.0
    second = float(_mix(mixed) >> np.uint64(11)) / 9007199254740992.0
    normal = np.sqrt(-2.0 * np.log(first)) * np.cos(2.0 * np.pi * second)
    return float(np.exp(sigma * normal - sigma * sigma / 2.0))


class JourneyLuck:
    """Lognormal factors of mean 1 on the driving time."""

    def __init__(self, key: int, cv: float) -> None:
        """Args:
        key: of the stream, any whole number of 63 bits.
        cv: coefficient of variation; 0: every factor is 1.
        """
        self.drawn_by = key, float(np.sqrt(np.log1p(cv**2)))
        """The first and the last argument of `journey_factor`."""

    def __call__(self, incident: int, unit: int) -> float:
        key, sigma = self.drawn_by
        return journey_factor(key, incident, unit, sigma) if sigma else 1.0
