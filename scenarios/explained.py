"""One incident in words: what happened when, where its seconds went, and why this unit."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dispatch.explain import SAME_S, Case, Reason
from dispatch.metrics import PARTS
from dispatch.metrics.outcomes import GRACE_S
from dispatch.standard import Clock, ResponseStandard
from scenarios.console import plain_table, titled
from scenarios.terms import CLOCK, INCIDENT_TYPE, PART, PLACE_CLASS, PRIORITY, Term, limit, minutes

OUTCOME = {
    "cleared": Term("已处置", "dealt with"),
    "false_alarm": Term("虚警", "false alarm: nothing was found"),
    "duplicate": Term("重复报警", "another call about the same incident"),
    "withdrawn": Term("撤警", "taken back by the caller"),
    "open": Term("未结束", "not over at the end of the run"),
}
STATE = {
    "idle": Term("驻点待命", "stood by at a post"),
    "turn_out": Term("准备出动", "was turning out"),
    "travelling": Term("赶赴现场", "was on its way"),
    "on_scene": Term("现场处置", "was on a scene"),
    "returning": Term("返回途中", "was on its way back"),
    "patrolling": Term("巡逻中", "was on patrol"),
    "moving_up": Term("调防途中", "was moving to another post"),
    "transporting": Term("押送途中", "had somebody in custody"),
    "handing_over": Term("移交中", "was handing over custody"),
    "meal": Term("用餐", "was at a meal"),
    "out_of_service": Term("车辆停用", "was out of service"),
    "off_duty": Term("未上班", "was off duty"),
}
WHY = {
    Reason.FARTHER: Term("较远", "free, no nearer than those sent"),
    Reason.PASSED_OVER: Term("策略未选", "free and nearer, but the policy chose otherwise"),
    Reason.HELD_BACK: Term("策略未派", "free, but the policy sent nobody then in a role that it fills"),
    Reason.WRONG_KIND: Term("警种不符", "not of a kind that was asked for"),
    Reason.STANDBY: Term("备勤", "on standby and not called up"),
}
"""The reasons that what a unit did does not tell."""
FARTHER_IN_ROLE = Term("同类中较远", "free, no nearer than those sent in a role that it fills")
"""Where one who was sent in another role was farther."""
NOBODY_SENT = Term("未派警", "free, but the policy sent nobody")
"""Held back, as all were."""
HOMEWARD = Term("已下班", "its shift was over")
"""Off duty, but still on the way."""
CALLED_OFF = {
    "cleared": "the incident was over",
    "withdrawn": "the call was taken back",
    "preempted": "needed more elsewhere",
    "relieved": "a nearer unit took over",
    "no_way": "closures left no way",
}
WAITING_FOR_A_UNIT = Term("等待警力", "waiting for a unit")
HELD_BACK = Term("策略暂缓派警", "held back by the policy, though a unit was free at first")
FREE = (Reason.FARTHER, Reason.PASSED_OVER, Reason.HELD_BACK)
"""Free and of a right kind."""


def both(term: Term) -> str:
    return f"{term.en} {term.zh}"


def explanation(case: Case, standard: ResponseStandard, start: datetime) -> list[RenderableType]:
    """What `patrol explain` shows. `start`: local time at which second 0 falls."""
    told_limit = limit(float(case.incident["limit_s"]))
    return [
        Text("\n".join(_what(case, start))),
        titled("What happened 经过", _times(case, start)),
        *([] if _second_call(case) else [titled(f"Against the limit of {told_limit} 时限", _clocks(case, standard))]),
        *([titled("Where the seconds went 用时", _parts(case))] if case.parts_s else []),
        *_asked(case, start),
        Text("\n".join(_verdict(case, standard, start))),
    ]


def _second_call(case: Case) -> bool:
    """It asks for no unit, so that no clock runs."""
    return not pd.isna(case.incident["duplicate_of"])


def clock(at_s: float, start: datetime) -> str:
    """Time of day of a second of the run, with the day where it is not the first."""
    at = start + timedelta(seconds=round(at_s))
    days = (at.date() - start.date()).days
    return f"{at:%H:%M:%S}" + f" on day {days + 1}" * bool(days)


def _what(case: Case, start: datetime) -> list[str]:
    row = case.incident
    where = f"cell 网格 {row['cell']}" if row["cell"] else "outside the grid"
    district = f" ({row['district']})" if row["district"] else ""
    place = both(PLACE_CLASS[row["place_class"]])
    wanted = int(row["units_needed"])
    more = f", and {int(row['backup'])} more on the scene" if row["backup"] else ""
    what = f"{both(INCIDENT_TYPE[row['type']])}, {both(PRIORITY[int(row['priority'])])}"
    asked = "no unit of its own" if _second_call(case) else f"{wanted} unit{'s' * (wanted > 1)}{more}"
    lines = [
        f"Incident 警情 {row['incident_id']}: {what}, {place}, {where}{district}, "
        f"on {start + timedelta(seconds=float(row['received_s'])):%A %Y-%m-%d}.",
        f"Asked for {asked}. Outcome 结果: {both(OUTCOME[row['outcome']])}.",
    ]
    if _second_call(case):
        lines.append(
            f"It is about incident {int(row['duplicate_of'])}, and answered with that 并案处置: no clock runs."
        )
    return lines


def _times(case: Case, start: datetime) -> Table:
    row = case.incident
    over_at_the_desk = np.isnan(row["ordered_s"]) and row["cleared_s"] <= row["ready_s"]
    moments: list[tuple[float, str]] = [
        (float(row["received_s"]), "call received 接警 (T1)"),
        (float(row["answered_s"]), "a desk took the call 接听"),
        (np.nan if over_at_the_desk or _second_call(case) else float(row["ready_s"]), "units could be ordered 可派警"),
        (float(row["cleared_s"]), f"over 结束: {OUTCOME[row['outcome']].en}"),
    ]
    for sent in case.orders.to_dict("records"):
        unit = sent["unit_id"]
        first = bool(unit == row["first_unit"] and sent["arrived_s"] == row["arrived_s"])
        why = CALLED_OFF.get(sent["called_off"], "")
        moments += [
            (sent["ordered_s"], f"{unit} ordered 派警, expected in {minutes(sent['expected_s'])}"),
            (sent["rolling_s"], f"{unit} rolling 出动"),
            (sent["arrived_s"], f"{unit} on the scene 到达" + ": the clock stops" * first),
            (sent["called_off_s"], f"{unit} called off 撤回: {why}"),
            (sent["left_s"], f"{unit} left with somebody in custody 押送"),
            (sent["handed_s"], f"{unit} at the case-handling centre 执法办案中心"),
        ]
    if case.incident["units_needed"] + case.incident["backup"] > 1:
        moments.append((float(row["assembled_s"]), "as many there as were asked for 到齐"))
    table = plain_table()
    table.add_column("time", justify="right")
    table.add_column("since the call", justify="right")
    table.add_column("")
    # what did not happen has no second
    for at_s, what in sorted((m for m in moments if not np.isnan(m[0])), key=lambda moment: moment[0]):
        table.add_row(clock(at_s, start), minutes(at_s - float(row["received_s"])), what)
    return table


def _clocks(case: Case, standard: ResponseStandard) -> Table:
    row = case.incident
    table = plain_table()
    for head in ("clock", "response", ""):
        table.add_column(head, justify="right" if head == "response" else "left")
    for one in Clock:
        seconds = float(row["arrived_s"] - row[f"{one}_s"])
        over_s = seconds - float(row["limit_s"])
        if np.isnan(seconds):
            said = "never reached 未到达" if np.isnan(row["arrived_s"]) else "–"
        else:
            said = "in time 时限内" if over_s <= GRACE_S else f"late 超时 by {minutes(over_s)}"
        mark = " (headline 主指标)" * (one is standard.headline)
        table.add_row(both(CLOCK[one]) + mark, minutes(seconds), said)
    return table


def _parts(case: Case) -> Table:
    table = plain_table()
    for head in ("part", "m:ss", "share"):
        table.add_column(head, justify="left" if head == "part" else "right")
    whole_s = sum(case.parts_s.values())
    held_back = (case.when_ready["reason"] == Reason.HELD_BACK).any()
    own = {"queue": HELD_BACK if held_back else WAITING_FOR_A_UNIT}
    for part in PARTS:
        seconds = case.parts_s[part]
        term = own.get(part) or PART[part]
        table.add_row(both(term), minutes(seconds), f"{100 * seconds / whole_s:.0f} %" if whole_s else "–")
    return table


def _asked(case: Case, start: datetime) -> list[RenderableType]:
    found: list[RenderableType] = []
    if len(case.when_ready):
        at_s = float(case.when_ready["at_s"].iloc[0])
        found.append(titled(f"Nobody was ordered at {clock(at_s, start)} 未派警时", _units(case.when_ready, start)))
    if len(case.considered):
        at_s = float(case.considered["at_s"].iloc[0])
        sent = not np.isnan(case.at_s)
        title = "Who was considered at {} 派警时" if sent else "Nobody was ever ordered; at {} there were 从未派警"
        found.append(titled(title.format(clock(at_s, start)), _units(case.considered, start)))
    return found


def _units(table: pd.DataFrame, start: datetime) -> Table:
    shown = plain_table()
    for head in ("unit", "kind", "expected", "sent", "because"):
        shown.add_column(head, justify="right" if head == "expected" else "left", overflow="fold")
    rows = table.to_dict("records")
    for row in rows:
        sent = "yes" if row["reason"] == Reason.SENT else "no"
        kind = row["kind"].replace("_", " ")
        shown.add_row(row["unit_id"], kind, minutes(row["expected_s"]), sent, _because(row, start, _last_s(rows)))
    return shown


def _last_s(rows: list[dict[Any, Any]]) -> float:
    """When the last of those sent was expected; infinite where nobody was sent."""
    return max((row["expected_s"] for row in rows if row["reason"] == Reason.SENT), default=np.inf)


def _because(row: dict[Any, Any], start: datetime, last_s: float) -> str:
    """Why a unit was sent or not, what it did, with what, until when."""
    said = both(STATE[row["state"]])
    if not pd.isna(row["other_incident"]):
        said += f", incident {row['other_incident']}"
    if not pd.isna(row["until_s"]):
        said += f", until {clock(row['until_s'], start)}"
    reason = Reason(row["reason"])
    why = WHY.get(reason)
    if reason is Reason.FARTHER and row["expected_s"] < last_s - SAME_S:
        why = FARTHER_IN_ROLE
    if reason is Reason.HELD_BACK and np.isinf(last_s):
        why = NOBODY_SENT
    if reason is Reason.OFF_DUTY and row["state"] != "off_duty":
        why = HOMEWARD
    return said if why is None else f"{both(why)}; it {said}"


def _verdict(case: Case, standard: ResponseStandard, start: datetime) -> list[str]:
    """In sentences: whom the nearest were, why they were not sent, who was next, and whether it could be prevented."""
    lines = []
    considered = case.considered.to_dict("records")
    sent = [row for row in considered if row["reason"] == Reason.SENT]
    last_s = _last_s(considered)
    if sent:
        said = [f"{row['unit_id']} in {minutes(row['expected_s'])}" for row in sent]
        lines.append(f"Sent 派出, by expectation: {', '.join(said)}.")
    for row in considered:
        # who fills no role, or one in which nobody was sent, is set beside all of them
        beside_s = last_s if np.isnan(row["role_s"]) else row["role_s"]
        if sent and row["reason"] not in (Reason.SENT, Reason.FARTHER) and row["expected_s"] < beside_s:
            why = _because(row, start, last_s)
            lines.append(f"{row['unit_id']} was nearer ({minutes(row['expected_s'])}) and was not sent: {why}.")
    others = [row for row in considered if row["reason"] in FREE]
    if others:
        best = "Next best 次优" if sent else "Best 最优"
        lines.append(f"{best}: {others[0]['unit_id']}, free, in {minutes(others[0]['expected_s'])}.")
    elif considered:
        other = "other unit" if sent else "unit"
        lines.append(f"No {other} that was free and of a right kind could come 无{'其他' * bool(sent)}可派警力.")
    if case.off_duty:
        several = case.off_duty > 1
        lines.append(f"{case.off_duty} unit{'s' * several} {'were' if several else 'was'} off duty 未上班.")
    return lines + _prevention(case, standard, start)


def _prevention(case: Case, standard: ResponseStandard, start: datetime) -> list[str]:
    if not case.late:
        return []
    if not len(case.preventable):
        return ["Not preventable 不可避免: no other free unit would have met the limit."]
    row = case.preventable.iloc[0]
    ordered = f"{row['unit_id']}, ordered at {clock(float(row['at_s']), start)}"
    return [
        f"Preventable 可避免: {ordered}, would have met the limit: "
        f"{minutes(float(row['response_s']))} {CLOCK[standard.headline].en}."
    ]
