"""What the metrics make of logs small enough to reckon with by hand."""

from __future__ import annotations

import json
from datetime import datetime
from math import nan

import numpy as np
import pandas as pd
import pytest

from dispatch.log import TABLES, RunLog
from dispatch.metrics import late_parts, response_s, share_within, summarise, utilisation, with_hour, within_limit
from dispatch.standard import Clock, ResponseStandard

MONDAY_6_30 = datetime(2026, 6, 1, 6, 30)


def table(name: str, rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(TABLES[name]))


@pytest.fixture(scope="module")
def log() -> RunLog:
    """Five incidents.

    0: vital, limit 60: received 0, ordered 50, rolling 60, there 110: 110 / 60 / 50 s by the three clocks
    1: general, limit 300: received 1800, ordered 2000 after 100 s at the desk and 100 s of waiting, rolling 2030, there
       2400: 600 / 400 / 370
    2: general, limit 300: received 1900, ordered 1960, rolling 1990, there 2110: 210 / 150 / 120
    3: general, limit 300: ordered at 4000 and never reached
    4: key, limit 180: never ordered
    """
    incidents = [
        (0, "crime", 1, "G00", "West", "vital", 0.0, 0.0, 0.0, 50.0, 60.0, 110.0, 900.0, "A", 60.0, 50.0, 1),
        (
            1,
            "help",
            3,
            "G00",
            "West",
            "general",
            0.0,
            0.0,
            1800.0,
            2000.0,
            2030.0,
            2400.0,
            3000.0,
            "A",
            300.0,
            100.0,
            1,
        ),
        (2, "help", 3, "G01", "East", "general", 0.0, 0.0, 1900.0, 1960.0, 1990.0, 2110.0, 2500.0, "B", 300.0, 60.0, 2),
        (3, "help", 2, "G01", "East", "general", 0.0, 0.0, 3900.0, 4000.0, nan, nan, nan, None, 300.0, 100.0, 1),
        (4, "other", 4, "", "", "key", 0.0, 0.0, 3950.0, nan, nan, nan, nan, None, 180.0, 30.0, 1),
    ]
    assignments = [
        (0, "A", 50.0, 60.0, 110.0, 900.0, 500.0, nan),
        (2, "B", 1960.0, 1990.0, 2110.0, 2500.0, 800.0, nan),
        (2, "C", 1960.0, 1990.0, nan, 2500.0, 900.0, 2500.0),
        (1, "A", 2000.0, 2030.0, 2400.0, 3000.0, 2000.0, nan),
        (3, "B", 4000.0, nan, nan, nan, 700.0, nan),
    ]
    unit_states = [
        ("A", "idle", 0.0, 50.0, None),
        ("A", "turn_out", 50.0, 60.0, 0),
        ("A", "travelling", 60.0, 110.0, 0),
        ("A", "on_scene", 110.0, 900.0, 0),
        ("A", "returning", 900.0, 1000.0, None),
        ("A", "idle", 1000.0, 2000.0, None),
        ("A", "turn_out", 2000.0, 2030.0, 1),
        ("A", "travelling", 2030.0, 2400.0, 1),
        ("A", "on_scene", 2400.0, 3000.0, 1),
        ("A", "returning", 3000.0, 4000.0, None),
        ("B", "idle", 1000.0, 1960.0, None),
        ("B", "turn_out", 1960.0, 1990.0, 2),
        ("B", "travelling", 1990.0, 2110.0, 2),
        ("B", "on_scene", 2110.0, 2500.0, 2),
        ("B", "idle", 2500.0, 4000.0, None),
        ("C", "idle", 0.0, 1960.0, None),
        ("C", "turn_out", 1960.0, 1990.0, 2),
        ("C", "travelling", 1990.0, 2500.0, 2),
        ("C", "returning", 2500.0, 3010.0, None),
        ("C", "idle", 3010.0, 4000.0, None),
        ("D", "idle", 0.0, 4000.0, None),
    ]
    return RunLog(table("incidents", incidents), table("assignments", assignments), table("unit_states", unit_states))


def empty() -> RunLog:
    tables = []
    for name, columns in TABLES.items():
        texts = {"type", "cell", "district", "place_class", "first_unit", "unit_id", "state"}
        tables.append(pd.DataFrame({c: pd.Series(dtype="str" if c in texts else "float64") for c in columns}))
        assert list(tables[-1].columns) == list(TABLES[name])
    return RunLog(*tables)


def test_response_runs_from_each_clock_to_the_first_arrival(log: RunLog) -> None:
    expected = {Clock.RECEIVED: [110, 600, 210], Clock.ORDERED: [60, 400, 150], Clock.ROLLING: [50, 370, 120]}
    for clock, seconds in expected.items():
        assert response_s(log, clock).tolist()[:3] == seconds
        assert response_s(log, clock).isna().tolist() == [False] * 3 + [True] * 2


def test_an_incident_never_reached_is_not_within_its_limit(log: RunLog) -> None:
    assert within_limit(log, Clock.ORDERED).tolist() == [True, False, True, False, False]
    assert within_limit(log, Clock.RECEIVED).tolist() == [False, False, True, False, False]


def test_a_response_of_exactly_the_limit_is_within_it_and_one_a_little_longer_is_not(log: RunLog) -> None:
    for over_s, within in ((1e-9, True), (0.1, False)):
        one = log.incidents.iloc[:1].assign(arrived_s=110.0 + over_s)
        assert within_limit(RunLog(one, log.assignments, log.unit_states), Clock.ORDERED).tolist() == [within]


def test_the_share_within_counts_all_incidents_and_the_times_those_reached(log: RunLog) -> None:
    overall = share_within(log, None, Clock.ORDERED).loc["all"]
    assert overall.to_dict() == pytest.approx(
        {"incidents": 5, "reached": 3, "share": 0.4, "mean_s": 610 / 3, "p50_s": 150, "p90_s": 350}
    )


def test_shares_by_a_column_of_the_incidents(log: RunLog) -> None:
    by_class = share_within(log, "place_class", Clock.ORDERED)
    assert by_class["share"].to_dict() == pytest.approx({"general": 1 / 3, "key": 0, "vital": 1})
    assert by_class["incidents"].to_dict() == {"general": 3, "key": 1, "vital": 1}
    assert by_class["reached"].to_dict() == {"general": 2, "key": 0, "vital": 1}
    assert np.isnan(by_class.loc["key", "mean_s"])
    by_district = share_within(log, "district", Clock.RECEIVED)
    assert by_district["share"].to_dict() == {"": 0, "East": 0.5, "West": 0}


def test_the_hour_is_that_of_the_clock_at_which_the_call_was_received(log: RunLog) -> None:
    assert with_hour(log, MONDAY_6_30).incidents["hour"].tolist() == [6, 7, 7, 7, 7]
    assert with_hour(log, datetime(2026, 6, 1, 23, 29, 59)).incidents["hour"].tolist() == [23, 23, 0, 0, 0]
    assert share_within(with_hour(log, MONDAY_6_30), "hour", Clock.ORDERED)["share"].to_dict() == {6: 1.0, 7: 0.25}


def test_a_late_response_is_split_into_desk_queue_turn_out_and_travel(log: RunLog) -> None:
    parts = late_parts(log, Clock.ORDERED)
    assert parts.to_dict("records") == [
        {
            "incident_id": 1,
            "desk_s": 100,
            "queue_s": 100,
            "turn_out_s": 30,
            "travel_s": 370,
            "response_s": 400,
            "over_s": 100,
        }
    ]
    from_call = late_parts(log, Clock.RECEIVED)
    assert from_call["incident_id"].tolist() == [0, 1]
    assert from_call["over_s"].tolist() == [50, 300]
    whole_s = from_call[["desk_s", "queue_s", "turn_out_s", "travel_s"]].sum(axis=1)
    assert whole_s.tolist() == from_call["response_s"].tolist() == [110, 600]


def test_a_first_arrival_by_a_unit_ordered_later_counts_its_wait_as_queue(log: RunLog) -> None:
    """B was ordered first and never came; A, ordered 60 s after it, did."""
    incidents = log.incidents.iloc[:1].assign(arrived_s=300.0, rolling_s=140.0)
    rows = [(0, "B", 50.0, 60.0, nan, nan, 9_000.0, nan), (0, "A", 110.0, 140.0, 300.0, nan, 500.0, nan)]
    parts = late_parts(RunLog(incidents, table("assignments", rows), log.unit_states), Clock.RECEIVED).iloc[0]
    assert parts[["desk_s", "queue_s", "turn_out_s", "travel_s"]].tolist() == [50, 60, 30, 160]
    assert parts["response_s"] == 300


def test_utilisation_is_the_busy_share_of_the_time_on_duty(log: RunLog) -> None:
    load = utilisation(log)
    assert load["on_duty_s"].to_dict() == {"A": 4_000, "B": 3_000, "C": 4_000, "D": 4_000}
    assert load["busy_s"].to_dict() == {"A": 850 + 1_000, "B": 540, "C": 540, "D": 0}
    assert load["utilisation"].to_dict() == pytest.approx({"A": 0.4625, "B": 0.18, "C": 0.135, "D": 0})
    # called off is not attended
    assert load["incidents"].to_dict() == {"A": 2, "B": 1, "C": 0, "D": 0}


@pytest.fixture(scope="module")
def summary(log: RunLog) -> dict:
    return summarise(log, ResponseStandard(), start=MONDAY_6_30, seed=135, digest="abc")


CLOCKS = {"received", "ordered", "rolling"}


def test_the_summary_has_the_documented_keys(summary: dict) -> None:
    assert set(summary["incidents"]) == {"total", "reached", "unreached"}
    assert set(summary["share_within"]["overall"]) == CLOCKS
    assert set(summary["share_within"]["by_place_class"]) == {"vital", "key", "general"}
    assert all(set(shares) == CLOCKS for shares in summary["share_within"]["by_place_class"].values())
    assert set(summary["share_within"]) >= {"by_priority", "by_district", "by_hour"}
    assert set(summary["response_s"]) == CLOCKS
    assert all(set(figures) == {"mean", "p50", "p90"} for figures in summary["response_s"].values())
    assert set(summary["utilisation"]) >= {"mean", "max"}
    assert set(summary["late"]) == CLOCKS
    assert all(set(parts) >= {"desk", "queue", "turn_out", "travel"} for parts in summary["late"].values())
    assert (summary["seed"], summary["digest"]) == (135, "abc")


def test_the_summary_has_the_figures_of_the_tables(summary: dict) -> None:
    assert summary["incidents"] == {"total": 5, "reached": 3, "unreached": 2}
    shares = summary["share_within"]
    assert shares["overall"] == pytest.approx({"received": 0.2, "ordered": 0.4, "rolling": 0.4})
    assert shares["by_place_class"]["key"] == dict.fromkeys(CLOCKS, 0.0)
    assert shares["by_priority"]["3"]["ordered"] == pytest.approx(0.5)
    assert set(shares["by_district"]) == {"West", "East"}
    assert shares["by_hour"]["6"] == {"received": 0.0, "ordered": 1.0, "rolling": 1.0}
    assert shares["by_type"]["help"]["received"] == pytest.approx(1 / 3)
    assert summary["response_s"]["received"] == pytest.approx({"mean": 920 / 3, "p50": 210, "p90": 522})
    assert summary["utilisation"]["mean"] == pytest.approx(2_930 / 15_000)
    assert summary["utilisation"]["max"] == pytest.approx(0.4625)


def test_lateness_is_shared_out_from_the_start_of_each_clock(summary: dict) -> None:
    late = summary["late"]
    assert (late["received"]["reached_late"], late["received"]["never_reached"]) == (2, 2)
    parts = ("desk", "queue", "turn_out", "travel")
    assert [late["received"][p] for p in parts] == pytest.approx([150 / 710, 100 / 710, 40 / 710, 420 / 710])
    assert [late["ordered"][p] for p in parts] == pytest.approx([0, 0, 30 / 400, 370 / 400])
    assert [late["rolling"][p] for p in parts] == pytest.approx([0, 0, 0, 1])


def test_what_no_incident_gives_is_null(summary: dict) -> None:
    assert summary["share_within"]["by_hour"]["3"] == dict.fromkeys(CLOCKS)
    assert "NaN" not in json.dumps(summary, allow_nan=False)


def test_the_summary_of_a_run_without_incidents_holds_nulls(log: RunLog) -> None:
    nothing = empty()
    idle = log.unit_states[log.unit_states["unit_id"] == "D"]
    told = summarise(
        RunLog(nothing.incidents, nothing.assignments, idle), ResponseStandard(), start=MONDAY_6_30, seed=1, digest=""
    )
    assert told["incidents"] == {"total": 0, "reached": 0, "unreached": 0}
    assert told["share_within"]["overall"] == dict.fromkeys(CLOCKS)
    assert told["response_s"]["ordered"] == {"mean": None, "p50": None, "p90": None}
    assert told["utilisation"]["mean"] == 0
    assert json.dumps(told, allow_nan=False)
