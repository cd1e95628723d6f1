"""Dispatch policies: whom to send. A policy reads a situation and returns orders; it changes nothing.

Each is `f(situation, *, option=default)`. An option's type tells what a scenario may set it to. "Soonest" means the
expected arrival: turn-out plus the drive at the unit's own speed; of units that are equally soon the one that comes
first in the roster is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from scipy.optimize import linear_sum_assignment

from dispatch.cover import Cover
from dispatch.planning.expected import marginal_shares
from dispatch.policies.arrivals import Arrival, fill, fills, soonest, soonest_engaged, soonest_filling
from dispatch.policies.situation import BEYOND_FREE, Call, Order, Situation, Units
from dispatch.units import UnitState
from geodata.network import Floats
from geodata.positions import Positions, locate
from geodata.routing import RoadTravel
from geodata.travel import Drive, Rows

Share = Annotated[float, Field(ge=0, le=1)]
Priority = Annotated[int, Field(ge=1, le=4)]
Echelon = Literal[1, 3, 5]


def nearest(situation: Situation) -> list[Order]:
    """Whoever is expected on the scene first: turn-out and the time along the roads, whatever the distance. Roles are
    filled one after the other, each by the soonest that will do."""
    if not situation.one_kind:
        return fill(situation.call, partial(soonest_filling, situation))
    call, units = situation.call, situation.units
    roles = call.roles
    found = situation.travel[0].nearest_drives(
        call.target,
        situation.free,
        units.positions,
        units.turn_out_s,
        units.slowness,
        situation.hour,
        len(roles),
        units.post,
    )
    return [Order(unit, drive, role) for role, (unit, drive) in enumerate(found)]


def straight_line(situation: Situation) -> list[Order]:
    """Whoever is nearest as the crow flies, as a dispatcher with a plain map would choose; turn-out and roads are not
    looked at. The way is then driven by road, which shows what such a choice costs.

    Raises:
        ValueError: travel times that know no coordinates.
    """
    travel, call = situation.travel[0], situation.call
    if not isinstance(travel, RoadTravel):
        raise ValueError(f"the policy straight_line needs a road network to measure on, got {type(travel).__name__}")
    goal = Positions(np.array([call.target.edge]), np.array([call.target.offset_m]))
    goal_m = locate(travel.network, goal)

    def ranked(mask: int) -> list[Arrival]:
        rows = situation.free[fills(situation, situation.free, mask)]
        away_m = np.hypot(*(locate(travel.network, situation.units.positions.take(rows)) - goal_m).T)
        found: list[Arrival] = []
        for row in rows[np.argsort(away_m, kind="stable")]:
            if len(found) == len(call.roles):
                break
            found += soonest(situation, call, np.array([row]), 1)
        return found

    return fill(call, ranked)


def beat_first(situation: Situation) -> list[Order]:
    """The soonest of the beat in which the call lies; where that has nobody free, of the beats that touch it, and then
    of all (责任区优先). A call outside all beats gets the soonest of all.

    Raises:
        ValueError: the problem has no beats.
    """
    call, beats = situation.call, situation.beats
    if beats is None:
        raise ValueError("the policy beat_first needs beats")
    own = int(beats.of_cell[call.cell]) if call.cell >= 0 else -1
    if own < 0:
        return nearest(situation)

    def ranked(mask: int) -> list[Arrival]:
        rows = situation.free[fills(situation, situation.free, mask)]
        beat = situation.units.beat[rows]
        rank = np.where(beat == own, 0, np.where((beat >= 0) & beats.neighbours[own, beat], 1, 2))
        found: list[Arrival] = []
        for nearness in range(3):
            if len(found) < len(call.roles):
                found += soonest(situation, call, rows[rank == nearness], len(call.roles))
        return found

    return fill(call, ranked)


def reserve(
    situation: Situation,
    *,
    keep_p2: NonNegativeInt = 0,
    keep_p3: NonNegativeInt = 2,
    keep_p4: NonNegativeInt = 4,
) -> list[Order]:
    """The soonest, but a call is held back unless more units than a number that goes with its priority are free: the
    rest is kept for what is more urgent. P1 and calls that are overdue are never held back.

    Units that may act alone are counted. This is the queue with cut-off priorities of Taylor and Templeton, Operations
    Research 28 (1980), and, for police cars, of Schaack and Larson, Operations Research 34 (1986).

    Args:
        keep_p2, keep_p3, keep_p4: units kept free before a call of that priority. Assumed.
    """
    call, free = situation.call, situation.free
    acts_alone = situation.units.acts_alone
    keep = 0 if call.overdue else (0, keep_p2, keep_p3, keep_p4)[call.priority - 1]
    if not keep:
        return nearest(situation)
    spare = int(np.count_nonzero(acts_alone[free])) - keep
    if spare <= 0:
        return []
    orders = []
    for order in nearest(situation):
        if acts_alone[order.unit]:
            if spare <= 0:
                break
            spare -= 1
        orders.append(order)
    return orders


def preempt(situation: Situation, *, min_gain_s: NonNegativeFloat = 60.0) -> list[Order]:
    """The soonest of the free and of those that are engaged with less. A P1 or P2 call takes units that are on their
    way to P3 and P4, a P1 call also those that are there; whoever is promised to another call is left alone.

    Args:
        min_gain_s: a unit that is engaged is called off only if it comes sooner than the free by more than this.
            Assumed.
    """
    call, units = situation.call, situation.units
    if call.priority > PREEMPTS:
        return nearest(situation)
    may_be = units.state == UnitState.TRAVELLING
    if call.priority == 1:
        may_be |= units.state == UnitState.ON_SCENE
    lesser = (units.priority > PREEMPTS) & units.on_duty & (units.next_incident < 0)
    rows = np.flatnonzero(lesser & may_be)
    return _free_or_engaged(situation, rows, np.zeros(len(rows)), min_gain_s, when_free=False)


PREEMPTS = 2
"""Priorities up to this call units off what is beyond it. Assumed."""


def soonest_free(
    situation: Situation,
    *,
    min_gain_s: NonNegativeFloat = 60.0,
    within_s: NonNegativeFloat = 300.0,
    least_s: NonNegativeFloat = 60.0,
) -> list[Order]:
    """The soonest of the free and of those about to clear, who go when they are free: their expected remaining time,
    turn-out and the drive from where they are at work. No unit is promised to more than one call.

    Args:
        min_gain_s: a unit that is at work is chosen only if it comes sooner than the free by more than this. Assumed.
        within_s: who is not expected to clear so soon is not thought of. Assumed.
        least_s: so long is anybody expected to take still, also who should have cleared by now. Assumed.
    """
    units, now_s = situation.units, situation.now_s
    at_work = (units.state == UnitState.ON_SCENE) | (units.state == UnitState.HANDING_OVER)
    may_be = units.on_duty & (units.next_incident < 0) & (units.incident != situation.call.incident)
    rows = np.flatnonzero(at_work & may_be & (units.free_s - now_s <= within_s))
    left_s = np.maximum(units.free_s[rows] - now_s, least_s)
    return _free_or_engaged(situation, rows, left_s, min_gain_s, when_free=True)


def batch(
    situation: Situation,
    *,
    weights: tuple[PositiveFloat, PositiveFloat, PositiveFloat, PositiveFloat] = (8.0, 4.0, 2.0, 1.0),
    calls: PositiveInt = 50,
) -> list[Order]:
    """All calls that wait and all units that are free, matched at once: who is served follows the order of the queue,
    and who serves whom makes the sum of weight × expected arrival over them the least.

    The assignment problem (Kuhn, Naval Research Logistics Quarterly 2, 1955); exact, as each role looks at as many of
    its nearest units as there are roles.

    Args:
        weights: of a second, for P1 to P4. Assumed.
        calls: so many from the head of the queue are looked at. Assumed.
    """
    free = situation.free
    wants = _served_at_most(situation, calls)
    n = len(wants)
    column = {unit: i for i, unit in enumerate(free.tolist())}
    cost, drives = np.full((n, len(free) + n), np.inf), dict[tuple[int, int], Drive]()
    ranked: dict[tuple[int, int], list[Arrival]] = {}
    for row, (call, role) in enumerate(wants):
        asked = call.incident, call.roles[role]
        if asked not in ranked:
            suited = free[fills(situation, free, call.roles[role])]
            if call.priority > 1:
                # for a P1 call the free include those at their meal
                suited = suited[situation.units.state[suited] != UnitState.MEAL]
            ranked[asked] = soonest(situation, call, suited, min(n, len(suited)))
        for arrival in ranked[asked]:
            at = row, column[arrival.unit]
            cost[at], drives[at] = weights[call.priority - 1] * arrival.after_s, arrival.drive
    # to leave a role unfilled costs more than all arrivals together can save, and the more the sooner it is its turn:
    # sets that can be served form a matroid, so that the dearest of them is the first in the order of the queue
    most = 1.0 + float(np.max(cost, axis=1, where=np.isfinite(cost), initial=0.0).sum())
    cost[:, len(free) :] = most * np.arange(n, 0, -1)[:, None]
    orders = []
    for row, at_column in np.transpose(linear_sum_assignment(cost)).tolist():
        if at_column < len(free):
            call, role = wants[row]
            orders.append(Order(int(free[at_column]), drives[row, at_column], role, call.incident))
    return orders


def _served_at_most(situation: Situation, calls: int) -> list[tuple[Call, int]]:
    """Roles of the waiting calls in the order of the queue; of those that ask for the same kinds no more than there
    are units to fill them."""
    left: dict[int, int] = {}
    wants = []
    for call in situation.waiting[:calls]:
        for role, mask in enumerate(call.roles):
            if mask not in left:
                left[mask] = int(np.count_nonzero(fills(situation, situation.free, mask)))
            if left[mask]:
                left[mask] -= 1
                wants.append((call, role))
    return wants


def cover_aware(
    situation: Situation,
    *,
    busy: Share | None = None,
    slack_s: NonNegativeFloat = 60.0,
    among: PositiveInt = 8,
    from_priority: Priority = 2,
) -> list[Order]:
    """Of the units that arrive within the limit, or not much later than the soonest, the one whose absence costs the
    least expected coverage (`cover_loss`).

    After Jagtenberg, Bhulai and van der Mei, Health Care Management Science 20 (2017). A free unit counts where it
    stands or to which post it drives, if it may act alone; others cost nothing.

    Args:
        busy: the share of time in which a unit is engaged; None: the share of units on duty that are at this moment.
        slack_s: later than the soonest by up to this is soon enough. Assumed.
        among: so many of the soonest are looked at. Assumed.
        from_priority: more urgent calls get the soonest. Assumed.

    Raises:
        ValueError: the problem has no table of cover.
    """
    call, units, cover = situation.call, situation.units, situation.cover
    if cover is None:
        raise ValueError("the policy cover_aware needs a table of cover")
    if call.priority < from_priority:
        return nearest(situation)
    busy = _busy_share(units) if busy is None else busy
    free = situation.free
    post = np.where(units.acts_alone, units.post if situation.heading is None else situation.heading, -1)
    at_post = np.bincount(post[free][post[free] >= 0], minlength=len(cover.time_s))
    orders = []
    for role, mask in enumerate(call.roles):
        near = soonest(situation, call, free[fills(situation, free, mask)], among)
        if not near:
            continue
        latest_s = max(call.limit_s, near[0].after_s + slack_s)
        soon = [arrival for arrival in near if arrival.after_s <= latest_s]
        loss = {at: cover_loss(cover, at_post, at, busy) for at in {int(post[arrival.unit]) for arrival in soon}}
        best = min(soon, key=lambda arrival: (loss[int(post[arrival.unit])], arrival.after_s, arrival.unit))
        orders.append(Order(best.unit, best.drive, role))
        free = free[free != best.unit]
        if post[best.unit] >= 0:
            at_post[post[best.unit]] -= 1
    return orders


def cover_loss(cover: Cover, at_post: Rows, post: int, busy: float) -> float:
    """By how much the share of the demand that is expected to be covered falls when one unit leaves a post.

    Σ wᵢ (1 − q) qⁿ⁽ⁱ⁾⁻¹ over the points i that the post reaches within their limit, where n(i) units reach i: the last
    step of MEXCLP (Daskin, Transportation Science 17, 1983).

    Args:
        cover: the posts.
        at_post: (n_posts,) free units at each, the one that leaves among them.
        post: which one leaves; -1, none of them, costs nothing.
        busy: q, the share of time in which a unit is busy.
    """
    if post < 0:
        return 0.0
    rest = at_post.copy()
    rest[post] -= 1
    return float(marginal_shares(cover, rest, busy)[post])


def _busy_share(units: Units) -> float:
    on_duty = units.on_duty & units.acts_alone
    return int(np.count_nonzero(units.incident[on_duty] >= 0)) / max(int(np.count_nonzero(on_duty)), 1)


BY_ALARM: Mapping[int, tuple[Echelon, ...]] = MappingProxyType({1: (1, 3, 3, 5), 2: (1, 3), 3: (3,), 4: (3,)})
"""Echelons to send by alarm level. Assumed."""


def echelon(situation: Situation, *, plan: Mapping[Priority, tuple[Echelon, ...]] = BY_ALARM) -> list[Order]:
    """A response plan by alarm level, which is the priority: for each tier in turn the soonest unit of that echelon
    (1: the nearest minimal unit, 3: patrol cars, 5: city and armed units).

    Each fills the first open role that it can fill; one that can fill none goes as additional support. Roles that then
    are open, as a tier had nobody free or was not suited, are filled by the soonest of any echelon. The plan is carried
    out once: a call to which somebody was sent only gets what its roles still want.

    Args:
        plan: the tiers (1, 3 or 5 minutes) by alarm level, first to last. A level left out has none.
    """
    call, units, kind = situation.call, situation.units, situation.units.kind
    tiers = () if call.sent else plan.get(call.priority, ())
    free = situation.free
    ranked = {
        tier: soonest(situation, call, free[units.echelon[free] == tier], tiers.count(tier)) for tier in set(tiers)
    }
    open_roles, more, orders = list(range(len(call.roles))), len(call.roles), list[Order]()
    for tier in tiers:
        if not ranked[tier]:
            continue
        first = ranked[tier].pop(0)
        role = next((r for r in open_roles if situation.one_kind or call.roles[r] >> int(kind[first.unit]) & 1), more)
        if role == more:
            more += 1
        else:
            open_roles.remove(role)
        orders.append(Order(first.unit, first.drive, role))
    if not open_roles:
        return orders
    rest = free[~np.isin(free, [order.unit for order in orders])]
    wanting = call._replace(roles=tuple(call.roles[role] for role in open_roles))
    fallback = nearest(situation._replace(call=wanting, free=rest))
    return orders + [order._replace(role=open_roles[order.role]) for order in fallback]


def _free_or_engaged(
    situation: Situation, rows: Rows, delay_s: Floats, min_gain_s: float, *, when_free: bool
) -> list[Order]:
    """Fill the roles with the soonest of the free units and of some that are engaged.

    Args:
        situation: the free ones.
        rows: the engaged ones.
        delay_s: seconds before each of these turns out.
        min_gain_s: one of these must come sooner by more than this.
        when_free: it goes when it is free, and is not called off.
    """
    if not len(rows):
        return nearest(situation)
    delay_s = delay_s + situation.units.turn_out_s[rows]

    def ranked(mask: int) -> list[Arrival]:
        both = soonest_filling(situation, mask) + soonest_engaged(situation, rows, delay_s, mask)
        return sorted(both, key=lambda arrival: (arrival.after_s + min_gain_s * arrival.engaged, arrival.engaged))

    return fill(situation.call, ranked, when_free=when_free)


for _policy in (preempt, soonest_free):
    setattr(_policy, BEYOND_FREE, True)
