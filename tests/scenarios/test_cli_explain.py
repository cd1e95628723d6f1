"""`patrol explain`: one incident of a run in words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from math import nan
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from dispatch.explain import Case, Reason
from dispatch.metrics import PARTS
from dispatch.standard import ResponseStandard
from geodata.errors import InputError
from scenarios.cli_explain import explain
from scenarios.explained import STATE, explanation
from scenarios.run import run_scenario
from scenarios.schema import Scenario

START = datetime(2026, 6, 1, 6, 30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scenario = Scenario.model_validate(
        {
            "name": "small",
            "city": {"synthetic_seed": 1},
            "run": {"days": 1},
            "demand": {"incidents_per_day": 300},
            "units": {"count": 6},
        }
    )
    out = tmp_path_factory.mktemp("runs") / "small"
    run_scenario(scenario, out)
    return out


def test_a_late_incident_of_a_run_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    incidents = pd.read_parquet(folder / "incidents.parquet")
    over = incidents["arrived_s"] - incidents["ordered_s"] > incidents["limit_s"]
    number = int(incidents.loc[over, "incident_id"].iloc[0])
    explain(folder, number, nearest=3, quiet=True)
    said = capsys.readouterr().out
    row = incidents.iloc[number]
    assert f"Incident 警情 {number}:" in said
    assert f"{row['first_unit']} on the scene 到达: the clock stops" in said
    assert "late 超时 by" in said
    assert "Who was considered at" in said
    assert "Sent 派出" in said
    assert "reventable" in said


def test_an_incident_that_the_run_lacks_is_a_fault(folder: Path) -> None:
    count = len(pd.read_parquet(folder / "incidents.parquet"))
    with pytest.raises(InputError, match=f"{count}.*0 to {count - 1}"):
        explain(folder, count)
    with pytest.raises(InputError, match="no such folder"):
        explain(folder / "nowhere", 0)


# the words


def row(
    unit: str,
    expected_s: float,
    reason: Reason,
    state: str,
    other: int | None = None,
    until_s: float = nan,
    role_s: float = 150.0,
) -> dict:
    return {
        "incident_id": 7, "at_s": 1800.0, "unit_id": unit, "kind": "patrol_car", "state": state, "role_s": role_s,
        "expected_s": expected_s, "reason": reason.value, "other_incident": other, "until_s": until_s,
    }  # fmt: skip


def considered(*rows: dict) -> pd.DataFrame:
    names = list(row("A", 1.0, Reason.SENT, "idle"))
    return pd.DataFrame(list(rows), columns=names).astype({"other_incident": "Int64"})


ORDER: dict[str, Any] = {
    "incident_id": 7, "unit_id": "A", "ordered_s": 1800.0, "rolling_s": 1830.0, "arrived_s": 2000.0,
    "cleared_s": 2600.0, "expected_s": 150.0, "called_off_s": nan, "called_off": None, "left_s": nan, "handed_s": nan,
}  # fmt: skip


@pytest.fixture
def case() -> Case:
    incident = {
        "incident_id": 7, "type": "crime", "priority": 1, "cell": "G01", "district": "West", "place_class": "key",
        "received_s": 1700.0, "answered_s": 1720.0, "ready_s": 1800.0, "ordered_s": 1800.0, "rolling_s": 1830.0,
        "arrived_s": 2000.0, "assembled_s": nan, "cleared_s": 2600.0, "outcome": "cleared", "first_unit": "A",
        "limit_s": 180.0, "units_needed": 2, "backup": 1, "duplicate_of": None,
    }  # fmt: skip
    return Case(
        incident=pd.Series(incident),
        parts_s=dict(zip(PARTS, (20.0, 80.0, 0.0, 30.0, 170.0), strict=True)),
        at_s=1800.0,
        considered=considered(
            row("B", 60.0, Reason.ENGAGED, "on_scene", 5, 3600.0),
            row("C", 70.0, Reason.PASSED_OVER, "patrolling"),
            row("A", 150.0, Reason.SENT, "idle"),
            row("D", 400.0, Reason.FARTHER, "idle"),
        ),
        when_ready=considered(),
        off_duty=0,
        orders=pd.DataFrame([ORDER]),
        late=True,
        preventable=pd.DataFrame([{"unit_id": "C", "at_s": 1800.0, "expected_s": 70.0, "response_s": 70.0}]),
    )


@pytest.fixture
def say() -> Callable[[Case], str]:
    def said(case: Case) -> str:
        screen = Console(width=200, highlight=False)
        with screen.capture() as heard:
            for part in explanation(case, ResponseStandard(), START):
                screen.print(part)
        return " ".join(heard.get().split())

    return said


def test_what_where_and_when(case: Case, say: Callable[[Case], str]) -> None:
    said = say(case)
    assert (
        "Incident 警情 7: crime 刑事, P1 一级, key areas 重点地区, cell 网格 G01 (West), on Monday 2026-06-01." in said
    )
    assert "Asked for 2 units, and 1 more on the scene. Outcome 结果: dealt with 已处置." in said
    assert "06:58:20 0:00 call received 接警 (T1)" in said
    assert "07:03:20 5:00 A on the scene 到达: the clock stops" in said
    assert "到齐" not in said


def test_the_three_clocks_against_the_limit(case: Case, say: Callable[[Case], str]) -> None:
    said = say(case)
    assert "Against the limit of 3 min 时限" in said
    assert "接警起 5:00 late 超时 by 2:00" in said
    assert "派警起 (headline 主指标) 3:20 late 超时 by 0:20" in said
    assert "出动起 2:50 in time 时限内" in said


def test_where_the_seconds_went(case: Case, say: Callable[[Case], str]) -> None:
    said = say(case)
    assert "waiting for a desk 等待接警席 0:20 7 %" in said
    assert "travel 路途 2:50 57 %" in said


def test_why_the_nearer_ones_were_not_sent_and_who_would_have_done(case: Case, say: Callable[[Case], str]) -> None:
    said = say(case)
    assert "Sent 派出, by expectation: A in 2:30." in said
    assert "B was nearer (1:00) and was not sent: was on a scene 现场处置, incident 5, until 07:30:00." in said
    assert "C was nearer (1:10) and was not sent: free and nearer, but the policy chose otherwise 策略未选" in said
    assert "D was nearer" not in said
    assert "Next best 次优: C, free, in 1:10." in said
    assert (
        "Preventable 可避免: C, ordered at 07:00:00, would have met the limit: 1:10 from dispatch order (T2)." in said
    )


def test_what_could_not_be_prevented_says_so_and_what_was_in_time_says_nothing(
    case: Case, say: Callable[[Case], str]
) -> None:
    case = case._replace(preventable=case.preventable.iloc[:0])
    assert "Not preventable 不可避免" in say(case)
    assert "reventable" not in say(case._replace(late=False))


def test_an_incident_that_nobody_came_to(case: Case, say: Callable[[Case], str]) -> None:
    lost = case.incident.copy()
    lost[["ordered_s", "rolling_s", "arrived_s", "cleared_s"]] = nan
    lost["outcome"] = "open"
    busy = considered(row("B", 60.0, Reason.ENGAGED, "on_scene", 5, 3600.0))
    said = say(case._replace(incident=lost, parts_s={}, at_s=nan, considered=busy, orders=case.orders.iloc[:0]))
    assert "Nobody was ever ordered; at 07:00:00 there were 从未派警" in said
    assert "never reached 未到达" in said
    assert "Where the seconds went" not in said
    assert "No unit that was free and of a right kind could come 无可派警力" in said
    spare = considered(row("B", 60.0, Reason.HELD_BACK, "idle", role_s=nan))
    said = say(case._replace(incident=lost, parts_s={}, at_s=nan, considered=spare, orders=case.orders.iloc[:0]))
    assert "free, but the policy sent nobody 未派警; it stood by at a post" in said
    assert "nearer" not in said
    assert "Best 最优: B, free, in 1:00." in said


def test_units_called_off_and_custody_are_told(case: Case, say: Callable[[Case], str]) -> None:
    orders = [
        ORDER | {"unit_id": "B", "arrived_s": nan, "called_off_s": 1900.0, "called_off": "relieved"},
        ORDER | {"left_s": 2600.0, "handed_s": 2900.0},
    ]
    said = say(case._replace(orders=pd.DataFrame(orders)))
    assert "B called off 撤回: a nearer unit took over" in said
    assert "07:18:20 20:00 A at the case-handling centre 执法办案中心" in said


def test_who_waited_in_the_queue_is_shown_at_the_moment_when_nobody_was_free(
    case: Case, say: Callable[[Case], str]
) -> None:
    early = considered(row("B", 60.0, Reason.ENGAGED, "on_scene", 5, 3600.0)).assign(at_s=1750.0)
    said = say(case._replace(when_ready=early))
    assert "Nobody was ordered at 06:59:10 未派警时" in said
    assert "waiting for a unit 等待警力" in said


def test_time_for_which_the_policy_held_back_a_free_unit_is_no_wait_for_one(
    case: Case, say: Callable[[Case], str]
) -> None:
    early = considered(row("D", 400.0, Reason.HELD_BACK, "idle", role_s=nan)).assign(at_s=1750.0)
    said = say(case._replace(when_ready=early))
    assert "held back by the policy, though a unit was free at first 策略暂缓派警" in said
    assert "waiting for a unit" not in said


def test_a_second_call_asks_for_no_unit_and_no_clock_runs(case: Case, say: Callable[[Case], str]) -> None:
    second = case.incident.copy()
    second[["ordered_s", "rolling_s", "arrived_s"]] = nan
    second[["cleared_s", "outcome", "first_unit"]] = 1800.0, "duplicate", None
    second["duplicate_of"] = 6
    nobody = {"considered": considered(), "orders": case.orders.iloc[:0], "preventable": case.preventable.iloc[:0]}
    said = say(case._replace(incident=second, parts_s={}, at_s=nan, late=False, **nobody))
    assert "Asked for no unit of its own. Outcome 结果: another call about the same incident 重复报警." in said
    assert "It is about incident 6, and answered with that 并案处置: no clock runs." in said
    assert "over 结束: another call about the same incident" in said
    for words in ("could be ordered", "never reached", "Against the limit", "No unit"):
        assert words not in said


def test_those_sent_are_set_beside_the_units_of_their_own_role(case: Case, say: Callable[[Case], str]) -> None:
    """An armed unit came from afar: a car that was nearer than that is not passed over, if the car sent was nearer."""
    rows = considered(
        row("A", 150.0, Reason.SENT, "idle"),
        row("B", 200.0, Reason.ENGAGED, "on_scene", 5, 3600.0),
        row("D", 306.0, Reason.FARTHER, "idle"),
        row("guard", 400.0, Reason.WRONG_KIND, "idle", role_s=nan),
        row("X", 708.0, Reason.SENT, "idle", role_s=708.0),
        row("E", 800.0, Reason.FARTHER, "idle"),
        row("F", 900.0, Reason.HELD_BACK, "idle", role_s=nan),
    )
    said = say(case._replace(considered=rows))
    assert "D patrol car 5:06 no free, no nearer than those sent in a role that it fills 同类中较远" in said
    assert "E patrol car 13:20 no free, no nearer than those sent 较远" in said
    assert "free, but the policy sent nobody then in a role that it fills 策略未派" in said
    assert "B was nearer" not in said
    assert "guard was nearer (6:40) and was not sent: not of a kind that was asked for" in said


def test_who_was_off_duty_is_told_in_a_line(case: Case, say: Callable[[Case], str]) -> None:
    assert "12 units were off duty 未上班." in say(case._replace(off_duty=12))
    assert "1 unit was off duty 未上班." in say(case._replace(off_duty=1))
    assert "off duty" not in say(case)
    homeward = considered(row("B", 60.0, Reason.OFF_DUTY, "returning"), row("A", 150.0, Reason.SENT, "idle"))
    assert "its shift was over 已下班; it was on its way back" in say(case._replace(considered=homeward))


def test_what_is_told_on_a_later_day_names_the_day(case: Case, say: Callable[[Case], str]) -> None:
    late = case.incident.copy()
    late["cleared_s"] = 86_400.0
    assert "06:30:00 on day 2" in say(case._replace(incident=late))


def test_every_state_and_reason_has_its_words(case: Case, say: Callable[[Case], str]) -> None:
    for state, term in STATE.items():
        for reason in Reason:
            rows = considered(row("B", 60.0, reason, state), row("A", 150.0, Reason.SENT, "idle"))
            assert term.zh in say(case._replace(considered=rows))
