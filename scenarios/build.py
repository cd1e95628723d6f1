"""From a scenario to a problem: the city opened, tables turned into the engine's types, units dealt to posts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import time
from itertools import chain, count, islice
from pathlib import Path

import numpy as np

from dispatch.demand import UNITS_AT_ONCE, CellWeight, Demand, Life, draw_incidents
from dispatch.engine import FOLLOW_UP_S
from dispatch.incidents import IncidentType
from dispatch.policies.registry import POLICIES
from dispatch.problem import Problem
from dispatch.roster import DAY_S, Roster, Shift, duties
from dispatch.standard import ResponseStandard
from dispatch.units import UnitKind, UnitSpec
from geodata.city import City
from geodata.driving import RULES, DrivingRules
from geodata.errors import Faults
from geodata.network import Floats, RoadClass
from geodata.routing import RoadTravel
from geodata.sites import PlaceClass
from geodata.speeds import GivenTimes, SpeedProfile, Speeds, weekly_kmh
from geodata.synthetic import demo_city
from scenarios.schema import CityPart, Scenario, ShiftPart, TurnOut

DEMO = "demo"
DAYS_A_YEAR = 365.0
STATION_KINDS = frozenset({"station", "police_station", "派出所"})
"""Kinds of post that turn out as a police station 派出所 does."""


def open_city(part: CityPart) -> City:
    """Load the saved city, or make the one of the seed.

    Raises:
        InputError: as `City.load`.
    """
    if part.path is not None:
        return City.load(Path(part.path))
    return demo_city() if part.synthetic_seed is None else demo_city(part.synthetic_seed)


def city_named(name: str) -> City:
    """The city in a folder, or the demo city where the name is `demo`.

    Raises:
        InputError: as `City.load`.
    """
    return demo_city() if name == DEMO and not Path(name).exists() else City.load(Path(name))


def build_problem(
    scenario: Scenario,
    city: City,
    replication: int = 0,
    n_units: int | None = None,
    travel: RoadTravel | None = None,
) -> Problem:
    """The problem that a scenario poses in a city.

    Args:
        replication: another draw of the same demand.
        n_units: on duty in each shift, in place of the scenario's own count.
        travel: as `travel_of` gives it, to share what it keeps between problems of one city.

    Raises:
        InputError: with each reason why the city cannot answer the scenario.
    """
    check_fit(scenario, city)
    run, standard = scenario.run, standard_of(scenario)
    horizon_s = run.days * DAY_S
    road_travel = travel or travel_of(scenario, city)
    return Problem(
        incidents=draw_incidents(
            city,
            demand_of(scenario, city),
            standard,
            start=run.start,
            horizon_s=horizon_s,
            seed=run.seed,
            replication=replication,
        ),
        units=units_of(scenario, city, n_units),
        posts=road_travel.anchors if road_travel.anchors is not None else city.posts.positions,
        standard=standard,
        policy=POLICIES[scenario.dispatch.policy],
        travel={scenario.units.driving: road_travel},
        start=run.start,
        horizon_s=horizon_s,
        seed=run.seed,
        grid=city.grid,
    )


def check_fit(scenario: Scenario, city: City) -> None:
    """Whether the city holds what the scenario needs.

    Raises:
        InputError: no posts, no cells, or no residents where demand comes from them.
    """
    faults = Faults(f"city {city.name_en or city.name}")
    if not len(city.posts):
        faults.add("posts", "none", "at least one post", "Build the city with --posts FILE or --make-posts N.")
    if not len(city.grid):
        faults.add("grid", "no cells", "at least one cell", "Build the city with --grid FILE or --cell-m METRES.")
    else:
        _check_weights(scenario, city, faults)
    names = city.network.given_names
    for key in ("given_off_peak", "given_peak"):
        wanted = getattr(scenario.speeds, key)
        if wanted is not None and wanted not in names:
            known = f"one of {', '.join(names)}" if names else "roads that bring tables of times"
            faults.add("roads", f"no table of times {wanted!r}, as speeds.{key} asks for", known, f"Remove {key}.")
    faults.raise_any()


def _check_weights(scenario: Scenario, city: City, faults: Faults) -> None:
    demand = scenario.demand
    mend = "Build the city with --residents N"
    if not city.grid.cells["residents"].sum() > 0:
        if demand.weight is CellWeight.RESIDENTS:
            expected = 'residents in the cells, as demand.weight is "residents"'
            faults.add("grid", "no residents", expected, f'{mend}, or set demand.weight = "road_length".')
        if demand.per_1000_residents_a_year is not None:
            expected = "residents in the cells, as demand.per_1000_residents_a_year is stated or meant"
            faults.add("grid", "no residents", expected, f"{mend}, or state demand.incidents_per_day.")
    if demand.weight is CellWeight.ROAD_LENGTH and not city.road_m_by_cell.sum() > 0:
        faults.add(
            "grid", "no street in any cell", "cells that hold streets", "Give the roads and the grid of one city."
        )


def demand_of(scenario: Scenario, city: City) -> Demand:
    """The scenario's demand, its rate for this city."""
    part = scenario.demand
    rate = part.incidents_per_day
    if rate is None:
        residents = float(city.grid.cells["residents"].sum())
        rate = (part.per_1000_residents_a_year or 0.0) * residents / 1000 / DAYS_A_YEAR
    return Demand(
        incidents_per_day=rate,
        weight=part.weight,
        type_share={kind: getattr(part.type_share, kind.label) for kind in IncidentType},
        priority_share={p: getattr(part.priority_share, f"p{p}") for p in range(1, 5)},
        hour_weight=part.hour_weight,
        weekday_weight=part.weekday_weight,
        desk_mean_s=part.desk_mean_s,
        desk_cv=part.desk_cv,
        on_scene_mean_s={kind: 60 * getattr(part.on_scene_min, kind.label) for kind in IncidentType},
        on_scene_cv=part.on_scene_cv,
        life=Life(
            units_at_once=UNITS_AT_ONCE, backup_share={p: getattr(part.backup_share, f"p{p}") for p in range(1, 5)}
        ),
    )


def standard_of(scenario: Scenario) -> ResponseStandard:
    """The scenario's response standard."""
    part = scenario.standard
    return ResponseStandard(
        limits_s={c: getattr(part.limits_s, c.label) for c in PlaceClass},
        target_share=part.target_share,
        amber_share=part.amber_share,
        headline=part.headline,
    )


def speeds_of(scenario: Scenario) -> Speeds:
    """The scenario's speeds by hour of the week: peak on working days, faster by a factor at night; or the tables of
    times that the roads bring."""
    part = scenario.speeds
    off_peak, peak = (
        tuple(float(getattr(table, c.name.lower())) for c in RoadClass) for table in (part.off_peak_kmh, part.peak_kmh)
    )
    profile = SpeedProfile(weekly_kmh(off_peak, peak, part.night_factor), off_peak)
    if part.given_peak is None or part.given_off_peak is None:
        return profile
    return GivenTimes.peak_and_off_peak(part.given_peak, part.given_off_peak, profile)


def travel_of(scenario: Scenario, city: City) -> RoadTravel:
    """Travel times at the scenario's speeds and by its driving rules, with those from the city's posts kept."""
    return RoadTravel(city.network, speeds_of(scenario), city.posts.positions, rules=rules_of(scenario))


def rules_of(scenario: Scenario) -> DrivingRules:
    """What the scenario's units do on their way to an incident."""
    siren = tuple(getattr(scenario.units.siren, c.name.lower()) for c in RoadClass)
    part = scenario.speeds
    return replace(RULES[scenario.units.driving], siren=siren, junction_s=part.junction_s, u_turn_s=part.u_turn_s)


def units_of(scenario: Scenario, city: City, n_units: int | None = None) -> tuple[UnitSpec, ...]:
    """The units of every shift, each at its post; ids such as P01-D1, the first unit of post P01 by day.

    Raises:
        InputError: the city has no posts.
    """
    part = scenario.units
    wanted = part.count if n_units is None else n_units
    ids, turn_out_s = city.posts.table["id"].tolist(), turn_out_by_post(part.turn_out_s, city)
    kind = UnitKind(name=part.kind, driving=part.driving, speed_factor=part.speed_factor)
    roster = Roster(
        name="shifts",
        shifts=tuple(
            Shift(name=shift.name, start_s=_second(shift.start), end_s=_second(shift.end)) for shift in part.shifts
        ),
    )
    units = []
    for team, (shift, mark) in enumerate(zip(part.shifts, _marks(part.shifts), strict=True)):
        number = dict.fromkeys(range(len(ids)), 0)
        for post in deal(city, math.ceil(wanted * shift.share)):
            number[post] += 1
            unit_id = f"{ids[post]}-{mark}{number[post]}"
            run = scenario.run
            duty = duties(roster, unit_id=unit_id, team=team, start=run.start, horizon_s=run.days * DAY_S + FOLLOW_UP_S)
            units.append(
                UnitSpec(
                    id=unit_id,
                    post=post,
                    kind=kind,
                    duty=duty.duty,
                    shift=shift.name,
                    turn_out_post_s=float(turn_out_s[post]),
                    turn_out_mobile_s=part.turn_out_s.mobile,
                )
            )
    return tuple(units)


def turn_out_by_post(part: TurnOut, city: City) -> Floats:
    """(n_posts,) seconds from the order to rolling, by the kind of each post."""
    return np.where(city.posts.table["kind"].isin(STATION_KINDS), part.station, part.post)


def deal(city: City, n_units: int) -> list[int]:
    """The posts (rows) that a number of units stand by at: one to each post, then a second where there is room for
    two, and so on; the roomier post first, of equals the one that comes first in the table. When all posts are full
    the rounds begin again: room is a wish, and a planner may ask what more units would do.
    """
    capacity = np.maximum(city.posts.table["capacity"].to_numpy(int), 1)
    order = [int(post) for post in np.argsort(-capacity, kind="stable")]

    def rounds() -> Iterator[list[int]]:
        for number in count():
            yield [post for post in order if capacity[post] > number % int(capacity.max())]

    return list(islice(chain.from_iterable(rounds()), n_units)) if order else []


def _marks(shifts: tuple[ShiftPart, ...]) -> list[str]:
    """What stands for a shift in a unit's id: its initial, or its name where two shifts share an initial."""
    initials = [shift.name[0].upper() for shift in shifts]
    return initials if len(set(initials)) == len(initials) else [f"{shift.name}-" for shift in shifts]


def _second(at: time) -> float:
    return at.hour * 3600.0 + at.minute * 60 + at.second + at.microsecond / 1e6
