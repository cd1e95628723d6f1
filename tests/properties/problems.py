"""Random small problems that hold all that may happen in a run, on tiny road networks and on plain matrices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st
from reference import hard_network, random_positions

from dispatch.cover import Cover
from dispatch.incidents import Incidents
from dispatch.patrol import Patrol
from dispatch.policies.moving_up import MOVE_UPS
from dispatch.policies.registry import POLICIES, RELIEFS
from dispatch.policies.situation import Beats
from dispatch.problem import ANYBODY_SWORN, Problem
from dispatch.standard import ResponseStandard
from dispatch.units import KINDS, Meal, Role, Span, UnitKind, UnitSpec
from geodata.driving import RULES
from geodata.matrix import MatrixTravel
from geodata.network import RoadNetwork
from geodata.positions import Positions, locate
from geodata.routing import RoadTravel
from geodata.speeds import Slowdown
from geodata.timetable import times_between
from geodata.travel import NoWayError, TravelTimes

N_POSTS = 3
HORIZON_S = 7_200.0
DRIVING = ("obey_all", "emergency")
FORCES = (
    KINDS["patrol_car"],
    KINDS["auxiliary_patrol"],
    KINDS["armed_patrol"],
    UnitKind(name="rider", crew=2, echelon=1, driving="emergency", skills=frozenset({"traffic"}), speed_factor=1.0),
)
PLANS = (
    ANYBODY_SWORN,
    (Role(), Role(skill="armed")),
    (Role(acts_alone=False), Role()),
    (Role(kinds=frozenset({"patrol_car", "rider"})), Role(acts_alone=False, kinds=frozenset({"auxiliary_patrol"}))),
)
NEVER: tuple[Span, ...] = ()
SHIFTS: tuple[tuple[tuple[Span, ...] | None, tuple[Span, ...]], ...] = (
    (None, NEVER),
    (None, NEVER),
    ((Span(0.0, HORIZON_S),), NEVER),
    ((Span(600.0, 3_600.0),), (Span(3_600.0, 7_200.0),)),
    ((Span(600.0, 3_600.0),), (Span(0.0, 600.0), Span(5_000.0, 7_200.0))),
    ((Span(0.0, 1_800.0), Span(2_400.0, 5_400.0)), NEVER),
    ((Span(0.0, 3_600.0), Span(3_600.0, 9_000.0)), NEVER),
    (NEVER, (Span(0.0, 6_000.0),)),
)
"""Duty, and standby beside it."""
STARTS = (datetime(2026, 6, 1, 6, 30), datetime(2026, 6, 7, 23, 20, 0, 415_036))
BEATS = Beats(of_cell=np.array([0, 1, -1], np.int32), neighbours=np.array([[True, False], [False, True]]))


@dataclass(frozen=True, eq=False)
class World:
    """Places and the ways between them."""

    posts: Positions
    travel: dict[str, TravelTimes]
    places: Positions
    """Where incidents may be."""
    cover: Cover
    network: RoadNetwork | None

    def __repr__(self) -> str:
        # whole networks would be printed with every example that fails
        return f"World({'roads' if self.network else 'matrix'})"


@cache
def road_world(seed: int, closures: str) -> World:
    rng = np.random.default_rng(seed)
    network = hard_network(rng, 7)
    posts, places = random_positions(network, rng, N_POSTS), random_positions(network, rng, 12)
    some = [np.flatnonzero(rng.random(network.n_edges) < share).astype(np.int32) for share in (0.15, 0.4)]
    slowdowns = {
        "none": (),
        "some": (
            Slowdown(name="closed", edges=some[0], from_s=900.0, until_s=4_000.0),
            Slowdown(name="slow", edges=some[1], from_s=1_000.0, until_s=2_000.0, factor=0.4),
        ),
        "many": (
            Slowdown(name="closed", edges=some[1], from_s=300.0, until_s=1_500.0),
            Slowdown(name="closed again", edges=some[1], from_s=2_000.0, until_s=5_000.0),
        ),
    }[closures]
    travel: dict[str, TravelTimes] = {
        name: RoadTravel(network, anchors=posts, rules=RULES[name], slowdowns=slowdowns) for name in DRIVING
    }
    calm = RoadTravel(network, rules=RULES["obey_all"])
    return World(posts, travel, places, cover_of(posts, times_between(calm, posts, posts, 12)), network)


@cache
def matrix_world(seed: int) -> World:
    rng = np.random.default_rng([seed, 1])
    n = 5
    times_s = rng.choice([30.0, 60.0, 61.5, 240.0], (n, n)) * rng.choice([1.0, 1.1], (n, n))
    times_s[rng.random((n, n)) < rng.choice([0.0, 0.0, 0.1])] = np.inf
    times_s[rng.random((n, n)) < rng.choice([0.0, 0.3])] = 0.0
    np.fill_diagonal(times_s, rng.choice([0.0, 0.0, 45.0]))
    length_m = np.where(np.isfinite(times_s), np.maximum(times_s * 10, 1.0), 1.0)
    first = MatrixTravel(times_s, length_m, anchors=range(N_POSTS), calm_times_s=times_s * 1.5)
    assert first.anchors is not None
    travel: dict[str, TravelTimes] = {
        "obey_all": first,
        "emergency": MatrixTravel(times_s * 0.8, length_m, anchors=first.anchors),
    }
    between_s = (times_s * 1.5)[:N_POSTS, :N_POSTS]
    return World(first.anchors, travel, first.places(range(n)), cover_of(first.anchors, between_s), None)


def cover_of(posts: Positions, between_s: np.ndarray) -> Cover:
    """As if all demand were at the posts."""
    return Cover(
        time_s=between_s + 30.0,
        limit_s=np.full(len(posts), 180.0),
        weight=np.full(len(posts), 1 / len(posts)),
        between_s=between_s,
    )


@cache
def patrol_of(world: World, post: int, goal: int, again: bool) -> Patrol | None:
    """From a post to a place, where it stops for ten minutes, and back; None where there is no way."""
    travel = world.travel["obey_all"].calm
    ends = [world.posts[post], world.places[goal], world.posts[post]]
    # a second at the post, named as the post is: a route that begins at a junction may name it by the street beyond
    at_post = ends[0].offset_m / travel.length_m[ends[0].edge]
    edge, begin, end, lasts_s = [ends[0].edge], [at_post], [at_post], [1.0]
    for origin, target in pairwise(ends):
        try:
            route = travel.route(origin, target, 3)
        except NoWayError:
            return None
        shares = np.zeros(len(route.edges)), np.ones(len(route.edges))
        shares[0][0], shares[1][-1] = route.begin_share, route.end_share
        edge += route.edges.tolist()
        begin += shares[0].tolist()
        end += shares[1].tolist()
        lasts_s += (2 * (shares[1] - shares[0]) * travel.edge_time_s(3)[route.edges]).tolist()
        if target == ends[1]:
            edge.append(edge[-1])
            begin.append(end[-1])
            end.append(end[-1])
            lasts_s.append(600.0)
    edge, begin, end, lasts_s = [*edge, edge[0]], [*begin, at_post], [*end, at_post], [*lasts_s, 1.0]
    return Patrol(
        name="there and back",
        edge=np.array(edge, np.int32),
        from_share=np.array(begin),
        to_share=np.array(end),
        until_s=np.cumsum(lasts_s),
        again=again,
    )


worlds = st.one_of(
    st.builds(matrix_world, st.integers(0, 20)),
    st.builds(road_world, st.integers(0, 12), st.sampled_from(["none", "some", "many"])),
)
# few distinct values, so that ties are common
incident_st = st.fixed_dictionaries(
    {
        "received_s": st.sampled_from([0.0, 300.0, 1_800.0, 3_600.0]) | st.floats(0, 6_000),
        "place": st.integers(0, 11),
        "priority": st.integers(1, 4),
        "cell": st.integers(-1, 2),
        "desk_s": st.sampled_from([0.0, 60.0]) | st.floats(0, 300),
        "on_scene_s": st.sampled_from([0.0, 40.0, 600.0, 12_000.0]) | st.floats(0, 4_000),
        "units_needed": st.sampled_from([1, 1, 1, 2, 3]),
        "plan": st.sampled_from([0, 0, 0, 1, 2, 3]),
        "backup": st.sampled_from([0, 0, 0, 1, 2]),
        "duplicate_of": st.sampled_from([-1, -1, -1, -1, 0, 1]),
        "false_alarm": st.sampled_from([False, False, False, True]),
        "withdrawn_s": st.sampled_from([np.inf, np.inf, np.inf, 0.0, 90.0, 400.0]),
        "custody_s": st.sampled_from([0.0, 0.0, 0.0, 300.0, 1_200.0]),
    }
)
unit_st = st.fixed_dictionaries(
    {
        "post": st.integers(0, N_POSTS - 1),
        "kind": st.integers(0, 2),
        "shift": st.sampled_from(SHIFTS),
        "meals": st.sampled_from(
            [(), (), (Meal(600.0, 2_400.0, 900.0),), (Meal(0.0, 0.0, 60.0), Meal(3_000.0, 5_000.0, 600.0))]
        ),
        "outages": st.sampled_from([(), (), (Span(1_200.0, 2_100.0),), (Span(0.0, 500.0), Span(3_500.0, 3_700.0))]),
        "beat": st.integers(-1, 1),
        "patrol": st.sampled_from([None, None, (0, True), (5, True), (7, False)]),
        "turn_out_post_s": st.sampled_from([0.0, 30.0, 75.0]),
        "turn_out_mobile_s": st.sampled_from([0.0, 15.0]),
    }
)
rules_st = st.fixed_dictionaries(
    {
        "start": st.sampled_from(STARTS),
        "relief": st.sampled_from(
            [None, *RELIEFS.values(), *(partial(relief, gain=0.0) for relief in RELIEFS.values())]
        ),
        "move_up": st.sampled_from([None, None, *MOVE_UPS]),
        "desks": st.sampled_from([0, 0, 1, 2]),
        "max_hold_s": st.sampled_from([np.inf, np.inf, 0.0, 600.0]),
        "journey_cv": st.sampled_from([0.0, 0.0, 0.3]),
        "move_gap_s": st.sampled_from([0.0, 600.0]),
        "call_up_below": st.sampled_from([0, 1, 3]),
        "call_up_s": st.sampled_from([0.0, 300.0]),
        "seed": st.integers(0, 3),
    }
)


@st.composite
def problems(draw: st.DrawFn, policies: tuple[str, ...] = tuple(POLICIES)) -> Problem:
    """A problem of up to six units and a dozen incidents."""
    world: World = draw(worlds)
    # straight lines need coordinates
    able = [name for name in policies if world.network is not None or name != "straight_line"]
    policy = draw(st.sampled_from(able))
    kinds = draw(st.lists(st.sampled_from(FORCES), min_size=1, max_size=3, unique_by=lambda kind: kind.name))
    units = draw(st.lists(unit_st, min_size=1, max_size=6))
    calls = sorted(draw(st.lists(incident_st, max_size=12)), key=lambda call: call["received_s"])
    rules = draw(rules_st)
    centres = draw(st.lists(st.integers(0, len(world.places) - 1), min_size=1, max_size=2))
    return problem_of(world, kinds, units, calls, centres, {**rules, "policy": POLICIES[policy]})


SLOW_CAR = UnitKind(name="slow_car", speed_factor=0.9)


def quiet(problem: Problem) -> Problem:
    """The same under the policy of the nearest, with units of which any will do and which drive alike, no standby and
    nobody moved."""
    n = len(problem.incidents)
    return replace(
        problem,
        incidents=replace(problem.incidents, plan=np.zeros(n, np.uint8)),
        units=tuple(
            replace(unit, kind=SLOW_CAR if row % 3 == 2 else KINDS["patrol_car"], standby=())
            for row, unit in enumerate(problem.units)
        ),
        plans=(ANYBODY_SWORN,),
        policy=POLICIES["nearest"],
        relief=None,
        move_up=None,
    )


@st.composite
def quiet_problems(draw: st.DrawFn) -> Problem:
    """Mostly what the engine deals with at once, on roads that stay open."""
    world = road_world(draw(st.integers(0, 12)), "none")
    simple = {"units_needed": 1, "backup": 0, "withdrawn_s": np.inf, "custody_s": 0.0, "duplicate_of": -1}
    units = draw(st.lists(unit_st, min_size=1, max_size=6))
    if draw(st.booleans()):
        units = [{**unit, "meals": (), "outages": ()} for unit in units]
    calls = draw(st.lists(st.one_of(incident_st, incident_st.map(lambda call: {**call, **simple})), max_size=16))
    calls.sort(key=lambda call: call["received_s"])
    rules = draw(rules_st) | {"move_up": None, "relief": None, "policy": POLICIES["nearest"]}
    return quiet(problem_of(world, [FORCES[0]], units, calls, [0, 1], rules))


def problem_of(
    world: World,
    kinds: list[UnitKind],
    units: list[dict[str, Any]],
    calls: list[dict[str, Any]],
    centres: list[int],
    rules: dict[str, Any],
) -> Problem:
    name = rules.pop("move_up")
    table = tuple(tuple(range(N_POSTS))[: n % (N_POSTS + 1)] for n in range(len(units) + 1))
    options = {"table": table} if name == "compliance_table" else {}
    return Problem(
        incidents=incidents_of(world, calls),
        units=tuple(
            UnitSpec(
                id=f"U{number}",
                **{
                    **unit,
                    "shift": "",
                    "duty": unit["shift"][0],
                    "standby": unit["shift"][1],
                    "kind": kinds[unit["kind"] % len(kinds)],
                    "patrol": unit["patrol"]
                    and patrol_of(world, unit["post"], unit["patrol"][0] % len(world.places), unit["patrol"][1]),
                },
            )
            for number, unit in enumerate(units)
        ),
        posts=world.posts,
        travel=world.travel,
        plans=PLANS,
        standard=ResponseStandard(),
        horizon_s=HORIZON_S,
        centres=world.places.take(np.array(centres)),
        beats=BEATS,
        cover=world.cover,
        move_up=partial(MOVE_UPS[name], **options) if name else None,
        **rules,
    )


def incidents_of(world: World, calls: list[dict[str, Any]]) -> Incidents:
    def column(name: str, kind: Any) -> np.ndarray:
        return np.array([call[name] for call in calls], kind)

    n = len(calls)
    positions = world.places.take(column("place", np.int64) % len(world.places))
    xy_m = np.zeros((n, 2)) if world.network is None or not n else locate(world.network, positions)
    place_class = np.zeros(n, np.uint8)
    return Incidents(
        received_s=column("received_s", float),
        type=column("priority", np.uint8) % 3,
        priority=column("priority", np.uint8),
        cell=column("cell", np.int32),
        place_class=place_class,
        positions=positions,
        xy_m=xy_m,
        desk_s=column("desk_s", float),
        on_scene_s=column("on_scene_s", float),
        units_needed=column("units_needed", np.uint8),
        limit_s=ResponseStandard().limit_s(place_class),
        plan=column("plan", np.uint8),
        backup=column("backup", np.uint8),
        duplicate_of=np.minimum(column("duplicate_of", np.int32), np.arange(n, dtype=np.int32) - 1),
        false_alarm=column("false_alarm", bool),
        withdrawn_s=column("withdrawn_s", float),
        # who finds nothing takes nobody along
        custody_s=np.where(column("false_alarm", bool), 0.0, column("custody_s", float)),
    )


def drawn(number: int, /, **rules: Any) -> Problem:
    """A problem on a road network by its number, the same in every process: six units, three of which patrol, and forty
    calls that want one or two."""
    rng = np.random.default_rng([number, 135])
    world = road_world(number % 13, "some" if number % 3 == 0 else "none")
    calls = [
        {
            "received_s": received_s,
            "place": int(rng.integers(0, 12)),
            "priority": int(rng.integers(1, 5)),
            "cell": -1,
            "desk_s": float(rng.uniform(0, 60)),
            "on_scene_s": float(rng.choice([20.0, 60.0, 300.0])),
            "units_needed": int(rng.choice([1, 1, 2])),
            "plan": 0,
            "backup": int(rng.random() < 0.1),
            "duplicate_of": -1,
            "false_alarm": bool(rng.random() < 0.1),
            "withdrawn_s": float(rng.choice([np.inf, np.inf, 200.0])),
            "custody_s": float(rng.choice([0.0, 0.0, 0.0, 300.0])),
        }
        for received_s in np.sort(rng.uniform(0, HORIZON_S, 40)).tolist()
    ]
    units = [
        {
            "post": i % N_POSTS,
            "kind": i % 2,
            "shift": SHIFTS[[0, 0, 2, 4][i % 4]],
            "meals": (),
            "outages": (),
            "beat": i % 2,
            "patrol": (int(rng.integers(0, 12)), True) if i % 2 else None,
            "turn_out_post_s": 30.0,
            "turn_out_mobile_s": 15.0,
        }
        for i in range(6)
    ]
    rules = {"start": STARTS[0], "move_up": None, "policy": POLICIES["nearest"], **rules}
    return problem_of(world, [FORCES[0], FORCES[3]], units, calls, [0, 1], rules)
