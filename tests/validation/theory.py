"""What the simulator says where theory has an answer, side by side: `python tests/validation/theory.py`.

Nobody takes any time to travel here, as in the models of the books, so that a unit's service is its time on the scene.
Intervals come from the means of batches of one long run, of which the first, in which the queue fills, is left out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.stats import poisson

from dispatch.engine import simulate
from dispatch.incidents import Incidents
from dispatch.log import RunLog
from dispatch.planning.hypercube import hypercube, rectangular_city_travel
from dispatch.planning.queueing import erlang_b, erlang_c, mean_wait_mg1_s, mean_wait_s
from dispatch.policies.dispatching import nearest
from dispatch.policies.situation import DispatchPolicy, Order, Situation
from dispatch.problem import Problem
from dispatch.standard import ResponseStandard
from dispatch.units import UnitKind, UnitSpec
from geodata.matrix import MatrixTravel
from geodata.travel import Drive

MONDAY = datetime(2026, 6, 1)
SERVICE_S = 60.0
AT_ONCE_S = 1e-6
"""A call that is lost is withdrawn so soon."""
BATCHES = 30
CALLS = 30_000
PLAIN = UnitKind(name="plain", speed_factor=1.0)

MMC = ((1, 0.5), (2, 1.5), (3, 1.5), (5, 3.0), (10, 8.0), (20, 16.0), (30, 25.0))
"""Servers and offered load."""
PUBLISHED = {
    (1, 0.5): (0.333333, 0.500000, 1.000000),
    (2, 1.5): (0.310345, 0.642857, 1.285714),
    (3, 1.5): (0.134328, 0.236842, 0.157895),
    (5, 3.0): (0.110054, 0.236152, 0.118076),
    (10, 8.0): (0.121661, 0.409180, 0.204590),
    (20, 16.0): (0.064411, 0.256078, 0.064019),
    (30, 25.0): (0.052603, 0.249893, 0.049979),
}
"""Tabulated: share lost (Erlang B), share that waits (Erlang C), mean wait in services."""
THREE_UNITS = {
    "rates": (0.50, 0.25, 0.35, 0.40),
    "preferences": ((0, 1, 2), (0, 2, 1), (1, 0, 2), (2, 0, 1)),
    "workloads": (0.5574, 0.4734, 0.4693),
    "all busy": 0.23684,
    "inter-area": 0.4353,
}
"""Larson and Odoni, Urban Operations Research, 5.4.3."""
TWO_UNITS = {"workloads": (0.5, 0.3), "all busy": 0.2}
BOUNDARIES = {0.5: 0.462459, 53 / 126: 0.461659}
"""The same, 5.3.3: mean travel by the border's distance from the first unit."""


class Row(NamedTuple):
    """One comparison."""

    case: str
    quantity: str
    theory: float
    simulated: float
    half_width: float
    """Of the 95 % interval around what was simulated."""

    @property
    def agrees(self) -> bool:
        """Within 3.5 standard errors."""
        return abs(self.simulated - self.theory) < 3.5 / 1.96 * self.half_width


def theory_table() -> list[Row]:
    """All comparisons, one after the other."""
    return [row for case in CASES for row in case()]


def run(
    received_s: np.ndarray,
    service_s: np.ndarray,
    servers: int,
    *,
    policy: DispatchPolicy = nearest,
    lost: bool = False,
    group: np.ndarray | None = None,
    priority: np.ndarray | None = None,
    travel: MatrixTravel | None = None,
    place: np.ndarray | None = None,
) -> RunLog:
    """Units that stand by at the anchors of a matrix, all at one place by default, and serve calls.

    Args:
        received_s: (n,) when each call comes.
        service_s: (n,) its time on the scene.
        servers: number of units.
        policy: who goes.
        lost: whether a call that finds nobody free is lost; otherwise it waits.
        group: (n,) its class, as the policy sees it in the type of the call.
        priority: (n,)
        travel: ways between places.
        place: (n,) where each call is.
    """
    n = len(received_s)
    travel = travel or MatrixTravel([[0.0]], anchors=[0])
    assert travel.anchors is not None
    zeros = np.zeros(n, np.uint8)
    incidents = Incidents(
        received_s=received_s,
        type=zeros if group is None else group.astype(np.uint8),
        priority=np.full(n, 3, np.uint8) if priority is None else priority.astype(np.uint8),
        cell=np.full(n, -1, np.int32),
        place_class=zeros,
        positions=travel.places(np.zeros(n, int) if place is None else place),
        xy_m=np.zeros((n, 2)),
        desk_s=np.zeros(n),
        on_scene_s=service_s,
        units_needed=np.ones(n, np.uint8),
        limit_s=np.full(n, 300.0),
        withdrawn_s=np.full(n, AT_ONCE_S if lost else np.inf),
    )
    at = np.arange(servers) % len(travel.anchors)
    units = tuple(
        UnitSpec(id=f"U{i}", post=int(post), kind=PLAIN, turn_out_post_s=0.0, turn_out_mobile_s=0.0)
        for i, post in enumerate(at)
    )
    return simulate(
        Problem(
            incidents=incidents,
            units=units,
            posts=travel.anchors,
            travel={PLAIN.driving: travel},
            policy=policy,
            standard=ResponseStandard(),
            start=MONDAY,
            horizon_s=float(received_s[-1]) + 1.0,
        )
    )


def poisson_s(rng: np.random.Generator, n: int, load: float) -> np.ndarray:
    """(n,) arrivals that offer a load, in erlangs, of services."""
    return np.cumsum(rng.exponential(SERVICE_S / load, n))


def lognormal_s(rng: np.random.Generator, n: int, cv: float) -> np.ndarray:
    variance = np.log1p(cv**2)
    return SERVICE_S * np.exp(np.sqrt(variance) * rng.standard_normal(n) - variance / 2)


def row(case: str, quantity: str, theory: float, values: np.ndarray) -> Row:
    """Compare a mean; values in the order of time."""
    means = np.array([batch.mean() for batch in np.array_split(np.asarray(values, float), BATCHES + 1)[1:]])
    return Row(case, quantity, float(theory), float(means.mean()), float(1.96 * means.std(ddof=1) / np.sqrt(BATCHES)))


def waits_s(log: RunLog) -> np.ndarray:
    """Of those that were served."""
    waited = (log.incidents["ordered_s"] - log.incidents["ready_s"]).to_numpy()
    assert not (waited < -1e-6).any()
    # a clock that is set forward by differences is off by its last digit
    return np.where(waited < 1e-6, 0.0, waited)


def busy(log: RunLog, unit: str, until_s: float) -> np.ndarray:
    """Share of each batch of time in which a unit is with an incident."""
    mine = log.assignments[log.assignments["unit_id"] == unit]
    edges = np.linspace(0.0, until_s, BATCHES + 2)
    begin, end = (mine[column].fillna(until_s).to_numpy()[:, None] for column in ("ordered_s", "cleared_s"))
    return np.clip(np.minimum(end, edges[1:]) - np.maximum(begin, edges[:-1]), 0, None).sum(axis=0) / np.diff(edges)


def delays() -> list[Row]:
    """M/M/c."""
    rows = []
    for servers, load in MMC:
        rng = np.random.default_rng([servers, 135])
        received_s = poisson_s(rng, CALLS, load)
        waited = waits_s(run(received_s, rng.exponential(SERVICE_S, CALLS), servers))
        case = f"M/M/{servers}, load {load:g}"
        wait = mean_wait_s(servers, load / SERVICE_S, SERVICE_S) / SERVICE_S
        rows.append(row(case, "share that waits", float(erlang_c(servers, load)), waited > 0))
        rows.append(row(case, "mean wait, services", float(wait), waited / SERVICE_S))
    return rows


def losses() -> list[Row]:
    """M/G/c without a queue: the share lost does not depend on the distribution of services."""
    services: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
        "M": lambda rng, n: rng.exponential(SERVICE_S, n),
        "D": lambda _, n: np.full(n, SERVICE_S),
        "lognormal": lambda rng, n: lognormal_s(rng, n, 1.5),
    }
    rows = []
    for number, (servers, load) in enumerate(MMC):
        letter = list(services)[number % 3]
        rng = np.random.default_rng([servers, 136])
        log = run(poisson_s(rng, CALLS, load), services[letter](rng, CALLS), servers, lost=True)
        lost = (log.incidents["outcome"] == "withdrawn").to_numpy()
        rows.append(row(f"M/{letter}/{servers}/{servers}, load {load:g}", "share lost", erlang_b(servers, load), lost))
    return rows


def general_delays() -> list[Row]:
    """M/G/1 (Pollaczek and Khinchine) and M/D/c (Crommelin), both exact."""
    rows = []
    load = 0.6
    for name, cv in (("D", 0.0), ("lognormal, cv 0.8", 0.8), ("lognormal, cv 1.5", 1.5)):
        rng = np.random.default_rng([int(10 * cv), 137])
        waited = waits_s(run(poisson_s(rng, 2 * CALLS, load), lognormal_s(rng, 2 * CALLS, cv), 1))
        wait = mean_wait_mg1_s(load / SERVICE_S, SERVICE_S, cv) / SERVICE_S
        rows.append(row(f"M/G/1 ({name}), load {load:g}", "mean wait, services", float(wait), waited / SERVICE_S))
    servers, load = 3, 2.4
    rng = np.random.default_rng(138)
    waited = waits_s(run(poisson_s(rng, CALLS, load), np.full(CALLS, SERVICE_S), servers))
    case = f"M/D/{servers}, load {load:g}"
    rows.append(row(case, "mean wait, services", wait_mdc(servers, load), waited / SERVICE_S))
    return rows


def wait_mdc(servers: int, load: float, most: int = 150) -> float:
    """Mean wait of M/D/c in services (Crommelin 1932): whoever is served now is gone a service later, so that the
    number in the system then is that of the waiting now and of those who come."""
    came = poisson.pmf(np.arange(most), load)
    step = np.zeros((most, most))
    for number in range(most):
        waiting = max(number - servers, 0)
        step[number, waiting:] = came[: most - waiting]
    share = np.full(most, 1 / most)
    for _ in range(2_000):
        share = share @ step
        share /= share.sum()
    queue = float(share @ np.maximum(np.arange(most) - servers, 0))
    return queue / load


def urgent_first() -> list[Row]:
    """M/M/1 with two classes, nobody interrupted (Cobham 1954): with a the load of the urgent and b that of all,
    b / (1 − a) and b / ((1 − a)(1 − b)) services."""
    rng = np.random.default_rng(7)
    n, load, urgent_share = CALLS, 0.7, 0.3
    urgent = rng.random(n) < urgent_share
    priority = np.where(urgent, 1, 3)
    waited = waits_s(run(poisson_s(rng, n, load), rng.exponential(SERVICE_S, n), 1, priority=priority)) / SERVICE_S
    ahead = 1 - load * urgent_share
    return [
        row("M/M/1, two priorities, load 0.7", f"mean wait of the {name}, services", theory, waited[mine])
        for name, mine, theory in (("urgent", urgent, load / ahead), ("others", ~urgent, load / (ahead * (1 - load))))
    ]


def by_preference(preferences: Sequence[Sequence[int]], drive: Drive | None = None) -> DispatchPolicy:
    """The first free unit of a list for each class of calls; without a drive the way is looked up."""

    def policy(situation: Situation) -> list[Order]:
        call, free = situation.call, set(situation.free.tolist())
        unit = next((u for u in preferences[call.type] if u in free), None)
        if unit is None:
            return []
        if drive is not None:
            return [Order(unit, drive)]
        rows, units = np.array([unit]), situation.units
        ((_, way),) = situation.travel[0].nearest_drives(
            call.target, rows, units.positions, units.turn_out_s, units.slowness, situation.hour
        )
        return [Order(unit, way)]

    return policy


def hypercubes() -> list[Row]:
    """Larson's hypercube, with a queue of any length and without."""
    n = 2 * CALLS
    rates, preferences = np.array(THREE_UNITS["rates"]), THREE_UNITS["preferences"]
    rows = []
    for case, units, rate, lists, lost in (
        ("hypercube, 3 units, queue", 3, rates, preferences, False),
        ("hypercube, 2 units, loss", 2, np.ones(1), ((0, 1),), True),
    ):
        rng = np.random.default_rng([units, 139])
        group = rng.choice(len(rate), n, p=rate / rate.sum())
        received_s = poisson_s(rng, n, float(rate.sum()))
        policy = by_preference(lists, Drive(0.0, 0.0))
        log = run(received_s, rng.exponential(SERVICE_S, n), units, policy=policy, lost=lost, group=group)
        exact = hypercube(rate, lists, np.ones(units), queue=not lost)
        rows += [
            row(case, f"workload of unit {u + 1}", exact.workloads[u], busy(log, f"U{u}", received_s[-1]))
            for u in range(units)
        ]
        found_busy = log.incidents["first_unit"].isna().to_numpy() if lost else waits_s(log) > 0
        rows.append(row(case, "share that is lost" if lost else "share that waits", exact.all_busy, found_busy))
        if not lost:
            home = np.array([f"U{first}" for first, *_ in lists])[group]
            away = log.incidents["first_unit"].to_numpy(object) != home
            rows.append(
                row(case, "inter-area dispatches", exact.inter_area_share([first for first, *_ in lists]), away)
            )
    return rows


POINTS = 350
"""Places of the rectangular city in the half with the uniform density; the other half has as many on a shorter line."""
LOAD = 1.25


@cache
def city_travels_m(boundary: float, n: int = 2 * CALLS) -> np.ndarray:
    """(k,) travel of each dispatch in the city of Larson and Odoni, 5.3.3, with its border so far from the first unit;
    the same calls whatever the border."""
    rng = np.random.default_rng(140)
    x = np.r_[-1 + (np.arange(POINTS) + 0.5) * 1.75 / POINTS, 0.75 + (np.arange(POINTS) + 0.5) * 0.25 / POINTS]
    x = np.r_[0.75, -0.25, x]
    length = np.abs(x[:, None] - x)
    # the books' service is the same wherever the call is: travel takes next to no time
    travel = MatrixTravel(length * AT_ONCE_S / 100, length * 1_000, anchors=[0, 1])
    place = rng.integers(2, len(x), n)
    group = (x[place] < 0.75 - boundary).astype(np.uint8)
    log = run(
        poisson_s(rng, n, LOAD),
        rng.exponential(SERVICE_S, n),
        2,
        policy=by_preference(((0, 1), (1, 0))),
        lost=True,
        group=group,
        travel=travel,
        place=place,
    )
    return log.assignments["travel_m"].to_numpy() / 1_000


def rectangular_city() -> list[Row]:
    """Its best border, and how much worse others are, call by call."""
    rows = [
        row(f"rectangular city, w = {w:.4f}", "mean travel", rectangular_city_travel(w), city_travels_m(w))
        for w in BOUNDARIES
    ]
    best = min(BOUNDARIES, key=lambda w: BOUNDARIES[w])
    for w in (0.0, 0.9):
        longer = rectangular_city_travel(w) - rectangular_city_travel(best)
        found = city_travels_m(w) - city_travels_m(best)
        rows.append(row(f"rectangular city, w = {w:g} against best", "mean travel gained", longer, found))
    return rows


CASES: tuple[Callable[[], list[Row]], ...] = (
    delays,
    losses,
    general_delays,
    urgent_first,
    hypercubes,
    rectangular_city,
)


def main() -> None:
    print(f"{'case':37} {'quantity':33} {'theory':>9} {'simulated':>9}   95 % ±  errors")
    for case, quantity, theory, simulated, half_width in theory_table():
        errors = (simulated - theory) / (half_width / 1.96)
        print(f"{case:37} {quantity:33} {theory:9.5f} {simulated:9.5f} {half_width:8.5f} {errors:+7.2f}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
