"""Why this unit: who was considered for an incident, why a nearer one was not sent, and which late incidents another
unit would have reached in time."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dispatch.log import RunLog
from dispatch.metrics import late, parts
from dispatch.metrics.outcomes import GRACE_S
from dispatch.problem import Problem
from dispatch.standard import Clock
from dispatch.units import ENGAGED, UnitState
from dispatch.whereabouts import OFF_DUTY, Picture, Whereabouts, engaged_with
from geodata.network import Bools, Floats
from geodata.positions import Position
from geodata.travel import Drive, Rows

NEAREST = 6
"""So many units around an incident are looked at, if no other number is asked for."""
SAME_S = 1e-6
"""Expected seconds that differ by less are the same but for rounding."""


class Reason(StrEnum):
    """Why a unit was sent or not."""

    SENT = "sent"
    FARTHER = "farther"
    """Free and of a right kind; those sent in a role that it fills were expected no later."""
    PASSED_OVER = "passed_over"
    """Free, of a right kind and nearer than one sent in a role that it fills: the policy chose otherwise (a beat, the
    cover of other places)."""
    HELD_BACK = "held_back"
    """Free and of a right kind, but nobody was sent then in a role that it fills, or too few: the policy waited (a
    reserve, a unit that is about to clear)."""
    ENGAGED = "engaged"
    """With another incident."""
    WRONG_KIND = "wrong_kind"
    """It fills none of the roles that were asked for."""
    OFF_DUTY = "off_duty"
    STANDBY = "standby"
    """Off duty, to be called up."""
    MEAL = "meal"
    OUT_OF_SERVICE = "out_of_service"


class Case(NamedTuple):
    """One incident and why it went as it did; tables as in `decisions`."""

    incident: pd.Series
    """Its row of the log's incidents."""
    parts_s: dict[str, float]
    """Where the seconds went, by `dispatch.metrics.PARTS`; empty if it was never reached."""
    at_s: float
    """When it was decided whom to send, NaN: never."""
    considered: pd.DataFrame
    """At that moment: those sent, those nearest, and the best of the others that were free; soonest first."""
    when_ready: pd.DataFrame
    """The same for the moment at which units could first be ordered, if nobody was ordered then; else empty."""
    off_duty: int
    """Units that were off duty at the moment of `considered`, and not on standby."""
    orders: pd.DataFrame
    """All its assignments, in order."""
    late: bool
    """Whether it called for a response and did not get it within the limit, on the standard's clock."""
    preventable: pd.DataFrame
    """As of `preventable` on that clock: a row if it is."""


def moments(log: RunLog) -> tuple[Floats, Floats]:
    """(n,) when units could first be ordered to each incident, and when the first was; where none was, the former
    twice; NaN where the incident was over before, and for second calls, which ask for no unit."""
    incidents = log.incidents
    ready_s, ordered_s = incidents["ready_s"].to_numpy(float), incidents["ordered_s"].to_numpy(float)
    at_the_desk = np.isnan(ordered_s) & (incidents["cleared_s"].to_numpy(float) <= ready_s)
    ready_s = np.where(at_the_desk | incidents["duplicate_of"].notna().to_numpy(), np.nan, ready_s)
    return ready_s, np.where(np.isnan(ordered_s), ready_s, ordered_s)


def decisions(
    problem: Problem,
    log: RunLog,
    incidents: Iterable[int] | None = None,
    nearest: int = NEAREST,
    at: Whereabouts | None = None,
) -> pd.DataFrame:
    """Who was considered when the first units were ordered to incidents, or could have been where none were.

    One row an incident and unit: those sent at that moment, the `nearest` of all units that were on duty, on their way
    home or on standby, whatever they did (of all units, where every one was off duty), and the best of the others that
    could have been sent. Soonest expected first.

    Columns: `incident_id`; `at_s`, the moment; `unit_id`; `kind`; `state`, the label of what it did, or "off_duty";
    `expected_s`, turn-out and drive from where it was, as a dispatcher reckons (of those sent, as logged); `role_s`,
    that of the last of those sent in a role that it fills, NaN: nobody was; `reason`, a `Reason`; `other_incident` that
    it was with and `until_s`, when it was free of that (of a meal or an outage: when that ended).

    Args:
        incidents: ids; None: all. Those that were over before a unit could be ordered have no row.
        at: to look positions up, if there is one already.
    """
    asker = _Asker(at or Whereabouts(problem, log))
    ids = range(len(log.incidents)) if incidents is None else incidents
    found = []
    _, at_s = moments(log)
    for incident in ids:
        if not np.isnan(at_s[incident]):
            found.append(asker.table(incident, float(at_s[incident]), nearest))
    return pd.concat(found, ignore_index=True) if found else asker.nothing()


def preventable(
    problem: Problem,
    log: RunLog,
    clock: Clock | None = None,
    incidents: Iterable[int] | None = None,
    at: Whereabouts | None = None,
) -> pd.DataFrame:
    """The late incidents that another unit would have reached within the limit.

    A unit counts if it was free, on duty and of a kind that fills a role and may act alone, was not sent, and is
    expected in time, had it been ordered when the first unit was, or when units could first be ordered. Expected is
    what a dispatcher can know: turn-out, and the drive without luck.

    One row each: `incident_id`, `unit_id`, `at_s` of the order that would have done, `expected_s` from then to its
    arrival, `response_s` on the clock.

    Args:
        clock: None: that of the standard.
        incidents: ids to look at; None: all.
    """
    clock = clock or problem.standard.headline
    asker = _Asker(at or Whereabouts(problem, log))
    missed = log.incidents.loc[late(log, clock), "incident_id"]
    wanted = missed if incidents is None else missed[missed.isin(list(incidents))]
    ready_s, ordered_s = moments(log)
    rows = []
    for incident in wanted.tolist():
        for at_s in dict.fromkeys((float(ordered_s[incident]), float(ready_s[incident]))):
            if not np.isnan(at_s) and (best := asker.in_time(incident, at_s, clock)) is not None:
                rows.append((incident, problem.units[best[0]].id, at_s, *best[1:]))
                break
    names = ["incident_id", "unit_id", "at_s", "expected_s", "response_s"]
    columns = zip(*rows, strict=True) if rows else ([],) * len(names)
    kinds: dict[str, Any] = {"incident_id": np.int64, "unit_id": "str"} | dict.fromkeys(names[2:], np.float64)
    return pd.DataFrame(
        {name: pd.Series(column, dtype=kinds[name]) for name, column in zip(names, columns, strict=True)}
    )


def explain(problem: Problem, log: RunLog, incident: int, nearest: int = NEAREST) -> Case:
    """All that there is to say of one incident.

    Raises:
        ValueError: no such incident.
    """
    if not 0 <= incident < len(log.incidents):
        raise ValueError(f"no incident {incident}, expected 0 to {len(log.incidents) - 1}")
    at = Whereabouts(problem, log)
    asker = _Asker(at)
    row = log.incidents.iloc[incident]
    ready_s, at_s = (float(seconds[incident]) for seconds in moments(log))
    split = parts(log)
    own = split[split["incident_id"] == incident].drop(columns="incident_id")
    return Case(
        incident=row,
        parts_s={str(k).removesuffix("_s"): float(v) for k, v in own.iloc[0].items()} if len(own) else {},
        at_s=at_s if not np.isnan(row["ordered_s"]) else np.nan,
        considered=asker.nothing() if np.isnan(at_s) else asker.table(incident, at_s, nearest),
        when_ready=asker.table(incident, ready_s, nearest) if ready_s < at_s else asker.nothing(),
        off_duty=0 if np.isnan(at_s) else int(asker.off_duty(at.picture(at_s, engaged=False)).sum()),
        orders=log.assignments[log.assignments["incident_id"] == incident],
        late=bool(late(log, problem.standard.headline).iloc[incident]),
        preventable=preventable(problem, log, incidents=[incident], at=at),
    )


class _Asker:
    """Asks who could have come."""

    def __init__(self, at: Whereabouts) -> None:
        self.at, problem = at, at.problem
        self.problem = problem
        units, kinds = problem.units, problem.kinds
        row = {kind.name: i for i, kind in enumerate(kinds)}
        self.bit = np.array([1 << row[unit.kind.name] for unit in units], np.int64)
        self.acts_alone = np.array([unit.kind.acts_alone for unit in units], bool)
        self.slowness = np.array([1 / unit.kind.speed_factor for unit in units])
        driving = np.array([unit.kind.driving for unit in units], object)
        self.fleets = [(problem.travel[name], np.flatnonzero(driving == name)) for name in dict.fromkeys(driving)]
        """The rows of the units that drive alike, with their travel times."""
        self.orders: dict[int, list[tuple[int, float, float, float]]] = {}
        """By incident: the units that were ordered, when, in how many seconds they were expected, and when they were
        free of it."""
        sent = at.log.assignments
        columns = (sent[name] for name in ("incident_id", "ordered_s", "expected_s", "cleared_s"))
        numbers = sent["unit_id"].map(at.number).tolist()
        for unit, incident, *seconds in zip(numbers, *(column.tolist() for column in columns), strict=True):
            self.orders.setdefault(incident, []).append((unit, *seconds))

    def nothing(self) -> pd.DataFrame:
        names: dict[str, Any] = {
            "incident_id": np.int64,
            "at_s": float,
            "unit_id": "str",
            "kind": "str",
            "state": "str",
        }
        names |= {"expected_s": float, "role_s": float, "reason": "str", "other_incident": "Int64", "until_s": float}
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in names.items()})

    def roles(self, incident: int) -> tuple[int, ...]:
        """What was asked for at once, as bits of kinds."""
        incidents = self.problem.incidents
        masks = self.problem.masks[int(incidents.plan[incident])]
        return tuple(masks[min(i, len(masks) - 1)] for i in range(int(incidents.units_needed[incident])))

    def sent_at(self, incident: int, at_s: float) -> dict[int, float]:
        """The units that were ordered at a second, with the seconds that were expected of each."""
        orders = self.orders.get(incident, [])
        return {unit: expected_s for unit, ordered_s, expected_s, _ in orders if ordered_s == at_s}

    def could_come(self, picture: Picture, incident: int) -> Bools:
        """(n_units,) who could have been sent, whatever their kind: the free, and for P1 those at a meal."""
        free = picture.available
        if self.problem.incidents.priority[incident] == 1:
            free = free | (picture.state == UnitState.MEAL)
        return np.asarray(free)

    def off_duty(self, picture: Picture) -> Bools:
        """(n_units,) who was off duty, and not on standby."""
        off = picture.state == OFF_DUTY
        off[[unit for unit in np.flatnonzero(off).tolist() if self.on_standby(unit, picture.at_s)]] = False
        return np.asarray(off)

    def on_standby(self, unit: int, at_s: float) -> bool:
        return any(span.begin_s <= at_s < span.end_s for span in self.problem.units[unit].standby)

    def soonest(
        self, incident: int, picture: Picture, among: Bools, k: int, delay_s: Floats
    ) -> list[tuple[float, int, Drive]]:
        """The k of some units that would be there first: seconds, row and drive, soonest first."""
        target: Position = self.problem.incidents.positions[incident]
        found = []
        for travel, fleet in self.fleets:
            rows: Rows = fleet[among[fleet]].astype(np.int64)
            if len(rows):
                moment = travel.moment(self.problem.hour_of_week(picture.at_s), picture.at_s)
                drives = travel.nearest_drives(
                    target, rows, picture.positions, delay_s, self.slowness, moment, min(k, len(rows)), picture.post
                )
                found += [(float(delay_s[u] + d.time_s * self.slowness[u]), u, d) for u, d in drives]
        return sorted(found)[:k]

    def in_time(self, incident: int, at_s: float, clock: Clock) -> tuple[int, float, float] | None:
        """A unit that would have been in time if it had been ordered at a second: its row, the seconds expected from
        the order, and those on the clock; None where there is none."""
        picture = self.at.picture(at_s, engaged=False)
        among = self.could_come(picture, incident) & self.acts_alone & self.fits(incident)
        among[list(self.sent_at(incident, at_s))] = False
        if not among.any():
            return None
        # the clock that starts with rolling knows no turn-out
        delay_s = np.zeros(len(among)) if clock is Clock.ROLLING else picture.turn_out_s
        best = self.soonest(incident, picture, among, 1, delay_s)
        if not best:
            return None
        seconds, unit, drive = best[0]
        row = self.problem.incidents
        response_s = seconds + (at_s - float(row.received_s[incident]) if clock is Clock.RECEIVED else 0.0)
        if response_s > float(row.limit_s[incident]) + GRACE_S:
            return None
        return unit, float(picture.turn_out_s[unit] + drive.time_s * self.slowness[unit]), response_s

    def fits(self, incident: int) -> Bools:
        """(n_units,) who fills one of the roles."""
        return np.asarray(self.bit & np.bitwise_or.reduce(self.roles(incident)), bool)

    def table(self, incident: int, at_s: float, nearest: int) -> pd.DataFrame:
        picture = self.at.picture(at_s)
        n = len(self.problem.units)
        sent = self.sent_at(incident, at_s)
        others = np.ones(n, bool)
        others[list(sent)] = False
        able = others & self.could_come(picture, incident) & self.fits(incident)
        off_duty = self.off_duty(picture)
        around = others if off_duty.all() else others & ~off_duty
        expected_s = {u: s for s, u, _ in self.soonest(incident, picture, around, nearest, picture.turn_out_s)}
        expected_s |= {u: s for s, u, _ in self.soonest(incident, picture, able, 1, picture.turn_out_s)}
        expected_s |= sent
        units = sorted(expected_s, key=lambda unit: (expected_s[unit], unit))
        reasons, role_s = self.reasons(incident, picture, units, expected_s, sent)
        incidents = engaged_with(self.at, picture)
        # what a unit that was sent did before
        before = [self.at.before(int(picture.row[u])) if u in sent else int(picture.row[u]) for u in units]
        state = [int(self.at.state[row]) if row >= 0 else OFF_DUTY for row in before]
        with_other = [int(incidents[u]) if u not in sent and incidents[u] >= 0 else None for u in units]
        return pd.DataFrame(
            {
                "incident_id": np.full(len(units), incident),
                "at_s": at_s,
                "unit_id": pd.array([self.problem.units[u].id for u in units], dtype="str"),
                "kind": pd.array([self.problem.units[u].kind.name for u in units], dtype="str"),
                "state": pd.array([UnitState(s).label if s >= 0 else "off_duty" for s in state], dtype="str"),
                "expected_s": [expected_s[u] for u in units],
                "role_s": role_s,
                "reason": pd.array([reason.value for reason in reasons], dtype="str"),
                "other_incident": pd.array(with_other, dtype="Int64"),
                "until_s": [np.nan if u in sent else self.until_s(picture, u, incidents) for u in units],
            }
        )

    def until_s(self, picture: Picture, unit: int, incidents: NDArray[np.int64]) -> float:
        """When a unit that is not free will be, as it turned out; NaN for one that is, or never was again."""
        state, row = picture.state[unit], int(picture.row[unit])
        if state in ENGAGED:
            orders = reversed(self.orders.get(int(incidents[unit]), []))
            return next((end for u, begin, _, end in orders if u == unit and begin <= picture.at_s), np.nan)
        return float(self.at.end_s[row]) if state in (UnitState.MEAL, UnitState.OUT_OF_SERVICE) else np.nan

    def reasons(
        self, incident: int, picture: Picture, units: list[int], expected_s: dict[int, float], sent: dict[int, float]
    ) -> tuple[list[Reason], list[float]]:
        """Of each of some units; and the column `role_s`."""
        fits, free = self.fits(incident), self.could_come(picture, incident)
        role_of, unfilled = self.roles_of(incident, list(sent))
        role_s = {
            unit: max((s for other, s in sent.items() if self.bit[unit] & role_of[other]), default=np.nan)
            for unit in units
        }

        def one(unit: int) -> Reason:
            if unit in sent:
                return Reason.SENT
            if not fits[unit]:
                return Reason.WRONG_KIND
            state, spec = picture.state[unit], self.problem.units[unit]
            if state in ENGAGED:
                return Reason.ENGAGED
            if (
                any(out.begin_s <= picture.at_s < out.end_s for out in spec.outages)
                or state == UnitState.OUT_OF_SERVICE
            ):
                return Reason.OUT_OF_SERVICE
            if free[unit]:
                if expected_s[unit] < role_s[unit] - SAME_S:
                    return Reason.PASSED_OVER
                held = np.isnan(role_s[unit]) or any(self.bit[unit] & role for role in unfilled)
                return Reason.HELD_BACK if held else Reason.FARTHER
            if state == UnitState.MEAL:
                return Reason.MEAL
            return Reason.STANDBY if self.on_standby(unit, picture.at_s) else Reason.OFF_DUTY

        return [one(unit) for unit in units], list(role_s.values())

    def roles_of(self, incident: int, sent: list[int]) -> tuple[dict[int, int], list[int]]:
        """The role that each of those sent filled: of those that are left the one that the fewest kinds fill; who was
        sent beyond them filled any. And the roles that nobody filled."""
        left = sorted(self.roles(incident), key=lambda role: role.bit_count())
        every = int(np.bitwise_or.reduce(self.roles(incident)))
        found = {}
        for unit in sent:
            role = next((role for role in left if role & int(self.bit[unit])), None)
            if role is not None:
                left.remove(role)
            found[unit] = every if role is None else role
        return found, left
