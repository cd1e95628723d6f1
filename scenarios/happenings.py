"""What happens in a scenario: incidents drawn, replayed or drawn from what was fitted, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from dispatch.demand import CellWeight, Demand, Life, draw_incidents, with_life
from dispatch.history.fitted import FittedDemand, draw_fitted
from dispatch.history.record import History, Replay
from dispatch.incidents import Incidents, IncidentType
from dispatch.problem import ANYBODY_SWORN
from dispatch.roster import DAY_S
from dispatch.standard import ResponseStandard
from dispatch.streams import stream
from dispatch.units import Role
from geodata.city import City
from geodata.errors import Faults
from geodata.network import Floats
from geodata.positions import Positions, snap
from scenarios.schema import Part, Scenario
from scenarios.schema.demand import DemandPart, RolePart

CASE_CENTRE = "case_centre"
"""Kind of the posts and sites where custody ends, 执法办案中心."""
DAYS_A_YEAR = 365.0
BESIDE_HISTORY = ("history", "plans")
"""The keys of the demand that have an effect where a history is replayed,"""
BESIDE_FITTED = (
    "fitted",
    "plans",
    "false_alarm_share",
    "false_alarm_min",
    "duplicate_share",
    "duplicate_min",
    "withdrawn_share",
    "withdrawn_min",
    "custody_share",
    "custody_min",
)
"""and where incidents are drawn from a fitted demand."""


def incidents_of(scenario: Scenario, city: City, standard: ResponseStandard, replication: int = 0) -> Incidents:
    """The incidents of a run: drawn from the rates of the scenario, from a fitted demand, or those of a history.

    Raises:
        InputError: a history or a demand that cannot be read, or that is of another city or time; keys that have no
            effect beside it.
    """
    _check_beside_records(scenario)
    run, part = scenario.run, scenario.demand
    horizon_s = run.days * DAY_S
    plan = {plan.priority: row for row, plan in enumerate(part.plans, 1)}
    at_least = {plan.priority: len(plan.roles) for plan in part.plans}
    if part.history is not None:
        return _planned(replay_of(scenario, city, standard, Path(part.history)).incidents, plan, at_least)
    if part.fitted is None:
        demand = demand_of(scenario, city)
        return draw_incidents(
            city, demand, standard, start=run.start, horizon_s=horizon_s, seed=run.seed, replication=replication
        )
    fitted = FittedDemand.load(Path(part.fitted))
    drawn = draw_fitted(
        city, fitted, standard, start=run.start, horizon_s=horizon_s, seed=run.seed, replication=replication
    )
    lived = with_life(drawn, life_of(scenario), horizon_s, lambda name: stream(run.seed, replication, name))
    # second calls came in between; how many units came in the end is part of what was fitted
    first = lived.duplicate_of < 0
    source = np.cumsum(first) - 1
    source[~first] = source[lived.duplicate_of[~first]]
    none = np.zeros(len(lived), np.uint8)
    return _planned(replace(lived, units_needed=drawn.units_needed[source], backup=none), plan, at_least)


def replay_of(scenario: Scenario, city: City, standard: ResponseStandard, history: Path) -> Replay:
    """The recorded incidents of a folder in the time of the scenario, and what was left out of them or drawn.

    Raises:
        InputError: a history that cannot be read, or that is of another city or time.
    """
    run = scenario.run
    return History.load(history).replay(city, standard, start=run.start, horizon_s=run.days * DAY_S, seed=run.seed)


def _check_beside_records(scenario: Scenario) -> None:
    """Whether what the scenario says of its demand has an effect beside records. A default is no statement: a scenario
    as resolved, which a run keeps, has them all."""
    part = scenario.demand
    recorded, used = ("history", BESIDE_HISTORY) if part.history is not None else ("fitted", BESIDE_FITTED)
    if getattr(part, recorded) is None:
        return
    faults = Faults(f"scenario {scenario.name}")
    for name, key in DemandPart.model_fields.items():
        if name not in used and getattr(part, name) != key.get_default():
            mend = f"Remove `{name}`, or `{recorded}`."
            faults.add(f"demand.{name}", f"a value beside `{recorded}`", "none, as the records tell it", mend)
    faults.raise_any()


def _planned(incidents: Incidents, plan: Mapping[int, int], at_least: Mapping[int, int]) -> Incidents:
    """Recorded incidents with the response plans of their priorities."""
    row, least = (
        np.array([table.get(p, none) for p in range(256)], np.uint8)[incidents.priority]
        for table, none in ((plan, 0), (at_least, 1))
    )
    return replace(incidents, plan=row, units_needed=np.maximum(incidents.units_needed, least))


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
        type_share=by_type(part.type_share),
        priority_share=by_priority(part.priority_share),
        hour_weight=part.hour_weight,
        weekday_weight=part.weekday_weight,
        desk_mean_s=part.desk_mean_s,
        desk_cv=part.desk_cv,
        on_scene_mean_s={kind: 60 * minutes for kind, minutes in by_type(part.on_scene_min).items()},
        on_scene_cv=part.on_scene_cv,
        life=life_of(scenario),
    )


def life_of(scenario: Scenario) -> Life:
    """What becomes of the scenario's incidents."""
    part = scenario.demand
    at_once = by_priority(part.units_at_once)
    for plan in part.plans:
        at_once[plan.priority] = max(at_once[plan.priority], len(plan.roles))
    return Life(
        units_at_once=at_once,
        backup_share=by_priority(part.backup_share),
        plan={plan.priority: row for row, plan in enumerate(part.plans, 1)},
        false_alarm_share=_some(part.false_alarm_share),
        false_alarm_mean_s=part.false_alarm_min * 60,
        duplicate_share=part.duplicate_share,
        duplicate_mean_s=part.duplicate_min * 60,
        withdrawn_share=part.withdrawn_share,
        withdrawn_mean_s=part.withdrawn_min * 60,
        custody_share=_some(part.custody_share),
        custody_mean_s=part.custody_min * 60,
    )


def by_type(part: Part) -> dict[IncidentType, Any]:
    return {kind: getattr(part, kind.label) for kind in IncidentType}


def _some(part: Part) -> dict[IncidentType, float]:
    """The types that have a share."""
    return {kind: share for kind, share in by_type(part).items() if share}


def by_priority(part: Part) -> dict[int, Any]:
    return {p: getattr(part, f"p{p}") for p in range(1, 5)}


def plans_of(scenario: Scenario) -> tuple[tuple[Role, ...], ...]:
    """Anybody who may act alone, and then the scenario's own response plans."""
    return (ANYBODY_SWORN, *(tuple(map(role_of, plan.roles)) for plan in scenario.demand.plans))


def role_of(part: RolePart) -> Role:
    return Role(acts_alone=part.acts_alone, skill=part.skill, kinds=frozenset(part.kinds))


def custody_wanted(scenario: Scenario) -> bool:
    part = scenario.demand
    return part.history is None and any(by_type(part.custody_share).values())


def centres_of(city: City) -> Positions:
    """The case-handling centres among the city's posts and sites."""
    posts = np.flatnonzero(city.posts.table["kind"] == CASE_CENTRE)
    sites = city.sites.table.geometry[city.sites.table["kind"] == CASE_CENTRE]
    at = snap(city.network, shapely.get_coordinates(shapely.point_on_surface(np.asarray(sites.array, object))))[0]
    of_posts = city.posts.positions.take(posts)
    return Positions(np.r_[of_posts.edge, at.edge].astype(np.int32), np.r_[of_posts.offset_m, at.offset_m])


def demand_by_cell(scenario: Scenario, city: City) -> Floats:
    """(n_cells,) what each has of the scenario's demand, by any measure."""
    part = scenario.demand
    if part.fitted is not None:
        fitted = FittedDemand.load(Path(part.fitted))
        return np.asarray(fitted.hourly.sum(axis=1) @ fitted.cell_share)
    residents = city.grid.cells["residents"].to_numpy(float)
    by_road = part.weight is CellWeight.ROAD_LENGTH or not residents.sum() > 0
    return city.road_m_by_cell if by_road else residents
