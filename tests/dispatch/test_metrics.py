"""What the metrics make of logs small enough to reckon with by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from math import nan

import numpy as np
import pytest
from made_logs import incident, made, order, states, unit

from dispatch import metrics
from dispatch.log import RunLog
from dispatch.patrol import Patrol
from dispatch.standard import STANDARDS, Clock, ResponseStandard
from dispatch.units import Meal, Span, UnitSpec

MONDAY_6_30 = datetime(2026, 6, 1, 6, 30)
RECEIVED, ORDERED, ROLLING = Clock


@pytest.fixture(scope="module")
def log() -> RunLog:
    """Five incidents.

    0: vital, limit 60: received 0, ordered 50, rolling 60, there 110: 110 / 60 / 50 s by the three clocks
    1: general, limit 300: received 1800, answered 1840, ready 1900, ordered 2000, rolling 2030, there 2400:
       600 / 400 / 370
    2: general, limit 300: received 1900, ordered 1960, rolling 1990, there 2110: 210 / 150 / 120; C never came
    3: general, limit 300: ordered at 4000 and never reached
    4: key, limit 180: never ordered
    """
    incidents = [
        incident(
            0, 0.0, type="crime", priority=1, place_class="vital", limit_s=60.0, ready_s=50.0, ordered_s=50.0,
            rolling_s=60.0, arrived_s=110.0, cleared_s=900.0, first_unit="A",
        ),
        incident(
            1, 1800.0, answered_s=1840.0, ready_s=1900.0, ordered_s=2000.0, rolling_s=2030.0, arrived_s=2400.0,
            cleared_s=3000.0, first_unit="A",
        ),
        incident(
            2, 1900.0, cell="G01", district="East", ordered_s=1960.0, rolling_s=1990.0, arrived_s=2110.0,
            cleared_s=2500.0, first_unit="B", units_needed=2, assembled_s=nan,
        ),
        incident(3, 3900.0, cell="G01", district="East", priority=2, ready_s=4000.0, ordered_s=4000.0, outcome="open"),
        incident(
            4, 3950.0, cell="", district="", type="other", priority=4, place_class="key", limit_s=180.0, outcome="open",
        ),
    ]  # fmt: skip
    orders = [
        order(0, "A", 50.0, rolling_s=60.0, arrived_s=110.0, cleared_s=900.0),
        order(2, "B", 1960.0, rolling_s=1990.0, arrived_s=2110.0, cleared_s=2500.0),
        order(2, "C", 1960.0, rolling_s=1990.0, cleared_s=2500.0, called_off_s=2500.0, called_off="cleared"),
        order(1, "A", 2000.0, rolling_s=2030.0, arrived_s=2400.0, cleared_s=3000.0),
        order(3, "B", 4000.0),
    ]
    first, second, third = {"incident_id": 0}, {"incident_id": 1}, {"incident_id": 2}
    spans = [
        *states(
            "A", ("idle", 0.0), ("turn_out", 50.0, first), ("travelling", 60.0, first), ("on_scene", 110.0, first),
            ("returning", 900.0), ("idle", 1000.0), ("turn_out", 2000.0, second), ("travelling", 2030.0, second),
            ("on_scene", 2400.0, second), ("returning", 3000.0), ("end", 4000.0),
        ),
        *states(
            "B", ("idle", 1000.0), ("turn_out", 1960.0, third), ("travelling", 1990.0, third),
            ("on_scene", 2110.0, third), ("idle", 2500.0), ("end", 4000.0),
        ),
        *states(
            "C", ("idle", 0.0), ("turn_out", 1960.0, third), ("travelling", 1990.0, third), ("returning", 2500.0),
            ("idle", 3010.0), ("end", 4000.0),
        ),
        *states("D", ("idle", 0.0), ("end", 4000.0)),
    ]  # fmt: skip
    kinds = {"A": "patrol_car", "B": "motorcycle", "C": "patrol_car", "D": "grid_staff"}
    return made(incidents, orders, spans, [unit(u, kind=k, shift="night" * (u > "B")) for u, k in kinds.items()])


# response


def test_response_runs_from_each_clock_to_the_first_arrival(log: RunLog) -> None:
    expected = {RECEIVED: [110, 600, 210], ORDERED: [60, 400, 150], ROLLING: [50, 370, 120]}
    for clock, seconds in expected.items():
        assert metrics.response_s(log, clock).tolist()[:3] == seconds
        assert metrics.response_s(log, clock).isna().tolist() == [False] * 3 + [True] * 2


def test_an_incident_never_reached_is_not_within_its_limit(log: RunLog) -> None:
    assert metrics.within_limit(log, ORDERED).tolist() == [True, False, True, False, False]
    assert metrics.within_limit(log, RECEIVED).tolist() == [False, False, True, False, False]
    assert metrics.late(log, ORDERED).tolist() == [False, True, False, True, True]


def test_a_response_of_exactly_the_limit_is_within_it_and_one_a_little_longer_is_not(log: RunLog) -> None:
    for over_s, within in ((1e-9, True), (0.1, False)):
        one = log.incidents.iloc[:1].assign(arrived_s=110.0 + over_s)
        assert metrics.within_limit(replace(log, incidents=one), ORDERED).tolist() == [within]


def test_the_share_within_counts_all_incidents_and_the_times_those_reached(log: RunLog) -> None:
    overall = metrics.share_within(log, None, ORDERED).loc["all"]
    assert overall.to_dict() == pytest.approx(
        {"incidents": 5, "reached": 3, "share": 0.4, "mean_s": 610 / 3, "p50_s": 150, "p90_s": 350, "p95_s": 375}
    )


def test_shares_by_a_column_of_the_incidents(log: RunLog) -> None:
    by_class = metrics.share_within(log, "place_class", ORDERED)
    assert by_class["share"].to_dict() == pytest.approx({"general": 1 / 3, "key": 0, "vital": 1})
    assert by_class["incidents"].to_dict() == {"general": 3, "key": 1, "vital": 1}
    assert by_class["reached"].to_dict() == {"general": 2, "key": 0, "vital": 1}
    assert np.isnan(by_class.loc["key", "mean_s"])
    assert metrics.share_within(log, "district", RECEIVED)["share"].to_dict() == {"": 0, "East": 0.5, "West": 0}


def test_shares_by_what_the_unit_that_stopped_the_clock_is(log: RunLog) -> None:
    by_kind = metrics.share_within(log, "kind", ORDERED)
    assert by_kind["share"].to_dict() == {"": 0, "motorcycle": 1, "patrol_car": 0.5}
    assert by_kind["incidents"].to_dict() == {"": 2, "motorcycle": 1, "patrol_car": 2}
    assert metrics.share_within(log, "unit_id", ORDERED)["incidents"].to_dict() == {"": 2, "A": 2, "B": 1}


def test_several_columns_at_once(log: RunLog) -> None:
    table = metrics.share_within(log, ["district", "priority"], ORDERED)
    assert list(table.index.names) == ["district", "priority"]
    assert table["share"].to_dict() == {
        ("", 4): 0, ("East", 2): 0, ("East", 3): 1, ("West", 1): 1, ("West", 3): 0,
    }  # fmt: skip


def test_a_column_that_nobody_has_is_refused_and_the_known_ones_are_named(log: RunLog) -> None:
    with pytest.raises(ValueError, match=r"no column 'colour' .* 'place_class'"):
        metrics.share_within(log, "colour", ORDERED)
    with pytest.raises(ValueError, match="with_hour"):
        metrics.share_within(log, "hour", ORDERED)


def test_the_hour_is_that_of_the_clock_at_which_the_call_was_received(log: RunLog) -> None:
    at = metrics.with_hour(log, MONDAY_6_30).incidents
    assert at["hour"].tolist() == [6, 7, 7, 7, 7]
    assert at["weekday"].tolist() == [0] * 5
    sunday = metrics.with_hour(log, datetime(2026, 5, 31, 23, 29, 59)).incidents
    assert sunday["hour"].tolist() == [23, 23, 0, 0, 0]
    assert sunday["weekday"].tolist() == [6, 6, 0, 0, 0]
    by_hour = metrics.share_within(metrics.with_hour(log, MONDAY_6_30), "hour", ORDERED)
    assert by_hour["share"].to_dict() == {6: 1.0, 7: 0.25}


def test_the_worst_cells_have_the_smallest_share_but_not_too_few_incidents(log: RunLog) -> None:
    many = [
        incident(i, 10.0 * i, cell=cell, ordered_s=100.0, arrived_s=100.0 + seconds)
        for i, (cell, seconds) in enumerate([("A", 200), ("A", 400), ("B", 400), ("C", 400), ("C", 400), ("", 900)])
    ]
    worst = metrics.worst_cells(made(many), ORDERED, n=2, least=2)
    assert worst["share"].to_dict() == {"C": 0, "A": 0.5}
    assert list(worst.index) == ["C", "A"]
    assert not len(metrics.worst_cells(log, ORDERED))


# who was there when


@pytest.fixture(scope="module")
def joint() -> RunLog:
    """A grid worker G (tier 1) is there at 40 s, a car A (tier 3) at 200, an armed unit X (tier 5) at 500; they were
    ordered at 0, and X, called off and sent again, had been there at 350 already. To incident 1 only A was sent, and
    reached it in 100 s. Incident 2 is a duplicate."""
    incidents = [
        incident(
            0, 0.0, ready_s=0.0, ordered_s=0.0, rolling_s=30.0, present_s=40.0, arrived_s=200.0, assembled_s=500.0,
            cleared_s=900.0, first_unit="A", units_needed=2, backup=1,
        ),
        incident(1, 1000.0, ready_s=1000.0, ordered_s=1000.0, rolling_s=1010.0, arrived_s=1100.0, first_unit="A"),
        incident(2, 1010.0, outcome="duplicate", cleared_s=1070.0, duplicate_of=1),
    ]  # fmt: skip
    orders = [
        order(0, "G", 0.0, rolling_s=5.0, arrived_s=40.0, cleared_s=900.0),
        order(0, "A", 0.0, rolling_s=30.0, arrived_s=200.0, cleared_s=900.0),
        order(
            0, "X", 0.0, rolling_s=50.0, arrived_s=350.0, cleared_s=360.0, called_off_s=360.0, called_off="preempted"
        ),
        order(0, "X", 400.0, rolling_s=410.0, arrived_s=500.0, cleared_s=900.0),
        order(1, "A", 1000.0, rolling_s=1010.0, arrived_s=1100.0),
    ]
    units = [
        unit("A"),
        unit("G", kind="grid_staff", acts_alone=False, echelon=1),
        unit("X", kind="armed_patrol", echelon=5),
    ]
    return made(incidents, orders, states("A", ("idle", 0.0), ("end", 2000.0)), units)


def test_presence_first_second_and_full_assembly_are_timed_apart(joint: RunLog) -> None:
    table = metrics.arrivals(joint, ORDERED, kinds={"armed": {"armed_patrol"}})
    assert table["incidents"].to_dict() == {"present": 2, "first": 2, "second": 1, "assembled": 2, "armed": 1}
    assert table["mean_s"].to_dict() == {"present": 70, "first": 150, "second": 200, "assembled": 300, "armed": 350}


def test_arrivals_from_rolling_start_with_the_unit_that_arrived(joint: RunLog) -> None:
    table = metrics.arrivals(joint, ROLLING, kinds={"armed": {"armed_patrol"}})
    assert table.loc[["second", "armed"], "mean_s"].tolist() == [170, 300]


def test_arrivals_by_groups_keep_their_order(joint: RunLog) -> None:
    table = metrics.arrivals(joint, ORDERED, "priority")
    assert list(table.index) == [(3, "present"), (3, "first"), (3, "second"), (3, "assembled")]
    table = metrics.arrivals(joint, ORDERED, ["priority", "cell"])
    assert table.loc[(3, "G00", "second"), "p50_s"] == 200


def test_a_unit_that_came_twice_is_one_arrival(joint: RunLog) -> None:
    assert metrics.nth_arrival(joint, 3)["arrived_s"].tolist()[:1] == [350]
    assert metrics.nth_arrival(joint, 4)["arrived_s"].isna().all()


def test_each_tier_is_judged_by_its_own_first_arrival(joint: RunLog) -> None:
    table = metrics.tiers(joint, STANDARDS["echelon"], ORDERED)
    assert table["limit_s"].to_dict() == {1: 60, 3: 180, 5: 300}
    assert table["units"].to_dict() == {1: 1, 3: 1, 5: 1}
    assert table["incidents"].to_dict() == {1: 2, 3: 2, 5: 2}
    assert table["sent"].to_dict() == {1: 1, 3: 2, 5: 1}
    # 40 of 60 s, 200 and 100 of 180 s, 350 of 300 s; to incident 1 neither tier 1 nor tier 5 was sent
    assert table["share"].to_dict() == {1: 0.5, 3: 0.5, 5: 0}
    assert table["share_sent"].to_dict() == {1: 1, 3: 0.5, 5: 0}


def test_a_tier_without_a_unit_in_the_roster_is_said_and_not_counted(joint: RunLog) -> None:
    armed = joint.units["echelon"] == 5
    without = replace(
        joint, units=joint.units[~armed], assignments=joint.assignments[joint.assignments["unit_id"] != "X"]
    )
    table = metrics.tiers(without, STANDARDS["echelon"], ORDERED, "priority")
    assert table.loc[(3, 5), "units"] == 0
    assert table.loc[(3, 5), ["share", "share_sent"]].isna().all()
    assert table.loc[(3, 3), "share"] == 0.5


# outcomes


def withdrawn(number: int, after_s: float, **told: float) -> dict:
    return incident(number, 0.0, outcome="withdrawn", cleared_s=after_s, **told)


def test_duplicates_and_those_withdrawn_in_time_called_for_no_response() -> None:
    incidents = [
        incident(0, 0.0, ordered_s=60.0, arrived_s=100.0, cleared_s=500.0),
        incident(1, 0.0, ordered_s=60.0, arrived_s=500.0, cleared_s=700.0, outcome="false_alarm"),
        incident(2, 0.0, outcome="open"),
        incident(3, 0.0, outcome="duplicate", cleared_s=60.0, duplicate_of=1),
        withdrawn(4, 350.0, ordered_s=60.0),
        withdrawn(5, 370.0, ordered_s=60.0),
    ]
    log = made(incidents)
    assert metrics.results(log, ORDERED).tolist() == [
        "within", "late", "never_reached", "duplicate", "withdrawn_in_time", "never_reached",
    ]  # fmt: skip
    assert metrics.share_within(log, None, ORDERED).loc["all", ["incidents", "share"]].tolist() == [4, 0.25]
    # from the call the limit had run out after 300 s
    assert metrics.results(log, RECEIVED).tolist()[4] == "never_reached"
    counts = metrics.results_by(log, ORDERED).loc["all"]
    assert counts.sum() == len(incidents)
    assert counts["never_reached"] == 2


@pytest.mark.parametrize(
    ("told", "clock", "called"),
    [
        # nobody was ordered: the limit runs from the moment when somebody could have been
        ({"after_s": 350.0}, ORDERED, False),
        ({"after_s": 370.0}, ORDERED, True),
        # still at the desk
        ({"after_s": 800.0, "ready_s": nan}, ORDERED, False),
        ({"after_s": 800.0, "ready_s": nan}, RECEIVED, True),
        # ordered, and not yet rolling
        ({"after_s": 500.0, "ordered_s": 190.0}, ROLLING, True),
        ({"after_s": 480.0, "ordered_s": 190.0}, ROLLING, False),
    ],
)
def test_withdrawn_after_the_limit_is_a_failure(told: dict, clock: Clock, called: bool) -> None:
    assert metrics.called_for(made([withdrawn(0, **told)]), clock).tolist() == [called]


def test_every_incident_ends_in_one_way(log: RunLog) -> None:
    table = metrics.outcomes(log, "place_class")
    assert table.sum(axis=1).to_dict() == {"general": 3, "key": 1, "vital": 1}
    assert table.loc["general"].to_dict() == {
        "cleared": 2, "false_alarm": 0, "duplicate": 0, "withdrawn": 0, "open": 1,
    }  # fmt: skip


# lateness


def test_a_late_response_is_split_into_its_parts(log: RunLog) -> None:
    assert metrics.late_parts(log, ORDERED).to_dict("records") == [
        {
            "incident_id": 1, "desk_wait_s": 40, "desk_s": 60, "queue_s": 100, "turn_out_s": 30, "travel_s": 370,
            "response_s": 400, "over_s": 100,
        }
    ]  # fmt: skip
    from_call = metrics.late_parts(log, RECEIVED)
    assert from_call["incident_id"].tolist() == [0, 1]
    assert from_call["over_s"].tolist() == [50, 300]


def test_the_parts_add_up_to_the_response_from_the_call(log: RunLog) -> None:
    found = metrics.parts(log)
    whole_s = found[[f"{part}_s" for part in metrics.PARTS]].sum(axis=1)
    assert whole_s.tolist() == metrics.response_s(log, RECEIVED).dropna().tolist()


def test_a_first_arrival_by_a_unit_ordered_later_counts_its_wait_as_queue(log: RunLog) -> None:
    """B was ordered first and never came; A, ordered 60 s after it, did."""
    incidents = log.incidents.iloc[:1].assign(arrived_s=300.0, rolling_s=140.0)
    orders = [order(0, "B", 50.0, rolling_s=60.0), order(0, "A", 110.0, rolling_s=140.0, arrived_s=300.0)]
    parts = metrics.late_parts(made(incidents.to_dict("records"), orders), RECEIVED).iloc[0]
    assert parts[["desk_wait_s", "desk_s", "queue_s", "turn_out_s", "travel_s"]].tolist() == [0, 50, 60, 30, 160]
    assert parts["response_s"] == 300


def test_what_was_lost_after_the_first_order_counts_on_its_clock(log: RunLog) -> None:
    incidents = log.incidents.iloc[:1].assign(arrived_s=300.0, rolling_s=140.0)
    orders = [order(0, "B", 50.0, rolling_s=60.0), order(0, "A", 110.0, rolling_s=140.0, arrived_s=300.0)]
    shares = metrics.late_shares(made(incidents.to_dict("records"), orders), ORDERED).loc["all"]
    assert shares.tolist() == pytest.approx([1, 0, 0, 60 / 250, 30 / 250, 160 / 250])


def test_shares_of_late_seconds_by_group_count_what_comes_after_the_clock(log: RunLog) -> None:
    by_class = metrics.late_shares(log, RECEIVED, "place_class")
    assert by_class["late"].to_dict() == {"general": 1, "vital": 1}
    assert by_class.loc["general"].tolist() == pytest.approx([1, 40 / 600, 60 / 600, 100 / 600, 30 / 600, 370 / 600])
    assert metrics.late_shares(log, ROLLING).loc["all"].tolist() == [1, 0, 0, 0, 0, 1]


# workload


def test_utilisation_is_the_busy_share_of_the_time_on_duty(log: RunLog) -> None:
    load = metrics.utilisation(log)
    assert load["on_duty_s"].to_dict() == {"A": 4_000, "B": 3_000, "C": 4_000, "D": 4_000}
    assert load["busy_s"].to_dict() == {"A": 850 + 1_000, "B": 540, "C": 540, "D": 0}
    assert load["utilisation"].to_dict() == pytest.approx({"A": 0.4625, "B": 0.18, "C": 0.135, "D": 0})
    # called off is not attended
    assert load["incidents"].to_dict() == {"A": 2, "B": 1, "C": 0, "D": 0}


def test_transport_and_hand_over_are_work_and_meals_are_not() -> None:
    spans = states(
        "A", ("on_scene", 0.0), ("transporting", 100.0), ("handing_over", 300.0), ("meal", 600.0), ("end", 900.0)
    )
    load = metrics.workload(made(spans=spans, units=[unit("A")])).loc["A"]
    assert load[["on_duty_s", "busy_s", "meal_s"]].tolist() == [900, 600, 300]


def test_workload_by_kind_and_by_hour(log: RunLog) -> None:
    by_kind = metrics.workload(log, "kind")
    assert by_kind["busy_s"].to_dict() == {"grid_staff": 0, "motorcycle": 540, "patrol_car": 2_390}
    assert by_kind["incidents"].to_dict() == {"grid_staff": 0, "motorcycle": 1, "patrol_car": 2}
    by_hour = metrics.workload(log, ["unit_id", "hour"], MONDAY_6_30)
    # seven o'clock strikes after 1800 s
    assert by_hour.loc["A", "busy_s"].to_dict() == {6: 850, 7: 1_000}
    assert by_hour.loc["A", "on_duty_s"].to_dict() == {6: 1_800, 7: 2_200}
    assert by_hour.loc["A", "incidents"].to_dict() == {6: 1, 7: 1}
    with pytest.raises(ValueError, match="start"):
        metrics.workload(log, "hour")


def test_hours_are_too_full_above_sixty_per_cent() -> None:
    spans = states("A", ("on_scene", 0.0), ("idle", 2161.0), ("on_scene", 7200.0), ("idle", 9360.0), ("end", 11_000.0))
    log = made(spans=spans, units=[unit("A")])
    # 2161 s of the first hour, none of the second, just 2160 of the third; the last 200 s are no hour
    assert metrics.busy_hours(log, datetime(2026, 6, 1)).loc["A"].tolist() == [3, 1, pytest.approx(1 / 3)]
    assert metrics.busy_hours(log, datetime(2026, 6, 1), ceiling=0.59).loc["A", "above"] == 2


@pytest.mark.parametrize(
    ("values", "expected"), [([1, 1, 1], 0), ([0, 0, 0, 8], 0.75), ([1, 3], 0.25), ([], nan), ([0, 0], nan)]
)
def test_gini_of_the_load(values: list[float], expected: float) -> None:
    assert metrics.gini(values) == pytest.approx(expected, nan_ok=True)


def test_gini_is_the_mean_difference_over_twice_the_mean() -> None:
    x = np.random.default_rng(1).gamma(2, size=30)
    assert metrics.gini(x) == pytest.approx(np.abs(x[:, None] - x).mean() / (2 * x.mean()))


def test_orders_to_another_beat_are_crossings(log: RunLog) -> None:
    beats = log.units.assign(beat=[0, 1, 0, -1])
    table = metrics.cross_beat(replace(log, units=beats), {"G00": 0, "G01": 1})
    # only C, of beat 0, was sent to the other
    assert table.loc["all"].tolist() == [5, 1, 0.2]
    by_unit = metrics.cross_beat(replace(log, units=beats), {"G00": 0, "G01": -1}, "unit_id")
    assert by_unit["orders"].to_dict() == {"A": 2}


def spec(**told: object) -> UnitSpec:
    return UnitSpec(id="A", post=0, **told)


def test_overtime_is_work_and_the_way_home_outside_duty() -> None:
    spans = states(
        "A", ("idle", 0.0), ("on_scene", 500.0), ("returning", 1200.0), ("idle", 1500.0), ("meal", 1600.0),
        ("on_scene", 2000.0), ("end", 2500.0),
    )  # fmt: skip
    log = made(spans=spans, units=[unit("A")])
    duty = (Span(0.0, 1000.0), Span(1450.0, 2200.0))

    def over_s(until_s: float = np.inf, **told: object) -> float:
        return float(metrics.overtime(log, [spec(**told)], until_s).loc["A", "overtime_s"])

    # 1000 to 1450 and 2200 to 2500; from 1450 on the way home is duty again
    assert over_s(duty=duty) == 450 + 300
    assert over_s(duty=duty, standby=(Span(1000.0, 1100.0),)) == 350 + 300
    assert over_s(duty=duty, until_s=2300.0) == 450 + 100
    assert over_s() == 0
    assert over_s(duty=()) == 700 + 300 + 500


def test_meals_are_taken_interrupted_or_lost() -> None:
    spans = states(
        "A", ("idle", 0.0), ("meal", 100.0), ("idle", 400.0), ("meal", 1000.0),
        ("turn_out", 1100.0, {"incident_id": 0}),
        ("on_scene", 1130.0), ("idle", 3000.0), ("end", 4000.0),
    )  # fmt: skip
    log = made(spans=spans, units=[unit("A")])
    windows = [
        Meal(50.0, 200.0, 300.0),
        Meal(900.0, 1000.0, 300.0),
        Meal(2000.0, 2500.0, 300.0),
        Meal(3900.0, 3950.0, 300.0),
    ]
    table = metrics.meals(log, [spec(meals=tuple(windows)), replace(spec(), id="B")])
    assert table.loc["A"].to_dict() == {"due": 3, "taken": 1, "interrupted": 1, "lost": 1}
    assert table.loc["B"].sum() == 0


def test_a_move_that_goes_on_by_another_way_is_one_move() -> None:
    spans = states(
        "A", ("idle", 0.0), ("moving_up", 10.0, {"post": 2}), ("moving_up", 20.0, {"post": 2}),
        ("moving_up", 50.0, {"post": 3}), ("idle", 70.0, {"post": 3}), ("moving_up", 90.0, {"post": 0}), ("end", 95.0),
    )  # fmt: skip
    log = made(spans=spans, units=[unit("A"), unit("B", kind="motorcycle")])
    assert metrics.moves(log).loc["A"].tolist() == [3, 65]


# patrol

LENGTH_M = np.array([100.0, 200.0, 300.0])
ROUND = Patrol(
    name="round",
    edge=np.array([0, 1, 1, 0], np.int32),
    from_share=np.array([0.5, 0.0, 1.0, 0.0]),
    to_share=np.array([1.0, 1.0, 1.0, 0.5]),
    until_s=np.array([10.0, 50.0, 80.0, 100.0]),
)


@pytest.fixture(scope="module")
def patrolled() -> RunLog:
    """From phase 0 for 250 s, and after an incident from phase 40 for 50 s."""
    spans = states(
        "A", ("patrolling", 0.0), ("on_scene", 250.0), ("patrolling", 7200.0, {"phase_s": 40.0}), ("end", 7250.0)
    )
    return made(spans=spans, units=[unit("A")])


def test_kilometres_on_patrol_are_whole_rounds_and_parts(patrolled: RunLog) -> None:
    table = metrics.patrol_km(patrolled, [spec(patrol=ROUND), replace(spec(), id="B")], LENGTH_M)
    # a round is 50 + 200 + 50 m; two and a half of them: 600 + 50 + 200; from 40 to 90: 50 + 0 + 25
    assert table.loc["A"].tolist() == [300, pytest.approx((850 + 75) / 1000), 3]
    assert table.loc["B"].tolist() == [0, 0, 0]


def test_visits_are_told_in_seconds_of_the_run(patrolled: RunLog) -> None:
    table = metrics.visits(patrolled, [spec(patrol=ROUND)])
    later = table[table["begin_s"] >= 7200]
    assert later[["edge", "begin_s", "end_s"]].to_numpy().tolist() == [[1, 7200, 7240], [0, 7240, 7250]]


def test_presence_by_place_has_gaps_and_the_share_of_hours_with_a_visit(patrolled: RunLog) -> None:
    units = [spec(patrol=ROUND)]
    table = metrics.presence_by_place(patrolled, units, np.array([0, 1, -1]), 3, 0.0, 4 * 3600.0)
    assert table["seen_share"].tolist() == [0.5, 0.5, 0]
    # the last time on edge 0 ends at 210 s, on edge 1 at 250
    assert table["longest_gap_s"].tolist() == [7150, 7160, 14_400]
    assert table["visits"].tolist()[2] == 0
    # a visit that ends on the stroke of the hour was none in the next
    stroke = replace(
        ROUND, edge=np.array([2], np.int32), from_share=np.zeros(1), to_share=np.ones(1), until_s=np.full(1, 3600.0)
    )
    log = made(spans=states("A", ("patrolling", 0.0), ("end", 3600.0)), units=[unit("A")])
    seen = metrics.presence_by_place(log, [spec(patrol=stroke)], np.array([-1, -1, 0]), 1, 0.0, 7200.0)
    assert seen["seen_share"].tolist() == [0.5]


def test_nobody_on_patrol_is_seen_nowhere(log: RunLog) -> None:
    table = metrics.presence_by_place(log, [spec(patrol=ROUND)], np.array([0, 1, 2]), 3, 0.0, 4000.0)
    assert table["visits"].tolist() == [0, 0, 0]
    assert table["longest_gap_s"].tolist() == [4000] * 3


# Little's law


def test_littles_law_holds_where_all_are_over(log: RunLog) -> None:
    over = replace(log, incidents=log.incidents.iloc[:3], assignments=log.assignments.iloc[:4])
    table = metrics.littles_law(over)
    # 900 + 1200 + 600 s of 4000
    assert table.loc["incidents", "l"] == pytest.approx(2_700 / 4_000)
    assert table.loc["waiting", "l"] == pytest.approx(100 / 4_000)
    # 850 + 540 + 540 + 1000 s
    assert table.loc["engaged", ["l", "arrivals_s", "w_s"]].tolist() == pytest.approx([2_930 / 4_000, 1e-3, 732.5])
    assert table["difference"].abs().max() < 1e-9


def test_littles_law_shows_tables_that_disagree(log: RunLog) -> None:
    busy = log.unit_states["state"] == "on_scene"
    lost = replace(log, incidents=log.incidents.iloc[:3], unit_states=log.unit_states[~busy])
    assert abs(metrics.littles_law(lost).loc["engaged", "difference"]) > 0.1


def test_an_empty_window_is_refused(log: RunLog) -> None:
    with pytest.raises(ValueError, match="window"):
        metrics.littles_law(log, 100.0, 100.0)


# the summary

CLOCKS = {"received", "ordered", "rolling"}


@pytest.fixture(scope="module")
def summary(log: RunLog) -> dict:
    return metrics.summarise(log, ResponseStandard(), start=MONDAY_6_30, seed=135, digest="abc")


def test_the_summary_has_the_documented_keys(summary: dict) -> None:
    assert set(summary["incidents"]) == {"total", "reached", "unreached", "called_for"}
    assert set(summary["share_within"]["overall"]) == CLOCKS
    assert set(summary["share_within"]["by_place_class"]) == {"vital", "key", "general"}
    assert all(set(shares) == CLOCKS for shares in summary["share_within"]["by_place_class"].values())
    assert set(summary["share_within"]) >= {"by_priority", "by_district", "by_hour", "by_kind", "by_weekday"}
    assert set(summary["response_s"]) == CLOCKS
    assert all(set(figures) == {"mean", "p50", "p90", "p95"} for figures in summary["response_s"].values())
    assert set(summary["utilisation"]) >= {"mean", "max", "gini", "hours_above_60"}
    assert set(summary["late"]) == CLOCKS
    assert all(set(parts) >= set(metrics.PARTS) for parts in summary["late"].values())
    assert (summary["seed"], summary["digest"]) == (135, "abc")


def test_the_summary_has_the_figures_of_the_tables(summary: dict) -> None:
    assert summary["incidents"] == {"total": 5, "reached": 3, "unreached": 2, "called_for": 5}
    shares = summary["share_within"]
    assert shares["overall"] == pytest.approx({"received": 0.2, "ordered": 0.4, "rolling": 0.4})
    assert shares["by_place_class"]["key"] == dict.fromkeys(CLOCKS, 0.0)
    assert shares["by_priority"]["3"]["ordered"] == pytest.approx(0.5)
    assert set(shares["by_district"]) == {"West", "East"}
    assert shares["by_hour"]["6"] == {"received": 0.0, "ordered": 1.0, "rolling": 1.0}
    assert shares["by_type"]["help"]["received"] == pytest.approx(1 / 3)
    assert shares["by_kind"]["motorcycle"]["ordered"] == 1
    assert summary["response_s"]["received"] == pytest.approx({"mean": 920 / 3, "p50": 210, "p90": 522, "p95": 561})
    assert summary["utilisation"]["mean"] == pytest.approx(2_930 / 15_000)
    assert summary["utilisation"]["max"] == pytest.approx(0.4625)
    assert summary["outcomes"]["cleared"] == 3
    assert summary["outcomes"]["by_result"]["never_reached"] == 2
    assert summary["arrivals"]["second"] == {"incidents": 1, "reached": 0} | dict.fromkeys(
        ["mean_s", "p50_s", "p90_s", "p95_s"]
    )


def test_the_queue_counts_those_that_waited_and_those_never_served(summary: dict) -> None:
    # 1 waited 100 s and 4 for ever
    queue = summary["queue"]
    assert (queue["waited"], queue["never_ordered"], queue["max_s"], queue["mean_s"]) == (2, 1, 100, 25)
    assert (queue["desk_mean_s"], queue["desk_max_s"]) == (8, 40)


def test_lateness_is_shared_out_from_the_start_of_each_clock(summary: dict) -> None:
    late = summary["late"]
    assert (late["received"]["reached_late"], late["received"]["never_reached"]) == (2, 2)
    shares = {clock: [late[clock][part] for part in metrics.PARTS] for clock in CLOCKS}
    assert shares["received"] == pytest.approx([40 / 710, 110 / 710, 100 / 710, 40 / 710, 420 / 710])
    assert shares["ordered"] == pytest.approx([0, 0, 0, 30 / 400, 370 / 400])
    assert shares["rolling"] == pytest.approx([0, 0, 0, 0, 1])


def test_tiers_and_preventable_are_told_where_they_were_asked_for(joint: RunLog) -> None:
    told = metrics.summarise(joint, STANDARDS["echelon"], start=MONDAY_6_30, seed=1, digest="", preventable=[0])
    assert told["tiers"]["3"] == {
        "units": 1, "sent": 2, "received": {"share": 0.5, "share_sent": 0.5},
        "ordered": {"share": 0.5, "share_sent": 0.5},
        "rolling": {"share": 1, "share_sent": 1},
    }  # fmt: skip
    assert told["preventable"] == 1
    plain = metrics.summarise(joint, ResponseStandard(), start=MONDAY_6_30, seed=1, digest="")
    assert plain["tiers"] is plain["preventable"] is None


def test_what_no_incident_gives_is_null(summary: dict) -> None:
    assert summary["share_within"]["by_hour"]["3"] == dict.fromkeys(CLOCKS)
    assert "NaN" not in json.dumps(summary, allow_nan=False)


def test_the_summary_of_a_run_without_incidents_holds_nulls(log: RunLog) -> None:
    idle = log.unit_states[log.unit_states["unit_id"] == "D"]
    nothing = replace(made(), unit_states=idle, units=log.units)
    told = metrics.summarise(nothing, ResponseStandard(), start=MONDAY_6_30, seed=1, digest="")
    assert told["incidents"] == {"total": 0, "reached": 0, "unreached": 0, "called_for": 0}
    assert told["share_within"]["overall"] == dict.fromkeys(CLOCKS)
    assert told["response_s"]["ordered"] == dict.fromkeys(["mean", "p50", "p90", "p95"])
    assert told["utilisation"]["mean"] == 0
    assert json.dumps(told, allow_nan=False)


def test_the_summary_of_nothing_at_all_holds_nulls() -> None:
    told = metrics.summarise(made(), ResponseStandard(), start=MONDAY_6_30, seed=1, digest="")
    assert told["utilisation"]["mean"] is None
    assert json.dumps(told, allow_nan=False)
