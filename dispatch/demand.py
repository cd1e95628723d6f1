"""Demand: how many incidents, of which kind, when and where, and what becomes of them; and the draw of one run's
incidents from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.incidents import Floats, Incidents, IncidentType
from dispatch.standard import ResponseStandard
from dispatch.streams import stream
from geodata.city import City
from geodata.errors import Fault, InputError
from geodata.positions import Positions, locate
from geodata.speeds import HOUR_S

TYPE_SHARE = MappingProxyType(
    {
        IncidentType.CRIME: 0.04,
        IncidentType.PUBLIC_ORDER: 0.04,
        IncidentType.TRAFFIC: 0.29,
        IncidentType.DISPUTE: 0.12,
        IncidentType.HELP: 0.28,
        IncidentType.OTHER: 0.23,
    }
)
"""Jiangsu 2015: crime 8, traffic 29, dispute 12, help 28, other 23 %. That its crime is half public order: assumed."""
PRIORITY_SHARE = MappingProxyType({1: 0.03, 2: 0.22, 3: 0.50, 4: 0.25})
"""Assumed."""
HOUR_WEIGHT = (
    *(3.4, 2.6, 2.0, 1.5, 1.2, 1.1, 1.6, 2.8, 4.2, 4.9, 5.1, 4.9),
    *(4.6, 4.5, 4.8, 5.0, 5.2, 5.7, 5.9, 6.1, 6.3, 6.2, 5.6, 4.8),
)
"""Per cent of a day. Assumed."""
WEEKDAY_WEIGHT = (1.0, 1.0, 1.0, 1.0, 1.05, 1.0, 0.88)
"""From Monday; Friday and Sunday from the literature."""
ON_SCENE_MEAN_S = MappingProxyType(
    {
        IncidentType.CRIME: 48 * 60.0,
        IncidentType.PUBLIC_ORDER: 31 * 60.0,
        IncidentType.TRAFFIC: 47 * 60.0,
        IncidentType.DISPUTE: 26 * 60.0,
        IncidentType.HELP: 37 * 60.0,
        IncidentType.OTHER: 31 * 60.0,
    }
)
"""Morgan Hill study; public order and other take its mean over all types."""
UNITS_AT_ONCE = MappingProxyType({1: 2, 2: 1, 3: 1, 4: 1})
"""By priority. Assumed."""
BACKUP_SHARE = MappingProxyType({1: 0.0, 2: 0.40, 3: 0.10, 4: 0.0})
"""Of the incidents of a priority at which the first unit asks for another one. Assumed."""
SECOND_UNIT_SHARE = MappingProxyType({p: 1.0 if n > 1 else BACKUP_SHARE[p] for p, n in UNITS_AT_ONCE.items()})
"""Of the incidents of a priority that several units come to by both."""
DUPLICATE_WITHIN_S = 600.0
"""A second call about an incident comes within it. Assumed."""


class CellWeight(StrEnum):
    """What a cell's share of the incidents follows."""

    RESIDENTS = "residents"
    ROAD_LENGTH = "road_length"


_NOTHING: Mapping[IncidentType, float] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Life:
    """What becomes of incidents. Units and backup are as in `UNITS_AT_ONCE` and `BACKUP_SHARE`; all else has to be
    asked for. Types and priorities left out of a mapping have one unit, plan 0 and a share of 0."""

    units_at_once: Mapping[int, int] = field(default_factory=lambda: UNITS_AT_ONCE)
    """By priority."""
    backup_share: Mapping[int, float] = field(default_factory=lambda: BACKUP_SHARE)
    plan: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    """Row of the problem's response plans by priority."""
    false_alarm_share: Mapping[IncidentType, float] = field(default_factory=lambda: _NOTHING)
    """Of the incidents of a type at which units find nothing; 0.05 of all types is a fair assumption."""
    false_alarm_mean_s: float = 8 * 60.0
    """On scene then. Assumed."""
    duplicate_share: float = 0.0
    """Of the incidents about which a second call comes, beyond those that the demand counts; 0.05 is a fair
    assumption."""
    duplicate_mean_s: float = 180.0
    """Between the two: exponential, cut off at `DUPLICATE_WITHIN_S`, which makes the mean shorter. Assumed."""
    withdrawn_share: float = 0.0
    """Of the incidents that the caller takes back unless somebody is there before; 0.03 is a fair assumption."""
    withdrawn_mean_s: float = 10 * 60.0
    """From the call to that: exponential. Assumed."""
    custody_share: Mapping[IncidentType, float] = field(default_factory=lambda: _NOTHING)
    """Of the incidents of a type, unless they are false alarms, at which somebody is taken into custody; 0.15 of crime
    and 0.10 of public order are fair assumptions."""
    custody_mean_s: float = 40 * 60.0
    """That the hand-over takes. Assumed."""
    cv: float = 0.8
    """Coefficient of variation of false alarms and hand-overs, which are lognormal. Assumed."""

    def __post_init__(self) -> None:
        by_group = (self.backup_share, self.false_alarm_share, self.custody_share)
        shares = [share for shares in by_group for share in shares.values()]
        if not all(0 <= share <= 1 for share in (*shares, self.duplicate_share, self.withdrawn_share)):
            raise ValueError("incident life: expected shares from 0 to 1")
        means_s = (self.false_alarm_mean_s, self.duplicate_mean_s, self.withdrawn_mean_s, self.custody_mean_s)
        if not all(0 < mean_s < np.inf for mean_s in means_s) or not 0 <= self.cv < np.inf:
            raise ValueError(f"incident life: means {means_s} s and variation {self.cv}, expected numbers above 0")
        if not all(1 <= n <= 255 for n in self.units_at_once.values()):
            raise ValueError(f"incident life: units {dict(self.units_at_once)}, expected 1 to 255")
        if not all(0 <= row <= 255 for row in self.plan.values()):
            raise ValueError(f"incident life: plans {dict(self.plan)}, expected rows from 0 to 255")


@dataclass(frozen=True, kw_only=True)
class Demand:
    """The rates that incidents are drawn from. Shares and weights need not add up to one; they are scaled."""

    incidents_per_day: float
    """Dispatched incidents on a day of weight 1."""
    weight: CellWeight = CellWeight.RESIDENTS
    type_share: Mapping[IncidentType, float] = field(default_factory=lambda: TYPE_SHARE)
    priority_share: Mapping[int, float] = field(default_factory=lambda: PRIORITY_SHARE)
    hour_weight: tuple[float, ...] = HOUR_WEIGHT
    weekday_weight: tuple[float, ...] = WEEKDAY_WEIGHT
    desk_mean_s: float = 83.0
    """From the call to the order: one province's mean; its best city has 59 s."""
    desk_cv: float = 0.5
    on_scene_mean_s: Mapping[IncidentType, float] = field(default_factory=lambda: ON_SCENE_MEAN_S)
    on_scene_cv: float = 0.8
    """Coefficient of variation of a lognormal, as for the desk. Assumed."""
    life: Life = field(default_factory=Life)

    def __post_init__(self) -> None:
        if not self.incidents_per_day >= 0:
            raise ValueError(f"{self.incidents_per_day} incidents a day, expected 0 or more")
        if len(self.hour_weight) != 24 or len(self.weekday_weight) != 7:
            raise ValueError("expected 24 hour weights and 7 weekday weights")


def draw_incidents(
    city: City,
    demand: Demand,
    standard: ResponseStandard,
    *,
    start: datetime,
    horizon_s: float,
    seed: int,
    replication: int = 0,
) -> Incidents:
    """Draw one run's incidents: a Poisson process whose rate follows the hour and the weekday; each at a random point
    of a street of a cell drawn by its weight.

    Raises:
        InputError: no cell has any weight, or none with weight has a street.
    """

    def draws(name: str) -> np.random.Generator:
        return stream(seed, replication, name)

    received_s = arrivals(demand, start, horizon_s, draws("arrivals"))
    n = len(received_s)
    types, priorities = list(IncidentType), sorted(demand.priority_share)
    type_ = choose(draws("type"), n, [demand.type_share.get(t, 0.0) for t in types])
    priority = np.array(priorities)[choose(draws("priority"), n, [demand.priority_share[p] for p in priorities])]
    positions = places_in_cells(city, demand.weight, n, draws("place"))
    xy_m = locate(city.network, positions)
    # what is closed asks for no fast response
    hour = start.weekday() * 24 + start.hour + (start.minute * 60 + start.second + received_s) / HOUR_S
    place_class = city.sites.place_class(xy_m, hour)
    on_scene_mean_s = np.array([demand.on_scene_mean_s.get(t, 0.0) for t in types])[type_]
    incidents = Incidents(
        received_s=received_s,
        type=type_.astype(np.uint8),
        priority=priority.astype(np.uint8),
        cell=city.grid.locate(xy_m),
        place_class=place_class,
        positions=positions,
        xy_m=xy_m,
        desk_s=lognormal(draws("desk"), n, demand.desk_mean_s, demand.desk_cv),
        on_scene_s=lognormal(draws("on scene"), n, on_scene_mean_s, demand.on_scene_cv),
        units_needed=np.ones(n, np.uint8),
        limit_s=standard.limit_s(place_class, priority.astype(np.uint8)),
    )
    return with_life(incidents, demand.life, horizon_s, draws)


def with_life(
    incidents: Incidents, life: Life, horizon_s: float, draws: Callable[[str], np.random.Generator]
) -> Incidents:
    """Incidents with the units that they ask for, false alarms, custody, withdrawals and second calls, whatever the
    demand that they were drawn from. Second calls after the horizon are left out.

    Args:
        incidents: none of them a second call.
        draws: the random stream of a purpose; each draw has one of its own, and draws for all incidents.
    """
    n = len(incidents)

    def by_priority(what: Mapping[int, float], default: float) -> Floats:
        return np.array([what.get(p, default) for p in range(256)], float)[incidents.priority]

    def by_type(what: Mapping[IncidentType, float]) -> Floats:
        return np.array([what.get(t, 0.0) for t in IncidentType])[incidents.type]

    def happens(name: str, share: float | Floats) -> NDArray[np.bool_]:
        return np.asarray(draws(name).random(n) < share)

    false_alarm = happens("false alarm", by_type(life.false_alarm_share))
    nothing_s = lognormal(draws("false alarm on scene"), n, life.false_alarm_mean_s, life.cv)
    custody = happens("custody", by_type(life.custody_share)) & ~false_alarm
    custody_s = lognormal(draws("hand-over"), n, life.custody_mean_s, life.cv)
    withdrawn_s = draws("withdrawn after").exponential(life.withdrawn_mean_s, n)
    once = replace(
        incidents,
        units_needed=by_priority(life.units_at_once, 1).astype(np.uint8),
        backup=happens("backup", by_priority(life.backup_share, 0)).astype(np.uint8),
        plan=by_priority(life.plan, 0).astype(np.uint8),
        false_alarm=false_alarm,
        on_scene_s=np.where(false_alarm, nothing_s, incidents.on_scene_s),
        custody_s=np.where(custody, custody_s, 0.0),
        withdrawn_s=np.where(happens("withdrawn", life.withdrawn_share), withdrawn_s, np.inf),
    )
    # by inversion of the exponential distribution cut off
    within = -np.expm1(-DUPLICATE_WITHIN_S / life.duplicate_mean_s)
    again_s = incidents.received_s - life.duplicate_mean_s * np.log1p(-within * draws("duplicate after").random(n))
    again = happens("duplicate", life.duplicate_share) & (again_s <= horizon_s)
    # second calls keep a desk as long as calls do
    desk_s = incidents.desk_s[draws("duplicate desk").integers(n, size=n)] if n else incidents.desk_s
    return _with_duplicates(once, np.flatnonzero(again), again_s[again], desk_s[again])


def _with_duplicates(incidents: Incidents, of: NDArray[np.int64], received_s: Floats, desk_s: Floats) -> Incidents:
    """Incidents with second calls about some of them, each a copy of its own but for what is given; all in order."""
    if not len(of):
        return incidents
    n = len(incidents)
    all_s = np.r_[incidents.received_s, received_s]
    order = np.argsort(all_s, kind="stable")
    row_of = np.argsort(order)
    source, second = np.r_[np.arange(n), of][order], order >= n
    columns = {
        part.name: getattr(incidents, part.name)[source] for part in fields(incidents) if part.name != "positions"
    }
    columns |= {
        "received_s": all_s[order],
        "desk_s": np.r_[incidents.desk_s, desk_s][order],
        "duplicate_of": np.where(second, row_of[source], -1).astype(np.int32),
        "withdrawn_s": np.where(second, np.inf, columns["withdrawn_s"]),
    }
    return Incidents(positions=incidents.positions.take(source), **columns)


def arrivals(demand: Demand, start: datetime, horizon_s: float, rng: np.random.Generator) -> Floats:
    """Times of a Poisson process of piecewise constant rate, by inverting its cumulated rate."""
    day = np.array(demand.hour_weight) / np.sum(demand.hour_weight)
    week = (np.array(demand.weekday_weight)[:, None] * day * demand.incidents_per_day).reshape(-1)
    into_hour_s = start.minute * 60 + start.second + start.microsecond / 1e6
    edges_s = np.arange(int(np.ceil((horizon_s + into_hour_s) / HOUR_S)) + 1) * HOUR_S - into_hour_s
    first = start.weekday() * 24 + start.hour
    rate = week[(first + np.arange(len(edges_s) - 1)) % len(week)] / HOUR_S
    edges_s = np.clip(edges_s, 0, horizon_s)
    expected = np.r_[0, np.cumsum(rate * np.diff(edges_s))]
    n = rng.poisson(expected[-1])
    at = np.sort(rng.random(n)) * expected[-1]
    hour = np.searchsorted(expected, at, side="right") - 1
    times_s: Floats = edges_s[hour] + (at - expected[hour]) / rate[hour]
    return times_s


def places_in_cells(city: City, weight: CellWeight, n: int, rng: np.random.Generator) -> Positions:
    pieces, network = city.pieces, city.network
    road_m = city.road_m_by_cell
    by_cell = city.grid.cells["residents"].to_numpy(float) if weight is CellWeight.RESIDENTS else road_m
    if not (by_cell[road_m > 0] > 0).any():
        raise InputError(
            Fault(
                f"city {city.name}",
                "grid",
                f"no cell with a street that has {weight.replace('_', ' ')} above 0",
                "at least one, as incidents are drawn by it",
                "Give the cells residents, or set demand.weight to road_length.",
            )
        )
    length_m = pieces.to_m - pieces.from_m
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(road_m[pieces.cell] > 0, (by_cell / road_m)[pieces.cell] * length_m, 0.0)
    piece = choose(rng, n, share)
    along_m = pieces.from_m[piece] + rng.random(n) * length_m[piece]
    street = pieces.street[piece]
    edge = network.edge_of_street[street]
    return Positions(edge, np.where(network.backward[edge], network.street_length_m[street] - along_m, along_m))


def choose(rng: np.random.Generator, n: int, weights: ArrayLike) -> NDArray[np.int64]:
    """n row numbers with the probability of their weights."""
    total = np.cumsum(np.asarray(weights, float))
    rows: NDArray[np.int64] = np.searchsorted(total, rng.random(n) * total[-1], side="right")
    return rows


def lognormal(rng: np.random.Generator, n: int, mean: float | Floats, cv: float) -> Floats:
    """n lognormal values of a given mean and coefficient of variation."""
    variance = np.log1p(cv**2)
    return np.asarray(mean * np.exp(np.sqrt(variance) * rng.standard_normal(n) - variance / 2))
