"""Larson's hypercube: the published cases, chains written out state by state, and the limits that are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from dispatch.planning.hypercube import (
    MOST_UNITS,
    Hypercube,
    hypercube,
    hypercube_approximation,
    rectangular_city_travel,
)
from dispatch.planning.queueing import erlang_b, erlang_c

BOOK_CALLS = [0.50, 0.25, 0.35, 0.40]
BOOK_LISTS = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [2, 0, 1]]
BOOK_HOME = [0, 0, 1, 2]


def random_case(seed: int, n_units: int, n_classes: int, use: float, spread: float) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    lists = rng.permuted(np.tile(np.arange(n_units), (n_classes, 1)), axis=1)
    services = 1 + spread * rng.random(n_units)
    calls = rng.random(n_classes)
    return calls * use * services.sum() / calls.sum(), lists, services


def city_case(seed: int, n_units: int, n_classes: int, use: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Calls and units at random places of a square, the nearest preferred; rates, lists and seconds of travel."""
    rng = np.random.default_rng(seed)
    here, units = rng.random((n_classes, 1, 2)), rng.random((1, n_units, 2))
    travel_s = 600 * np.abs(here - units).sum(axis=2)
    calls = rng.random(n_classes)
    return calls * use * n_units / calls.sum(), np.argsort(travel_s, axis=1), travel_s


def by_hand(calls: np.ndarray, lists: np.ndarray, services: np.ndarray, longest: int) -> Hypercube:
    """The same from a chain written out one state at a time, the queue up to a length; every call counted."""
    n_units = len(services)
    states = [(busy, 0) for busy in itertools.product((False, True), repeat=n_units)]
    states += [((True,) * n_units, q) for q in range(1, longest + 1)]
    number = {state: k for k, state in enumerate(states)}
    flow = np.zeros((len(states), len(states)))
    for (busy, waiting), k in number.items():
        if all(busy) and waiting < longest:
            flow[k, number[busy, waiting + 1]] += calls.sum()
        for rate, order in zip(calls, lists, strict=True):
            if free := [u for u in order if not busy[u]]:
                flow[k, number[(*busy[: free[0]], True, *busy[free[0] + 1 :]), 0]] += rate
        for unit in range(n_units):
            if waiting:
                flow[k, number[busy, waiting - 1]] += services[unit]
            elif busy[unit]:
                flow[k, number[(*busy[:unit], False, *busy[unit + 1 :]), 0]] += services[unit]
    balance = flow.T - np.diag(flow.sum(axis=1))
    balance[-1] = 1
    share = np.linalg.solve(balance, np.r_[np.zeros(len(states) - 1), 1.0])
    at_once, after = np.zeros((len(calls), n_units)), np.zeros((len(calls), n_units))
    for (busy, waiting), k in number.items():
        for c, order in enumerate(lists):
            if free := [u for u in order if not busy[u]]:
                at_once[c, free[0]] += share[k] * calls[c] / calls.sum()
            if waiting:
                # a unit that ends with calls waiting takes one, of a class drawn by its rate
                after[c] += share[k] * services / calls.sum() * calls[c] / calls.sum()
    busy = np.array([state for state, _ in states])
    return Hypercube(
        workloads=share @ busy,
        all_busy=float(share @ busy.all(axis=1)),
        at_once=at_once,
        after_waiting=after,
    )


def assert_same(found: Hypercube, expected: Hypercube) -> None:
    assert found.workloads == pytest.approx(expected.workloads, abs=1e-10)
    assert found.all_busy == pytest.approx(expected.all_busy, abs=1e-10)
    assert found.at_once == pytest.approx(expected.at_once, abs=1e-10)
    assert found.after_waiting == pytest.approx(expected.after_waiting, abs=1e-10)


def test_the_three_units_of_the_book() -> None:
    found = hypercube(BOOK_CALLS, BOOK_LISTS, [1, 1, 1])
    assert found.workloads == pytest.approx([0.5574, 0.4734, 0.4693], abs=5.1e-5)
    assert found.all_busy == pytest.approx(0.23684, abs=5.1e-6)
    assert found.inter_area_share(BOOK_HOME) == pytest.approx(0.4353, abs=5.1e-5)


def test_the_three_units_of_the_book_approximately() -> None:
    found = hypercube_approximation(BOOK_CALLS, BOOK_LISTS, 1.0)
    # the book stops in its third round, when no workload moves by more than 0.0011
    assert found.workloads == pytest.approx([0.5627, 0.4716, 0.4657], abs=1.1e-4)
    assert found.all_busy == pytest.approx(0.23684, abs=5.1e-6)
    assert found.inter_area_share(BOOK_HOME) == pytest.approx(0.4353, rel=0.02)


def test_two_units_at_one_place_without_a_queue() -> None:
    found = hypercube([1.0], [[0, 1]], [1.0, 1.0], queue=False)
    assert found.workloads == pytest.approx([0.5, 0.3])
    assert found.all_busy == pytest.approx(0.2)
    assert found.dispatches == pytest.approx(np.array([[5 / 8, 3 / 8]]))


def test_the_best_boundary_of_the_rectangular_city() -> None:
    assert rectangular_city_travel(0.5) == pytest.approx(0.462459, abs=5.1e-7)
    assert rectangular_city_travel(53 / 126) == pytest.approx(0.461659, abs=5.1e-7)
    best = minimize_scalar(rectangular_city_travel, bounds=(0, 1), method="bounded", options={"xatol": 1e-9})
    assert best.x == pytest.approx(53 / 126, abs=1e-6)


@pytest.mark.parametrize("queue", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_units_of_different_rates_as_in_a_chain_written_out(seed: int, queue: bool) -> None:
    n_units = 1 + seed % 5
    case = random_case(seed, n_units, n_classes=4, use=0.75, spread=2.0)
    assert_same(hypercube(*case, queue=queue), by_hand(*case, longest=120 if queue else 0))


@pytest.mark.parametrize("use", [1e-4, 0.3, 0.95])
@pytest.mark.parametrize("n_units", [1, 2, 7, 12])
def test_equal_units_are_as_often_all_busy_as_the_servers_of_erlang(n_units: int, use: float) -> None:
    calls, lists, services = random_case(n_units, n_units, n_classes=30, use=use, spread=0.0)
    offered = n_units * use
    waiting = hypercube(calls, lists, services)
    assert waiting.all_busy == pytest.approx(float(erlang_c(n_units, offered)), rel=1e-9)
    assert waiting.workloads.mean() == pytest.approx(use, rel=1e-9)
    lost = hypercube(calls, lists, services, queue=False)
    assert lost.all_busy == pytest.approx(float(erlang_b(n_units, offered)), rel=1e-9)
    assert lost.workloads.sum() == pytest.approx(offered * (1 - lost.all_busy), rel=1e-9)


@pytest.mark.parametrize("queue", [True, False])
def test_units_that_are_all_alike_share_the_work_of_erlangs_servers_equally(queue: bool) -> None:
    """Every order of preference is equally frequent."""
    lists = np.array(list(itertools.permutations(range(4))))
    offered = 2.6
    for found in (
        hypercube(np.full(24, offered / 24), lists, np.ones(4), queue=queue),
        hypercube_approximation(np.full(24, offered / 24), lists, 1.0, queue=queue),
    ):
        lost = 0.0 if queue else float(erlang_b(4, offered))
        assert found.workloads == pytest.approx(np.full(4, offered * (1 - lost) / 4))
        assert found.dispatches.sum(axis=0) == pytest.approx(np.full(4, 0.25))


def test_one_unit_alone() -> None:
    found = hypercube([0.2, 0.4], [[0], [0]], [1.0])
    assert (found.workloads[0], found.all_busy) == pytest.approx((0.6, 0.6))
    assert found.at_once[:, 0] == pytest.approx([0.4 / 3, 0.8 / 3])
    assert hypercube([0.6], [[0]], [1.0], queue=False).workloads == pytest.approx([0.6 / 1.6])


@pytest.mark.parametrize("queue", [True, False])
def test_every_call_is_sent_somebody_waits_or_is_lost_and_makes_the_work_of_the_units(queue: bool) -> None:
    calls, lists, services = random_case(3, 9, n_classes=20, use=0.7, spread=1.0)
    found = hypercube(calls, lists, services, queue=queue)
    sent = found.at_once + found.after_waiting
    assert found.at_once.sum(axis=1) == pytest.approx(calls / calls.sum() * (1 - found.all_busy))
    assert sent.sum() == pytest.approx(1.0 if queue else 1 - found.all_busy)
    # Little: a unit is busy as often as calls come to it, times their mean service
    assert found.workloads == pytest.approx(calls.sum() * sent.sum(axis=0) / services)


def test_changing_the_unit_of_time_changes_no_share() -> None:
    calls, lists, services = random_case(5, 6, n_classes=10, use=0.6, spread=1.0)
    assert_same(hypercube(calls / 1_860, lists, services / 1_860), hypercube(calls, lists, services))


def test_mean_travel_without_a_queue_is_of_those_that_are_sent() -> None:
    found = hypercube([1.0], [[0, 1]], [1.0, 1.0], queue=False)
    assert found.mean_travel_s([[100.0, 300.0]]) == pytest.approx((0.5 * 100 + 0.3 * 300) / 0.8)


def test_mean_travel_with_a_queue_comes_from_the_call_before() -> None:
    found = hypercube([0.9, 0.3], [[0, 1], [1, 0]], [1.0, 1.0])
    travel_s, between_s = np.array([[60.0, 200.0], [210.0, 50.0]]), np.array([[20.0, 180.0], [190.0, 30.0]])
    of_class = np.array([0.75, 0.25])
    expected = (found.at_once * travel_s).sum() + found.all_busy * (of_class @ between_s @ of_class)
    assert found.all_busy == pytest.approx(float(erlang_c(2, 1.2)))
    assert found.mean_travel_s(travel_s, between_s) == pytest.approx(expected)
    with pytest.raises(ValueError, match="between_s"):
        found.mean_travel_s(travel_s)


@pytest.mark.parametrize("queue", [True, False])
@pytest.mark.parametrize("use", [0.2, 0.5, 0.8])
def test_the_approximation_is_near_the_exact_model_in_a_city(use: float, queue: bool) -> None:
    calls, lists, travel_s = city_case(8, n_units=10, n_classes=60, use=use)
    exact = hypercube(calls, lists, np.ones(10), queue=queue)
    near = hypercube_approximation(calls, lists, 1.0, queue=queue)
    assert near.workloads == pytest.approx(exact.workloads, abs=0.055 * exact.workloads.mean())
    assert near.all_busy == pytest.approx(exact.all_busy, rel=1e-9)
    assert near.inter_area_share(lists[:, 0]) == pytest.approx(exact.inter_area_share(lists[:, 0]), abs=0.01)
    between_s = np.full((60, 60), 400.0)
    assert near.mean_travel_s(travel_s, between_s) == pytest.approx(exact.mean_travel_s(travel_s, between_s), rel=0.03)


@pytest.mark.parametrize(("use", "queue"), [(1e-3, True), (0.4, True), (0.97, True), (1.3, False)])
def test_the_approximation_holds_for_hundreds_of_units(use: float, queue: bool) -> None:
    calls, lists, _ = city_case(1, n_units=300, n_classes=500, use=use)
    found = hypercube_approximation(calls, lists, 1.0, queue=queue)
    lost = 0.0 if queue else float(erlang_b(300, 300 * use))
    assert found.workloads.mean() == pytest.approx(use * (1 - lost))
    assert ((found.workloads > 0) & (found.workloads < 1)).all()
    assert (found.at_once + found.after_waiting).sum() == pytest.approx(1 - lost)


@pytest.mark.parametrize("queue", [True, False])
@pytest.mark.parametrize("n_units", [16, 100])
@pytest.mark.parametrize("use", [0.3, 0.6, 0.999])
def test_units_that_all_calls_ask_for_in_one_order_are_busy_in_that_order(
    use: float, n_units: int, queue: bool
) -> None:
    calls, lists = [n_units * use], [np.arange(n_units)]
    found = hypercube_approximation(calls, lists, 1.0, queue=queue)
    assert ((found.workloads >= 0) & (found.workloads < 1)).all()
    assert (found.at_once >= 0).all()
    assert (np.diff(found.workloads) <= 1e-9).all()
    if n_units <= MOST_UNITS:
        exact = hypercube(calls, lists, np.ones(n_units), queue=queue)
        assert found.workloads == pytest.approx(exact.workloads, abs=0.1)


def test_impossible_cases_are_refused() -> None:
    with pytest.raises(ValueError, match="grows for ever"):
        hypercube([2.0], [[0, 1]], [1.0, 1.0])
    with pytest.raises(ValueError, match="grows for ever"):
        hypercube_approximation([2.0], [[0, 1]], 1.0)
    for lists in ([[0, 0]], [[0, 2]], [[0]], [0, 1], [[0, 1], [1, 0]]):
        with pytest.raises(ValueError, match="preferences"):
            hypercube([1.0], lists, [1.0, 1.0])
    for calls in ([-1.0], [0.0], [np.nan], [[1.0]]):
        with pytest.raises(ValueError, match="rates of calls"):
            hypercube(calls, [[0, 1]], [1.0, 1.0])
    for services in ([1.0, 0.0], [1.0, np.inf], []):
        with pytest.raises(ValueError, match="rates of service"):
            hypercube([1.0], [[0, 1]], services)
    too_many = MOST_UNITS + 1
    with pytest.raises(ValueError, match="hypercube_approximation"):
        hypercube([1.0], [np.arange(too_many)], np.ones(too_many))
    found = hypercube([0.5], [[0, 1]], [1.0, 1.0], queue=False)
    with pytest.raises(ValueError, match="home"):
        found.inter_area_share([0, 1])
    with pytest.raises(ValueError, match="travel_s"):
        found.mean_travel_s([1.0, 2.0])
    with pytest.raises(ValueError, match="boundary"):
        rectangular_city_travel(1.5)
