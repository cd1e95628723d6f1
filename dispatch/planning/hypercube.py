"""Larson's hypercube queueing model: how busy each unit is, and who goes where, when the nearest may be busy.

Calls come in classes (a cell, or a part of its calls) as Poisson streams. Each class has a list of all units in order
of preference, and the first free one goes. Service times are exponential with a rate of each unit, whatever the place.
When all are busy, a call waits in the order of arrival, or is lost.

Sources: Larson, A hypercube queuing model for facility location and redistricting in urban emergency services,
Computers & Operations Research 1 (1974); Larson, Approximating the performance of urban emergency service systems,
Operations Research 23 (1975); Larson and Odoni, Urban Operations Research (1981), chapter 5 (named L&O below).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.integrate import quad
from scipy.special import gammaln, logsumexp

from dispatch.planning.queueing import erlang_b, erlang_c
from geodata.network import Bools, Floats, Ints

MOST_UNITS = 16
"""The exact model has 2^n states: well under a second for 16 units, four times that for every two more."""
MOST_ROUNDS = 10_000
EXACT = 1e-13
"""States are solved until no share within a number of busy units moves by more."""
SETTLED = 1e-10
"""The approximation is repeated until no workload moves by more."""
WHOLE_STEPS = 64
"""Rounds of the approximation before its steps are halved; they are again each time that the rounds have doubled."""

CITY_OFFERED = 1.25
"""Calls in a mean service time in the rectangular city of L&O 5.3.3, and its places from west to east in miles."""
CITY_HOMES = (0.75, -0.25)
CITY_WEST, CITY_EAST = -1.0, 1.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Hypercube:
    """The steady state of units and classes of calls."""

    workloads: Floats
    """(n_units,) share of time that each is busy."""
    all_busy: float
    """Share of calls that find every unit busy: they wait where there is a queue, and are lost where there is none."""
    at_once: Floats
    """(n_classes, n_units) share of all calls that are of the class and get the unit without waiting."""
    after_waiting: Floats
    """(n_classes, n_units) share of all calls that are of the class, wait, and get the unit; 0 without a queue."""

    @property
    def dispatches(self) -> Floats:
        """(n_classes, n_units) share of dispatches that send the unit to the class; they add up to 1."""
        calls = self.at_once + self.after_waiting
        shares: Floats = calls / calls.sum()
        return shares

    def inter_area_share(self, home: ArrayLike) -> float:
        """Share of dispatches that send another unit than the class's own (`home`, (n_classes,) unit numbers)."""
        own = np.asarray(home)
        if own.shape != self.at_once.shape[:1]:
            raise ValueError(f"home has the shape {own.shape}, expected {self.at_once.shape[:1]}")
        return float(1 - self.dispatches[np.arange(len(own)), own].sum())

    def mean_travel_s(self, travel_s: ArrayLike, between_s: ArrayLike | None = None) -> float:
        """Mean seconds of travel of a dispatch.

        A unit that was free comes from where it stands by; one that takes a call from the queue comes from the call
        before, which is of a class drawn by its rate. That is exact when all units serve at one rate.

        Args:
            travel_s: (n_classes, n_units) seconds from where the unit stands by.
            between_s: (n_classes, n_classes) seconds from a call of the first class to one of the second; needed where
                there is a queue.
        """
        travel = np.asarray(travel_s, float)
        n_classes = len(self.at_once)
        if travel.shape != self.at_once.shape:
            raise ValueError(f"travel_s has the shape {travel.shape}, expected {self.at_once.shape}")
        total = float((self.at_once * travel).sum())
        if self.after_waiting.any():
            between = np.asarray(between_s, float) if between_s is not None else np.empty(0)
            if between.shape != (n_classes, n_classes):
                raise ValueError(f"with a queue between_s is needed, of shape {(n_classes, n_classes)}")
            waiting = self.after_waiting.sum(axis=1)
            total += float(waiting / waiting.sum() @ between @ waiting)
        return total / float((self.at_once + self.after_waiting).sum())


def hypercube(
    calls_per_s: ArrayLike, preferences: ArrayLike, services_per_s: ArrayLike, *, queue: bool = True
) -> Hypercube:
    """The exact steady state. L&O 5.4; with a queue the states beyond n busy units fall off as λ over all rates.

    Args:
        calls_per_s: (n_classes,) rates.
        preferences: (n_classes, n_units) numbers of all units, the preferred first.
        services_per_s: (n_units,) rates.
        queue: whether calls wait when all are busy, without limit; or are lost.

    Raises:
        ValueError: shapes or numbers that are not as said, more than MOST_UNITS units, or a queue that grows for ever.
    """
    calls, lists, services = _checked(calls_per_s, preferences, services_per_s, queue)
    n_units, total = len(services), float(calls.sum())
    if n_units > MOST_UNITS:
        raise ValueError(f"{n_units} units, expected at most {MOST_UNITS}; use hypercube_approximation")
    bit = 1 << lists
    before = np.cumsum(bit, axis=1) - bit
    sent = np.zeros((2**n_units, n_units))
    np.add.at(sent, (before, lists), calls[:, None])
    busy = (np.arange(2**n_units)[:, None] >> np.arange(n_units) & 1).astype(bool)
    share = _solve(_add_subsets(sent), busy, services, total)
    if queue:
        share[-1] /= 1 - total / services.sum()
        share /= share.sum()

    # that a unit is sent: all before it in the list are busy, but not it as well; never below 0 by rounding
    together = _add_subsets(share[::-1])[::-1]
    gets = np.empty(lists.shape)
    np.put_along_axis(gets, lists, np.maximum(together[before] - together[before + bit], 0.0), axis=1)
    mix = calls[:, None] / total
    return Hypercube(
        workloads=share @ busy,
        all_busy=float(share[-1]),
        at_once=mix * gets,
        after_waiting=mix * (share[-1] * services / services.sum() if queue else np.zeros(n_units)),
    )


def hypercube_approximation(
    calls_per_s: ArrayLike, preferences: ArrayLike, service_per_s: float, *, queue: bool = True
) -> Hypercube:
    """Larson's approximation (1975; L&O 5.5) for any number of units that serve at one rate.

    The number of busy units is that of M/M/n, and those before a unit in a list are busy as if drawn at random, in
    proportion to their workloads: L&O (5.48), (5.50). Every class finds a free unit as often as in M/M/n, which is
    exact; the shares of its units are scaled to that. The most mistaken workload errs, in parts of the mean one, by
    about 1 % in L&O; in 240 random cities of 10 units by 2 % as a rule and 5 % at worst, and mean travel by 2.5 %.
    Where all classes have the same order, it errs by up to a tenth.
    Arguments and errors as of `hypercube`, but one rate of service.

    Raises:
        ArithmeticError: the rounds do not settle: seen with 300 units asked for in one order by all, and with 800 near
            which almost all calls come from a few places.
    """
    n_units = np.asarray(preferences).shape[-1]
    calls, lists, services = _checked(calls_per_s, preferences, np.full(n_units, float(service_per_s)), queue)
    offered = float(calls.sum() / services[0])
    all_busy = float((erlang_c if queue else erlang_b)(n_units, offered))
    use = offered / n_units * (1.0 if queue else 1 - all_busy)
    waited = offered * all_busy / n_units if queue else 0.0
    log_factors = _log_factors(n_units, offered, queue)

    def chance(workloads: Floats) -> Floats:
        """(n_classes, n_units) that all before a unit in the list are busy, given that it is free."""
        logs = np.log(np.maximum(workloads, np.finfo(float).tiny))[lists]
        found: Floats = np.exp(log_factors + np.cumsum(logs, axis=1) - logs)
        return found

    workloads: Floats = np.full(n_units, use)
    for done in range(MOST_ROUNDS):
        rate = np.bincount(lists.ravel(), (calls[:, None] / services[0] * chance(workloads)).ravel(), minlength=n_units)
        # L&O (5.50): ρ = (1 − ρ) V + D, solved for ρ, then brought to the mean that is known
        change = _with_mean((rate + waited) / (1 + rate), use) - workloads
        moved = float(np.abs(change).max())
        # hundreds of units in nearly one order swing to and fro, unless they go a part of the way
        workloads = workloads + change * 0.5 ** (done // WHOLE_STEPS).bit_length()
        if moved < SETTLED:
            break
    else:
        raise ArithmeticError(f"workloads still move by {moved:g} after {MOST_ROUNDS} rounds")

    gets = np.empty((len(calls), n_units))
    np.put_along_axis(gets, lists, chance(workloads) * (1 - workloads)[lists], axis=1)
    mix = calls[:, None] / calls.sum()
    return Hypercube(
        workloads=workloads,
        all_busy=all_busy,
        at_once=mix * gets / gets.sum(axis=1, keepdims=True) * (1 - all_busy),
        after_waiting=mix * np.full(n_units, all_busy / n_units if queue else 0.0),
    )


def rectangular_city_travel(boundary: float) -> float:
    """Mean east–west travel T(w) of a dispatch in the city of L&O 5.3.3 with its border w west of the first unit.

    The city runs from −1 to 1, half of its calls uniformly east of 0.75, half uniformly west of it. Two units stand by
    at 0.75 and −0.25; each has what lies on its side of the border, and helps out when the other is busy. 1.25 calls
    come in a mean service time; one that finds both busy is lost. Exact: integrals of the distance, and `hypercube`.

    Raises:
        ValueError: a border that is not between the two units (0 to 1).
    """
    if not 0 <= boundary <= 1:
        raise ValueError(f"boundary = {boundary}, expected 0 to 1")
    border = CITY_HOMES[0] - boundary
    sides = ((border, CITY_EAST), (CITY_WEST, border))
    calls = np.array([_over_city(*side) for side in sides])
    distance = np.array([[_over_city(*side, home) for home in CITY_HOMES] for side in sides])
    found = hypercube(CITY_OFFERED * calls, [[0, 1], [1, 0]], [1.0, 1.0], queue=False)
    return found.mean_travel_s(distance / calls[:, None])


def _over_city(west: float, east: float, home: float | None = None) -> float:
    """Integral of the density of calls from west to east, times the distance from a home where one is given."""

    def density(x: float) -> float:
        of_part = 0.5 / (CITY_EAST - CITY_HOMES[0]) if x > CITY_HOMES[0] else 0.5 / (CITY_HOMES[0] - CITY_WEST)
        return of_part * (1.0 if home is None else abs(x - home))

    # cut where the density jumps and where the distance has its corner
    cuts = [west, *(x for x in sorted(CITY_HOMES) if west < x < east), east]
    return sum(quad(density, a, b)[0] for a, b in pairwise(cuts))


def _with_mean(workloads: Floats, mean: float) -> Floats:
    """Scaled to a mean as Larson does; the free time is scaled instead where a unit would be busy all the time."""
    scaled: Floats = workloads * (mean / workloads.mean())
    if scaled.max() >= 1:
        scaled = 1 - (1 - workloads) * ((1 - mean) / (1 - workloads).mean())
    return scaled


def _add_subsets(values: Floats) -> Floats:
    """(n_states, …) sums over all states whose busy units are busy in the state too."""
    sums = values.copy()
    for unit in range(len(sums).bit_length() - 1):
        pairs = sums.reshape(-1, 2, 1 << unit, *sums.shape[1:])
        pairs[:, 1] += pairs[:, 0]
    return sums


def _solve(sent: Floats, busy: Bools, services: Floats, total: float) -> Floats:
    """(n_states,) shares of time without a queue.

    States with an odd and an even number of busy units lead only to one another, so they are solved from each other in
    turn (Gauss–Seidel, as Larson 1974 does). Between turns the numbers busy are set right among themselves as a
    birth–death process: exactly when all units serve at one rate, and in the limit always.
    """
    n_units = len(services)
    state = np.arange(len(sent))
    here, unit = np.nonzero(~busy)
    there = here | 1 << unit
    into = sparse.csr_array(
        (
            np.concatenate([sent[here, unit], services[unit]]),
            (np.concatenate([there, here]), np.concatenate([here, there])),
        ),
        shape=(len(state), len(state)),
    )
    number, ending = busy.sum(axis=1), busy @ services
    leaving = ending + np.where(number < n_units, total, 0.0)
    parts = [np.nonzero(number % 2 == odd)[0] for odd in (0, 1)]
    halves = [into[parts[k]][:, parts[1 - k]] for k in (0, 1)]

    within: Floats = 1 / np.bincount(number)[number]
    for _ in range(MOST_ROUNDS):
        deaths = np.bincount(number, within * ending)[1:]
        levels = _normal(np.r_[0.0, np.cumsum(np.log(total / deaths))])
        share = within * levels[number]
        for k in (1, 0):
            share[parts[k]] = halves[k] @ share[parts[1 - k]] / leaving[parts[k]]
        found = share / np.bincount(number, share)[number]
        moved = float(np.abs(found - within).max())
        within = found
        if moved < EXACT:
            solved: Floats = within * levels[number]
            return solved
    raise ArithmeticError(f"states still move by {moved:g} after {MOST_ROUNDS} rounds")


def _normal(logs: Floats) -> Floats:
    """Shares that add up to 1, from logarithms of their proportions."""
    shares: Floats = np.exp(logs - logsumexp(logs))
    return shares


def _log_factors(n: int, offered: float, queue: bool) -> Floats:
    """(n,) logarithms of the correction factors."""
    all_busy = float((erlang_c if queue else erlang_b)(n, offered))
    use = offered / n * (1.0 if queue else 1 - all_busy)
    j, k = np.arange(n)[:, None], np.arange(n)[None, :]
    some_free = _normal(k[0] * np.log(offered) - gammaln(k[0] + 1)) * (1 - all_busy)
    # of n units with k busy, that j drawn are busy and the next is free: k!/(k−j)! (n−j−1)!/n! (n−k)
    kept = np.maximum(k - j, 0)
    drawn = gammaln(k + 1) - gammaln(kept + 1) + gammaln(n - j) - gammaln(n + 1) + np.log(n - k)
    with np.errstate(divide="ignore"):
        terms = np.where(k >= j, np.log(some_free) + drawn, -np.inf)
    factors: Floats = logsumexp(terms, axis=1) - np.arange(n) * np.log(use) - np.log1p(-use)
    return factors


def _checked(
    calls_per_s: ArrayLike, preferences: ArrayLike, services_per_s: ArrayLike, queue: bool
) -> tuple[Floats, Ints, Floats]:
    calls, lists, services = np.asarray(calls_per_s, float), np.asarray(preferences), np.asarray(services_per_s, float)
    if services.ndim != 1 or not len(services) or not (np.isfinite(services) & (services > 0)).all():
        raise ValueError(f"rates of service {services}, expected one > 0 for each unit")
    if calls.ndim != 1 or not (np.isfinite(calls) & (calls >= 0)).all() or not calls.sum() > 0:
        raise ValueError(f"rates of calls {calls}, expected one >= 0 for each class, and any > 0")
    expected = (len(calls), len(services))
    if lists.shape != expected or (np.sort(lists, axis=1) != np.arange(len(services))).any():
        raise ValueError(f"preferences: expected each unit once in each of the lists of shape {expected}")
    if queue and calls.sum() >= services.sum():
        raise ValueError(f"{calls.sum():g} calls a second at {services.sum():g} services: the queue grows for ever")
    return calls, lists, services
