"""Who can come to a call, and when: what the dispatch policies choose from."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dispatch.policies.situation import Call, Order, Situation
from geodata.network import Bools, Floats
from geodata.travel import Drive, Rows, TravelTimes

ANY_KIND = 2**32 - 1
"""The bits of all kinds."""


class Arrival(NamedTuple):
    """A unit that can come, and in how many seconds it is expected to be there."""

    after_s: float
    unit: int
    drive: Drive
    engaged: bool = False


def fills(situation: Situation, rows: Rows, mask: int) -> Bools:
    """(n,) whether each of n units is of one of the kinds of a role, given by its bits."""
    if situation.one_kind:
        return np.ones(len(rows), bool)
    suited: Bools = (np.uint32(mask) >> situation.units.kind[rows]) & 1 == 1
    return suited


def soonest(situation: Situation, call: Call, rows: Rows, k: int) -> list[Arrival]:
    """The k of some free units that can be at a call soonest, soonest first (ties: the smaller row); fewer where fewer
    can come."""
    units, found = situation.units, list[Arrival]()
    for travel, kinds in _driving_alike(situation):
        if len(some := rows[fills(situation, rows, kinds)]):
            drives = travel.nearest_drives(
                call.target, some, units.positions, units.turn_out_s, units.slowness, situation.hour, k, units.post
            )
            found += [_arrival(unit, drive, units.turn_out_s[unit], units.slowness[unit]) for unit, drive in drives]
    return sorted(found)[:k]


def soonest_filling(situation: Situation, mask: int) -> list[Arrival]:
    """Of the free units of the kinds of a role, as many of the soonest as the call has roles."""
    call, free = situation.call, situation.free
    return soonest(situation, call, free[fills(situation, free, mask)], len(call.roles))


def soonest_engaged(situation: Situation, rows: Rows, delay_s: Floats, mask: int) -> list[Arrival]:
    """The same of some units that are engaged.

    Args:
        situation: where they are.
        rows: of the units.
        delay_s: (n,) seconds before each sets off.
        mask: the role.
    """
    call, found = situation.call, list[Arrival]()
    slowness, where = situation.units.slowness[rows], situation.where(rows)
    for travel, kinds in _driving_alike(situation):
        if len(some := np.flatnonzero(fills(situation, rows, mask & kinds))):
            drives = travel.nearest_drives(call.target, some, where, delay_s, slowness, situation.hour, len(call.roles))
            for i, drive in drives:
                found.append(_arrival(int(rows[i]), drive, delay_s[i], slowness[i])._replace(engaged=True))
    return sorted(found)[: len(call.roles)]


def fill(call: Call, ranked: Callable[[int], list[Arrival]], *, when_free: bool = False) -> list[Order]:
    """Give each role in turn the first unit of a ranking that is not yet taken. A role for which only units are left
    that others took gets one of these, if its role can be filled by another: the only armed unit is not used up as the
    first to be there while a car stands by.

    Args:
        call: its roles.
        ranked: the units that can fill a role, by its bits, best first; as many as there are roles, if there are.
        when_free: those that are engaged go when they are free.
    """
    by_mask = {mask: ranked(mask) for mask in dict.fromkeys(call.roles)}
    role_of, chosen = dict[int, int](), dict[int, Arrival]()

    def give(role: int, arrival: Arrival) -> bool:
        role_of[arrival.unit], chosen[role] = role, arrival
        return True

    def find(role: int, tried: set[int]) -> bool:
        """A unit that nobody took, or one whose role another can fill (an augmenting path, Kuhn 1955)."""
        ranking = by_mask[call.roles[role]]
        for arrival in ranking:
            if arrival.unit not in role_of:
                return give(role, arrival)
        for arrival in ranking:
            if arrival.unit not in tried:
                tried.add(arrival.unit)
                if find(role_of[arrival.unit], tried):
                    return give(role, arrival)
        return False

    for role in range(len(call.roles)):
        find(role, set())
    return [
        Order(arrival.unit, arrival.drive, role, when_free=when_free and arrival.engaged)
        for role, arrival in sorted(chosen.items())
    ]


def _arrival(unit: int, drive: Drive, delay_s: float, slowness: float) -> Arrival:
    return Arrival(float(delay_s + slowness * drive.time_s), unit, drive)


def _driving_alike(situation: Situation) -> list[tuple[TravelTimes, int]]:
    """Travel times, each with the bits of the kinds that drive by them."""
    if situation.one_kind:
        return [(situation.travel[0], ANY_KIND)]
    alike: dict[int, tuple[TravelTimes, int]] = {}
    for kind, travel in enumerate(situation.travel):
        alike[id(travel)] = travel, alike.get(id(travel), (travel, 0))[1] | 1 << kind
    return list(alike.values())
