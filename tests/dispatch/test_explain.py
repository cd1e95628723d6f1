"""Why this unit: reasons and preventable incidents, against a run and against reckoning by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import nan

import numpy as np
import pandas as pd
import pytest
from eventful import eventful
from made_logs import incident, made, order, states, unit

from dispatch.engine import simulate
from dispatch.explain import Reason, decisions, explain, moments, preventable
from dispatch.log import RunLog
from dispatch.metrics import late
from dispatch.policies.dispatching import nearest, straight_line
from dispatch.problem import Problem
from dispatch.standard import Clock
from dispatch.units import KINDS, Span, UnitSpec, UnitState
from dispatch.whereabouts import Whereabouts
from geodata.city import City


@pytest.fixture(scope="module")
def problem(small_city: City) -> Problem:
    return eventful(small_city, policy=nearest)


@pytest.fixture(scope="module")
def log(problem: Problem) -> RunLog:
    return simulate(problem)


@pytest.fixture(scope="module")
def table(problem: Problem, log: RunLog) -> pd.DataFrame:
    return decisions(problem, log)


# on a run


def test_those_sent_are_expected_when_the_rebuilt_positions_say(
    problem: Problem, log: RunLog, table: pd.DataFrame
) -> None:
    at = Whereabouts(problem, log)
    sent = table[table["reason"] == Reason.SENT]
    assert len(sent) > 150
    checked = 0
    for row in sent.itertuples():
        spec = next(u for u in problem.units if u.id == row.unit_id)
        if row.state not in ("idle", "patrolling", "returning"):
            continue
        travel = problem.travel[spec.kind.driving]
        own = log.assignments[(log.assignments["unit_id"] == row.unit_id) & (log.assignments["ordered_s"] == row.at_s)]
        hour = travel.moment(problem.hour_of_week(row.at_s), row.at_s)
        where = at.position(problem.units.index(spec), row.at_s)
        assert where is not None
        drive_s = (
            travel.route(where, problem.incidents.positions[row.incident_id], hour).time_s / spec.kind.speed_factor
        )
        turn_out_s = spec.turn_out_mobile_s if row.state != "idle" else spec.turn_out_post_s
        assert row.expected_s == pytest.approx(turn_out_s + drive_s, abs=1e-6)
        assert row.expected_s == own["expected_s"].iloc[0]
        checked += 1
        if checked == 25:
            break
    assert checked == 25


def test_the_nearest_policy_passes_nobody_over(problem: Problem, table: pd.DataFrame) -> None:
    """And holds nobody back but where the one sent fills the rarer of two roles, which leaves the other."""
    assert not (table["reason"] == Reason.PASSED_OVER).any()
    held = table.loc[table["reason"] == Reason.HELD_BACK, "incident_id"].unique()
    sent = table[table["reason"] == Reason.SENT].groupby("incident_id").size()
    assert (sent[held] < problem.incidents.units_needed[held]).all()
    assert {Reason.SENT, Reason.ENGAGED, Reason.FARTHER, Reason.OUT_OF_SERVICE} <= set(table["reason"])


def test_who_is_off_duty_is_left_out_and_counted(problem: Problem, log: RunLog, table: pd.DataFrame) -> None:
    at = Whereabouts(problem, log)
    listed = table[table["state"] == "off_duty"]
    assert (listed["reason"] == Reason.STANDBY).all()
    number = next(n for n in table["incident_id"] if (at.picture(at_of(table, n)).row < 0).any())
    off = [
        spec.id
        for spec, row in zip(problem.units, at.picture(at_of(table, number)).row, strict=True)
        if row < 0 and not any(span.begin_s <= at_of(table, number) < span.end_s for span in spec.standby)
    ]
    assert explain(problem, log, number).off_duty == len(off)


def at_of(table: pd.DataFrame, number: int) -> float:
    return float(table.loc[table["incident_id"] == number, "at_s"].iloc[0])


def test_the_crow_flies_past_nearer_units(problem: Problem) -> None:
    crow = replace(problem, policy=straight_line)
    table = decisions(crow, simulate(crow))
    passed = table[table["reason"] == Reason.PASSED_OVER]
    assert len(passed) >= 3
    sent = table[table["reason"] == Reason.SENT].groupby("incident_id")["expected_s"].max()
    assert (passed["expected_s"] < passed["incident_id"].map(sent)).all()


def test_engaged_units_name_the_incident_and_when_they_were_free(log: RunLog, table: pd.DataFrame) -> None:
    engaged = table[table["reason"] == Reason.ENGAGED]
    assert engaged["other_incident"].notna().all()
    cleared = log.assignments.set_index(["unit_id", "incident_id"])["cleared_s"]
    for row in engaged.itertuples():
        times = cleared.loc[[(row.unit_id, row.other_incident)]]
        assert row.until_s in times.to_numpy()
        assert row.until_s >= row.at_s
    others = table[~table["reason"].isin([Reason.ENGAGED, Reason.WRONG_KIND])]
    assert others["other_incident"].isna().all()


def test_rows_are_soonest_first_and_hold_the_nearest_asked_for(problem: Problem, log: RunLog) -> None:
    table = decisions(problem, log, incidents=range(40), nearest=4)
    for _, rows in table.groupby("incident_id"):
        assert rows["expected_s"].is_monotonic_increasing
        assert 4 <= len(rows) <= 7


@pytest.mark.parametrize("clock", list(Clock))
def test_preventable_agrees_with_asking_every_unit_alone(small_city: City, clock: Clock) -> None:
    """With a policy that wastes time, so that there is something to prevent."""
    problem = eventful(small_city, policy=straight_line, seed=3)
    log = simulate(problem)
    found = preventable(problem, log, clock)
    at = Whereabouts(problem, log)
    expected = set()
    when = np.stack(moments(log), axis=1)
    for number in log.incidents.loc[late(log, clock), "incident_id"]:
        if any(by_brute_force(at, number, at_s, clock) for at_s in when[number] if not np.isnan(at_s)):
            expected.add(number)
    assert set(found["incident_id"]) == expected
    assert len(expected) >= 2
    limit_s = log.incidents.set_index("incident_id")["limit_s"]
    assert (found["response_s"] <= found["incident_id"].map(limit_s) + 1e-3).all()


def by_brute_force(at: Whereabouts, number: int, at_s: float, clock: Clock) -> bool:
    problem, incidents = at.problem, at.problem.incidents
    sent = at.log.assignments
    mine = set(sent.loc[(sent["incident_id"] == number) & (sent["ordered_s"] == at_s), "unit_id"])
    picture = at.picture(at_s)
    for row, spec in enumerate(problem.units):
        roles = problem.plans[incidents.plan[number]][: incidents.units_needed[number]]
        free = picture.available[row] or (picture.state[row] == UnitState.MEAL and incidents.priority[number] == 1)
        if not free or spec.id in mine or not spec.kind.acts_alone or not any(r.filled_by(spec.kind) for r in roles):
            continue
        travel = problem.travel[spec.kind.driving]
        where = at.position(row, at_s)
        assert where is not None
        hour = travel.moment(problem.hour_of_week(at_s), at_s)
        seconds = travel.route(where, incidents.positions[number], hour).time_s / spec.kind.speed_factor
        if clock is not Clock.ROLLING:
            at_post = picture.state[row] == UnitState.IDLE
            seconds += spec.turn_out_post_s if at_post else spec.turn_out_mobile_s
        if clock is Clock.RECEIVED:
            seconds += at_s - incidents.received_s[number]
        if seconds <= incidents.limit_s[number] + 1e-3:
            return True
    return False


def test_one_incident_alone(problem: Problem, log: RunLog) -> None:
    number = int(
        log.incidents.loc[late(log, Clock.RECEIVED) & log.incidents["arrived_s"].notna(), "incident_id"].iloc[0]
    )
    case = explain(problem, log, number)
    assert case.incident["incident_id"] == number
    response_s = case.incident["arrived_s"] - case.incident["received_s"]
    assert sum(case.parts_s.values()) == pytest.approx(response_s)
    assert case.at_s == case.incident["ordered_s"]
    assert set(case.orders["incident_id"]) == {number}
    with pytest.raises(ValueError, match=r"no incident 9999, expected 0 to 219"):
        explain(problem, log, 9999)


# by hand: one incident right before the door of post 0, each other unit standing at that post


def hand(problem: Problem, specs: Sequence[UnitSpec], spans: Sequence[dict], **told: object) -> tuple[Problem, RunLog]:
    """The first incident of the problem, received at 0 and ready at 60; A was sent from post 1 at 60 and came late."""
    posts, one = problem.posts, problem.incidents
    here = {
        name: getattr(one, name)[:1]
        for name in ("type", "cell", "place_class", "xy_m", "on_scene_s", "desk_s")
    }  # fmt: skip
    incidents = type(one)(
        **here,
        positions=posts.take(np.array([0])),
        received_s=np.zeros(1),
        priority=np.full(1, 3, np.uint8),
        limit_s=np.full(1, 300.0),
        units_needed=np.ones(1, np.uint8),
        plan=np.zeros(1, np.uint8),
    )
    row = incident(0, 0.0, ordered_s=60.0, rolling_s=90.0, arrived_s=500.0, cleared_s=900.0, first_unit="A") | told
    orders = [] if np.isnan(row["ordered_s"]) else [order(0, "A", 60.0, arrived_s=500.0, expected_s=200.0)]
    orders += [order(7, "busy", 10.0, cleared_s=777.0) for spec in specs if spec.id == "busy"]
    far = {"edge": posts[1].edge, "offset_m": posts[1].offset_m, "post": 1}
    own = states("A", ("idle", 0.0, far), ("turn_out", 60.0, far | {"incident_id": 0}), ("end", 900.0, far))
    units = (UnitSpec(id="A", post=1), *specs)
    log = made([row], orders, [*own, *spans], [unit(u.id, kind=u.kind.name) for u in units])
    return replace(problem, incidents=incidents, units=units, posts=posts), log


def at_post_0(problem: Problem, name: str, state: str, **told: object) -> list[dict]:
    where = {"edge": problem.posts[0].edge, "offset_m": problem.posts[0].offset_m} | told
    return states(name, (state, 0.0, where), ("end", 900.0))


REASONS = {
    "idle": ({}, "idle", Reason.PASSED_OVER),
    "busy": ({}, "on_scene", Reason.ENGAGED),
    "eating": ({}, "meal", Reason.MEAL),
    "broken": ({}, "out_of_service", Reason.OUT_OF_SERVICE),
    "going_home": ({"duty": (Span(0.0, 50.0),)}, "returning", Reason.OFF_DUTY),
    "on_call": ({"duty": (), "standby": (Span(0.0, 900.0),)}, None, Reason.STANDBY),
    "guards": ({"kind": KINDS["guards"]}, "idle", Reason.WRONG_KIND),
}


@pytest.mark.parametrize("name", REASONS)
def test_why_a_nearer_unit_was_not_sent(problem: Problem, name: str) -> None:
    told, state, reason = REASONS[name]
    spans = [] if state is None else at_post_0(problem, name, state, incident_id=7 if name == "busy" else None)
    posed, log = hand(problem, [UnitSpec(id=name, post=0, **told)], spans)
    table = decisions(posed, log).set_index("unit_id")
    assert table.loc["A", "reason"] == Reason.SENT
    assert table.loc["A", ["state", "expected_s"]].tolist() == ["idle", 200.0]
    assert table.loc[name, "reason"] == reason
    assert table.loc[name, "expected_s"] == pytest.approx(30.0 if state in ("idle", None) else 15.0, abs=0.1)
    until_s = {"busy": 777.0, "eating": 900.0, "broken": 900.0}.get(name, nan)
    assert table.loc[name, "until_s"] == pytest.approx(until_s, nan_ok=True)
    assert table.loc[name, "state"] == (state or "off_duty")
    # only the idle one could have been sent
    assert preventable(posed, log)["unit_id"].tolist() == (["idle"] if name == "idle" else [])


def test_a_meal_is_no_reason_where_life_is_at_risk(problem: Problem) -> None:
    posed, log = hand(problem, [UnitSpec(id="eating", post=0)], at_post_0(problem, "eating", "meal"), priority=1)
    urgent = replace(posed, incidents=replace(posed.incidents, priority=np.ones(1, np.uint8)))
    assert decisions(urgent, log).set_index("unit_id").loc["eating", "reason"] == Reason.PASSED_OVER
    assert preventable(urgent, log)["unit_id"].tolist() == ["eating"]


def test_a_unit_that_was_free_when_the_call_was_ready_would_have_done(problem: Problem) -> None:
    """A was held back until 400; B was free at 60 and busy at 400."""
    where = {"edge": problem.posts[0].edge, "offset_m": problem.posts[0].offset_m}
    spans = states("B", ("idle", 0.0, where), ("on_scene", 300.0, where | {"incident_id": 7}), ("end", 900.0))
    posed, log = hand(problem, [UnitSpec(id="B", post=0)], spans, ordered_s=400.0, arrived_s=800.0)
    found = preventable(posed, log).iloc[0]
    assert found[["unit_id", "at_s"]].tolist() == ["B", 60.0]
    case = explain(posed, log, 0)
    assert case.when_ready.set_index("unit_id").loc["B", "reason"] == Reason.PASSED_OVER
    assert case.considered.set_index("unit_id").loc["B", "reason"] == Reason.ENGAGED


def test_who_was_never_sent_anybody_is_looked_at_when_the_call_was_ready(problem: Problem) -> None:
    posed, log = hand(
        problem, [UnitSpec(id="B", post=0)], at_post_0(problem, "B", "idle"), ordered_s=nan, arrived_s=nan,
        cleared_s=nan, outcome="open",
    )  # fmt: skip
    assert decisions(posed, log).set_index("unit_id").loc["B", ["reason", "at_s"]].tolist() == [Reason.HELD_BACK, 60]
    assert np.isnan(explain(posed, log, 0).at_s)
    assert preventable(posed, log)["unit_id"].tolist() == ["B"]


def test_what_was_over_at_the_desk_has_no_decision(problem: Problem) -> None:
    posed, log = hand(problem, [], [], ordered_s=nan, arrived_s=nan, cleared_s=60.0, outcome="duplicate")
    assert not len(decisions(posed, log))
    assert not len(preventable(posed, log))
    assert not len(explain(posed, log, 0).considered)


@pytest.mark.parametrize("outcome", ["duplicate", "open"])
def test_nobody_is_considered_for_a_second_call(problem: Problem, outcome: str) -> None:
    """Nor where the run ends before the desk knows it for one."""
    over = {"cleared_s": 60.0} if outcome == "duplicate" else {"cleared_s": nan}
    told = over | {"ordered_s": nan, "arrived_s": nan, "outcome": outcome, "duplicate_of": 0}
    posed, log = hand(problem, [UnitSpec(id="B", post=0)], at_post_0(problem, "B", "idle"), **told)
    assert not len(decisions(posed, log))
    case = explain(posed, log, 0)
    assert (len(case.considered), len(case.when_ready), case.off_duty) == (0, 0, 0)


def test_off_duty_units_are_listed_where_all_are(problem: Problem) -> None:
    off = UnitSpec(id="off", post=0, duty=(Span(500.0, 900.0),))
    posed, log = hand(problem, [off], [])
    assert decisions(posed, log)["unit_id"].tolist() == ["A"]
    assert explain(posed, log, 0).off_duty == 1
    nobody = {"ordered_s": nan, "arrived_s": nan, "cleared_s": nan, "outcome": "open"}
    posed, log = hand(problem, [off], [], **nobody)
    empty = replace(log, unit_states=log.unit_states.iloc[:0])
    table = decisions(posed, empty)
    assert table["unit_id"].tolist() == ["off", "A"]
    assert set(table["reason"]) == {Reason.OFF_DUTY}
    assert explain(posed, empty, 0).off_duty == 2


def test_who_fills_another_role_was_not_passed_over(problem: Problem) -> None:
    """A car from post 1 and an armed unit from afar were sent; the idle car next door could only have replaced the
    car."""
    where = {"edge": problem.posts[0].edge, "offset_m": problem.posts[0].offset_m}
    specs = [UnitSpec(id="X", post=1, kind=KINDS["armed_patrol"]), UnitSpec(id="B", post=0)]
    posed, log = hand(problem, specs, states("B", ("idle", 0.0, where), ("end", 900.0)))
    armed = replace(posed.incidents, plan=np.ones(1, np.uint8), units_needed=np.full(1, 2, np.uint8))
    posed = replace(posed, incidents=armed)
    a_first = [order(0, "A", 60.0, expected_s=20.0), order(0, "X", 60.0, expected_s=250.0)]
    x_first = [order(0, "A", 60.0, expected_s=200.0), order(0, "X", 60.0, expected_s=10.0)]
    # where the car was not sent yet, nobody was in the role of B
    x_alone = [order(0, "X", 60.0, expected_s=10.0)]
    expected = ((a_first, Reason.FARTHER, 20.0), (x_first, Reason.PASSED_OVER, 200.0), (x_alone, Reason.HELD_BACK, nan))
    for orders, reason, role_s in expected:
        told = replace(log, assignments=made(orders=orders).assignments)
        found = decisions(posed, told).set_index("unit_id").loc["B"]
        assert found["reason"] == reason
        assert found["role_s"] == pytest.approx(role_s, nan_ok=True)
