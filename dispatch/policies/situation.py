"""What the policies see, and what they answer. Everything here is read only: a policy changes nothing.

Arrays have one entry a unit of the roster and are those of the engine itself, not copies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.cover import Cover
from geodata.network import Bools, Floats, Ints
from geodata.positions import Position, Positions
from geodata.travel import Drive, Rows, TravelTimes


class Units(NamedTuple):
    """All units of the roster, as the dispatcher knows them at this moment."""

    positions: Positions
    """Where each unit is that is free; of one that is engaged see `Situation.where`."""
    turn_out_s: Floats
    """How long each is expected to take before it rolls, if it is ordered now."""
    post: Ints
    """The post (row) at which each stands, -1 for one that is on the way."""
    slowness: Floats
    """Each one's seconds for a second at the roads' speed."""
    kind: NDArray[np.uint8]
    """Row of its kind in the problem's kinds."""
    acts_alone: Bools
    echelon: NDArray[np.uint8]
    """1, 3 or 5."""
    beat: Ints
    """-1: none."""
    state: NDArray[np.uint8]
    """Values of `UnitState`: of an engaged unit TRAVELLING from the order on, ON_SCENE, TRANSPORTING or HANDING_OVER;
    of others any other, by and large. Whether a unit may be sent `Situation.free` tells."""
    on_duty: Bools
    incident: Ints
    """The incident with which it is engaged, -1: none."""
    priority: NDArray[np.uint8]
    """Of that incident; 0: none."""
    free_s: Floats
    """When it is expected to be free of it, on the dispatcher's knowledge (means by type, not the drawn times);
    infinite where it is not engaged."""
    next_incident: Ints
    """The incident that it is to go to when it is free, -1: none."""


class Call(NamedTuple):
    """An incident that waits for units, as the dispatcher knows it."""

    incident: int
    target: Position
    type: int
    """Value of `IncidentType`."""
    priority: int
    """1 (life at risk) to 4; also the alarm level of response plans."""
    place_class: int
    """Value of `PlaceClass`."""
    cell: int
    """Row of the grid, -1: outside."""
    ready_s: float
    """Since when it waits."""
    roles: tuple[int, ...]
    """A unit is wanted for each; bit i is set where one of kind i will do. The first to be there comes first."""
    sent: int
    """Units that are there or on the way."""
    overdue: bool
    """It has waited longer than the maximum hold: nothing may hold it back any more."""
    limit_s: float = 0.0
    """Seconds from the order within which the first unit is to be there; 0: not told."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Beats:
    """Who is responsible for what."""

    of_cell: Ints
    """(n_cells,) the beat of each cell, -1: none."""
    neighbours: Bools
    """(n_beats, n_beats) whether two beats touch."""


class Situation(NamedTuple):
    """What the dispatcher sees when a call asks for units."""

    now_s: float
    hour: int
    """The moment, as travel times name it."""
    call: Call
    waiting: Sequence[Call]
    """All that wait, this one among them, in the order in which they are served."""
    free: Rows
    """Rows of the units that may be sent at once, whatever their kind, in roster order; may be empty."""
    units: Units
    travel: Sequence[TravelTimes]
    """By row of kind."""
    one_kind: bool
    """All units drive alike and may fill every role: no need to look at kinds."""
    where: Callable[[Rows], Positions]
    """Where engaged units are now (entries by the rows asked for); costs a look at their routes."""
    beats: Beats | None
    cover: Cover | None
    heading: Ints | None = None
    """(n_units,) as in `Standing`; None: not told, and only a unit that stands at a post counts as being there."""


class Order(NamedTuple):
    """Send a unit by the fastest way."""

    unit: int
    drive: Drive
    role: int = 0
    """The place in `Call.roles` that it fills; one beyond them is sent in addition."""
    incident: int = -1
    """-1: that of the call; a policy that looks at the whole queue may name another that waits."""
    relieves: int = -1
    """The unit, on its way to the same incident, that is called off in its stead; -1: none."""
    when_free: bool = False
    """The unit is engaged, and goes when it is free; without this, an order to an engaged unit calls it off what it is
    at, which waits again."""


DispatchPolicy = Callable[[Situation], list[Order]]

BEYOND_FREE = "beyond_free"
"""Attribute of a policy that may order engaged units, and so is asked even when no unit is free: set it to True."""


class Journey(NamedTuple):
    """A unit on its way to an incident."""

    incident: int
    unit: int
    target: Position
    role: int
    """Bits of the kinds that will do."""
    arrives_s: float
    """When it is expected."""


class Relief(NamedTuple):
    """What the dispatcher sees when a unit frees itself and nothing waits."""

    now_s: float
    hour: int
    unit: int
    """The one that is free."""
    journeys: Sequence[Journey]
    units: Units
    travel: Sequence[TravelTimes]


ReliefPolicy = Callable[[Relief], list[Order]]
"""Answers with no order, or with one that names its incident and whom it relieves."""


class Standing(NamedTuple):
    """What is seen when units may be moved to other posts: after a unit was sent, or freed itself."""

    now_s: float
    hour: int
    freed: int
    """The unit that has just become free, -1: one was sent."""
    idle: Rows
    """Rows of the units that may be moved: free, at a post or on the way to one, not moved too lately."""
    heading: Ints
    """(n_units,) the post at which each free unit stands or to which it drives; -1: none."""
    home: Ints
    """(n_units,) the home post of each."""
    busy_share: float
    """Of the time on duty of all units so far, that in which they were engaged."""
    cover: Cover
    units: Units
    travel: Sequence[TravelTimes]
    """By row of kind."""
    posts: Sequence[Position]


class Move(NamedTuple):
    """Let a free unit stand by at another post."""

    unit: int
    post: int


MoveUpPolicy = Callable[[Standing], list[Move]]

Options = Mapping[str, object]
"""What a scenario may set of a policy: its keyword arguments."""
