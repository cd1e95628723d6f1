"""Travel times from a plain matrix: a published case, or times that another service reckoned, without any road."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geodata.along import part_s
from geodata.compiled import compiled
from geodata.network import Floats, Ints
from geodata.positions import Position, Positions
from geodata.speeds import HOURS_A_WEEK
from geodata.travel import Drive, NoWayError, Route, Rows

SHORTEST_M = 0.001
"""An edge has at least this length, so that a share of it can be told."""
MOST_PLACES = 46_340
"""The number of an edge is of 32 bits."""

# how a way leaves its origin and enters its target: as a place, or along the edge on which it lies, or against it
PLACE, ALONG, AGAINST = range(3)
DIRECT, DIRECT_BACK = 3, 4
"""Origin and target lie on one edge, and no place is passed."""


class Choice(NamedTuple):
    """The quickest way between two positions."""

    time_s: float
    length_m: float
    leaves: int
    enters: int
    first: int
    """The place to which it leaves its origin."""
    last: int
    """The place from which it enters its target."""


class MatrixTravel:
    """Travel times between n places, as `geodata.travel.TravelTimes`.

    The journey from place i to place j is an edge of its own, i·n + j, and takes the time of the matrix: times may be
    asymmetric, and a journey never goes over a third place, though that were quicker. Place i is the edge i·n + i;
    who goes from there to there takes t_ii, as a rule 0.

    Who is called off under way stands in the middle of an edge, which is a position like any other. With a share x of
    the way from i to j behind it, a unit reaches a place k in min((1 − x) t_ij + t_jk, x t_ji + t_ik): on to j, or back
    to i, and from there as anybody (t_jk is 0 for k = j, t_ik for k = i). A position in the middle is reached alike, by
    either end. At the very ends of an edge one is at a place.
    """

    def __init__(
        self,
        times_s: ArrayLike,
        length_m: ArrayLike | None = None,
        anchors: Positions | Sequence[int] | None = None,
        *,
        calm_times_s: ArrayLike | None = None,
        matrix_of_hour: ArrayLike | None = None,
    ) -> None:
        """Args:
            times_s: (n, n) seconds from row to column at a unit's speed factor of 1, infinite where there is no way; or
                (k, n, n), of which `matrix_of_hour` tells which holds.
            length_m: (n, n) metres; None: as many as the quickest matrix has seconds.
            anchors: places at which units stand by; the rows, or positions that other travel times have for anchors.
            calm_times_s: the same as `times_s` for units that are in no hurry; None: they take as long.
            matrix_of_hour: (168,) numbers 0 to k − 1, by hour of the week.

        Raises:
            ValueError: arrays of other shapes, times or lengths that are negative or no numbers, anchors that are no
                places.
        """
        tables = _tables("times_s", times_s)
        self.n_places = n = tables.shape[1]
        self._matrix_of_hour = _hours(matrix_of_hour, len(tables))
        self._times_s: list[Floats] = [np.ascontiguousarray(table.reshape(-1)) for table in tables]
        self._length_m = _lengths(length_m, tables.min(axis=0))
        self._calm_s = None if calm_times_s is None else _tables("calm_times_s", calm_times_s)
        if self._calm_s is not None and self._calm_s.shape != tables.shape:
            raise ValueError(f"calm_times_s of shape {self._calm_s.shape}, expected {tables.shape} as times_s")
        self.anchors = anchors if anchors is None or isinstance(anchors, Positions) else self.places(anchors)
        if self.anchors is not None:
            for anchor in self.anchors:
                if not 0 <= anchor.edge < n * n or _place(n, anchor.edge, self._share(anchor)) < 0:
                    raise ValueError(f"an anchor at {anchor}, expected at one of the {n} places")

    def place(self, row: int) -> Position:
        """The position of a place."""
        return self.places([row])[0]

    def places(self, rows: ArrayLike) -> Positions:
        """The positions of (k,) places."""
        row = np.asarray(rows, np.int64).reshape(-1)
        if ((row < 0) | (row >= self.n_places)).any():
            raise ValueError(f"places {row.tolist()}, expected rows 0 to {self.n_places - 1}")
        return Positions((row * (self.n_places + 1)).astype(np.int32), np.zeros(len(row)))

    @cached_property
    def calm(self) -> MatrixTravel:
        """The same for units that are in no hurry; itself where nothing else is given for them."""
        if self._calm_s is None:
            return self
        shape = self.n_places, self.n_places
        return MatrixTravel(
            self._calm_s, self._length_m.reshape(shape), self.anchors, matrix_of_hour=self._matrix_of_hour
        )

    @property
    def changes_s(self) -> Sequence[float]:
        """Nothing is ever closed."""
        return ()

    @property
    def length_m(self) -> Floats:
        """(n²,) metres of each edge."""
        return self._length_m

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all that decides the times."""
        sha = hashlib.sha256(repr((self.n_places, len(self._times_s))).encode())
        for table in (*self._times_s, self._length_m, np.array(self._matrix_of_hour)):
            sha.update(table.tobytes())
        if self._calm_s is not None:
            sha.update(self._calm_s.tobytes())
        return sha.hexdigest()

    def moment(self, hour: int, at_s: float) -> int:  # noqa: ARG002
        """The hour of the week itself, whatever the second of the run."""
        return hour

    def keep(self, hour: int) -> None:
        """Nothing has to be measured."""

    def edge_time_s(self, hour: int) -> Floats:
        """(n²,) seconds along each edge in a moment, infinite where there is no way."""
        return self._times_s[self._matrix_of_hour[hour % HOURS_A_WEEK]]

    def nearest_drives(
        self,
        target: Position,
        rows: Rows,
        positions: Positions,
        delay_s: Floats,
        slowness: Floats,
        hour: int,
        k: int = 1,
        anchor: Ints | None = None,  # noqa: ARG002
    ) -> list[tuple[int, Drive]]:
        """The k candidates that reach a position soonest, each with its drive, soonest first (ties: the smaller row);
        fewer where fewer can come. Arguments as of `geodata.travel.TravelTimes`; who stands at an anchor is found no
        sooner by it."""
        wanted = min(k, len(rows))
        best, cost, drive = np.empty(wanted, np.int64), np.empty(wanted), np.empty((wanted, 2))
        found = _nearest(
            self.n_places,
            self.edge_time_s(hour),
            self._length_m,
            target.edge,
            self._share(target),
            np.asarray(rows, np.int64),
            positions.edge,
            positions.offset_m,
            delay_s,
            slowness,
            best,
            cost,
            drive,
        )
        return [(int(best[i]), Drive(float(drive[i, 0]), float(drive[i, 1]))) for i in range(found)]

    def route(self, origin: Position, target: Position, hour: int) -> Route:
        """The quickest way between two positions.

        Raises:
            NoWayError: there is none.
        """
        n, share, goal = self.n_places, self._share(origin), self._share(target)
        way = Choice(*_choose(n, self.edge_time_s(hour), self._length_m, origin.edge, share, target.edge, goal))
        if not np.isfinite(way.time_s):
            raise NoWayError(f"no way from {origin} to {target}")
        return Route(*self._stretches(way, origin.edge, share, target.edge, goal), way.time_s, way.length_m)

    def _stretches(self, way: Choice, origin: int, share: float, target: int, goal: float) -> tuple[Ints, float, float]:
        """The edges of a way, and its shares of the first and the last of them."""
        n = self.n_places
        if way.leaves in (DIRECT, DIRECT_BACK):
            ahead = goal if origin == target else 1 - goal
            edge, begin, end = origin, share, ahead
            if way.leaves == DIRECT_BACK:
                edge, begin, end = _back(n, origin), 1 - share, 1 - ahead
            return np.array([edge], np.int32), begin, end
        edges: list[int] = []
        begin, end = 0.0, 1.0
        if way.leaves != PLACE:
            edges.append(origin if way.leaves == ALONG else _back(n, origin))
            begin = share if way.leaves == ALONG else 1 - share
        if way.first != way.last or (way.leaves == PLACE and way.enters == PLACE):
            edges.append(way.first * n + way.last)
            # who is there already takes no stretch, unless that takes its time
            end = 1.0 if way.first != way.last or way.time_s > 0 else 0.0
        if way.enters != PLACE:
            edges.append(target if way.enters == ALONG else _back(n, target))
            end = goal if way.enters == ALONG else 1 - goal
        return np.array(edges, np.int32), begin, end

    def _share(self, position: Position) -> float:
        return float(position.offset_m / self._length_m[position.edge])


def _tables(name: str, given: ArrayLike) -> Floats:
    """(k, n, n) seconds."""
    tables: NDArray[Any] = np.asarray(given, float)
    if tables.ndim == 2:
        tables = tables[None]
    if tables.ndim != 3 or tables.shape[1] != tables.shape[2] or not tables.size:
        raise ValueError(f"{name} of shape {np.shape(given)}, expected a square of one place or more")
    if tables.shape[1] > MOST_PLACES:
        raise ValueError(f"{name} of {tables.shape[1]} places, expected at most {MOST_PLACES}")
    if not (tables >= 0).all():
        raise ValueError(f"{name} holds {tables.min()}, expected seconds of 0 or more")
    if not np.isfinite(tables[:, range(tables.shape[1]), range(tables.shape[1])]).all():
        raise ValueError(f"{name}: a place that cannot be reached from itself; expected finite times on the diagonal")
    return tables


def _lengths(given: ArrayLike | None, least_s: Floats) -> Floats:
    """(n²,) metres of each edge."""
    open_ = np.isfinite(least_s)
    length: Floats = np.where(open_, least_s, 0.0) if given is None else np.asarray(given, float)
    if length.shape != least_s.shape:
        raise ValueError(f"length_m of shape {length.shape}, expected {least_s.shape}")
    if not (np.isfinite(length) & (length >= 0))[open_].all():
        raise ValueError("length_m: expected finite metres of 0 or more wherever there is a way")
    metres: Floats = np.maximum(np.where(np.isfinite(length), length, 0.0), SHORTEST_M).reshape(-1)
    return metres


def _hours(given: ArrayLike | None, n_tables: int) -> list[int]:
    """The matrix of each hour of the week."""
    if given is None:
        if n_tables > 1:
            raise ValueError(f"{n_tables} matrices without matrix_of_hour")
        return [0] * HOURS_A_WEEK
    of_hour = np.asarray(given)
    if of_hour.shape != (HOURS_A_WEEK,) or not np.isin(of_hour, np.arange(n_tables)).all():
        raise ValueError(f"matrix_of_hour, expected {HOURS_A_WEEK} numbers from 0 to {n_tables - 1}")
    return [int(number) for number in of_hour]


@compiled
def _back(n: int, edge: int) -> int:
    """The edge of the way back."""
    return (edge % n) * n + edge // n


@compiled
def _place(n: int, edge: int, share: float) -> int:
    """The place at which a position lies, -1 for one under way."""
    if edge // n == edge % n or share <= 0:
        return edge // n
    return edge % n if share >= 1 else -1


@compiled
def _choose(n: int, time_s: Any, length_m: Any, origin: int, share: float, target: int, goal: float) -> Any:
    """The fields of `Choice`."""
    here, there = _place(n, origin, share), _place(n, target, goal)
    best_s, best_m, leaves, enters, first, last = np.inf, np.inf, -1, -1, here, there
    if here < 0 and there < 0 and (origin == target or origin == _back(n, target)):
        ahead = goal if origin == target else 1 - goal
        if ahead >= share:
            leaves = DIRECT
            best_s, best_m = part_s(ahead - share, time_s[origin]), (ahead - share) * length_m[origin]
        else:
            leaves, back = DIRECT_BACK, _back(n, origin)
            best_s, best_m = part_s(share - ahead, time_s[back]), (share - ahead) * length_m[back]
    for leave in range(3):
        if (leave == PLACE) != (here >= 0):
            continue
        out_s, out_m, begin = 0.0, 0.0, here
        if leave == ALONG:
            out_s, out_m, begin = part_s(1 - share, time_s[origin]), (1 - share) * length_m[origin], origin % n
        elif leave == AGAINST:
            edge = _back(n, origin)
            out_s, out_m, begin = part_s(share, time_s[edge]), share * length_m[edge], origin // n
        for enter in range(3):
            if (enter == PLACE) != (there >= 0):
                continue
            in_s, in_m, end = 0.0, 0.0, there
            if enter == ALONG:
                in_s, in_m, end = part_s(goal, time_s[target]), goal * length_m[target], target // n
            elif enter == AGAINST:
                edge = _back(n, target)
                in_s, in_m, end = part_s(1 - goal, time_s[edge]), (1 - goal) * length_m[edge], target % n
            on_s, on_m = 0.0, 0.0
            if begin != end or (leave == PLACE and enter == PLACE):
                on_s = time_s[begin * n + end]
                if begin != end or on_s > 0:
                    on_m = length_m[begin * n + end]
            if out_s + on_s + in_s < best_s:
                best_s, best_m = out_s + on_s + in_s, out_m + on_m + in_m
                leaves, enters, first, last = leave, enter, begin, end
    return best_s, best_m, leaves, enters, first, last


@compiled
def _nearest(
    n: int,
    time_s: Any,
    length_m: Any,
    target: int,
    goal: float,
    rows: Any,
    edge: Any,
    offset_m: Any,
    delay_s: Any,
    slowness: Any,
    best: Any,
    cost: Any,
    drive: Any,
) -> int:
    """Fill in the best candidates, soonest first; how many."""
    found, k = 0, len(best)
    for row in rows:
        at = edge[row]
        way = _choose(n, time_s, length_m, at, offset_m[row] / length_m[at], target, goal)
        s = delay_s[row] + slowness[row] * way[0]
        if not s < np.inf:
            continue
        i = found
        while i > 0 and (s < cost[i - 1] or (s == cost[i - 1] and row < best[i - 1])):
            i -= 1
        if i == k:
            continue
        found = min(found + 1, k)
        for j in range(found - 1, i, -1):
            best[j], cost[j] = best[j - 1], cost[j - 1]
            drive[j, 0], drive[j, 1] = drive[j - 1, 0], drive[j - 1, 1]
        best[i], cost[i] = row, s
        drive[i, 0], drive[i, 1] = way[0], way[1]
    return found
