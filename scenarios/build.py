"""From a scenario to a problem: the city opened, tables turned into the engine's types, and all that does not fit told
before anything runs."""

from __future__ import annotations

import math
from pathlib import Path

from dispatch.demand import CellWeight
from dispatch.problem import MAX_KINDS, Problem
from dispatch.roster import DAY_S
from dispatch.standard import ResponseStandard
from dispatch.streams import key
from geodata.city import City
from geodata.errors import Faults
from geodata.sites import PlaceClass
from geodata.synthetic import demo_city
from scenarios.deciding import cover_of, dispatch_policy, move_up_policy, relief_policy, wants_cover
from scenarios.forces import deal_units, forces_of, turn_out_by_post
from scenarios.happenings import CASE_CENTRE, by_priority, centres_of, custody_wanted, incidents_of, plans_of, role_of
from scenarios.kinds import kinds_of, kinds_used
from scenarios.roads import Travels, travel_of, travels_of
from scenarios.rosters import falls_into, meal_of, plain_shift, roster_of
from scenarios.schema import CityPart, GroupPart, Scenario
from scenarios.schema.patrol import STAND_BY

__all__ = ["build_problem", "check_fit", "city_named", "open_city", "standard_of", "travel_of", "turn_out_by_post"]

DEMO = "demo"


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
    travels: Travels | None = None,
) -> Problem:
    """The problem that a scenario poses in a city.

    Args:
        replication: another draw of the same demand; replayed incidents stay the same.
        n_units: on duty in each shift, in place of the scenario's own count.
        travels: as `travels_of` gives them, to share what they keep between problems of one city.

    Raises:
        InputError: with each reason why the city cannot answer the scenario.
    """
    check_fit(scenario, city)
    roads = travels_of(scenario, city) if travels is None else travels
    run, part, standard = scenario.run, scenario.dispatch, standard_of(scenario)
    forces = forces_of(scenario, city, roads, n_units, replication)
    cover = cover_of(scenario, city, roads, standard) if wants_cover(scenario) else None
    # all must name the same posts, those that the travel times keep
    [posts] = {id(travel.anchors): travel.anchors for travel in roads.values()}.values()
    return Problem(
        incidents=incidents_of(scenario, city, standard, replication),
        units=forces.units,
        posts=city.posts.positions if posts is None else posts,
        travel=roads,
        policy=dispatch_policy(scenario),
        standard=standard,
        start=run.start,
        horizon_s=run.days * DAY_S,
        plans=plans_of(scenario),
        relief=relief_policy(scenario),
        move_up=move_up_policy(scenario, city, cover),
        desks=part.desks,
        max_hold_s=math.inf if part.max_hold_min is None else part.max_hold_min * 60,
        centres=centres_of(city) if custody_wanted(scenario) else None,
        journey_cv=scenario.travel.journey_cv,
        seed=key(run.seed, f"replication {replication}"),
        move_gap_s=part.move_gap_min * 60,
        call_up_below=scenario.units.call_up_below,
        call_up_s=scenario.units.call_up_min * 60,
        beats=forces.beats,
        cover=cover,
        grid=city.grid,
    )


def check_fit(scenario: Scenario, city: City) -> None:
    """Whether the city holds what the scenario needs, and the scenario what it asks for itself.

    Raises:
        InputError: no posts, no cells, no residents where demand comes from them, no case-handling centre for custody,
            no post for a unit, a role that no unit fills, a policy or an option that there is not.
    """
    faults = Faults(f"city {city.name_en or city.name}")
    if not len(city.posts):
        faults.add("posts", "none", "at least one post", "Build the city with --posts FILE or --make-posts N.")
    if not len(city.grid):
        faults.add("grid", "no cells", "at least one cell", "Build the city with --grid FILE or --cell-m METRES.")
    else:
        _check_weights(scenario, city, faults)
    names = city.network.given_names
    for key_ in ("given_off_peak", "given_peak"):
        wanted = getattr(scenario.speeds, key_)
        if wanted is not None and wanted not in names:
            known = f"one of {', '.join(names)}" if names else "roads that bring tables of times"
            faults.add("roads", f"no table of times {wanted!r}, as speeds.{key_} asks for", known, f"Remove {key_}.")
    if custody_wanted(scenario) and not len(centres_of(city)):
        expected = f"a post or site of kind {CASE_CENTRE}, as demand.custody_share is stated"
        faults.add("places", "no case-handling centre", expected, "Add one to the city, or set the shares to 0.")
    faults.raise_any()
    deal_units(scenario, city)
    check_alone(scenario)
    dispatch_policy(scenario)
    relief_policy(scenario)


def check_alone(scenario: Scenario) -> None:
    """Whether the parts of a scenario fit each other, whatever the city.

    Raises:
        InputError: with each reason why they do not.
    """
    faults, known, used = Faults(f"scenario {scenario.name}"), kinds_of(scenario), kinds_used(scenario)
    if len(used) > MAX_KINDS:
        faults.add("units.groups", f"{len(used)} kinds of units", f"at most {MAX_KINDS}", "Make some of them one kind.")
    for i, plan in enumerate(scenario.demand.plans):
        for j, part in enumerate(plan.roles):
            place = f"demand.plans[{i}].roles[{j}]"
            for name in part.kinds:
                if name not in known:
                    mend = "Name a kind that exists, or define it."
                    faults.add(f"{place}.kinds", f'the unknown kind "{name}"', f"one of {', '.join(known)}", mend)
            if not any(role_of(part).filled_by(kind) for kind in used):
                has = ", ".join(kind.name for kind in used)
                mend = "Add such units as a group, or change the role."
                faults.add(place, f"a role that no unit fills (there are {has})", "one that some unit fills", mend)
    if not any(kind.acts_alone for kind in used):
        expected = "at least one kind that may act alone, as its arrival stops the clock"
        faults.add("units.kind", f"{', '.join(k.name for k in used)} alone", expected, "Add patrol cars.")
    _check_meals(scenario, faults)
    if scenario.dispatch.policy == "beat_first" and scenario.beats.by is None:
        faults.add("beats.by", "nothing", "beats, as dispatch.policy is beat_first", 'Such as by = "post".')
    if scenario.dispatch.move_up is not None and all(_all_patrol(scenario, group) for group in scenario.units.forces):
        expected = "units that stand by at posts, of which some can be moved"
        faults.add("dispatch.move_up", "a move-up policy where all units patrol", expected, "Lower patrol.share.")
    faults.raise_any()


def _check_meals(scenario: Scenario, faults: Faults) -> None:
    """A meal that falls into no shift is a mistake."""
    units, mend = scenario.units, "Correct its window or its minutes."
    stated = [("units", units.shifts), *((f"units.groups[{i}]", g.shifts) for i, g in enumerate(units.groups))]
    for where, shifts in stated:
        for i, shift in enumerate(shifts):
            if shift.meal is not None and not falls_into(meal_of(shift.meal), plain_shift(shift)):
                place = f"{where}.shifts[{i}].meal"
                faults.add(place, "a meal outside of its shift", f"one that falls into {shift.name}", mend)
    worked = [shift for group in units.forces for shift in roster_of(scenario, group).shifts]
    for i, meal in enumerate(units.meals):
        if not any(falls_into(meal_of(meal), shift) for shift in worked):
            faults.add(f"units.meals[{i}]", "a meal outside of all shifts", "one that falls into a shift", mend)


def _all_patrol(scenario: Scenario, group: GroupPart) -> bool:
    part = group.patrol or scenario.patrol
    return part.form != STAND_BY and part.share == 1.0


def _check_weights(scenario: Scenario, city: City, faults: Faults) -> None:
    demand = scenario.demand
    if demand.history is not None or demand.fitted is not None:
        return
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


def standard_of(scenario: Scenario) -> ResponseStandard:
    """The scenario's response standard."""
    part = scenario.standard
    return ResponseStandard(
        limits_s={c: getattr(part.limits_s, c.label) for c in PlaceClass},
        target_share=part.target_share,
        amber_share=part.amber_share,
        headline=part.headline,
        readings=part.readings,
        priority_limits_s=by_priority(part.priority_limits_s),
        tier_limits_s={tier: getattr(part.tier_limits_s, f"t{tier}") for tier in (1, 3, 5)},
    )
