"""Positions rebuilt from the log are those that the engine had."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from eventful import HORIZON_S, eventful
from made_logs import made, order, states, unit

from dispatch.engine import simulate
from dispatch.log import RunLog
from dispatch.problem import Problem
from dispatch.units import Span, UnitSpec, UnitState
from dispatch.whereabouts import MOVING, NOWHERE, OFF_DUTY, Whereabouts, driven, engaged_with
from geodata.city import City
from geodata.network import Floats
from geodata.positions import Position, Positions, locate

NEAR_M = 0.01
Locate = Callable[[Sequence[Position]], Floats]


@pytest.fixture(scope="module")
def problem(small_city: City) -> Problem:
    return eventful(small_city)


@pytest.fixture(scope="module")
def log(problem: Problem) -> RunLog:
    return simulate(problem)


@pytest.fixture(scope="module")
def at(problem: Problem, log: RunLog) -> Whereabouts:
    return Whereabouts(problem, log)


@pytest.fixture(scope="module")
def xy_m(small_city: City) -> Locate:
    def of(places: Sequence[Position]) -> Floats:
        edges, offsets = np.array([p.edge for p in places], np.int32), np.array([p.offset_m for p in places])
        return locate(small_city.network, Positions(edges, offsets))

    return of


def told(at: Whereabouts, row: int) -> Position:
    return Position(int(at.edge[row]), float(at.offset_m[row]))


def test_the_run_holds_what_the_rebuilding_is_about(at: Whereabouts, log: RunLog) -> None:
    counts = {state: int((at.state == state).sum()) for state in UnitState if state is not UnitState.MOVING_UP}
    assert min(counts.values()) >= 3
    assert {"preempted", "withdrawn", "cleared"} <= set(log.assignments["called_off"].dropna())
    # journeys that found a closure ahead of them and took another way
    again = (at.state[1:] == UnitState.TRAVELLING) & (at.state[:-1] == UnitState.TRAVELLING)
    assert again.sum() >= 3


def test_each_state_begins_where_the_log_says(at: Whereabouts, xy_m: Locate) -> None:
    rows = range(len(at.state))
    found = xy_m([at.position_in(row, at.start_s[row]) for row in rows])
    assert np.hypot(*(found - xy_m([told(at, row) for row in rows])).T).max() < NEAR_M


def test_each_state_ends_where_the_next_begins(at: Whereabouts, xy_m: Locate) -> None:
    """So the rebuilt routes, with closures, luck and patrols taken up again, are those that were driven."""
    rows = [row for row in range(1, len(at.state)) if at.before(row) != NOWHERE]
    assert sum(at.state[row - 1] in (*MOVING, UnitState.PATROLLING) for row in rows) > 300
    found = xy_m([at.position_in(row - 1, at.end_s[row - 1]) for row in rows])
    off_m = np.hypot(*(found - xy_m([told(at, row) for row in rows])).T)
    steps = [f"{UnitState(int(at.state[row - 1])).label} > {UnitState(int(at.state[row])).label}" for row in rows]
    assert not [(step, round(m)) for step, m in zip(steps, off_m, strict=True) if m >= NEAR_M]


def test_the_position_at_an_order_is_that_of_the_assignments(at: Whereabouts, log: RunLog, xy_m: Locate) -> None:
    sent = log.assignments
    units = sent["unit_id"].map(at.number)
    found = [at.position(u, s) for u, s in zip(units, sent["ordered_s"], strict=True)]
    was = [Position(int(e), float(m)) for e, m in zip(sent["edge"], sent["offset_m"], strict=True)]
    assert np.hypot(*(xy_m(found) - xy_m(was)).T).max() < NEAR_M


def test_the_picture_shows_every_unit_where_it_is(at: Whereabouts, xy_m: Locate) -> None:
    for at_s in np.linspace(600.0, HORIZON_S - 1.0, 41):
        picture = at.picture(at_s)
        on = np.flatnonzero(picture.state != OFF_DUTY)
        alone = [at.position(unit, at_s) for unit in on.tolist()]
        assert np.hypot(*(xy_m(alone) - xy_m(list(picture.positions.take(on)))).T).max() < NEAR_M
        off = np.flatnonzero(picture.state == OFF_DUTY)
        assert all(at.position(unit, at_s) is None for unit in off.tolist())
        homes = [at.problem.posts[at.problem.units[unit].post] for unit in off.tolist()]
        assert list(picture.positions.take(off)) == homes


def test_whom_the_picture_calls_available_could_be_sent(at: Whereabouts, log: RunLog) -> None:
    """Just before each order the unit was available, or called off something lesser, or at a meal for a P1."""
    priority = log.incidents["priority"].to_numpy()
    engaged = 0
    for sent in log.assignments.itertuples():
        picture = at.picture(sent.ordered_s - 1e-3, engaged=False)
        number = at.number[sent.unit_id]
        if picture.available[number]:
            continue
        just_free = at.before(int(at.rows(sent.ordered_s)[number])) == NOWHERE or picture.state[number] in (
            UnitState.ON_SCENE,
            UnitState.HANDING_OVER,
            UnitState.TRAVELLING,
            UnitState.TURN_OUT,
            UnitState.OUT_OF_SERVICE,
        )
        at_meal = picture.state[number] == UnitState.MEAL and priority[sent.incident_id] == 1
        assert just_free or at_meal
        engaged += 1
    assert engaged < len(log.assignments)


def test_the_turn_out_expected_is_that_of_the_engine(at: Whereabouts, log: RunLog) -> None:
    """Where a unit was free for a while before its order, expected seconds less the drive are the turn-out."""
    checked = set()
    for sent in log.assignments.itertuples():
        number = at.number[sent.unit_id]
        picture = at.picture(sent.ordered_s - 1e-6, engaged=False)
        spec, target = at.problem.units[number], at.problem.incidents.positions[sent.incident_id]
        if not picture.available[number]:
            continue
        travel = at.problem.travel[spec.kind.driving]
        hour = travel.moment(at.problem.hour_of_week(sent.ordered_s), sent.ordered_s)
        drive_s = travel.route(Position(sent.edge, sent.offset_m), target, hour).time_s / spec.kind.speed_factor
        assert sent.expected_s - drive_s == pytest.approx(picture.turn_out_s[number], abs=1e-6)
        checked.add((UnitState(int(picture.state[number])), float(picture.turn_out_s[number])))
    assert {(UnitState.IDLE, 30.0), (UnitState.PATROLLING, 15.0), (UnitState.RETURNING, 15.0)} <= checked


def test_nobody_jumps(at: Whereabouts, xy_m: Locate) -> None:
    """Ten seconds apart no unit is farther than the fastest of them drives in that time."""
    speed = at.length_m / at.problem.travel["motorcycle"].edge_time_s(100)
    fastest = np.nanmax(speed[np.isfinite(speed)]) * 1.3 * 4  # luck may let a journey take a quarter of the time
    for start_s in np.arange(1_000.0, 20_000.0, 777.0):
        before, after = at.picture(start_s), at.picture(start_s + 10.0)
        on = np.flatnonzero((before.state != OFF_DUTY) & (after.state != OFF_DUTY))
        gone_m = np.hypot(*(xy_m(list(after.positions.take(on))) - xy_m(list(before.positions.take(on)))).T)
        assert gone_m.max() < 10 * fastest


def test_who_is_with_which_incident(at: Whereabouts, log: RunLog) -> None:
    picture = at.picture(12_345.0)
    busy = engaged_with(at, picture)
    sent = log.assignments
    with_it = sent[(sent["ordered_s"] <= 12_345.0) & (sent["cleared_s"] > 12_345.0)]
    assert len(with_it) > 0
    assert {at.problem.units[u].id: i for u, i in enumerate(busy.tolist()) if i >= 0} == dict(
        zip(with_it["unit_id"], with_it["incident_id"], strict=True)
    )


def test_kilometres_by_purpose(at: Whereabouts, log: RunLog) -> None:
    table = driven(at)
    arrived = log.assignments[log.assignments["arrived_s"].notna()]
    by_unit = arrived.groupby("unit_id")["travel_m"].sum() / 1000
    # at least the journeys that arrived, by the way that was ordered or a longer one
    assert (table["travelling"] >= by_unit.reindex(table.index, fill_value=0) - 1e-6).all()
    assert table.loc["car-0", "returning"] > 1
    assert table["transporting"].sum() > 1


# by hand


def by_hand(problem: Problem, *steps: tuple, spec: UnitSpec | None = None, orders: Sequence[dict] = ()) -> Whereabouts:
    one = replace(problem, units=(spec or UnitSpec(id="A", post=0),))
    return Whereabouts(one, made(orders=orders, spans=states("A", *steps), units=[unit("A")]))


def test_a_state_holds_from_its_first_second_to_before_its_last(problem: Problem) -> None:
    at = by_hand(problem, ("idle", 100.0), ("meal", 200.0), ("end", 300.0))
    assert [at.row(0, s) for s in (99.0, 100.0, 199.0, 200.0, 299.9, 300.0)] == [NOWHERE, 0, 0, 1, 1, NOWHERE]
    assert at.position(0, 300.0) is None


def test_an_empty_log_shows_everybody_off_duty(problem: Problem) -> None:
    picture = Whereabouts(problem, made()).picture(5.0)
    assert set(picture.state.tolist()) == {OFF_DUTY}
    assert not picture.available.any()


def test_a_move_to_another_post_is_walked_along_its_route(problem: Problem, xy_m: Locate) -> None:
    home, goal = problem.posts[0], problem.posts[1]
    travel = problem.travel["obey_all"]
    route = travel.route(home, goal, travel.moment(problem.hour_of_week(0.0), 0.0))
    told = {"edge": home.edge, "offset_m": home.offset_m, "post": 1}
    at = by_hand(problem, ("moving_up", 0.0, told), ("idle", route.time_s, told))
    # an edge and the one back along it name the same places
    ends = xy_m([at.position_in(0, 0.0), at.position_in(0, route.time_s)])
    assert np.abs(ends - xy_m([home, goal])).max() < NEAR_M
    halfway = at.position(0, route.time_s / 2)
    assert halfway is not None
    assert travel.route(home, halfway, 6).time_s == pytest.approx(route.time_s / 2, rel=1e-3)
    assert driven(at).loc["A", "moving_up"] == pytest.approx(route.length_m / 1000)
    assert at.picture(1.0).available.tolist() == [True]


@pytest.mark.parametrize(
    ("state", "since_s", "told", "available"),
    [
        ("idle", 0.0, {}, True),
        ("returning", 500.0, {}, True),
        # it drives home after its duty, which ended at 400; its next began at 900
        ("returning", 400.0, {"duty": (Span(0.0, 400.0), Span(900.0, 2000.0))}, False),
        ("returning", 950.0, {"duty": (Span(0.0, 400.0), Span(900.0, 2000.0))}, True),
        ("returning", 500.0, {"outages": (Span(500.0, 1500.0),)}, False),
        ("idle", 500.0, {"duty": (), "standby": (Span(0.0, 2000.0),)}, True),
        ("meal", 500.0, {}, False),
        ("out_of_service", 500.0, {}, False),
    ],
)
def test_who_is_available(problem: Problem, state: str, since_s: float, told: dict, available: bool) -> None:
    home = problem.posts[0]
    where = {"edge": home.edge, "offset_m": home.offset_m}
    spec = UnitSpec(id="A", post=0, **told)
    at = by_hand(problem, (state, since_s, where), ("end", 3000.0), spec=spec)
    assert at.picture(1000.0).available.tolist() == [available]


def test_a_transport_leads_to_its_centre(problem: Problem, xy_m: Locate) -> None:
    start = {"edge": 3, "offset_m": 5.0, "incident_id": 0, "post": -1}
    orders = [order(0, "A", 0.0, arrived_s=10.0, centre=0, left_s=20.0)]
    at = by_hand(problem, ("transporting", 20.0, start), ("end", 9_000.0), orders=orders)
    assert problem.centres is not None
    assert np.abs(xy_m([at.position_in(0, 8_999.0)]) - xy_m([problem.centres[0]])).max() < NEAR_M
    lost = by_hand(problem, ("transporting", 20.0, start), ("end", 9_000.0))
    with pytest.raises(ValueError, match="transport that the assignments do not know"):
        lost.position(0, 30.0)
