"""Checks a run's log against the problem alone. Shares no code with the engine: duty spans, routes (networkx), the way
home and every unit's day are worked out anew, and compared with what the log says."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

import networkx as nx
import numpy as np
import pandas as pd
from pandas.api import types

from dispatch.log import TABLES, RunLog
from dispatch.problem import Problem
from dispatch.units import UnitSpec

FOLLOW_UP_S = 4 * 3600.0
EPS = 1e-6
"""Seconds and metres: far above rounding, far below anything that happens."""

KINDS = {
    "incidents": {
        **dict.fromkeys(("incident_id", "priority", "units_needed"), types.is_integer_dtype),
        **dict.fromkeys(("type", "cell", "district", "place_class", "first_unit"), types.is_string_dtype),
    },
    "assignments": {"incident_id": types.is_integer_dtype, "unit_id": types.is_string_dtype},
    "unit_states": {
        "unit_id": types.is_string_dtype,
        "state": types.is_string_dtype,
        "incident_id": types.is_integer_dtype,
    },
}
"""Of the columns that are not seconds or metres, which are floats."""


class Place(NamedTuple):
    """A point on an edge, as (edge, share of it)."""

    edge: int
    share: float


class Way(NamedTuple):
    """A fastest way: the stretches (edge, from share, to share), their seconds and metres."""

    stretches: tuple[tuple[int, float, float], ...]
    time_s: float
    length_m: float


class Span(NamedTuple):
    state: str
    start_s: float
    end_s: float
    incident: int


class Roads:
    """Fastest ways at the roads' speeds by networkx, with positions as points on edges."""

    def __init__(self, problem: Problem) -> None:
        self.network, self.speeds = problem.city.network, problem.travel.speeds
        self.start = problem.start
        self._graphs: dict[bytes, tuple[nx.DiGraph, np.ndarray]] = {}
        self._trees: dict[tuple[bytes, int], tuple[dict[int, float], dict[int, list[int]]]] = {}

    def hour(self, at_s: float) -> int:
        """Of the week. In floats: a timedelta would round to microseconds, over the hour's end."""
        of_day_s = self.start.hour * 3600 + self.start.minute * 60 + self.start.second + self.start.microsecond / 1e6
        return int((self.start.weekday() * 86_400 + of_day_s + at_s) // 3600) % 168

    def place(self, edge: int, offset_m: float) -> Place:
        return Place(int(edge), float(offset_m / self.network.street_length_m[self.network.street[edge]]))

    def seconds(self, hour: int) -> np.ndarray:
        """(m,) by edge: a street's own speed counts against its class's off-peak speed."""
        n, kmh = self.network, self.speeds.kmh[:, hour]
        street_kmh = np.empty(n.n_streets)
        for street, road_class in enumerate(n.street_class):
            own = n.street_speed_kmh[street]
            of_class = kmh[road_class]
            street_kmh[street] = of_class if math.isnan(own) else own * of_class / self.speeds.off_peak_kmh[road_class]
        return (3.6 * n.street_length_m / street_kmh)[n.street]

    def graph(self, hour: int) -> tuple[bytes, nx.DiGraph, np.ndarray]:
        key = self.speeds.kmh[:, hour].tobytes()
        if key not in self._graphs:
            time_s = self.seconds(hour)
            graph = nx.DiGraph()
            for edge in np.argsort(-time_s[: self.network.n_open], kind="stable").tolist():
                # of parallel streets the fastest comes last, and stays
                graph.add_edge(int(self.network.tail[edge]), int(self.network.head[edge]), s=time_s[edge], edge=edge)
            self._graphs[key] = graph, time_s
        return key, *self._graphs[key]

    def both_ways(self, place: Place) -> list[Place]:
        twin = int(self.network.twin[place.edge])
        return [place] if twin < 0 else [place, Place(twin, 1 - place.share)]

    def way(self, origin: Place, target: Place, hour: int) -> Way:
        key, graph, time_s = self.graph(hour)
        length_m = self.network.length_m
        best: tuple[float, list[tuple[int, float, float]]] = (math.inf, [])
        for here in self.both_ways(origin):
            for there in self.both_ways(target):
                if here.edge == there.edge and here.share <= there.share:
                    seconds = (there.share - here.share) * time_s[here.edge]
                    best = min(best, (seconds, [(here.edge, here.share, there.share)]), key=lambda found: found[0])
                begin, end = int(self.network.head[here.edge]), int(self.network.tail[there.edge])
                if (key, begin) not in self._trees:
                    self._trees[key, begin] = nx.single_source_dijkstra(graph, begin, weight="s")
                seconds_to, nodes_to = self._trees[key, begin]
                seconds = (1 - here.share) * time_s[here.edge] + seconds_to[end] + there.share * time_s[there.edge]
                if seconds < best[0]:
                    nodes = nodes_to[end]
                    between = [graph.edges[u, v]["edge"] for u, v in itertools.pairwise(nodes)]
                    best = (
                        seconds,
                        [
                            (here.edge, here.share, 1.0),
                            *((e, 0.0, 1.0) for e in between),
                            (there.edge, 0.0, there.share),
                        ],
                    )
        seconds, stretches = best
        return Way(tuple(stretches), seconds, sum((b - a) * length_m[e] for e, a, b in stretches))

    def along(self, way: Way, road_s: float, hour: int) -> Place:
        """Where somebody is after so many seconds of the way at the roads' speed."""
        _, _, time_s = self.graph(hour)
        left_s = road_s
        for edge, begin, end in way.stretches:
            lasts_s = (end - begin) * time_s[edge]
            if left_s <= lasts_s:
                return Place(edge, begin + left_s / time_s[edge])
            left_s -= lasts_s
        edge, _, end = way.stretches[-1]
        return Place(edge, end)


@dataclass
class Away:
    """A unit since it was released: where from, when it is back, and what it drives."""

    since_s: float
    way: Way
    hour: int

    @property
    def back_s(self) -> float:
        return self.since_s + self.way.time_s


def check_log(log: RunLog, problem: Problem) -> None:
    """Raise AssertionError where the log is not a lawful record of the problem."""
    check_tables(log)
    end_s = last_second(log, problem)
    check_incidents(log, problem, end_s)
    roads = Roads(problem)
    free: dict[str, list[tuple[float, float]]] = {}
    by_unit = dict(iter(log.assignments.groupby("unit_id")))
    for unit in problem.units:
        mine = by_unit.get(unit.id, log.assignments.iloc[:0])
        spans, free[unit.id] = check_unit(unit, mine, problem, roads, end_s)
        rows = log.unit_states[log.unit_states["unit_id"] == unit.id]
        check_states(unit, rows, spans, problem.horizon_s)
    assert set(log.unit_states["unit_id"]) <= {unit.id for unit in problem.units}
    check_queue(log, problem, free, end_s)


def check_tables(log: RunLog) -> None:
    for name, columns in TABLES.items():
        table = getattr(log, name)
        assert list(table.columns) == list(columns), name
        for column in columns:
            kind = KINDS[name].get(column, types.is_float_dtype)
            assert kind(table[column].dtype), f"{name}.{column} is {table[column].dtype}"
        whole = set(columns) - {"first_unit", "ordered_s", "rolling_s", "arrived_s", "cleared_s", "cancelled_s"}
        if name == "unit_states":
            whole -= {"incident_id"}
        assert table[sorted(whole)].notna().all().all(), name
    assert (log.assignments["ordered_s"].notna()).all()
    assert log.assignments["ordered_s"].is_monotonic_increasing


def last_second(log: RunLog, problem: Problem) -> float:
    """When the run ended: at the horizon, or as soon after as all is cleared, but not later than the follow-up."""
    cleared_s = log.incidents["cleared_s"]
    if cleared_s.notna().all():
        return max(problem.horizon_s, cleared_s.max()) if len(cleared_s) else problem.horizon_s
    return problem.horizon_s + FOLLOW_UP_S


def check_incidents(log: RunLog, problem: Problem, end_s: float) -> None:
    """Given facts are kept; every incident is in one final state; its times are in order and those of its units."""
    table, given = log.incidents, problem.incidents
    assert table["incident_id"].tolist() == list(range(len(given)))
    for column in ("received_s", "desk_s", "limit_s", "priority", "units_needed"):
        assert np.array_equal(table[column], getattr(given, column)), column
    assert np.array_equal(table[["x_m", "y_m"]], given.xy_m)
    sent = {i: rows for i, rows in log.assignments.groupby("incident_id")}
    for row in table.itertuples():
        i = row.incident_id
        mine = sent.get(i, log.assignments.iloc[:0])
        ready_s = row.received_s + row.desk_s
        if not len(mine):
            assert np.isnan([row.ordered_s, row.rolling_s, row.arrived_s, row.cleared_s]).all()
            assert pd.isna(row.first_unit)
            continue
        assert row.ordered_s == mine["ordered_s"].min() >= ready_s - EPS
        assert (mine["cancelled_s"].isna() | mine["arrived_s"].isna()).all()
        on_way = mine["cancelled_s"].isna()
        assert mine["unit_id"].is_unique
        assert len(mine) <= row.units_needed
        if mine["arrived_s"].isna().all():
            assert np.isnan([row.rolling_s, row.arrived_s, row.cleared_s]).all()
            assert pd.isna(row.first_unit)
            assert mine["cancelled_s"].isna().all()
            continue
        assert row.arrived_s == mine["arrived_s"].min()
        assert row.first_unit in set(mine["unit_id"])
        first = mine[mine["unit_id"] == row.first_unit].iloc[0]
        assert first["arrived_s"] == row.arrived_s
        assert first["rolling_s"] == row.rolling_s
        # the engine's clock is set forward by differences: a call ordered at once may read a last digit earlier
        assert row.received_s <= row.ordered_s + EPS
        assert row.ordered_s <= row.rolling_s <= row.arrived_s
        due_s = row.arrived_s + given.on_scene_s[i]
        if math.isnan(row.cleared_s):
            assert due_s >= end_s - EPS
            assert mine["cancelled_s"].isna().all()
            continue
        assert abs(row.cleared_s - due_s) < EPS
        assert row.cleared_s >= row.arrived_s
        # all are free when it is dealt with: who was there, and who was called off on the way
        assert (abs(mine["cleared_s"] - row.cleared_s) < EPS).all()
        assert (abs(mine.loc[~on_way, "cancelled_s"] - row.cleared_s) < EPS).all()
        assert (mine["ordered_s"] <= row.cleared_s + EPS).all()


def duty(unit: UnitSpec, problem: Problem, until_s: float) -> list[tuple[float, float]]:
    """The unit's spans of duty between 0 and a second, worked out by calendar days."""
    midnight = problem.start.replace(hour=0, minute=0, second=0, microsecond=0)
    starts = unit.shift.start_s
    lasts = unit.shift.end_s - starts
    if lasts <= 0:
        lasts += 86_400
    spans: list[tuple[float, float]] = []
    for day in range(-1, int(until_s // 86_400) + 2):
        begins = (midnight + timedelta(days=day, seconds=starts) - problem.start).total_seconds()
        begin, end = max(begins, 0.0), min(begins + lasts, until_s)
        if end <= begin:
            continue
        if spans and begin - spans[-1][1] < EPS:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((begin, end))
    return spans


def check_unit(
    unit: UnitSpec, mine: pd.DataFrame, problem: Problem, roads: Roads, end_s: float
) -> tuple[list[Span], list[tuple[float, float]]]:
    """Follow one unit through its assignments; what it must have done, and when it could have been sent."""
    posts = problem.city.posts.positions
    home = roads.place(posts.edge[unit.post], posts.offset_m[unit.post])
    shifts = duty(unit, problem, end_s)
    spans: list[Span] = []
    engaged: list[tuple[float, float]] = []
    late_home: list[tuple[float, float]] = []
    unsure: list[tuple[float, float]] = []
    away: Away | None = None
    released_s = -math.inf
    for row in mine.itertuples():
        ordered_s = row.ordered_s
        assert ordered_s >= released_s - EPS, f"{unit.id} is in two assignments at {ordered_s}"
        assert any(a - EPS <= ordered_s <= b + EPS for a, b in shifts), f"{unit.id} is sent off duty at {ordered_s}"
        assert not any(a + EPS < ordered_s < b - EPS for a, b in late_home), f"{unit.id} is sent on its way home"
        mobile = away is not None and ordered_s < away.back_s - EPS
        unclear = away is not None and abs(ordered_s - away.back_s) <= EPS
        where = roads.along(away.way, ordered_s - away.since_s, away.hour) if away and mobile else home
        if away:
            spans.append(Span("returning", away.since_s, min(away.back_s, ordered_s), -1))
        turn_outs = [unit.turn_out_mobile_s] if mobile else [unit.turn_out_post_s]
        if unclear:
            turn_outs = [unit.turn_out_mobile_s, unit.turn_out_post_s]

        target = roads.place(
            problem.incidents.positions.edge[row.incident_id], problem.incidents.positions.offset_m[row.incident_id]
        )
        hour = roads.hour(ordered_s)
        way = roads.way(where, target, hour)
        drive_s = way.time_s / unit.speed_factor
        assert abs(row.travel_m - way.length_m) < 1e-4, f"{unit.id} to {row.incident_id}: {row.travel_m}, {way}"
        crow_m = np.hypot(*(problem.incidents.xy_m[row.incident_id] - xy_of(problem, where)))
        assert row.travel_m >= crow_m - 1e-3
        assert drive_s >= crow_m / (roads.speeds.kmh.max() * 2 / 3.6 * unit.speed_factor) - EPS

        stopped_s = min(s for s in (row.cancelled_s, end_s, math.inf) if not math.isnan(s))
        if math.isnan(row.rolling_s):
            assert ordered_s + max(turn_outs) >= stopped_s - EPS
            assert math.isnan(row.arrived_s)
            spans.append(Span("turn_out", ordered_s, stopped_s, row.incident_id))
            where_now = where
        else:
            assert min(abs(row.rolling_s - ordered_s - t) for t in turn_outs) < EPS
            spans.append(Span("turn_out", ordered_s, row.rolling_s, row.incident_id))
            if math.isnan(row.arrived_s):
                assert row.rolling_s + drive_s >= stopped_s - EPS
                spans.append(Span("travelling", row.rolling_s, stopped_s, row.incident_id))
                where_now = roads.along(way, (stopped_s - row.rolling_s) * unit.speed_factor, hour)
            else:
                assert abs(row.arrived_s - row.rolling_s - drive_s) < EPS, f"{unit.id} to {row.incident_id}"
                spans.append(Span("travelling", row.rolling_s, row.arrived_s, row.incident_id))
                until_s = end_s if math.isnan(row.cleared_s) else row.cleared_s
                spans.append(Span("on_scene", row.arrived_s, until_s, row.incident_id))
                where_now = target
        if math.isnan(row.cleared_s):
            released_s, away = math.inf, None
            engaged.append((ordered_s, end_s))
            continue
        released_s = row.cleared_s
        engaged.append((ordered_s, released_s))
        hour = roads.hour(released_s)
        away = Away(released_s, roads.way(where_now, home, hour), hour)
        if any(abs(a - released_s) <= EPS for a, _ in shifts):
            # released as its shift begins: it may go on at once or drive home first
            unsure.append((released_s, away.back_s))
        elif not any(a <= released_s < b for a, b in shifts):
            late_home.append((released_s, away.back_s))
        else:
            late_home += [(b, away.back_s) for a, b in shifts if a <= released_s < b < away.back_s]
    if away:
        spans.append(Span("returning", away.since_s, away.back_s, -1))
    free = list(without(shifts, engaged + late_home + unsure))
    busy = [(s.start_s, s.end_s) for s in spans]
    spans += [Span("idle", a, b, -1) for a, b in without(shifts, busy)]
    return sorted(spans, key=lambda span: (span.start_s, span.end_s)), free


def xy_of(problem: Problem, place: Place) -> np.ndarray:
    """Coordinates of a place, by walking its street's shape."""
    network = problem.city.network
    street = network.street[place.edge]
    shape = network.shape_xy_m[network.shape_first[street] : network.shape_first[street + 1]]
    if network.backward[place.edge]:
        shape = shape[::-1]
    steps = np.r_[0, np.cumsum(np.hypot(*np.diff(shape, axis=0).T))]
    at = place.share * steps[-1]
    return np.array([np.interp(at, steps, shape[:, 0]), np.interp(at, steps, shape[:, 1])])


def without(spans: list[tuple[float, float]], holes: list[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    for begin, end in spans:
        at = begin
        for low, high in sorted(holes):
            if high > at and low < end:
                if low > at:
                    yield at, low
                at = max(at, high)
        if at < end:
            yield at, end


def check_states(unit: UnitSpec, rows: pd.DataFrame, expected: list[Span], horizon_s: float) -> None:
    """The log's states are those that the unit's assignments imply, within the horizon, each beginning where the one
    before ends, or where a shift begins."""
    logged = [
        Span(r.state, r.start_s, r.end_s, -1 if pd.isna(r.incident_id) else int(r.incident_id))
        for r in rows.itertuples()
    ]
    assert all(s.start_s < s.end_s <= horizon_s and s.start_s >= 0 for s in logged)
    assert all(a.end_s <= b.start_s for a, b in itertools.pairwise(logged)), f"{unit.id}: overlap"
    mended = joined([s._replace(end_s=min(s.end_s, horizon_s)) for s in expected])
    told = joined(logged)
    assert len(told) == len(mended), f"{unit.id}: {told} instead of {mended}"
    for a, b in zip(told, mended, strict=True):
        assert (a.state, a.incident) == (b.state, b.incident), f"{unit.id}: {a} instead of {b}"
        assert abs(a.start_s - b.start_s) < EPS, f"{unit.id}: {a} instead of {b}"
        assert abs(a.end_s - b.end_s) < EPS, f"{unit.id}: {a} instead of {b}"


def joined(spans: list[Span]) -> list[Span]:
    """Without spans of no length; neighbours of one state and incident are one."""
    found: list[Span] = []
    for span in spans:
        if span.end_s - span.start_s <= EPS:
            continue
        last = found[-1] if found else None
        if last and (last.state, last.incident) == (span.state, span.incident) and span.start_s - last.end_s < EPS:
            found[-1] = last._replace(end_s=span.end_s)
        else:
            found.append(span)
    return found


def check_queue(log: RunLog, problem: Problem, free: dict[str, list[tuple[float, float]]], end_s: float) -> None:
    """Nobody waits while a unit could be sent, and whoever is served is the most urgent, then the oldest."""
    given = problem.incidents
    orders: dict[int, list[float]] = {i: [] for i in range(len(given))}
    for row in log.assignments.itertuples():
        orders[row.incident_id].append(row.ordered_s)
    ready_s = given.received_s + given.desk_s
    cleared_s = log.incidents["cleared_s"].fillna(math.inf).to_numpy()
    rank = [(int(given.priority[i]), float(ready_s[i]), i) for i in range(len(given))]

    def still_waits(i: int, at_s: float) -> bool:
        """Strictly: known before, not cleared, and not all units ordered up to then."""
        ordered = sum(t <= at_s + EPS for t in orders[i])
        return ready_s[i] < at_s - EPS and cleared_s[i] > at_s + EPS and ordered < given.units_needed[i]

    for i, times in orders.items():
        for at_s in times:
            passed = [j for j in range(len(given)) if rank[j] < rank[i] and still_waits(j, at_s)]
            assert not passed, f"{i} is served at {at_s} before {passed}"
    for i in range(len(given)):
        needed = int(given.units_needed[i])
        until_s = min(orders[i][needed - 1] if len(orders[i]) >= needed else end_s, cleared_s[i], end_s)
        for unit, spans in free.items():
            for begin, end in spans:
                idle_s = min(end, until_s) - max(begin, ready_s[i])
                assert idle_s <= EPS, f"{unit} could go to {i} for {idle_s} s from {max(begin, ready_s[i])}"


def describe(log: RunLog) -> dict[str, Any]:
    """Which rare things a run holds, to see that the examples reach them."""
    a, i = log.assignments, log.incidents
    return {
        "cancelled": bool(a["cancelled_s"].notna().any()),
        "cancelled under way": bool((a["cancelled_s"].notna() & a["rolling_s"].notna()).any()),
        "never ordered": bool(i["ordered_s"].isna().any()),
        "never reached": bool((i["ordered_s"].notna() & i["arrived_s"].isna()).any()),
        "not cleared": bool((i["arrived_s"].notna() & i["cleared_s"].isna()).any()),
        "waited": bool((i["ordered_s"] > i["received_s"] + i["desk_s"] + EPS).any()),
        "several units": bool((a.groupby("incident_id")["arrived_s"].count() > 1).any()),
    }
