"""Where, when, and what is promised."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from dispatch.standard import STANDARDS, Clock, Reading, ResponseStandard
from geodata.sites import PlaceClass
from scenarios.schema.parts import Moment, Part, Positive, Text, Whole, first_twice, one_of, refusal


class CityPart(Part):
    """Where: exactly one of the two."""

    path: Text | None = Field(default=None, description="Folder of a saved city, relative to this file.")
    synthetic_seed: Annotated[Whole, Field(ge=0)] | None = Field(
        default=None, description="Seed of a made city; 135 is the demo city."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.path is None) == (self.synthetic_seed is None):
            found = "neither" if self.path is None else "both"
            raise refusal(found, "either `path` or `synthetic_seed`", "Name the city in exactly one way.")
        return self


class RunPart(Part):
    """When and how long."""

    start: Moment = Field(
        default=datetime(2026, 6, 1, 8), description="Local time at which the run starts; the weekday matters."
    )
    days: Annotated[Positive, Field(le=366)] = Field(default=7.0, description="Length of the run in days.")
    seed: Annotated[Whole, Field(ge=0)] = Field(default=135, description="The same seed gives the same run.")


class Limits(Part):
    """Seconds by place class."""

    vital: Positive = Field(default=60.0, description="Vital sites 要害部位, seconds. [P]")
    key: Positive = Field(default=180.0, description="Key areas 重点地区, seconds. [P]")
    general: Positive = Field(default=300.0, description="The rest of the city, seconds. [P]")


class PriorityLimits(Part):
    """Seconds by priority, for the severity reading."""

    p1: Positive = Field(default=60.0, description="一级, seconds. [A]")
    p2: Positive = Field(default=180.0, description="二级, seconds. [A]")
    p3: Positive = Field(default=300.0, description="三级, seconds. [A]")
    p4: Positive = Field(default=600.0, description="四级, seconds. [A]")


class TierLimits(Part):
    """Seconds by echelon, for the echelon reading: each tier's own first arrival."""

    t1: Positive = Field(default=60.0, description="The smallest units at hand 最小应急单元, seconds. [P]")
    t3: Positive = Field(default=180.0, description="Patrol cars, seconds. [P]")
    t5: Positive = Field(default=300.0, description="City and armed units, seconds. [P]")


def _as_typed(standard: ResponseStandard) -> dict[str, Any]:
    """A standard in the keys of the file."""
    return {
        "readings": standard.readings,
        "limits_s": {c.label: float(standard.limits_s[c]) for c in PlaceClass},
        "priority_limits_s": {f"p{p}": float(s) for p, s in standard.priority_limits_s.items()},
        "tier_limits_s": {f"t{tier}": float(s) for tier, s in standard.tier_limits_s.items()},
        "target_share": standard.target_share,
        "amber_share": standard.amber_share,
        "headline": standard.headline,
    }


class StandardPart(Part):
    """What is promised."""

    name: Annotated[Text, one_of(STANDARDS, "Name a standard that exists.")] = Field(
        default="one_three_five",
        description=f"What holds where the keys below are silent: {', '.join(STANDARDS)}. [P]",
    )
    readings: Annotated[tuple[Reading, ...], Field(min_length=1)] = Field(
        default=(Reading.PLACE_CLASS,),
        description="What a limit follows: place_class, severity, echelon; several: the most demanding. [P]",
    )
    limits_s: Limits = Limits()
    priority_limits_s: PriorityLimits = Field(
        default=PriorityLimits(), description="Limits of the severity reading, by priority."
    )
    tier_limits_s: TierLimits = Field(
        default=TierLimits(), description="Limits of the echelon reading: each tier's own first arrival."
    )
    target_share: Annotated[Positive, Field(le=1)] = Field(
        default=0.9, description="Share of the incidents to be reached within the limit (green). [A]"
    )
    amber_share: Annotated[Positive, Field(le=1)] = Field(
        default=0.8, description="From here up to the target: amber; below: red. [A]"
    )
    headline: Clock = Field(
        default=Clock.ORDERED, description="Clock of the headline figure: from the call received, ordered or rolling."
    )

    @model_validator(mode="before")
    @classmethod
    def _of_that_name(cls, given: Any) -> Any:
        """What the named standard says where the file is silent."""
        name = given.get("name") if isinstance(given, dict) else None
        if not isinstance(name, str) or name not in STANDARDS:
            return given
        named = STANDARDS[name]
        filled = _as_typed(named) | given
        for table in ("limits_s", "priority_limits_s", "tier_limits_s"):
            if isinstance(filled[table], dict):
                filled[table] = _as_typed(named)[table] | filled[table]
        return filled

    @field_validator("readings")
    @classmethod
    def _each_once(cls, readings: tuple[Reading, ...]) -> tuple[Reading, ...]:
        if twice := first_twice(readings):
            raise refusal(f'"{twice}" twice', "each reading once", "Remove one of them.")
        return readings

    @field_validator("amber_share")
    @classmethod
    def _below_target(cls, amber: float, info: ValidationInfo) -> float:
        if amber > (target := info.data.get("target_share", 1.0)):
            expected = f"at most the target_share, {target:g}"
            raise refusal(f"{amber:g}", expected, "Lower amber_share or raise target_share.")
        return amber
