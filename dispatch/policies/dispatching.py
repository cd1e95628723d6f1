"""Dispatch policies: whom to send. A policy reads a situation and returns orders; it changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from geodata.network import Floats, Ints
from geodata.positions import Position, Positions, locate
from geodata.routing import Drive, RoadTravel, Rows


class Situation(NamedTuple):
    """What the dispatcher sees when an incident asks for units. Arrays have one entry a unit of the roster."""

    hour: int
    """Of the week."""
    target: Position
    wanted: int
    """Units asked for."""
    eligible: Rows
    """Rows of the units that may be sent, in roster order; at least one."""
    positions: Positions
    """Where each unit is now."""
    turn_out_s: Floats
    """How long each is expected to take before it rolls."""
    post: Ints
    """The post (row in the city) at which each stands, -1 for one that is on the way."""
    slowness: Floats
    """Each one's seconds for a second at the roads' speed."""
    travel: RoadTravel


class Order(NamedTuple):
    """Send a unit, by the fastest way."""

    unit: int
    drive: Drive


DispatchPolicy = Callable[[Situation], list[Order]]


def nearest(situation: Situation) -> list[Order]:
    """Whoever is expected on the scene first: turn-out and the time along the roads, whatever the distance."""
    at = situation
    found = at.travel.nearest_drives(
        at.target, at.eligible, at.positions, at.turn_out_s, at.slowness, at.hour, at.wanted, anchor=at.post
    )
    return [Order(unit, drive) for unit, drive in found]


def straight_line(situation: Situation) -> list[Order]:
    """Whoever is nearest as the crow flies, as a dispatcher with a plain map would choose."""
    at = situation
    network = at.travel.network
    xy_m = locate(network, at.positions.take(at.eligible))
    goal = locate(network, Positions(np.array([at.target.edge]), np.array([at.target.offset_m])))
    order = np.argsort(np.hypot(*(xy_m - goal).T), kind="stable")[: at.wanted]
    orders = []
    for row in at.eligible[order].tolist():
        route = at.travel.route(at.positions[row], at.target, at.hour)
        orders.append(Order(row, Drive(route.time_s, route.length_m)))
    return orders


POLICIES: Mapping[str, DispatchPolicy] = {"nearest": nearest, "straight_line": straight_line}
"""By the name that a scenario gives."""
