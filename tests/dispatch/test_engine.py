"""Whatever the problem, the log is a lawful record of it; and single cases reckoned by hand."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatch.engine import FOLLOW_UP_S, simulate
from dispatch.log import RunLog
from dispatch.policies.dispatching import POLICIES
from dispatch.units import ALL_DAY, DAY_S, Shift, UnitSpec

HOUR = 3600.0
SHIFTS = (
    ALL_DAY,
    Shift(name="from six to six", start_s=6 * HOUR, end_s=6 * HOUR),
    Shift(name="day", start_s=8 * HOUR, end_s=20 * HOUR),
    Shift(name="night", start_s=20 * HOUR, end_s=8 * HOUR),
    Shift(name="an hour", start_s=7 * HOUR, end_s=8 * HOUR),
    Shift(name="twenty minutes off", start_s=7 * HOUR + 1_200, end_s=7 * HOUR),
)
STARTS = (datetime(2026, 6, 1, 6, 30), datetime(2026, 6, 7, 23, 40), datetime(2026, 6, 3, 19, 30, 17))

calls_st = st.lists(
    st.fixed_dictionaries(
        {
            # few distinct values, so that ties are common
            "received_s": st.sampled_from([0.0, 300.0, 1_800.0, 3_600.0]) | st.floats(0, 5_400),
            "place": st.integers(-4, -1) | st.integers(0, 1_400),
            "share": st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0, 1),
            "priority": st.integers(1, 4),
            "desk_s": st.sampled_from([0.0, 60.0]) | st.floats(0, 300),
            "on_scene_s": st.sampled_from([0.0, 0.0, 40.0, 600.0, 12_000.0]) | st.floats(0, 4_000),
            "units_needed": st.sampled_from([1, 1, 2, 3]),
        }
    ),
    max_size=14,
)
units_st = st.lists(
    st.fixed_dictionaries(
        {
            "post": st.integers(0, 3),
            "shift": st.sampled_from(SHIFTS),
            "speed_factor": st.sampled_from([1.0, 1.3]),
            "turn_out_post_s": st.sampled_from([0.0, 30.0, 75.0]),
            "turn_out_mobile_s": st.sampled_from([0.0, 15.0]),
        }
    ),
    min_size=1,
    max_size=5,
)


def problem_of(pose, call, calls, units, **rest):
    """The drawn values as a problem: a negative place is a post, another one an edge."""
    n_edges = pose.city.network.n_open
    return pose(
        [
            call(
                **{k: v for k, v in c.items() if k not in ("place", "share")},
                at=pose.post(c["place"] + 4) if c["place"] < 0 else pose.somewhere(c["place"] % n_edges, c["share"]),
            )
            for c in calls
        ],
        [UnitSpec(id=f"U{i}", **unit) for i, unit in enumerate(units)],
        **rest,
    )


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    calls_st,
    units_st,
    st.sampled_from([5_400.0, 7_200.0, DAY_S]),
    st.sampled_from(STARTS),
    st.sampled_from([*POLICIES]),
)
def test_every_log_is_a_lawful_record_of_its_problem(
    pose, call, check_log, calls, units, horizon_s, start, policy
) -> None:
    problem = problem_of(pose, call, calls, units, horizon_s=horizon_s, start=start, policy=POLICIES[policy])
    check_log(simulate(problem), problem)


@pytest.fixture(scope="module")
def busy(pose, call):
    """Two days, in which incidents wait, second units are called off, shifts end under way, and not all is cleared."""
    rng = np.random.default_rng(135)
    n, network = 260, pose.city.network
    edge = rng.integers(0, network.n_open, n)
    calls = [
        call(
            received_s=float(rng.uniform(0, 2 * DAY_S)),
            at=pose.somewhere(int(edge[i]), float(rng.random())),
            priority=int(rng.integers(1, 5)),
            desk_s=float(rng.uniform(0, 150)),
            on_scene_s=float(rng.choice([20.0, 1_200.0, 6_000.0])),
            units_needed=int(rng.choice([1, 1, 2, 3])),
        )
        for i in range(n)
    ]
    units = [
        UnitSpec(id=f"U{i}", post=i % 4, shift=SHIFTS[i % len(SHIFTS)], turn_out_post_s=[30.0, 75.0][i % 2])
        for i in range(9)
    ]
    problem = pose(calls, units, horizon_s=2 * DAY_S)
    return problem, simulate(problem)


def test_a_busy_run_of_two_days_is_lawful_and_holds_what_is_rare(busy, check_log, describe) -> None:
    problem, log = busy
    check_log(log, problem)
    seen = describe(log)
    assert {k for k, v in seen.items() if v} >= {"cancelled", "cancelled under way", "waited", "several units"}


def tampered(log: RunLog, table: str, column: str, change) -> RunLog:
    tables = {name: getattr(log, name) for name in ("incidents", "assignments", "unit_states")}
    tables[table] = tables[table].assign(**{column: change(tables[table])})
    return RunLog(**tables)


def first_row_later(column):
    """A second later in the first row that has a time."""

    def change(table):
        values = table[column].copy()
        values[values.first_valid_index()] += 1.0
        return values

    return change


@pytest.mark.parametrize(
    ("table", "column", "change"),
    [
        *(("incidents", c, first_row_later(c)) for c in ("ordered_s", "rolling_s", "arrived_s", "cleared_s")),
        *(("assignments", c, first_row_later(c)) for c in ("ordered_s", "rolling_s", "arrived_s", "cleared_s")),
        *(("assignments", c, first_row_later(c)) for c in ("travel_m", "cancelled_s")),
        *(("unit_states", c, first_row_later(c)) for c in ("start_s", "end_s")),
        ("incidents", "first_unit", lambda table: table["first_unit"].shift(1)),
        ("incidents", "priority", lambda table: 5 - table["priority"]),
        ("assignments", "unit_id", lambda table: table["unit_id"].shift(-1).fillna("U0")),
        ("unit_states", "state", lambda table: table["state"].replace("returning", "idle")),
    ],
)
def test_a_log_with_one_thing_wrong_is_found_out(busy, check_log, table, column, change) -> None:
    problem, log = busy
    with pytest.raises(AssertionError):
        check_log(tampered(log, table, column, change), problem)


def test_an_incident_at_the_post_takes_the_desk_the_turn_out_and_the_work(pose, call) -> None:
    log = simulate(pose([call(received_s=100, at=pose.post(0))], [UnitSpec(id="A", post=0)], horizon_s=1_000.0))
    incident = log.incidents.iloc[0]
    assert (incident.received_s, incident.ordered_s, incident.rolling_s) == (100, 160, 190)
    assert (incident.arrived_s, incident.cleared_s, incident.first_unit) == (190, 790, "A")
    told = log.unit_states[["state", "start_s", "end_s"]].to_numpy().tolist()
    assert told == [["idle", 0, 160], ["turn_out", 160, 190], ["on_scene", 190, 790], ["idle", 790, 1_000]]


def test_who_is_called_off_in_the_turn_out_never_rolls(pose, call, check_log) -> None:
    quick = UnitSpec(id="A", post=0, turn_out_post_s=0.0)
    problem = pose(
        [call(received_s=0, at=pose.post(0), on_scene_s=20, units_needed=2)], [quick, UnitSpec(id="B", post=0)]
    )
    log = simulate(problem)
    check_log(log, problem)
    second = log.assignments.set_index("unit_id").loc["B"]
    assert second["cancelled_s"] == second["cleared_s"] == 80
    assert np.isnan([second["rolling_s"], second["arrived_s"]]).all()


def test_work_goes_on_past_the_end_of_the_shift_and_no_new_work_comes(pose, call, check_log) -> None:
    one_hour = UnitSpec(id="A", post=0, shift=SHIFTS[4])
    problem = pose(
        [
            call(received_s=5_300, at=pose.somewhere(0, 0.5), on_scene_s=3_000),
            call(received_s=5_400, at=pose.post(0), desk_s=1.0),
        ],
        [one_hour],
    )
    log = simulate(problem)
    check_log(log, problem)
    assert log.incidents["cleared_s"].isna().tolist() == [False, True]
    assert log.incidents["cleared_s"][0] > 5_400 + 2_000
    assert log.unit_states["end_s"].max() == 7_200


def test_who_waits_is_served_when_the_next_shift_comes_on_duty(pose, call) -> None:
    one_hour = UnitSpec(id="A", post=0, shift=SHIFTS[4])
    log = simulate(pose([call(received_s=0, at=pose.post(0))], [one_hour]))
    assert log.incidents["ordered_s"].tolist() == [1_800.0]


def test_after_the_horizon_incidents_are_followed_for_four_hours(pose, call, check_log) -> None:
    units = [UnitSpec(id="A", post=0, turn_out_post_s=0.0, turn_out_mobile_s=15.0)]
    horizon_s = 1_000.0
    end_s = horizon_s + FOLLOW_UP_S

    def run(first_takes_s: float) -> RunLog:
        calls = [
            call(received_s=0, at=pose.post(0), desk_s=0, on_scene_s=first_takes_s),
            call(received_s=10, at=pose.post(3), on_scene_s=50),
        ]
        problem = pose(calls, units, horizon_s=horizon_s)
        log = simulate(problem)
        check_log(log, problem)
        return log

    assert run(end_s - 2_000).incidents["cleared_s"].notna().all()
    assert run(end_s - 20).incidents["ordered_s"].tolist() == [0, end_s - 20]
    under_way = run(end_s - 20)
    assert under_way.incidents["arrived_s"].isna().tolist() == [False, True]
    assert under_way.assignments["rolling_s"].tolist() == [0, end_s - 5]
    assert run(end_s - 5).assignments["rolling_s"].isna().tolist() == [False, True]
    assert run(end_s + 5).incidents["ordered_s"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("received_s", "on_scene_s"), [(4253.248317194175, 10471.939978137047), (3667.2812830887806, 9536.481483298656)]
)
def test_all_units_are_free_when_the_last_incident_is_cleared(pose, call, check_log, received_s, on_scene_s) -> None:
    """Three units arrive one after the other; the sums of seconds by which they learn the end differ by rounding."""
    one = call(received_s=received_s, at=pose.somewhere(640, 0.4), on_scene_s=on_scene_s, units_needed=3)
    problem = pose([one], [UnitSpec(id=f"U{i}", post=i) for i in range(3)], horizon_s=5_400.0)
    log = simulate(problem)
    assert log.assignments["cleared_s"].notna().all()
    check_log(log, problem)


def test_the_more_urgent_is_served_first_and_of_equals_the_older(pose, call) -> None:
    at = pose.post(0)
    calls = [call(received_s=0, at=at, desk_s=0)]
    calls += [
        call(received_s=s, at=at, priority=p, desk_s=d) for s, p, d in ((1, 3, 50), (2, 3, 0), (3, 1, 0), (4, 2, 0))
    ]
    log = simulate(pose(calls, [UnitSpec(id="A", post=0)]))
    assert log.assignments["incident_id"].tolist() == [0, 3, 4, 2, 1]


def test_a_run_without_incidents_has_idle_units_alone(pose) -> None:
    log = simulate(pose([], [UnitSpec(id="A", post=0), UnitSpec(id="B", post=1, shift=SHIFTS[4])]))
    assert len(log.incidents) == len(log.assignments) == 0
    told = log.unit_states[["unit_id", "state", "start_s", "end_s"]].to_numpy().tolist()
    assert told == [["A", "idle", 0, 7_200], ["B", "idle", 1_800, 5_400]]


@pytest.mark.parametrize("at", [(3, 53, 0, 415_036), (4, 11, 8, 577_045), (13, 44, 11, 272_745)])
def test_a_run_may_start_at_a_fraction_of_a_second(pose, call, check_log, at: tuple[int, ...]) -> None:
    calls = [call(received_s=5 * DAY_S, at=pose.post(0))]
    problem = pose(calls, [UnitSpec(id="A", post=0)], horizon_s=6 * DAY_S, start=datetime(2026, 6, 1, *at))
    log = simulate(problem)
    check_log(log, problem)
    assert log.unit_states["state"].tolist() == ["idle", "turn_out", "on_scene", "idle"]


def test_the_share_that_is_done_rises_within_0_and_1(pose, call) -> None:
    told: list[float] = []
    simulate(
        pose([call(received_s=s, at=pose.post(0)) for s in range(0, 3_000, 100)], [UnitSpec(id="A", post=0)]),
        told.append,
    )
    assert told
    assert told == sorted(told)
    assert 0 <= told[0] <= told[-1] <= 1
