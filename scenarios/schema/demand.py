"""What happens, and what becomes of it."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from dispatch.demand import HOUR_WEIGHT, WEEKDAY_WEIGHT, CellWeight
from scenarios.schema.parts import Count, Flag, Name, NotNegative, Part, Positive, Share, Text, Whole, refusal

PER_1000_RESIDENTS_A_YEAR = 120.0
SHARES_TOLERANCE = 1e-3
"""Shares typed with two or three figures need not sum to one exactly."""


def _some_weight(weights: tuple[float, ...]) -> tuple[float, ...]:
    if not sum(weights) > 0:
        raise refusal("zeros only", "at least one weight above 0", "Only the ratio of the weights counts.")
    return weights


class _Shares(Part):
    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        shares = self.model_dump()
        if abs((total := sum(shares.values())) - 1) > SHARES_TOLERANCE:
            found = f"shares that sum to {total:.4g}"
            mend = f"State all of {', '.join(shares)}; one left out keeps its default."
            raise refusal(found, "shares that sum to 1", mend)
        return self


class TypeShare(_Shares):
    """Mix of incident types. Jiangsu 2015 [P], whose crimes are taken to be half public order [A]."""

    crime: Share = Field(default=0.04, description="刑事 [A]")
    public_order: Share = Field(default=0.04, description="治安 [A]")
    traffic: Share = Field(default=0.29, description="交通 [P]")
    dispute: Share = Field(default=0.12, description="纠纷 [P]")
    help: Share = Field(default=0.28, description="求助 [P]")
    other: Share = Field(default=0.23, description="其他 [P]")


class PriorityShare(_Shares):
    """Mix of priorities."""

    p1: Share = Field(default=0.03, description="一级, life at risk. [A]")
    p2: Share = Field(default=0.22, description="二级 [A]")
    p3: Share = Field(default=0.50, description="三级 [A]")
    p4: Share = Field(default=0.25, description="四级 [A]")


class OnSceneMin(Part):
    """Mean minutes from the first arrival to clearing."""

    crime: Positive = Field(default=48.0, description="刑事 [L]")
    public_order: Positive = Field(default=31.0, description="治安: the mean of all. [L]")
    traffic: Positive = Field(default=47.0, description="交通 [L]")
    dispute: Positive = Field(default=26.0, description="纠纷 [L]")
    help: Positive = Field(default=37.0, description="求助 [L]")
    other: Positive = Field(default=31.0, description="其他: the mean of all. [L]")


class UnitsAtOnce(Part):
    """Units that are sent at once, by priority."""

    p1: Annotated[Count, Field(le=255)] = Field(default=2, description="一级 [A]")
    p2: Annotated[Count, Field(le=255)] = Field(default=1, description="二级 [A]")
    p3: Annotated[Count, Field(le=255)] = Field(default=1, description="三级 [A]")
    p4: Annotated[Count, Field(le=255)] = Field(default=1, description="四级 [A]")


class BackupShare(Part):
    """Share of the incidents of a priority at which the first unit asks for another one."""

    p1: Share = Field(default=0.0, description="一级: two are sent at once. [A]")
    p2: Share = Field(default=0.4, description="二级 [A]")
    p3: Share = Field(default=0.1, description="三级 [A]")
    p4: Share = Field(default=0.0, description="四级 [A]")


class FalseAlarmShare(Part):
    """Share of the incidents of a type at which units find nothing; 0.05 is a fair assumption."""

    crime: Share = Field(default=0.0, description="刑事 [A]")
    public_order: Share = Field(default=0.0, description="治安 [A]")
    traffic: Share = Field(default=0.0, description="交通 [A]")
    dispute: Share = Field(default=0.0, description="纠纷 [A]")
    help: Share = Field(default=0.0, description="求助 [A]")
    other: Share = Field(default=0.0, description="其他 [A]")


class CustodyShare(Part):
    """Share of the incidents of a type at which somebody is taken into custody, and brought to the nearest
    case-handling centre; 0.15 of crime and 0.10 of public order are fair assumptions."""

    crime: Share = Field(default=0.0, description="刑事 [A]")
    public_order: Share = Field(default=0.0, description="治安 [A]")
    traffic: Share = Field(default=0.0, description="交通 [A]")
    dispute: Share = Field(default=0.0, description="纠纷 [A]")
    help: Share = Field(default=0.0, description="求助 [A]")
    other: Share = Field(default=0.0, description="其他 [A]")


class RolePart(Part):
    """What an incident wants of one unit."""

    acts_alone: Flag = Field(default=True, description="It must be one that may act alone.")
    skill: Text = Field(default="", description="Such as armed; empty: none.")
    kinds: tuple[Name, ...] = Field(default=(), description="Kinds of unit that will do; empty: any.")


class PlanPart(Part):
    """The units that incidents of a priority ask for."""

    priority: Annotated[Whole, Field(ge=1, le=4)] = Field(description="1 to 4.")
    roles: Annotated[tuple[RolePart, ...], Field(min_length=1, max_length=16)] = Field(
        description="One a unit, the first to be there first; the last holds for backup too. At least as many "
        "units are sent at once as there are roles."
    )


class DemandPart(Part):
    """What happens."""

    history: Text | None = Field(
        default=None,
        description="Folder of an imported history, whose incidents are replayed: of the keys below only plans apply.",
    )
    fitted: Text | None = Field(
        default=None,
        description="Folder of a demand fitted to a history, from which incidents are drawn: rates, places, times and "
        "units come from it, and plans, false alarms, second calls, withdrawals and custody from below.",
    )
    incidents_per_day: Positive | None = Field(default=None, description="Dispatched incidents on an average day.")
    per_1000_residents_a_year: Positive | None = Field(
        default=None, description="The same per 1,000 residents a year; 120 if neither is stated (range 43–190). [D]"
    )
    weight: CellWeight = Field(
        default=CellWeight.RESIDENTS, description="What spreads incidents over the grid: residents or road_length. [A]"
    )
    type_share: TypeShare = TypeShare()
    priority_share: PriorityShare = PriorityShare()
    hour_weight: Annotated[
        tuple[NotNegative, ...], Field(min_length=24, max_length=24), AfterValidator(_some_weight)
    ] = Field(default=HOUR_WEIGHT, description="Weights of the hours 0 to 23. [A]")
    weekday_weight: Annotated[
        tuple[NotNegative, ...], Field(min_length=7, max_length=7), AfterValidator(_some_weight)
    ] = Field(default=WEEKDAY_WEIGHT, description="Weights of Monday to Sunday. [L]")
    desk_mean_s: Positive = Field(default=83.0, description="Mean seconds from the call to the order (59–125). [P]")
    desk_cv: NotNegative = Field(default=0.5, description="Its coefficient of variation. [A]")
    on_scene_min: OnSceneMin = OnSceneMin()
    on_scene_cv: NotNegative = Field(default=0.8, description="Coefficient of variation of the time on scene. [A]")
    units_at_once: UnitsAtOnce = Field(default=UnitsAtOnce(), description="Units sent at once, by priority.")
    backup_share: BackupShare = Field(
        default=BackupShare(), description="Share of a priority at which the first unit on the scene asks for another."
    )
    plans: tuple[PlanPart, ...] = Field(
        default=(), description="Which units a priority asks for; without one: any that may act alone."
    )
    false_alarm_share: FalseAlarmShare = Field(
        default=FalseAlarmShare(), description="Share of a type at which units find nothing; 0.05 is fair."
    )
    false_alarm_min: Positive = Field(default=8.0, description="Mean minutes on scene of a false alarm. [A]")
    duplicate_share: Share = Field(
        default=0.0, description="Share of the incidents about which a second call comes; 0.05 is fair. [A]"
    )
    duplicate_min: Positive = Field(default=3.0, description="Mean minutes until it comes. [A]")
    withdrawn_share: Share = Field(
        default=0.0, description="Share that the caller takes back unless somebody is there; 0.03 is fair. [A]"
    )
    withdrawn_min: Positive = Field(default=10.0, description="Mean minutes until then. [A]")
    custody_share: CustodyShare = Field(
        default=CustodyShare(),
        description="Share of a type that ends with somebody in custody, brought to the nearest case-handling centre; "
        "0.15 of crime and 0.10 of public order are fair.",
    )
    custody_min: Positive = Field(default=40.0, description="Mean minutes of a hand-over at the centre. [A]")

    @field_validator("fitted")
    @classmethod
    def _one_source(cls, fitted: str | None, info: ValidationInfo) -> str | None:
        if fitted is not None and info.data.get("history") is not None:
            raise refusal("a fitted demand beside a history", "one of the two", "Remove `fitted` or `history`.")
        return fitted

    @field_validator("per_1000_residents_a_year")
    @classmethod
    def _one_rate(cls, rate: float | None, info: ValidationInfo) -> float | None:
        daily = info.data.get("incidents_per_day")
        recorded = next((name for name in ("history", "fitted") if info.data.get(name) is not None), None)
        if recorded is not None and (rate is not None or daily is not None):
            raise refusal(f"a rate beside `{recorded}`", "no rate, as the records tell it", "Remove one of the two.")
        if rate is not None and daily is not None:
            raise refusal("both rates", "this one or `incidents_per_day`", "Remove one of the two.")
        return PER_1000_RESIDENTS_A_YEAR if rate is None and daily is None and recorded is None else rate

    @field_validator("plans")
    @classmethod
    def _one_plan_each(cls, plans: tuple[PlanPart, ...]) -> tuple[PlanPart, ...]:
        priorities = [plan.priority for plan in plans]
        if twice := next((p for p in priorities if priorities.count(p) > 1), None):
            raise refusal(f"two plans for priority {twice}", "one plan a priority", "Remove one of them.")
        return plans
