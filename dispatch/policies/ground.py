"""What patrols are made on, and how a list of stops becomes a timeline: along the fastest ways, at the speed of a
patrol and never faster than the roads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from dispatch.demand import choose
from dispatch.patrol import PATROL_KMH, Patrol
from geodata.city import City
from geodata.crs import LONLAT, project
from geodata.errors import Faults
from geodata.network import Floats, Ints
from geodata.positions import Position, Positions, locate, snap
from geodata.speeds import HOURS_A_WEEK
from geodata.travel import NoWayError, TravelTimes

HOUR = 10
"""Of the week, a Monday's forenoon off the peak, in which ways are looked for. Assumed."""
FAR_M = 500.0
"""A place so far from any street is no place to patrol. Assumed."""

Place = str | Position | Sequence[float]
"""The id of a site or a post, a position, or longitude and latitude."""


class Stop(NamedTuple):
    """Somewhere to go, and how long to stay there."""

    at: Position
    stay_s: float = 0.0
    """Infinite: until it is time to go home."""


class Leg(NamedTuple):
    """The way from one stop to the next, by edge."""

    edge: Ints
    from_share: Floats
    to_share: Floats
    time_s: Floats

    @property
    def total_s(self) -> float:
        return float(self.time_s.sum())


@dataclass(frozen=True, eq=False, kw_only=True)
class Ground:
    """What the patrols of all units that drive alike are made on."""

    city: City
    travel: TravelTimes
    """On the city's network; patrols are in no hurry and take what `calm` gives."""
    kmh: float = PATROL_KMH
    """Where the roads allow it. Assumed: 20 for cars, 4.5 on foot, 15 for e-bikes."""
    hour: int = HOUR
    """The moment in which ways are looked for."""
    moments: Sequence[int] = range(HOURS_A_WEEK)
    """At none of them a patrol is faster than the roads: all hours of the week, without closures and slow-downs."""

    def __post_init__(self) -> None:
        if not self.kmh > 0:
            raise ValueError(f"patrols at {self.kmh} km/h, expected more than 0")

    @cached_property
    def edge_s(self) -> Floats:
        """(m,) seconds on patrol along each edge; edges that are never open keep those of the patrol's own speed."""
        travel = self.travel.calm
        slowest_s = np.zeros(self.city.network.n_edges)
        for moment in self.moments:
            time_s = travel.edge_time_s(moment)
            np.maximum(slowest_s, time_s, out=slowest_s, where=np.isfinite(time_s))
        return np.maximum(slowest_s, self.city.network.length_m / (self.kmh / 3.6))

    @cached_property
    def middles(self) -> Positions:
        """(p,) of the city's pieces of street."""
        n = len(self.city.pieces.street)
        return self._on_pieces(np.arange(n), np.full(n, 0.5))

    @cached_property
    def middles_xy_m(self) -> Floats:
        return locate(self.city.network, self.middles)

    def _on_pieces(self, piece: NDArray[np.integer], share: Floats) -> Positions:
        """Positions at shares of pieces of street."""
        pieces, network = self.city.pieces, self.city.network
        street = pieces.street[piece]
        along_m = pieces.from_m[piece] + share * (pieces.to_m - pieces.from_m)[piece]
        edge = network.edge_of_street[street]
        return Positions(edge, np.where(network.backward[edge], network.street_length_m[street] - along_m, along_m))

    def draw(self, risk: Floats, n: int, rng: np.random.Generator) -> Positions:
        """n points of streets; `risk` by piece."""
        piece = choose(rng, n, risk)
        return self._on_pieces(piece, rng.random(n))

    def leg(self, origin: Position, target: Position) -> Leg:
        """The fastest way between two positions; of no edge where they are one place.

        Raises:
            NoWayError: closures leave none.
        """
        route = self.travel.calm.route(origin, target, self.hour)
        # what joins the ports of a junction is no road
        edge = route.edges[route.edges < len(self.edge_s)]
        from_share, to_share = np.zeros(len(edge)), np.ones(len(edge))
        from_share[:1], to_share[-1:] = route.begin_share, route.end_share
        some = to_share > from_share
        edge, from_share, to_share = edge[some], from_share[some], to_share[some]
        return Leg(edge, from_share, to_share, (to_share - from_share) * self.edge_s[edge])

    def way_s(self, places: Positions) -> Floats:
        """(n, n) seconds on patrol from each place to each other, as near as whole ways tell.

        Raises:
            NoWayError: closures leave no way between two of them.
        """
        n = len(places)
        rows, none, alike = np.arange(n, dtype=np.int64), np.zeros(n), np.ones(n)
        seconds = np.full((n, n), np.inf)
        for j, target in enumerate(places):
            for i, drive in self.travel.calm.nearest_drives(target, rows, places, none, alike, self.hour, n):
                seconds[i, j] = max(drive.time_s, drive.length_m / (self.kmh / 3.6))
        if not np.isfinite(seconds).all():
            raise NoWayError(f"no open way between two of the places {list(places)}")
        return seconds


def timeline(
    name: str, home: Position, stops: Iterable[Stop], ground: Ground, *, until_s: float = np.inf, again: bool = True
) -> Patrol:
    """The patrol that goes from its post to one stop after the other, and home.

    Args:
        name: of the patrol.
        home: position of the post.
        stops: in order; may be without end.
        ground: where.
        until_s: it turns home after the first stop that ends no sooner; a stay without end is ended so that it is home
            by then.
        again: as in `Patrol`.

    Raises:
        NoWayError: closures leave no way to a stop.
        ValueError: it takes no time, or no time is left for a stay without end.
    """
    legs = list(_legs(name, home, stops, ground, until_s))
    edge, from_share, to_share, time_s = (np.concatenate(column) for column in zip(*legs, strict=True))
    until = np.cumsum(time_s)
    return Patrol(name=name, edge=edge, from_share=from_share, to_share=to_share, until_s=until, again=again)


def _legs(name: str, home: Position, stops: Iterable[Stop], ground: Ground, until_s: float) -> Iterator[Leg]:
    """Ways and stays in turn; a stay is on the edge by which the unit came, so that both are one visit."""
    at, now_s = home, 0.0
    edge, share = home.edge, min(home.offset_m / ground.city.network.length_m[home.edge], 1.0)
    for stop in stops:
        way = ground.leg(at, stop.at)
        yield way
        at = stop.at
        now_s += way.total_s
        if len(way.edge):
            edge, share = int(way.edge[-1]), float(way.to_share[-1])
        stay_s = stop.stay_s
        if stay_s == np.inf:
            stay_s = until_s - now_s - ground.leg(at, home).total_s
            if not 0 < stay_s < np.inf:
                raise ValueError(f"patrol {name}: {stay_s:g} s are left for a stay without end")
        if stay_s > 0:
            yield Leg(np.array([edge], np.int32), *(np.array([number]) for number in (share, share, stay_s)))
            now_s += stay_s
        if now_s >= until_s or stop.stay_s == np.inf:
            break
    yield ground.leg(at, home)


def places_in(city: City, places: Sequence[Place], source: str) -> list[Position]:
    """Where places are on the roads.

    Raises:
        InputError: no place at all, ids that no site and no post has, or places farther than `FAR_M` from a street.
    """
    faults = Faults(source)
    if not len(places):
        faults.add("places", "none", "at least one", "Name sites, posts or places by longitude and latitude.")
    tables = (city.posts.table, city.sites.table)
    shape = {str(key): found for table in tables for key, found in zip(table["id"], table.geometry, strict=True)}
    xy_m: dict[int, Floats] = {}
    for i, place in enumerate(places):
        if isinstance(place, str):
            if place in shape:
                xy_m[i] = shapely.get_coordinates(shapely.point_on_surface(shape[place]))[0]
            else:
                faults.add(place, "no site or post of this id", "one of the city", "Take an id of its tables.")
        elif not isinstance(place, Position):
            xy_m[i] = project(np.array([place], float), LONLAT, city.network.epsg)[0]
    faults.raise_any()
    snapped, away_m = snap(city.network, np.array(list(xy_m.values())).reshape(-1, 2))
    for i, metres in zip(xy_m, away_m.tolist(), strict=True):
        if metres > FAR_M:
            mend = "Check its coordinates, and that it lies in the city."
            faults.add(str(places[i]), f"{metres:.0f} m from any street", f"within {FAR_M:g} m", mend)
    faults.raise_any()
    at = dict(zip(xy_m, snapped, strict=True))
    return [place if isinstance(place, Position) else at[i] for i, place in enumerate(places)]
