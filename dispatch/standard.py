"""The response standard: how soon a place must be reached, and from when the clock runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from geodata.sites import PlaceClass


class Clock(StrEnum):
    """Where the clock starts (T1, T2, T3); it stops when the first unit reaches the scene."""

    RECEIVED = "received"
    ORDERED = "ordered"
    ROLLING = "rolling"


def _one_three_five() -> dict[PlaceClass, float]:
    return {PlaceClass.GENERAL: 300.0, PlaceClass.KEY: 180.0, PlaceClass.VITAL: 60.0}


@dataclass(frozen=True, kw_only=True)
class ResponseStandard:
    """The place-class reading of the 1-3-5 minute circle (1、3、5分钟快速反应处置圈)."""

    limits_s: Mapping[PlaceClass, float] = field(default_factory=_one_three_five)
    target_share: float = 0.90
    """Of the incidents, within their limit. Assumed."""
    amber_share: float = 0.80
    """From here up to the target a share is shown as nearly met. Assumed."""
    headline: Clock = Clock.ORDERED

    def __post_init__(self) -> None:
        if set(self.limits_s) != set(PlaceClass) or not all(s > 0 for s in self.limits_s.values()):
            raise ValueError(f"limits {dict(self.limits_s)}, expected seconds above 0 for each of {list(PlaceClass)}")
        if not 0 < self.amber_share <= self.target_share <= 1:
            raise ValueError(
                f"amber {self.amber_share} and target {self.target_share}, expected 0 < amber <= target <= 1"
            )

    def limit_s(self, place_class: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The limit in seconds for each `PlaceClass` value."""
        return np.array([self.limits_s[c] for c in PlaceClass])[place_class]
