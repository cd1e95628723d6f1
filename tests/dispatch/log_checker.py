"""Checks a run's log against the problem alone. Shares no code with the engine or the metrics: desks, ways (networkx),
patrols, rosters and every unit's day are worked out anew from the problem's frozen inputs, and compared with what the
log says."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from heapq import heappop, heappush
from types import SimpleNamespace
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
from pandas.api import types
from unit_checks import EPS, FREE, Row, World, check_unit, intersect, place, total, union, without

from dispatch.incidents import IncidentType
from dispatch.log import TABLES, RunLog
from dispatch.problem import Problem
from dispatch.units import Role, UnitSpec
from geodata.sites import PlaceClass

FOLLOW_UP_S = 4 * 3600.0
WHOLE = (
    "incident_id",
    "priority",
    "edge",
    "units_needed",
    "backup",
    "duplicate_of",
    "centre",
    "post",
    "echelon",
    "beat",
)
TEXTS = (
    *("type", "cell", "district", "place_class", "outcome", "first_unit", "unit_id", "called_off", "state", "kind"),
    "shift",
)
MAY_LACK = {
    "incidents": {"ordered_s", "rolling_s", "arrived_s", "present_s", "assembled_s", "cleared_s", "first_unit"}
    | {"duplicate_of"},
    "assignments": {
        "rolling_s",
        "arrived_s",
        "cleared_s",
        "called_off_s",
        "called_off",
        "centre",
        "left_s",
        "handed_s",
    },
    "unit_states": {"incident_id"},
    "units": set(),
}
"""Columns that hold nothing for some rows."""
ALWAYS_SERVE = ("nearest", "straight_line")
"""Policies that hold nobody back."""


def check_log(log: RunLog, problem: Problem) -> None:
    """Raise AssertionError where the log is not a lawful record of the problem."""
    check_tables(log)
    check_roster(log, problem)
    end_s = last_second(log, problem)
    world = World(problem)
    incidents, orders, states = rows_of(log.incidents), rows_of(log.assignments), rows_of(log.unit_states)
    check_desks(incidents, problem)
    units = {unit.id: unit for unit in problem.units}
    assert {row.unit_id for row in (*orders, *states)} <= set(units)
    by_incident = grouped(orders, "incident_id")
    for row in incidents:
        check_incident(row, by_incident.get(row.incident_id, []), units, world, end_s)
    for order in orders:
        check_assignment(order, incidents[order.incident_id], units[order.unit_id], world)
    tell_journeys(states, orders, incidents, problem)
    by_unit, states_of = grouped(orders, "unit_id"), grouped(states, "unit_id")
    for unit in problem.units:
        check_unit(unit, states_of.get(unit.id, []), by_unit.get(unit.id, []), world, end_s)
    if policy_name(problem) in ALWAYS_SERVE:
        check_queue(incidents, by_incident, states_of, world, end_s)


def rows_of(table: pd.DataFrame) -> list[Row]:
    """Rows by name of column; None where whole numbers and texts hold nothing."""
    columns = {
        name: [None if pd.isna(v) else v for v in column] if name in WHOLE + TEXTS else column.tolist()
        for name, column in table.items()
    }
    return [
        SimpleNamespace(**dict(zip(columns, values, strict=True))) for values in zip(*columns.values(), strict=True)
    ]


def grouped(rows: Sequence[Row], column: str) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(getattr(row, column), []).append(row)
    return found


def policy_name(problem: Problem) -> str:
    policy: Any = problem.policy
    return str(getattr(getattr(policy, "func", policy), "__name__", ""))


def check_tables(log: RunLog) -> None:
    for name, columns in TABLES.items():
        table = getattr(log, name)
        assert list(table.columns) == list(columns), name
        for column in columns:
            is_kind = (
                types.is_integer_dtype
                if column in WHOLE
                else types.is_string_dtype
                if column in TEXTS
                else types.is_bool_dtype
                if column == "acts_alone"
                else types.is_float_dtype
            )
            assert is_kind(table[column].dtype), f"{name}.{column} is {table[column].dtype}"
        assert table[[c for c in columns if c not in MAY_LACK[name]]].notna().all().all(), name
    assert log.assignments["ordered_s"].is_monotonic_increasing
    states = log.unit_states
    for _, rows in states.groupby("unit_id"):
        assert rows["start_s"].is_monotonic_increasing


def check_roster(log: RunLog, problem: Problem) -> None:
    """The table of the units says what the roster says."""
    assert log.units["unit_id"].tolist() == [unit.id for unit in problem.units]
    for row, unit in zip(rows_of(log.units), problem.units, strict=True):
        told = row.kind, row.acts_alone, row.echelon, row.shift, row.post, row.beat
        assert told == (
            unit.kind.name, unit.kind.acts_alone, unit.kind.echelon, unit.shift, unit.post, unit.beat
        ), row  # fmt: skip
        duty = [(0.0, math.inf)] if unit.duty is None else unit.duty
        assert abs(row.duty_s - total(intersect(duty, [(0.0, problem.horizon_s)]))) < EPS, row


def last_second(log: RunLog, problem: Problem) -> float:
    """When the run ended: at the horizon, or as soon after as all is over, but not later than the follow-up."""
    cleared_s = log.incidents["cleared_s"]
    if cleared_s.isna().any():
        return problem.horizon_s + FOLLOW_UP_S
    return max(problem.horizon_s, float(cleared_s.max())) if len(cleared_s) else problem.horizon_s


def check_desks(incidents: Sequence[Row], problem: Problem) -> None:
    """Calls are answered in the order received, by the first desk that is free; never more at a time than desks."""
    busy: list[float] = []
    for row in incidents:
        begins_s = row.received_s
        if problem.desks and len(busy) == problem.desks:
            begins_s = max(begins_s, heappop(busy))
        assert abs(row.answered_s - begins_s) < EPS, f"{row}, expected to be answered at {begins_s}"
        assert abs(row.ready_s - row.answered_s - row.desk_s) < EPS, row
        if problem.desks:
            heappush(busy, row.ready_s)
    for a, b in itertools.pairwise(incidents):
        assert a.answered_s <= b.answered_s + EPS, f"{b} is answered before {a}"


def check_incident(row: Row, orders: list[Row], units: dict[str, UnitSpec], world: World, end_s: float) -> None:
    i, given = row.incident_id, world.problem.incidents
    for column in ("received_s", "desk_s", "limit_s", "priority", "units_needed"):
        assert getattr(row, column) == getattr(given, column)[i], f"{row}: {column}"
    assert row.type == IncidentType(given.type[i]).name.lower(), row
    assert row.place_class == PlaceClass(given.place_class[i]).name.lower(), row
    assert (row.cell, row.district) == world.cell_and_district(i), row
    assert (row.x_m, row.y_m) == tuple(given.xy_m[i]), row
    assert place(row) == world.targets[i], row
    assert row.duplicate_of == (None if given.duplicate_of[i] < 0 else given.duplicate_of[i]), row

    arrivals = [order for order in orders if not math.isnan(order.arrived_s)]
    alone = [order for order in arrivals if units[order.unit_id].kind.acts_alone]
    assert_same(row.ordered_s, min((o.ordered_s for o in orders), default=math.nan), row)
    assert_same(row.present_s, min((o.arrived_s for o in arrivals), default=math.nan), row)
    assert_same(row.arrived_s, min((o.arrived_s for o in alone), default=math.nan), row)
    if math.isnan(row.arrived_s):
        assert row.first_unit is None, row
        assert math.isnan(row.rolling_s), row
    else:
        first = [o for o in alone if o.unit_id == row.first_unit and o.arrived_s == row.arrived_s]
        assert first, row
        assert row.rolling_s in [o.rolling_s for o in first], row
    # times are in order, as far as there are any
    times = [row.received_s, row.answered_s, row.ready_s, row.ordered_s, row.rolling_s, row.arrived_s]
    if row.outcome in ("cleared", "false_alarm"):
        times.append(row.cleared_s)
    known = [s for s in times if not math.isnan(s)]
    assert all(a <= b + EPS for a, b in itertools.pairwise(known)), row
    asks_backup = not math.isnan(row.arrived_s) and not given.false_alarm[i]
    assert row.backup == (given.backup[i] if asks_backup else 0), row

    check_outcome(row, orders, alone, world, end_s)
    check_assembled(row, arrivals)
    check_roles(row, orders, units, world)


def assert_same(told: float, expected: float, row: Row) -> None:
    assert (math.isnan(told) and math.isnan(expected)) or told == expected, f"{row}: {told} instead of {expected}"


def check_outcome(row: Row, orders: list[Row], alone: list[Row], world: World, end_s: float) -> None:
    """Each incident ends in exactly one way, and in that way alone in which it may."""
    i, given = row.incident_id, world.problem.incidents
    withdrawn_s = row.received_s + given.withdrawn_s[i]
    served_s = total(union((o.arrived_s, left_scene_s(o, row, end_s)) for o in alone))
    if row.outcome == "open":
        assert math.isnan(row.cleared_s), row
        assert served_s <= given.on_scene_s[i] + EPS, f"{row} is dealt with"
        assert given.duplicate_of[i] < 0 or row.ready_s >= end_s - EPS, f"{row} is recognised"
        assert withdrawn_s >= end_s - EPS or row.present_s <= withdrawn_s + EPS, f"{row} is withdrawn"
        return
    assert row.received_s <= row.cleared_s <= end_s + EPS, row
    assert all(o.cleared_s <= row.cleared_s + EPS for o in orders if not math.isnan(o.called_off_s)), row
    if row.outcome == "withdrawn":
        assert abs(row.cleared_s - withdrawn_s) < EPS, row
        assert not row.present_s < withdrawn_s - EPS, f"{row}: somebody was there"
        assert all(o.called_off is not None for o in orders), row
        return
    assert withdrawn_s >= row.cleared_s - EPS or row.present_s <= withdrawn_s + EPS, f"{row} was withdrawn"
    assert (row.outcome == "duplicate") == (given.duplicate_of[i] >= 0), row
    if row.outcome == "duplicate":
        assert not orders, row
        assert abs(row.cleared_s - row.ready_s) < EPS, row
        return
    assert row.outcome == ("false_alarm" if given.false_alarm[i] else "cleared"), row
    # the work is done while somebody is there who may act alone; interrupted, it goes on when one is there again
    assert abs(served_s - given.on_scene_s[i]) < EPS, f"{row} is served {served_s} s"
    carried = [o for o in orders if not math.isnan(o.left_s) or o.cleared_s > row.cleared_s + EPS]
    if given.custody_s[i] and row.outcome == "cleared":
        others = [o for o in orders if math.isnan(o.cleared_s) or o.cleared_s > row.cleared_s + EPS]
        assert len(carried or others) == 1, f"{row}: who takes the custody? {orders}"
    else:
        assert not carried, row


def left_scene_s(order: Row, incident: Row, end_s: float) -> float:
    """When a unit has no more to do there, be it that it stays for a hand-over."""
    return float(np.nanmin([order.left_s, order.cleared_s, incident.cleared_s, end_s]))


def check_assembled(row: Row, arrivals: list[Row]) -> None:
    """The first moment at which as many are there as were asked for, backup included where it was asked for."""
    changes = [(o.arrived_s, 1) for o in arrivals]
    changes += [(o.called_off_s, -1) for o in arrivals if not math.isnan(o.called_off_s)]
    there, asked_s, assembled = 0, row.arrived_s if row.backup else -math.inf, math.nan
    # of a moment at which some come and others leave rounding has the say
    moments = itertools.groupby(sorted(changes), key=lambda change: change[0])
    most: list[tuple[float, int]] = []
    for at_s, of_moment in moments:
        steps = [step for _, step in of_moment]
        most.append((at_s, there + steps.count(1)))
        there += sum(steps)
    assembled = next((s for s, n in most if s >= asked_s and n >= row.units_needed + row.backup), math.nan)
    assert_same(row.assembled_s, assembled, row)


def fills(unit: UnitSpec, role: Role) -> bool:
    kind = unit.kind
    allowed = not role.kinds or kind.name in role.kinds
    return allowed and (kind.acts_alone or not role.acts_alone) and (role.skill == "" or role.skill in kind.skills)


def roles_at(row: Row, at_s: float, world: World) -> list[Role]:
    """What an incident has asked for up to a second."""
    plan = world.problem.plans[world.problem.incidents.plan[row.incident_id]]
    n = row.units_needed + (row.backup if row.arrived_s <= at_s + EPS else 0)
    return [plan[min(place, len(plan) - 1)] for place in range(n)]


def can_fill(units: Sequence[UnitSpec], roles: Sequence[Role]) -> bool:
    """Whether each of the units can have a role of its own."""
    graph = nx.Graph()
    left = [("unit", u) for u in range(len(units))]
    graph.add_nodes_from(left)
    graph.add_nodes_from(("role", r) for r in range(len(roles)))
    graph.add_edges_from(
        (("unit", u), ("role", r)) for u, unit in enumerate(units) for r, role in enumerate(roles) if fills(unit, role)
    )
    return len(nx.bipartite.maximum_matching(graph, top_nodes=left)) == 2 * len(units)


def with_incident(orders: Sequence[Row], at_s: float, ordered: bool = True) -> list[Row]:
    """The assignments that hold at a second: ordered, and not free yet."""
    return [
        o
        for o in orders
        if (o.ordered_s <= at_s if ordered else o.ordered_s < at_s - EPS)
        and not o.cleared_s <= at_s + (EPS if ordered else 0.0)
    ]


def check_roles(row: Row, orders: list[Row], units: dict[str, UnitSpec], world: World) -> None:
    """Whoever is sent has a role that no other has; but a plan by tiers may send some in addition."""
    if policy_name(world.problem) == "echelon":
        return
    for order in orders:
        at_s = order.ordered_s
        team = [units[o.unit_id] for o in with_incident(orders, at_s)]
        assert can_fill(team, roles_at(row, at_s, world)), f"{row}: {[u.id for u in team]} at {at_s}"


def check_assignment(order: Row, incident: Row, unit: UnitSpec, world: World) -> None:
    i, given = order.incident_id, world.problem.incidents
    told = f"{order} of {incident}"
    steps = [order.ordered_s, order.rolling_s, order.arrived_s, order.left_s, order.handed_s, order.cleared_s]
    known = [s for s in steps if not math.isnan(s)]
    assert all(a <= b + EPS for a, b in itertools.pairwise(known)), told
    assert order.ordered_s >= incident.ready_s - EPS, told
    assert not order.ordered_s > incident.cleared_s + EPS, told
    assert math.isnan(order.arrived_s) or not math.isnan(order.rolling_s), told
    assert math.isnan(order.handed_s) or not math.isnan(order.left_s), told
    assert (order.centre is None) == math.isnan(order.left_s), told
    assert (order.called_off is None) == math.isnan(order.called_off_s), told
    if order.called_off is None:
        if not math.isnan(order.cleared_s):
            assert not math.isnan(order.arrived_s), told
            handed_s = order.cleared_s - given.custody_s[i]
            if order.centre is not None:
                # it may be handed over under way where every way is closed by then
                assert abs(order.handed_s - handed_s) < EPS or (math.isnan(order.handed_s) and not world.open), told
            else:
                at_scene = abs(handed_s - incident.cleared_s) < EPS and given.custody_s[i] > 0
                assert abs(order.cleared_s - incident.cleared_s) < EPS or at_scene, told
    else:
        assert order.called_off_s == order.cleared_s, told
        on_scene = not math.isnan(order.arrived_s)
        assert order.called_off in (
            ("preempted",) if on_scene else ("cleared", "withdrawn", "preempted", "relieved", "no_way")
        ), told
        over = {"cleared": ("cleared", "false_alarm"), "withdrawn": ("withdrawn",)}.get(order.called_off)
        if over:
            assert incident.outcome in over, told
            assert abs(order.called_off_s - incident.cleared_s) < EPS, told
    if order.centre is not None:
        assert abs(order.left_s - incident.cleared_s) < EPS, told
        ways, scene = world.ways(unit, calm=True), world.targets[i]
        by_moment = [
            [ways.seconds(scene, centre, moment) for centre in world.centres]
            for moment in world.moments(unit, order.left_s, calm=True)
        ]
        assert any(s[order.centre] <= min(s) + EPS for s in by_moment), f"{told}: {by_moment} to the centres"


def tell_journeys(states: Sequence[Row], orders: Sequence[Row], incidents: Sequence[Row], problem: Problem) -> None:
    """Add to the rows under way to an incident when their journey was timed, and whether it ends there; to the
    assignments when the hand-over began, at a centre, or before where no way leads to any."""
    for order in orders:
        over_s = incidents[order.incident_id].cleared_s
        order.hands_over_s = order.handed_s
        if order.called_off is None and math.isnan(order.handed_s) and not order.cleared_s <= over_s + EPS:
            under_way = order.centre is not None
            order.hands_over_s = (
                order.cleared_s - problem.incidents.custody_s[order.incident_id] if under_way else over_s
            )
    by_start = {(o.unit_id, o.incident_id, o.rolling_s): o for o in orders}
    arrivals = {(o.unit_id, o.incident_id, o.arrived_s) for o in orders}
    for row in states:
        if row.state == "travelling":
            order = by_start.get((row.unit_id, row.incident_id, row.start_s))
            # one who finds his way closed drives on from the next corner, by a way timed then
            row.timed_s = row.start_s if order is None else order.ordered_s
            row.arrives = (row.unit_id, row.incident_id, row.end_s) in arrivals


def check_queue(
    incidents: Sequence[Row],
    by_incident: dict[int, list[Row]],
    states_of: dict[str, list[Row]],
    world: World,
    end_s: float,
) -> None:
    """Nobody waits while a unit could be sent, and whoever is served is the most urgent, then the oldest."""
    problem = world.problem
    units = {unit.id: unit for unit in problem.units}

    def lacks(row: Row, unit: UnitSpec, at_s: float) -> bool:
        """Whether an incident waits, strictly before and after a second, for such a unit that can come."""
        over_s = math.inf if math.isnan(row.cleared_s) else row.cleared_s
        if not row.ready_s + EPS < at_s < over_s - EPS:
            return False
        orders = by_incident.get(row.incident_id, [])
        team = [units[o.unit_id] for o in orders if o.ordered_s <= at_s + EPS and not o.cleared_s < at_s - EPS]
        roles = roles_at(row, at_s - 2 * EPS, world)
        # which roles are open cannot be told where one unit might have another's: count who can fill any
        return len(team) < len(roles) and all(fills(unit, role) for role in roles)

    def rank(row: Row, at_s: float) -> tuple[float, float, int]:
        overdue = at_s >= row.ready_s + problem.max_hold_s
        return 0 if overdue else row.priority, row.ready_s, row.incident_id

    def reaches(unit: UnitSpec, here: Any, row: Row, at_s: float) -> bool:
        ways = world.ways(unit, calm=False)
        return all(ways.seconds(here, world.targets[row.incident_id], m) < math.inf for m in world.moments(unit, at_s))

    for row in incidents:
        for order in by_incident.get(row.incident_id, []):
            unit, at_s = units[order.unit_id], order.ordered_s
            if any(abs(at_s - other.ready_s - problem.max_hold_s) < EPS for other in incidents):
                continue
            eats = any(meal.earliest_s - EPS <= at_s <= meal.latest_s + meal.length_s + EPS for meal in unit.meals)
            for other in incidents:
                if eats and row.priority == 1 < other.priority:
                    # its meal is interrupted by nothing less
                    continue
                if rank(other, at_s) < rank(row, at_s) and lacks(other, unit, at_s):
                    assert not reaches(unit, place(order), other, at_s), f"{order} goes before {other}"
    for unit in problem.units:
        duties = unit.duty or ()
        duty = union(unit.duty if unit.duty is not None else [(0.0, math.inf)])
        for state in states_of.get(unit.id, []):
            # a shift begins when the crew is home from the last, and an outage does not end before
            late = any(
                a - EPS <= state.start_s <= b + EPS for a, b in (*unit.outages, *((s.begin_s,) * 2 for s in duties))
            ) or any(state.start_s < s.begin_s < state.end_s for s in duties)
            if (
                state.state not in (*FREE, "returning")
                or state.state == "meal"
                or (state.state == "returning" and late)
            ):
                continue
            for begin, end in without(intersect([(state.start_s, state.end_s)], duty), unit.outages):
                for row in incidents:
                    for at_s in moments_between(row, by_incident.get(row.incident_id, []), begin, min(end, end_s)):
                        # from where a unit in motion is, there may be no way
                        comes = world.open or (state.state == "idle" and reaches(unit, place(state), row, at_s))
                        assert not (comes and lacks(row, unit, at_s)), f"{state} could go to {row} at {at_s}"


def moments_between(row: Row, orders: Sequence[Row], begin: float, end: float) -> list[float]:
    """A second in each span between the changes of an incident's team."""
    changes = [row.ready_s, row.arrived_s, *(s for o in orders for s in (o.ordered_s, o.cleared_s))]
    cuts = sorted({begin, end, *(s for s in changes if begin < s < end)})
    return [(a + b) / 2 for a, b in itertools.pairwise(cuts) if b - a > 4 * EPS]


def describe(log: RunLog) -> dict[str, bool]:
    """Which rare things a run holds, to see that the examples reach them."""
    a, i, s = log.assignments, log.incidents, log.unit_states
    several = a.groupby("incident_id")["arrived_s"].count() > 1
    seen = {
        "under way when called off": bool((a["called_off_s"].notna() & a["rolling_s"].notna()).any()),
        "never ordered": bool(i["ordered_s"].isna().any()),
        "never reached": bool((i["ordered_s"].notna() & i["arrived_s"].isna()).any()),
        "waited": bool((i["ordered_s"] > i["ready_s"] + EPS).any()),
        "waited for a desk": bool((i["answered_s"] > i["received_s"] + EPS).any()),
        "several units": bool(several.any()),
        "assembled later": bool((i["assembled_s"] > i["arrived_s"]).any()),
        "custody": bool(a["centre"].notna().any()),
    }
    seen |= {f"called off: {why}": bool((a["called_off"] == why).any()) for why in a["called_off"].dropna().unique()}
    seen |= {f"outcome: {outcome}": True for outcome in i["outcome"].unique()}
    return seen | {f"state: {state}": True for state in s["state"].unique()}
