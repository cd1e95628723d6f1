"""What the upper floors ask of travel times, whether a road network or a plain matrix answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from geodata.network import Floats, Ints
from geodata.positions import Position, Positions

Rows = NDArray[np.int64]


class Drive(NamedTuple):
    """How long a way is."""

    time_s: float
    """At the roads' speed, without siren."""
    length_m: float


class Route(NamedTuple):
    """The way from one position to another."""

    edges: Ints
    begin_share: float
    """Share of the first edge where it begins."""
    end_share: float
    """Share of the last edge where it ends."""
    time_s: float
    """At the roads' speed, without siren."""
    length_m: float


class NoWayError(ValueError):
    """No way leads from one position to the other while some are closed."""


class TravelTimes(Protocol):
    """Travel times between positions; a journey is timed with the speeds of the moment in which it begins."""

    anchors: Positions | None
    """Fixed places (posts) between which and everywhere times are known."""

    @property
    def calm(self) -> Self:
        """The same for units that are in no hurry."""

    @property
    def changes_s(self) -> Sequence[float]:
        """Seconds of the run at which a closure or a slow-down begins or ends, in rising order."""

    @property
    def length_m(self) -> Floats:
        """(m,) metres of each edge that a position may name."""

    @property
    def digest(self) -> str:
        """SHA-256 over all that decides the times."""

    def moment(self, hour: int, at_s: float) -> int:
        """The number of a moment: an hour of the week (0 to 167), and what is closed at a second of the run."""

    def keep(self, hour: int) -> None:
        """Measure what is kept for a moment now, instead of when it is first needed."""

    def edge_time_s(self, hour: int) -> Floats:
        """(m,) seconds along each edge in a moment, infinite where it cannot be driven."""

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
        """The k candidates that reach a position soonest, each with its drive, soonest first (ties: the smaller row);
        fewer where fewer can come.

        Args:
            target: where they are wanted.
            rows: the candidates, as rows of the arrays that follow.
            positions: where each is.
            delay_s: seconds before each sets off.
            slowness: each one's seconds for a second at the roads' speed (1 / speed factor).
            hour: the moment.
            k: how many are wanted.
            anchor: the anchor at which each stands, -1 for one that stands at none; the answer is the same without,
                only later.
        """

    def route(self, origin: Position, target: Position, hour: int) -> Route:
        """The fastest route between two positions.

        Raises:
            NoWayError: closures leave none.
        """
