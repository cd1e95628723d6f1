"""Relief policies: who takes over a journey when a unit frees itself and nothing waits (途中换警)."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from dispatch.policies.situation import Order, Relief

Gain = Annotated[float, Field(ge=0, lt=1)]
LEAST_GAIN_S = 1.0
"""Nobody is relieved for less, else two units at one place would relieve each other for ever. Assumed."""


def nearer(relief: Relief, *, gain: Gain = 0.3) -> list[Order]:
    """The unit takes over the journey on which it gains the largest share of the time that is still to go, if it is of
    a kind that will do and gains more than a set share. Of equal gains the first journey is taken.

    The share is 1 − (its turn-out + its drive) / (expected arrival of the other − now).

    Args:
        gain: the share, 0 to 1. Assumed.
    """
    units, unit = relief.units, relief.unit
    kind, turn_out_s, slowness = int(units.kind[unit]), float(units.turn_out_s[unit]), float(units.slowness[unit])
    rows = np.array([unit])
    best, orders = gain, list[Order]()
    for journey in relief.journeys:
        left_s = journey.arrives_s - relief.now_s
        # a search is spared where the turn-out alone takes too long
        if journey.unit == unit or not journey.role >> kind & 1 or turn_out_s >= (1 - best) * left_s:
            continue
        for _, drive in relief.travel[kind].nearest_drives(
            journey.target, rows, units.positions, units.turn_out_s, units.slowness, relief.hour, 1, units.post
        ):
            takes_s = turn_out_s + slowness * drive.time_s
            share = 1 - takes_s / left_s
            if share > best and left_s - takes_s >= LEAST_GAIN_S:
                best, orders = share, [Order(unit, drive, incident=journey.incident, relieves=journey.unit)]
    return orders
