"""Travel times over the road network: the nearest units, and the ways."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geodata import search
from geodata.along import ALONG_X, ALONG_Y, HEAD, TAIL, TWIN
from geodata.driving import OBEY_ALL, DriveGraph, DrivingRules
from geodata.keeping import SPOKE, keep_nearest, n_kept
from geodata.kept import nearest_kept
from geodata.network import Floats, Ints, RoadNetwork
from geodata.pair import BUCKETS, LANDMARKS, LINK
from geodata.positions import Position, Positions
from geodata.speeds import HOUR_S, HOURS_A_WEEK, Slowdown, SpeedProfile, Speeds
from geodata.spread import spread
from geodata.travel import Drive, NoWayError, Route, Rows

STEP = 2.0
"""Of the mean link's seconds: how much of what waits in a spread is worked off at once. Measured."""
BUCKET_S = 2.0
"""What waits in a search is sorted so finely. Measured."""
PERIODS = 24
"""So many are held ready, a day of hours that all differ; each takes 110 MB at 120,000 nodes with kept times."""
CHORD, LEAST_S_PER_M, GUIDE = 4, 5, 6
"""Places among the first arguments of the searches: chords, the least seconds a metre, the guide."""


class Links(NamedTuple):
    """The edges that can be driven, sorted by the port that they enter or leave; l of them, p ports."""

    first: Ints
    """(p + 1,) those at port i are first[i]:first[i + 1]."""
    record: NDArray[np.void]
    """(l,) of `pair.LINK`."""
    step_s: float
    """How much of what waits in a spread is worked off at once."""

    @classmethod
    def of(cls, at: Ints, other: Ints, time_s: Floats, n_ports: int) -> Links:
        open_edges = np.flatnonzero(np.isfinite(time_s)).astype(np.int32)
        edge = open_edges[np.argsort(at[open_edges], kind="stable")]
        record = np.empty(len(edge), LINK)
        record["s"], record["other"], record["edge"] = time_s[edge], other[edge], edge
        first = np.searchsorted(at[edge], np.arange(n_ports + 1)).astype(np.int32)
        # where all is closed any step will do; but a step of nothing gets nowhere
        return cls(first, record, STEP * float(record["s"].sum()) / max(len(edge), 1) or STEP)


class Period:
    """Hours of equal times, ready for the searches; what only some of them need is made when it is first needed."""

    def __init__(self, drive: DriveGraph, time_s: Floats, scratch: search.Scratch) -> None:
        self._drive = drive
        self.time_s = time_s
        """(q,) by edge of the drive graph, infinite where it cannot be driven."""
        self.road = np.stack([time_s, drive.length_m], axis=1)
        """(q, 2) seconds and metres of each edge, side by side as they are read."""
        tail, head = drive.ends[:, TAIL], drive.ends[:, HEAD]
        self.inward = Links.of(head, tail, time_s, len(drive.xy_m))
        """By the port that they enter."""
        # the ring of buckets should hold twice the longest link
        bucket_s = max(BUCKET_S, 2 * float(self.inward.record["s"].max(initial=0.0)) / (BUCKETS - 4))
        self.graph: tuple[Any, ...] = (
            *self.inward[:2], drive.ends, self.road, drive.chord, self._least_s_per_m(), (), bucket_s, *scratch[:3],
            scratch.path,
        )  # fmt: skip
        """The first arguments of the searches, once there is a guide."""
        self.near: tuple[Any, ...] = ()
        """The first arguments of `nearest_kept`, once times are kept."""

    def _least_s_per_m(self) -> float:
        """The least time that any edge takes for a metre from end to end, as the crow flies."""
        crow_m = np.hypot(self._drive.chord[:, ALONG_X], self._drive.chord[:, ALONG_Y])
        far = crow_m > 0
        return float((self.time_s[far] / crow_m[far]).min(initial=np.inf)) if far.any() else 0.0

    def set_guide(self) -> None:
        """Measure, once, the core and the times from and to the landmarks: the ports that lie farthest out in some
        directions."""
        if self.graph[GUIDE]:
            return
        ports = np.unique(self.inward.record["other"])
        turn = 2 * np.pi * np.arange(LANDMARKS) / LANDMARKS
        out = self._drive.xy_m[ports] @ np.stack([np.cos(turn), np.sin(turn)])
        seeds = np.unique(ports[out.argmax(axis=0)]) if len(ports) else ports
        none = np.empty((len(self._drive.xy_m), 0))
        from_s, to_s = (
            np.column_stack([none, *(spread(*links, seed, np.zeros(1), np.inf) for seed in seeds[:, None])])
            for links in (self.outward, self.inward)
        )
        drive = self._drive
        guide = drive.core.guide(self.inward[:2], self.outward[:2], drive.ends, drive.length_m, from_s, to_s)
        self.graph = (*self.graph[:GUIDE], guide, *self.graph[GUIDE + 1 :])

    @cached_property
    def outward(self) -> Links:
        """By the port that they leave."""
        tail, head = self._drive.ends[:, TAIL], self._drive.ends[:, HEAD]
        return Links.of(tail, head, self.time_s, len(self._drive.xy_m))

    @cached_property
    def streets_outward(self) -> tuple[Ints, Floats]:
        """`ports` and `street_s` as `geodata.spread` has them."""
        return self._streets(inward=False)

    @cached_property
    def streets_inward(self) -> tuple[Ints, Floats]:
        """The same against the traffic."""
        return self._streets(inward=True)

    def _streets(self, *, inward: bool) -> tuple[Ints, Floats]:
        # who comes to the beginning of a line drives against it
        edge = self._drive.edges_of_street[:, :: -1 if inward else 1]
        ports = np.where(self._drive.driven[edge], self._drive.ends[edge, HEAD if inward else TAIL], -1)
        return ports.astype(np.int32), self.time_s[edge]


class RoadTravel:
    """Travel times on a network under a speed profile and driving rules.

    A journey is timed with the speeds of the moment in which it begins. A moment is an hour of the week, 0 to 167; what
    `moment` gives tells beside the hour which of the slowdowns hold. Not for several threads at once: the searches
    share their working memory.
    """

    def __init__(
        self,
        network: RoadNetwork,
        speeds: Speeds | None = None,
        anchors: Positions | None = None,
        *,
        rules: DrivingRules = OBEY_ALL,
        slowdowns: Sequence[Slowdown] = (),
    ) -> None:
        """Args:
        network: the roads.
        speeds: by default the assumed ones.
        anchors: fixed places (posts) for which times are kept, so that who stands there is found without a search.
        rules: of the units that drive.
        slowdowns: closed and slow edges; of those that overlap in time and place the factors are multiplied.
        """
        self.network = network
        self.speeds = speeds or SpeedProfile()
        self.rules = rules
        self.slowdowns = tuple(slowdowns)
        self.anchors = anchors
        period_of_hour, self._hour_of_period = self.speeds.period_of_hour()
        self._period_of_hour = period_of_hour.tolist()
        self._periods: dict[tuple[int, int], Period] = {}
        self._changes_s = sorted({s for down in self.slowdowns for s in (down.from_s, down.until_s)})
        self.drive = DriveGraph.of(network, rules)
        self._scratch = search.Scratch.of_size(len(self.drive.xy_m))
        self._ends, self._length_m = self.drive.ends, self.drive.length_m
        self._connected = len(self.drive.connector_s) > 0
        self._answer = np.empty(1, np.int64), np.empty(1), np.empty((1, 2))

    @cached_property
    def calm(self) -> RoadTravel:
        """The same for units that are in no hurry; itself where the rules say nothing of hurry."""
        rules = self.rules.calm
        if rules == self.rules:
            return self
        return RoadTravel(self.network, self.speeds, self.anchors, rules=rules, slowdowns=self.slowdowns)

    @property
    def changes_s(self) -> Sequence[float]:
        """Seconds of the run at which a slowdown begins or ends, in rising order."""
        return self._changes_s

    @property
    def length_m(self) -> Floats:
        """(q,) metres of each edge, of none where it joins the ports of a junction."""
        return self._length_m

    @property
    def digest(self) -> str:
        """SHA-256 over all that decides the times."""
        sha = hashlib.sha256(self.network.digest.encode())
        sha.update(repr((self.speeds.digest, self.rules)).encode())
        for down in self.slowdowns:
            sha.update(repr((down.name, down.from_s, down.until_s, down.factor)).encode())
            sha.update(down.edges.tobytes())
        return sha.hexdigest()

    def moment(self, hour: int, at_s: float) -> int:
        """The number of a moment: an hour of the week, and the slowdowns that hold at a second of the run."""
        return hour + HOURS_A_WEEK * bisect_right(self._changes_s, at_s)

    def period(self, hour: int) -> Period:
        """Edge times in an hour of the week, or in a moment; those of equal times share one."""
        change, hour = divmod(hour, HOURS_A_WEEK)
        number = self._period_of_hour[hour], change
        period = self._periods.get(number)
        if period is None:
            if len(self._periods) == PERIODS:
                # time goes on: the one made first is needed last
                del self._periods[next(iter(self._periods))]
            period = self._periods[number] = self._prepare(int(self._hour_of_period[number[0]]), change)
        return period

    def edge_time_s(self, hour: int) -> Floats:
        """(m,) seconds along each edge of the network under the rules, infinite where it cannot be driven."""
        return self.period(hour).time_s[: self.network.n_edges]

    def _prepare(self, hour: int, change: int) -> Period:
        n, s, drive = self.network, self._scratch, self.drive
        edge_s = self.rules.time_s(n, self.speeds.edge_time_s(n, hour))
        since_s = self._changes_s[change - 1] if change else -np.inf
        for down in self.slowdowns:
            if down.from_s <= since_s < down.until_s:
                edge_s[down.edges] = edge_s[down.edges] / down.factor if down.factor else np.inf
        return Period(drive, drive.time_s(edge_s), s)

    def keep(self, hour: int) -> None:
        """Measure what is kept for an hour or a moment now, instead of when it is first needed."""
        if self.anchors is not None:
            self._near(self.period(hour), self.anchors)
        self.calm.period(hour).set_guide()

    def for_nearest(self, hour: int) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The first arguments of `nearest_kept`, before the anchors of the candidates and after them."""
        if self.anchors is None:
            raise ValueError("no anchors were given to look at")
        period = self.period(hour)
        # in this order: what is kept comes with a guide
        return self._near(period, self.anchors), period.graph

    def for_way(self, hour: int) -> tuple[Any, ...]:
        """The first arguments of `geodata.search.way`."""
        period = self.period(hour)
        period.set_guide()
        return period.graph

    @property
    def path(self) -> Ints:
        """The edges of the way that was found last, with those that join the ports of a junction."""
        return self._scratch.path

    def fastest_m_s(self, hour: int) -> float:
        """Metres as the crow flies that nobody exceeds in a second at the roads' speed."""
        least_s_per_m: float = self.period(hour).graph[LEAST_S_PER_M]
        return 1 / least_s_per_m if least_s_per_m else np.inf

    def _near(self, period: Period, anchors: Positions) -> tuple[Any, ...]:
        """The first arguments of `nearest_kept`."""
        if not period.near:
            period.near = self._keep(period, anchors), len(anchors)
            period.set_guide()
        return period.near

    def _keep(self, period: Period, anchors: Positions) -> NDArray[np.void]:
        """The anchors from which each node is reached soonest."""
        time_s, ends, length_m = period.time_s, self._ends, self._length_m
        edge, twin = anchors.edge, ends[anchors.edge, TWIN]
        two_way = np.flatnonzero(twin >= 0)
        share = 1 - anchors.offset_m / length_m[edge]
        share = np.r_[share, 1 - share[two_way]]
        edge = np.r_[edge, twin[two_way]]
        seeds = np.empty(len(edge), SPOKE)
        seeds["s"], seeds["m"] = part_s(share, time_s[edge]), share * length_m[edge]
        seeds["other"] = ends[edge, HEAD]
        numbers = np.arange(len(anchors))
        seeds["anchor"] = np.r_[numbers, numbers[two_way]]
        links = period.outward
        return keep_nearest(links.first, links.record, length_m, seeds, n_kept(len(self.drive.xy_m), len(anchors)))

    def nearest(
        self,
        target: Position,
        rows: Rows,
        positions: Positions,
        delay_s: Floats,
        slowness: Floats,
        hour: int,
        k: int = 1,
        limit_s: float = np.inf,
    ) -> tuple[Rows, Floats]:
        """The k candidates that reach a position soonest, and when.

        Args:
            target: where they are wanted.
            rows: the candidates, as rows of the arrays that follow.
            positions: where each is.
            delay_s: seconds before each sets off.
            slowness: each one's seconds for a second at the roads' speed (1 / speed factor).
            hour: of the week.
            k: how many are wanted.
            limit_s: later ones are left out.

        Returns:
            Rows, soonest first (ties: the smaller row), and seconds; fewer than k where there are fewer.
        """
        best, cost, _ = self._search(target, rows, positions, delay_s, slowness, hour, k, limit_s)
        return best, cost

    def _search(
        self,
        target: Position,
        rows: Rows,
        positions: Positions,
        delay_s: Floats,
        slowness: Floats,
        hour: int,
        k: int,
        limit_s: float = np.inf,
    ) -> tuple[Rows, Floats, Floats]:
        """The answer of `nearest`, and the drives of all candidates, of which those of the best are told."""
        period = self.period(hour)
        period.set_guide()
        best, cost, drive = np.empty(k, np.int64), np.empty(k), np.empty((len(rows), 2))
        rows = np.asarray(rows, np.int64)
        asked = target.edge, target.offset_m, rows, positions.edge, positions.offset_m, delay_s, slowness
        room = drive, np.empty_like(drive)
        found = search.nearest_with_drives(*period.graph, *asked, best, cost, 0, float(limit_s), *room)
        return best[:found], cost[:found], drive

    def nearest_drives(
        self,
        target: Position,
        rows: Rows,
        positions: Positions,
        delay_s: Floats,
        slowness: Floats,
        hour: int,
        k: int = 1,
        anchor: Ints | None = None,
    ) -> list[tuple[int, Drive]]:
        """The rows of `nearest`, each with its drive to the target.

        Args:
            anchor: the anchor at which each candidate stands, -1 for one that stands at none. The answer is the same
                without, only later. The other arguments are those of `nearest`.
        """
        if anchor is None or self.anchors is None:
            found, _, drives = self._search(target, rows, positions, delay_s, slowness, hour, k)
            at = {int(row): i for i, row in enumerate(rows)}
            return [(int(row), Drive(*drives[at[int(row)]].tolist())) for row in found]
        period = self.period(hour)
        best, cost, drive = self._answer if k == 1 else (np.empty(k, np.int64), np.empty(k), np.empty((k, 2)))
        n_found = nearest_kept(
            *self._near(period, self.anchors), anchor, *period.graph, *target, rows, positions.edge,
            positions.offset_m, delay_s, slowness, best, cost, drive,
        )  # fmt: skip
        return [(row, Drive(*way)) for row, way in zip(best[:n_found].tolist(), drive[:n_found].tolist(), strict=True)]

    def _edges_of_path(self, count: int) -> Ints:
        """The path that was found last, without connectors."""
        path = self._scratch.path[:count]
        edges: Ints = path[path < self.network.n_edges] if self._connected else path.copy()
        return edges

    def route(self, origin: Position, target: Position, hour: int) -> Route:
        """The fastest route between two positions.

        Raises:
            NoWayError: closures leave none.
        """
        period = self.period(hour)
        period.set_guide()
        count, begin, end, road_s = search.way(*period.graph, *target, *origin)
        if not count:
            raise NoWayError(f"no open way from {origin} to {target}")
        edges = self._edges_of_path(count)
        share = np.ones(len(edges))
        share[-1] = end
        share[0] -= begin
        return Route(edges, begin, end, road_s, float((share * self._length_m[edges]).sum()))


def part_s(share: Floats, edge_s: Floats) -> Floats:
    """Seconds along shares of edges; none along no share, even of a closed edge."""
    return np.where(share > 0, np.where(share > 0, share, 1.0) * edge_s, 0.0)


ROUNDING_S = 1e-6
"""More than seconds of a run can be off by rounding."""


@dataclass(frozen=True)
class HourOfWeek:
    """Turns seconds of a run into hours of the week."""

    start_s: float
    """Seconds since Monday 00:00 at which the run begins."""

    def __call__(self, at_s: float) -> int:
        return int((self.start_s + at_s) // HOUR_S) % HOURS_A_WEEK

    def surely(self, at_s: float) -> tuple[int, float, float]:
        """The hour, and between which seconds it is that, whatever the rounding."""
        begins_s = (self.start_s + at_s) // HOUR_S * HOUR_S - self.start_s
        return self(at_s), begins_s + ROUNDING_S, begins_s + HOUR_S - ROUNDING_S
