"""A scenario file, part by part: what may stand in it, in a planner's units, and what holds where it is silent.

Every default says where it comes from: [P] a press or government report, [L] published literature or a standard,
[D] derived from those, [A] assumed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time
from typing import Annotated, Any, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from dispatch.demand import HOUR_WEIGHT, WEEKDAY_WEIGHT, CellWeight
from dispatch.policies.registry import POLICIES
from dispatch.standard import Clock
from geodata.driving import RULES

PER_1000_RESIDENTS_A_YEAR = 120.0
SHARES_TOLERANCE = 1e-3
"""Shares typed with two or three figures need not sum to one exactly."""


def refusal(found: str, expected: str, mend: str) -> PydanticCustomError:
    """An error of our own, in the words that a fault needs."""
    return PydanticCustomError("scenario", "{expected}", {"found": found, "expected": expected, "mend": mend})


def _time_of_day(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return time.fromisoformat(value)
    except ValueError:
        raise refusal(f'"{value}"', "a time of day", 'Write it as "08:00".') from None


def _local(value: datetime) -> datetime:
    if value.tzinfo is None:
        return value
    mend = f"Write it without the offset: {value.replace(tzinfo=None).isoformat()}."
    raise refusal(value.isoformat(), "a local time without an offset", mend)


def _known_policy(name: str) -> str:
    if name not in POLICIES:
        raise refusal(f'"{name}"', f"one of {', '.join(POLICIES)}", "Name a dispatching policy that exists.")
    return name


def _known_rules(name: str) -> str:
    if name not in RULES:
        raise refusal(f'"{name}"', f"one of {', '.join(RULES)}", "Name driving rules that exist.")
    return name


def _some_weight(weights: tuple[float, ...]) -> tuple[float, ...]:
    if not sum(weights) > 0:
        raise refusal("zeros only", "at least one weight above 0", "Only the ratio of the weights counts.")
    return weights


Number = Annotated[float, Strict()]
Whole = Annotated[int, Strict()]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Share = Annotated[Number, Field(ge=0, le=1)]
TimeOfDay = Annotated[time, Strict(), BeforeValidator(_time_of_day)]
Text = Annotated[str, Strict()]


class Part(BaseModel):
    """A table of the file: frozen, and refusing keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


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

    start: Annotated[datetime, Strict(), AfterValidator(_local)] = Field(
        default=datetime(2026, 6, 1, 8), description="Local time at which the run starts; the weekday matters."
    )
    days: Annotated[Positive, Field(le=366)] = Field(default=7.0, description="Length of the run in days.")
    seed: Annotated[Whole, Field(ge=0)] = Field(default=135, description="The same seed gives the same run.")


class Limits(Part):
    """Seconds by place class."""

    vital: Positive = Field(default=60.0, description="Vital sites 要害部位, seconds. [P]")
    key: Positive = Field(default=180.0, description="Key areas 重点地区, seconds. [P]")
    general: Positive = Field(default=300.0, description="The rest of the city, seconds. [P]")


class StandardPart(Part):
    """What is promised."""

    limits_s: Limits = Limits()
    target_share: Annotated[Positive, Field(le=1)] = Field(
        default=0.9, description="Share of the incidents to be reached within the limit (green). [A]"
    )
    amber_share: Annotated[Positive, Field(le=1)] = Field(
        default=0.8, description="From here up to the target: amber; below: red. [A]"
    )
    headline: Clock = Field(
        default=Clock.ORDERED, description="Clock of the headline figure: from the call received, ordered or rolling."
    )

    @field_validator("amber_share")
    @classmethod
    def _below_target(cls, amber: float, info: ValidationInfo) -> float:
        if amber > (target := info.data.get("target_share", 1.0)):
            expected = f"at most the target_share, {target:g}"
            raise refusal(f"{amber:g}", expected, "Lower amber_share or raise target_share.")
        return amber


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


class BackupShare(Part):
    """Share of the incidents of a priority at which the first unit asks for another one."""

    p1: Share = Field(default=0.0, description="一级: two are sent at once. [A]")
    p2: Share = Field(default=0.4, description="二级 [A]")
    p3: Share = Field(default=0.1, description="三级 [A]")
    p4: Share = Field(default=0.0, description="四级 [A]")


class DemandPart(Part):
    """What happens."""

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
    backup_share: BackupShare = BackupShare()

    @field_validator("per_1000_residents_a_year")
    @classmethod
    def _one_rate(cls, rate: float | None, info: ValidationInfo) -> float | None:
        daily = info.data.get("incidents_per_day")
        if rate is not None and daily is not None:
            raise refusal("both rates", "this one or `incidents_per_day`", "Remove one of the two.")
        return PER_1000_RESIDENTS_A_YEAR if rate is None and daily is None else rate


class TurnOut(Part):
    """Seconds from the order to rolling."""

    post: NotNegative = Field(default=30.0, description="At a post. [A]")
    station: NotNegative = Field(default=75.0, description="At a police station 派出所. [A]")
    mobile: NotNegative = Field(default=15.0, description="On the way back. [A]")


class ShiftPart(Part):
    """A daily span of duty; one that ends before it starts runs past midnight."""

    name: Annotated[Text, Field(min_length=1)] = Field(description="Such as day or night.")
    start: TimeOfDay = Field(description='Such as "08:00".')
    end: TimeOfDay = Field(description='Such as "20:00"; the same as the start: all day.')
    share: Annotated[Positive, Field(le=1)] = Field(
        default=1.0, description="Share of `count` that is on duty in this shift, rounded up."
    )


DAY_AND_NIGHT = (
    ShiftPart(name="day", start=time(8), end=time(20)),
    ShiftPart(name="night", start=time(20), end=time(8)),
)


def _names_differ(shifts: tuple[ShiftPart, ...]) -> tuple[ShiftPart, ...]:
    names = [shift.name for shift in shifts]
    if twice := [name for i, name in enumerate(names) if name in names[:i]]:
        raise refusal(f'two shifts "{twice[0]}"', "shifts with different names", "Rename one of them.")
    return shifts


class Siren(Part):
    """Factors on `speed_factor` by road class: a siren helps more on a wide road."""

    expressway: Positive = Field(default=1.0, description="快速路 [A]")
    arterial: Positive = Field(default=1.0, description="主干路 [A]")
    collector: Positive = Field(default=1.0, description="次干路 [A]")
    local: Positive = Field(default=1.0, description="支路 [A]")
    pedestrian: Positive = Field(default=1.0, description="步行街 [A]")


class UnitsPart(Part):
    """Who is there."""

    count: Annotated[Whole, Field(ge=1)] = Field(default=18, description="Units on duty in each shift. [A]")
    kind: Annotated[Text, Field(min_length=1)] = Field(default="patrol_car", description="Kind of unit.")
    speed_factor: Annotated[Positive, Field(le=3)] = Field(
        default=1.3, description="On the road's speed when driving with siren (1.0–1.6). [A]"
    )
    driving: Annotated[Text, AfterValidator(_known_rules)] = Field(
        default="obey_all",
        description=f"What they may do on the way to an incident: {', '.join(RULES)}. [A]",
    )
    siren: Siren = Siren()
    turn_out_s: TurnOut = TurnOut()
    shifts: Annotated[tuple[ShiftPart, ...], Field(min_length=1), AfterValidator(_names_differ)] = Field(
        default=DAY_AND_NIGHT, description="Day 08–20 and night 20–08. [A]"
    )


class DispatchPart(Part):
    """Who is sent."""

    policy: Annotated[Text, AfterValidator(_known_policy)] = Field(
        default="nearest",
        description="nearest: first on the scene by road; straight_line: nearest as the crow flies.",
    )


class OffPeakKmh(Part):
    """km/h by road class outside the peak."""

    expressway: Positive = Field(default=55.0, description="快速路 [A]")
    arterial: Positive = Field(default=36.0, description="主干路 [A]")
    collector: Positive = Field(default=28.0, description="次干路 [A]")
    local: Positive = Field(default=20.0, description="支路 [A]")
    pedestrian: Positive = Field(default=10.0, description="步行街, for units that may use them. [A]")


class PeakKmh(Part):
    """km/h by road class at 7–9 and 17–19 o'clock on working days."""

    expressway: Positive = Field(default=31.0, description="快速路; Changsha 2020. [P]")
    arterial: Positive = Field(default=21.0, description="主干路; Changsha 2020. [P]")
    collector: Positive = Field(default=18.0, description="次干路 [A]")
    local: Positive = Field(default=15.0, description="支路 [A]")
    pedestrian: Positive = Field(default=8.0, description="步行街, for units that may use them. [A]")


class SpeedsPart(Part):
    """How fast traffic moves."""

    off_peak_kmh: OffPeakKmh = OffPeakKmh()
    peak_kmh: PeakKmh = PeakKmh()
    night_factor: Positive = Field(default=1.15, description="On the off-peak speed from 22 to 6 o'clock. [A]")
    junction_s: NotNegative = Field(
        default=0.0, description="Seconds that every junction of three or more streets takes. [A]"
    )
    u_turn_s: NotNegative = Field(
        default=0.0, description="Seconds of a U-turn, where a turn restriction makes one worth while. [A]"
    )
    given_off_peak: Text | None = Field(
        default=None, description="Name of a table of times that the roads bring, in place of the speeds."
    )
    given_peak: Text | None = Field(default=None, description="The same for the peak hours of working days.")

    @field_validator("given_peak")
    @classmethod
    def _both_tables(cls, peak: str | None, info: ValidationInfo) -> str | None:
        if (peak is None) != (info.data.get("given_off_peak") is None):
            found = "one of given_off_peak and given_peak"
            raise refusal(found, "both or none", "Name the table of the other hours too; it may be the same.")
        return peak


class Scenario(Part):
    """One question to the simulator, with every default filled in."""

    name: Annotated[Text, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")] = Field(
        description="Lower-case letters, digits, - and _: it names the folder of the results."
    )
    title: Text = Field(default="", description="What is asked, in a line.")
    title_zh: Text = Field(default="", description="The same in Chinese.")
    city: CityPart
    run: RunPart = RunPart()
    standard: StandardPart = StandardPart()
    demand: DemandPart = DemandPart()
    units: UnitsPart = UnitsPart()
    dispatch: DispatchPart = DispatchPart()
    speeds: SpeedsPart = SpeedsPart()


class Key(NamedTuple):
    """A key that a scenario file may hold."""

    place: str
    """Dotted, as `standard.limits_s.vital`."""
    default: str
    """As it would be typed; empty where it must be stated or has none."""
    description: str


def known_keys(part: type[Part] = Scenario, above: str = "") -> Iterator[Key]:
    """Every key of a scenario file with its default and its meaning, in the order of the file."""
    for name, field in part.model_fields.items():
        below = part_of(field.annotation)
        if below is None or name == "shifts":
            value = None if field.is_required() else field.default
            typed = "" if value is None or name == "shifts" else _typed(value)
            yield Key(above + name, typed, field.description or "")
        if below is not None:
            yield from known_keys(below, f"{above}{name}{'[].' if name == 'shifts' else '.'}")


def part_of(annotation: Any) -> type[Part] | None:
    """The table that a key holds, or a list of which it holds; None for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation
    inner = getattr(annotation, "__args__", ())
    return next((found for one in inner if (found := part_of(one)) is not None), None)


def _typed(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return f'"{value}"'
    return str(list(value)) if isinstance(value, tuple) else str(value)
