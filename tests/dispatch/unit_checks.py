"""Checks of what each unit did in a run: where it was, how fast it went there, and whether it might."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from ways import MatrixWays, Place, Ways, ways_of

from dispatch.patrol import Patrol
from dispatch.problem import Problem
from dispatch.units import UnitSpec
from geodata.grid import Level
from geodata.matrix import MatrixTravel
from geodata.network import Floats

EPS = 1e-5
"""Seconds: far above rounding, far below anything that happens."""
ENGAGED = ("turn_out", "travelling", "on_scene", "transporting", "handing_over")
MOVING = ("travelling", "returning", "moving_up", "transporting")
FREE = ("idle", "patrolling", "moving_up", "meal")

Row = Any
Interval = tuple[float, float]


class World:
    """What the checks ask of a problem's frozen inputs, worked out anew."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._ways: dict[int, Ways] = {}
        midnight = problem.start.replace(hour=0, minute=0, second=0, microsecond=0)
        self.monday_s = problem.start.weekday() * 86_400 + (problem.start - midnight).total_seconds()
        self.posts = [Place(*position) for position in problem.posts]
        self.targets = [Place(*position) for position in problem.incidents.positions]
        self.centres = [Place(*position) for position in problem.centres or ()]
        travel = problem.travel[problem.units[0].kind.driving]
        self.length_m = travel.length_m

        self.open = all(_always_open(travel) for travel in problem.travel.values())
        """Everybody can always go everywhere."""

    def cell_and_district(self, incident: int) -> tuple[str, str]:
        """Code and name in the table of the incidents; empty outside the grid, and without one."""
        cell, grid = int(self.problem.incidents.cell[incident]), self.problem.grid
        if grid is None or cell < 0:
            return "", ""
        return str(grid.codes[cell]), str(grid.ancestor(Level.DISTRICT)[cell])

    def travel(self, unit: UnitSpec, *, calm: bool) -> Any:
        travel = self.problem.travel[unit.kind.driving]
        return travel.calm if calm else travel

    def ways(self, unit: UnitSpec, *, calm: bool) -> Ways:
        travel = self.travel(unit, calm=calm)
        if id(travel) not in self._ways:
            self._ways[id(travel)] = ways_of(travel)
        return self._ways[id(travel)]

    def moments(self, unit: UnitSpec, at_s: float, *, calm: bool = False) -> set[int]:
        """The moments that a second may belong to: at the very change of one, rounding decides."""
        travel = self.travel(unit, calm=calm)
        near = (at_s - EPS, at_s, at_s + EPS)
        return {travel.moment(int((self.monday_s + s) // 3600) % 168, s) for s in near}

    def in_no_time(self, unit: UnitSpec, origin: Place, target: Place, at_s: float) -> bool:
        """Whether a unit may come from one place to another within an instant: it is there, or over places between
        which it takes no time, as a state of no length leaves no row."""
        stops = [target, *self.posts, *self.centres, *self.targets]
        reached, ends = [origin], [origin]
        while ends:
            here = ends.pop()
            if same(self, unit, here, target):
                return True
            for stop in stops:
                near = any(
                    self.ways(unit, calm=calm).seconds(here, stop, moment) <= EPS
                    for calm in (True, False)
                    for moment in self.moments(unit, at_s, calm=calm)
                )
                if near and stop not in reached:
                    reached.append(stop)
                    ends.append(stop)
        return False


def _always_open(travel: Any) -> bool:
    if isinstance(travel, MatrixTravel):
        return all(np.isfinite(travel.edge_time_s(hour)).all() for hour in range(168))
    return not len(travel.changes_s)


def check_unit(unit: UnitSpec, states: Sequence[Row], orders: Sequence[Row], world: World, end_s: float) -> None:
    """One unit through the whole run; rows in the order of time."""
    duty = [tuple(span) for span in (unit.duty if unit.duty is not None else ((0.0, math.inf),))]
    may_serve = duty + [tuple(span) for span in unit.standby]
    for row in states:
        check_row(unit, row, world, end_s)
    for a, b in pairwise(states):
        check_succession(unit, a, b, world)
    if states:
        began = world.in_no_time(unit, world.posts[unit.post], place(states[0]), states[0].start_s)
        assert began, f"{unit.id} begins away from its post: {states[0]}"
        if states[-1].end_s < end_s - EPS:
            goes_home = states[-1].state == "returning"
            check_leads_to(unit, states[-1], world.posts[unit.post], world, arrives=goes_home)
    check_on_duty(unit, states, duty, may_serve, end_s)
    check_meals(unit, states, orders, world, [*may_serve, *unit.outages], end_s)
    check_engagements(unit, states, orders, end_s)
    check_orders(unit, states, orders, may_serve, world, end_s)


def place(row: Row) -> Place:
    return Place(int(row.edge), float(row.offset_m))


def same(world: World, unit: UnitSpec, a: Place, b: Place) -> bool:
    return world.ways(unit, calm=False).same(a, b)


def check_row(unit: UnitSpec, row: Row, world: World, end_s: float) -> None:
    told, here = f"{unit.id}: {row}", place(row)
    assert row.state in (*ENGAGED, *MOVING, *FREE, "out_of_service"), told
    assert 0 <= row.start_s < row.end_s <= end_s + EPS, told
    assert row.post == -1 or row.state in ("idle", "returning", "moving_up", "out_of_service"), told
    assert (row.incident_id is not None) == (row.state in ENGAGED), told
    assert 0 <= row.offset_m <= world.length_m[row.edge] + 1e-6, told
    if row.state not in MOVING:
        assert row.pace == 1, told
    if row.state != "patrolling":
        assert row.phase_s == 0, told
    if row.state == "idle" and row.post >= 0:
        assert same(world, unit, here, world.posts[row.post]), told
    elif row.state == "out_of_service":
        assert row.post == unit.post, told
        assert same(world, unit, here, world.posts[unit.post]), told
        assert any(a - EPS <= row.start_s and row.end_s <= b + EPS for a, b in unit.outages), told
    elif row.state == "on_scene":
        assert same(world, unit, here, world.targets[row.incident_id]), told
    elif row.state == "patrolling":
        assert unit.patrol is not None, told
        where = on_patrol(unit.patrol, row.phase_s, world.length_m)
        assert world.in_no_time(unit, here, where, row.start_s), f"{told}, expected at {where}"
        assert unit.patrol.again or row.phase_s + row.end_s - row.start_s <= unit.patrol.until_s[-1] + EPS, told
    elif row.state == "travelling":
        expected = 1 / unit.kind.speed_factor
        assert row.pace > 0 if world.problem.journey_cv else abs(row.pace - expected) < 1e-12, told
    elif row.state in MOVING:
        assert row.pace == 1, told


def on_patrol(patrol: Patrol, phase_s: float, length_m: Floats) -> Place:
    """Where the patrol's timeline is at a phase."""
    whole_s = float(patrol.until_s[-1])
    phase_s = phase_s % whole_s if patrol.again else min(phase_s, whole_s)
    begin_s = 0.0
    for edge, begin, end, until_s in zip(
        patrol.edge.tolist(), patrol.from_share, patrol.to_share, patrol.until_s.tolist(), strict=True
    ):
        if phase_s < until_s:
            share = begin + (end - begin) * (phase_s - begin_s) / (until_s - begin_s)
            return Place(edge, float(share * length_m[edge]))
        begin_s = until_s
    edge = int(patrol.edge[-1])
    return Place(edge, float(patrol.to_share[-1] * length_m[edge]))


def check_succession(unit: UnitSpec, a: Row, b: Row, world: World) -> None:
    """A state begins when and where the one before ended; after time off at home."""
    told = f"{unit.id}: {a}, then {b}"
    assert a.end_s <= b.start_s, told
    if b.start_s > a.end_s:
        check_leads_to(unit, a, world.posts[unit.post], world, arrives=a.state == "returning")
        assert world.in_no_time(unit, world.posts[unit.post], place(b), b.start_s), told
        return
    at_post = b.state in ("idle", "out_of_service") and b.post >= 0
    if a.state in ("returning", "moving_up") and at_post and a.post >= 0 and a.post != b.post:
        check_diverted(unit, a, b, world)
        return
    stands_by = b.state in ("patrolling", "out_of_service") or (b.state == "idle" and b.post >= 0)
    arrives = row_arrives(a) or (a.state in ("returning", "moving_up") and stands_by)
    check_leads_to(unit, a, place(b), world, arrives=arrives)
    if a.state in ("returning", "moving_up") and b.state in ("idle", "out_of_service") and b.post >= 0:
        assert a.post == b.post, told
    if a.state in ("returning", "moving_up") and b.state == "patrolling":
        # back to its round, or home at the beginning of a shift
        assert a.post in (-1, unit.post), told
    new_shift = any(abs(span.begin_s - b.start_s) < EPS for span in (*(unit.duty or ()), *unit.standby))
    if a.state == "patrolling" == b.state and not new_shift:
        assert abs(a.phase_s + a.end_s - a.start_s - b.phase_s) < EPS, told


def check_diverted(unit: UnitSpec, a: Row, b: Row, world: World) -> None:
    """A unit on its way to a post was moved to another one, where it was at once: the move left no row."""
    here, goal, lasts_s = place(a), world.posts[a.post], a.end_s - a.start_s
    ways = world.ways(unit, calm=True)
    found = []
    for moment in world.moments(unit, a.start_s, calm=True):
        whole_s = ways.seconds(here, goal, moment)
        i, j = here.edge, goal.edge
        if isinstance(ways, MatrixWays) and i % (ways.n + 1) == j % (ways.n + 1) == 0 and lasts_s <= whole_s + EPS:
            edge = i // (ways.n + 1) * ways.n + j // (ways.n + 1)
            share = min(lasts_s / whole_s, 1.0) if whole_s else 1.0
            found.append(world.in_no_time(unit, Place(edge, share * ways.length_m[edge]), place(b), a.end_s))
        else:
            found.append(ways.seconds(here, place(b), moment) <= lasts_s + EPS)
    assert any(found), f"{unit.id}: {a}, then at once {b}"


def timed_in(unit: UnitSpec, row: Row, world: World, *, calm: bool) -> set[int]:
    """The moments in which a journey may have been timed: when it was ordered, when a closure met it before it set off,
    and where it begins anew."""
    if calm:
        return world.moments(unit, row.start_s, calm=True)
    changes = [s for s in world.travel(unit, calm=False).changes_s if row.timed_s < s <= row.start_s]
    return {moment for s in (row.timed_s, *changes) for moment in world.moments(unit, s)}


def row_arrives(row: Row) -> bool:
    return bool(getattr(row, "arrives", False))


def check_leads_to(unit: UnitSpec, row: Row, goal: Place, world: World, *, arrives: bool) -> None:
    """A unit that does what the row says is at a place when it ends: no sooner than its roads allow, and no later.

    `arrives`: where it was going; otherwise something came between.
    """
    told, here = f"{unit.id}: {row} leads to {goal}", place(row)
    lasts_s = row.end_s - row.start_s
    calm = row.state != "travelling"
    ways = world.ways(unit, calm=calm)
    if row_arrives(row) and goal != (scene := world.targets[row.incident_id]):
        check_leads_to(unit, row, scene, world, arrives=True)
        assert world.in_no_time(unit, scene, goal, row.end_s), f"{told} from {scene}"
        return
    post = world.posts[row.post] if row.state in MOVING and row.post >= 0 else goal
    if post != goal and world.in_no_time(unit, post, goal, row.end_s):
        # it may have been through there, where it had nothing to do for any time
        found = [ways.seconds(here, post, m) for m in world.moments(unit, row.start_s, calm=calm)]
        if any(abs(seconds - lasts_s) <= EPS for seconds in found):
            return
    if row.state in MOVING:
        found = [row.pace * ways.seconds(here, goal, m) for m in timed_in(unit, row, world, calm=calm)]
        slack_s = EPS * (1 + row.pace)
        if not arrives and ways.same(here, goal):
            # called off where it stands, though to stay within its place would have taken its time
            return
        assert any(seconds <= lasts_s + slack_s for seconds in found), f"{told}: takes {found}"
        if ways.prefix_is_quickest or arrives:
            assert any(abs(seconds - lasts_s) <= slack_s for seconds in found), f"{told}: takes {found}"
        return
    where = on_patrol(unit.patrol, row.phase_s + lasts_s, world.length_m) if row.state == "patrolling" else here
    assert world.in_no_time(unit, where, goal, row.end_s), f"{told}, from {where}"


def check_on_duty(unit: UnitSpec, states: Sequence[Row], duty: list[Any], may_serve: list[Any], end_s: float) -> None:
    """On duty all the time, free off duty never; what runs over its end is what was begun, or the way home."""
    covered = union((row.start_s, row.end_s) for row in states)
    for begin, end in intersect(duty, [(0.0, end_s)]):
        # who is late home from the last span begins the next when he is back; that too is a state
        missing = without([(begin, end)], covered)
        assert total(missing) < EPS, f"{unit.id}: nothing told of {missing}"
    out = union(tuple(span) for span in unit.outages)
    for row in states:
        if row.state in FREE and not (row.state == "idle" and row.post < 0):
            beyond = without([(row.start_s, row.end_s)], union(may_serve))
            assert total(beyond) < EPS, f"{unit.id}: {row} off duty"
            overlap = intersect([(row.start_s, row.end_s)], out)
            assert total(overlap) < EPS, f"{unit.id}: {row} out of service"


def check_meals(
    unit: UnitSpec, states: Sequence[Row], orders: Sequence[Row], world: World, spans: list[Any], end_s: float
) -> None:
    """Each within its window and once; shorter only for what is most urgent, or at the end of duty, service or run."""
    urgent = [row.ordered_s for row in orders if world.problem.incidents.priority[row.incident_id] == 1]
    ends = [*urgent, end_s, *(s for span in spans for s in span)]
    left = list(unit.meals)
    for row in states:
        if row.state != "meal":
            continue
        meal = next((m for m in left if m.earliest_s - EPS <= row.start_s <= m.latest_s + EPS), None)
        assert meal is not None, f"{unit.id}: {row}, expected within one of {left}"
        left.remove(meal)
        lasts_s = row.end_s - row.start_s
        assert lasts_s <= meal.length_s + EPS, f"{unit.id}: {row} of {meal}"
        if lasts_s < meal.length_s - EPS:
            assert any(abs(row.end_s - s) < EPS for s in ends), f"{unit.id}: {row} of {meal} ends too soon"


def check_engagements(unit: UnitSpec, states: Sequence[Row], orders: Sequence[Row], end_s: float) -> None:
    """The states of a unit that is with an incident are those of its assignments, one after the other."""
    expected = [step for order in orders for step in steps_of(order, end_s)]
    told = [(row.state, row.incident_id, row.start_s, row.end_s) for row in states if row.state in ENGAGED]
    expected, told = joined(expected), joined(told)
    assert len(told) == len(expected), f"{unit.id}: {told} instead of {expected}"
    for a, b in zip(told, expected, strict=True):
        assert a[:2] == b[:2], f"{unit.id}: {a} instead of {b}"
        assert abs(a[2] - b[2]) < EPS, f"{unit.id}: {a} instead of {b}"
        assert abs(a[3] - b[3]) < EPS, f"{unit.id}: {a} instead of {b}"


def steps_of(order: Row, end_s: float) -> Iterable[tuple[str, int, float, float]]:
    """The states of an assignment, from the seconds that it tells."""
    begins = [
        ("turn_out", order.ordered_s),
        ("travelling", order.rolling_s),
        ("on_scene", order.arrived_s),
        ("transporting", order.left_s),
        ("handing_over", order.hands_over_s),
    ]
    begins = [(state, s) for state, s in begins if not math.isnan(s)]
    ends = [s for _, s in begins[1:]] + [end_s if math.isnan(order.cleared_s) else order.cleared_s]
    for (state, begin), end in zip(begins, ends, strict=True):
        yield state, order.incident_id, begin, end


def joined(steps: Iterable[tuple[str, int, float, float]]) -> list[tuple[str, int, float, float]]:
    """Without those of no length; neighbours of one state and incident are one."""
    found: list[tuple[str, int, float, float]] = []
    for step in steps:
        if step[3] - step[2] <= EPS:
            continue
        if found and found[-1][:2] == step[:2] and step[2] - found[-1][3] < EPS:
            found[-1] = (*step[:2], found[-1][2], step[3])
        else:
            found.append(step)
    return found


def check_orders(
    unit: UnitSpec, states: Sequence[Row], orders: Sequence[Row], may_serve: list[Any], world: World, end_s: float
) -> None:
    """Each order met a unit that might be sent, and tells where it was, how far it had to go and when it would come."""
    free_s, former = -math.inf, None
    for order in orders:
        told, at_s = f"{unit.id}: {order}", order.ordered_s
        again = former is not None and abs(at_s - free_s) < EPS
        here, goal = place(order), world.targets[order.incident_id]
        assert at_s >= free_s - EPS, f"{told} while it is engaged"
        free_s = math.inf if math.isnan(order.cleared_s) else order.cleared_s
        assert any(a - EPS <= at_s <= b + EPS for a, b in may_serve), f"{told} off duty"
        # an outage waits until the unit is free, which one called off for something more urgent is not
        taken = again and former.called_off == "preempted"
        assert taken or not any(a + EPS < at_s < b - EPS for a, b in unit.outages), f"{told} out of service"
        before = next((row for row in reversed(states) if row.start_s < at_s - EPS), None)
        if before is not None:
            assert before.end_s >= at_s - EPS or same(world, unit, here, world.posts[unit.post]), told
        after = next((row for row in states if row.end_s > at_s + EPS), None)
        if after is not None and after.start_s <= at_s + EPS:
            check_stands(unit, here, after, world, told)
        ways, moments = world.ways(unit, calm=False), world.moments(unit, at_s)
        # one who is called off in his turn-out may be on the move or at his post
        turn_outs = (
            {unit.turn_out_post_s, unit.turn_out_mobile_s} if again else turn_outs_of(unit, before, order, world)
        )
        slowness = 1 / unit.kind.speed_factor
        expected = [t + slowness * ways.seconds(here, goal, m) for t in turn_outs for m in moments]
        assert any(abs(order.expected_s - s) < EPS for s in expected), f"{told}, expected in {expected}"
        lengths = [ways.metres(here, goal, m) for m in moments if ways.seconds(here, goal, m) < math.inf]
        assert any(low - 0.01 <= order.travel_m <= high + 0.01 for low, high in lengths), f"{told}, {lengths}"
        stopped_s = end_s if math.isnan(order.cleared_s) else order.cleared_s
        check_preempted(former, order, again, world, told)
        former = order
        if math.isnan(order.rolling_s):
            assert at_s + max(turn_outs) >= stopped_s - EPS, told
        else:
            assert any(abs(order.rolling_s - at_s - t) < EPS for t in turn_outs), f"{told}, turns out in {turn_outs}"


def check_preempted(former: Row | None, order: Row, again: bool, world: World, told: str) -> None:
    """Whoever was called off for something more urgent goes there at once; from a scene only to what is most urgent."""
    if former is None or former.called_off != "preempted":
        return
    priority = world.problem.incidents.priority
    assert again, f"{former} is preempted by nothing"
    assert priority[order.incident_id] < priority[former.incident_id], f"{told} preempts {former}"
    assert math.isnan(former.arrived_s) or priority[order.incident_id] == 1, f"{told} preempts {former}"


def check_stands(unit: UnitSpec, here: Place, after: Row, world: World, told: str) -> None:
    """A unit is where it was ordered when it turns out, unless it has been through its next steps in no time."""
    assert world.in_no_time(unit, here, place(after), after.start_s), f"{told}, {after}"


def turn_outs_of(unit: UnitSpec, before: Row | None, order: Row, world: World) -> set[float]:
    """How long the unit may take before it rolls: at a post, on the move, either where that cannot be told."""
    either = {unit.turn_out_post_s, unit.turn_out_mobile_s}
    if before is None or before.end_s < order.ordered_s - EPS:
        return either
    changes = [s for span in (*(unit.duty or ()), *unit.standby) for s in span]
    if world.problem.move_up is not None or any(abs(s - order.ordered_s) < EPS for s in changes):
        # it may have been told to move, or home and back on duty, at this very moment
        return either
    if before.state == "idle":
        return {unit.turn_out_post_s} if before.post >= 0 else {unit.turn_out_mobile_s}
    if before.state == "patrolling":
        # a patrol may be through at this very moment
        return {unit.turn_out_mobile_s} if unit.patrol is not None and unit.patrol.again else either
    if before.state in ("returning", "moving_up"):
        arrived = before.post >= 0 and same(world, unit, place(order), world.posts[before.post])
        return either if arrived else {unit.turn_out_mobile_s}
    return {unit.turn_out_mobile_s} if before.state in ("travelling", "on_scene", "handing_over") else either


def union(spans: Iterable[Any]) -> list[Interval]:
    found: list[Interval] = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


def intersect(spans: Iterable[Any], others: Iterable[Any]) -> list[Interval]:
    both = [(max(a, c), min(b, d)) for a, b in spans for c, d in others]
    return [(a, b) for a, b in both if a < b]


def without(spans: Iterable[Any], holes: Iterable[Any]) -> list[Interval]:
    left = [tuple(span) for span in spans]
    for low, high in holes:
        left = [piece for a, b in left for piece in ((a, min(b, low)), (max(a, high), b)) if piece[0] < piece[1]]
    return left


def total(spans: Iterable[Interval]) -> float:
    return float(np.sum([b - a for a, b in spans]))
