"""The formulas of waiting and loss: tabulated values, exact chains solved by other means, and what must always hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson

from dispatch.planning.queueing import (
    erlang_b,
    erlang_c,
    mean_queue,
    mean_wait_kimura_s,
    mean_wait_lee_longton_s,
    mean_wait_mg1_s,
    mean_wait_s,
    wait_tail,
)

TABLE = [
    # servers, offered load, Erlang B, Erlang C, mean wait × μ
    (1, 0.5, 0.333333, 0.500000, 1.000000),
    (2, 1.5, 0.310345, 0.642857, 1.285714),
    (3, 1.5, 0.134328, 0.236842, 0.157895),
    (5, 3, 0.110054, 0.236152, 0.118076),
    (10, 8, 0.121661, 0.409180, 0.204590),
    (20, 16, 0.064411, 0.256078, 0.064019),
    (30, 25, 0.052603, 0.249893, 0.049979),
]


@pytest.mark.parametrize(("servers", "offered", "lost", "waiting", "wait"), TABLE)
def test_the_tabulated_values(servers: int, offered: float, lost: float, waiting: float, wait: float) -> None:
    assert erlang_b(servers, offered) == pytest.approx(lost, abs=5.1e-7)
    assert erlang_c(servers, offered) == pytest.approx(waiting, abs=5.1e-7)
    service_s = 1_860.0
    assert mean_wait_s(servers, offered / service_s, service_s) / service_s == pytest.approx(wait, abs=5.1e-7)


def test_arrays_broadcast_and_give_the_table_at_once() -> None:
    servers, offered, lost, waiting, _ = (np.array(column) for column in zip(*TABLE, strict=True))
    assert erlang_b(servers.astype(int), offered) == pytest.approx(lost, abs=5.1e-7)
    assert erlang_c(servers.astype(int), offered) == pytest.approx(waiting, abs=5.1e-7)
    assert mean_wait_s(np.array([[1], [2]]), np.array([0.1, 0.2, 0.3]), 2.0).shape == (2, 3)


@given(st.integers(1, 60), st.floats(1e-3, 80))
def test_erlang_b_is_the_last_state_of_a_truncated_poisson(servers: int, offered: float) -> None:
    expected = poisson.pmf(servers, offered) / poisson.cdf(servers, offered)
    assert erlang_b(servers, offered) == pytest.approx(expected, rel=1e-9)


@given(st.integers(1, 60), st.floats(0.01, 0.98))
def test_waiting_agrees_with_the_states_of_the_chain(servers: int, use: float) -> None:
    offered, service_s = servers * use, 600.0
    up_to = servers + math.ceil(40 / -math.log(use))
    births = np.full(up_to, offered)
    logs = np.r_[0.0, np.cumsum(np.log(births / np.minimum(np.arange(1, up_to + 1), servers)))]
    share = np.exp(logs - logs.max()) / np.exp(logs - logs.max()).sum()
    in_queue = np.maximum(np.arange(up_to + 1) - servers, 0)
    assert erlang_c(servers, offered) == pytest.approx(share[servers:].sum(), rel=1e-9, abs=1e-300)
    assert mean_queue(servers, offered) == pytest.approx(share @ in_queue, rel=1e-9, abs=1e-300)
    # Little: the mean number in the queue is the rate of arrivals times the mean wait
    wait = mean_wait_s(servers, offered / service_s, service_s)
    assert offered / service_s * wait == pytest.approx(float(mean_queue(servers, offered)), rel=1e-12)


def test_thousands_of_servers_neither_overflow_nor_vanish() -> None:
    assert erlang_b(5_000, 5_000.0) == pytest.approx(math.sqrt(2 / (math.pi * 5_000)), rel=0.02)
    assert erlang_b(2_000, 1.0) == 0
    assert 0 < erlang_c(2_000, 1_990.0) < 1


def test_the_tail_of_the_wait_starts_at_erlang_c_and_has_the_mean_wait_as_its_area() -> None:
    servers, rate, service_s = 5, 3 / 1_860, 1_860.0
    at_s = np.arange(0.0, 40_000.0, 1.0)
    tail = wait_tail(servers, rate, service_s, at_s)
    assert tail[0] == pytest.approx(float(erlang_c(servers, 3.0)))
    assert np.trapezoid(tail, at_s) == pytest.approx(float(mean_wait_s(servers, rate, service_s)), rel=1e-6)
    # one server: P(W > t) = ρ exp(−(μ − λ) t)
    assert wait_tail(1, 0.5, 1.0, 3.0) == pytest.approx(0.5 * math.exp(-1.5))


def test_one_server_with_any_service_times() -> None:
    # M/D/1 waits half as long as M/M/1; by hand, ρ = 0.8 and v = 2: 0.8 · 10 · 5 / (2 · 0.2) = 100
    assert mean_wait_mg1_s(0.05, 10.0, 0.0) == pytest.approx(float(mean_wait_s(1, 0.05, 10.0)) / 2)
    assert mean_wait_mg1_s(0.05, 10.0, 1.0) == pytest.approx(float(mean_wait_s(1, 0.05, 10.0)))
    assert mean_wait_mg1_s(0.08, 10.0, 2.0) == pytest.approx(100.0)


@given(st.integers(1, 40), st.floats(0.0, 0.99), st.floats(0.0, 3.0))
def test_both_approximations_are_exact_for_one_server_and_for_exponential_service(
    servers: int, use: float, cv: float
) -> None:
    service_s = 1_860.0
    for approximate in (mean_wait_lee_longton_s, mean_wait_kimura_s):
        one = approximate(1, use / service_s, service_s, cv)
        assert one == pytest.approx(float(mean_wait_mg1_s(use / service_s, service_s, cv)), rel=1e-9)
        exponential = approximate(servers, servers * use / service_s, service_s, 1.0)
        assert exponential == pytest.approx(float(mean_wait_s(servers, servers * use / service_s, service_s)), rel=1e-9)


def fixed_service_wait(servers: int, offered: float) -> float:
    """M/D/c exactly: a service time later the queue is what was beyond the servers, and the calls since (Crommelin)."""
    n = servers + 150
    after = np.array([poisson.pmf(np.arange(n) - max(k - servers, 0), offered) for k in range(n)])
    after[:, -1] += 1 - after.sum(axis=1)
    share = np.linalg.solve(np.vstack([(after.T - np.eye(n))[:-1], np.ones(n)]), np.r_[np.zeros(n - 1), 1.0])
    return float(share @ np.maximum(np.arange(n) - servers, 0)) / offered


def two_phase_wait(servers: int, offered: float, cv: float) -> float:
    """M/H2/c exactly, as a chain of the calls in each phase; H2 of mean 1 with balanced means."""
    p = (1 + math.sqrt((cv**2 - 1) / (cv**2 + 1))) / 2
    chance, rate = (p, 1 - p), (2 * p, 2 * (1 - p))
    longest = 400
    states = [(i, n - i, 0) for n in range(servers + 1) for i in range(n + 1)]
    states += [(i, servers - i, q) for q in range(1, longest + 1) for i in range(servers + 1)]
    number = {state: k for k, state in enumerate(states)}
    flow = np.zeros((len(states), len(states)))
    for (i, j, q), k in number.items():
        waiting = i + j == servers
        if waiting and q < longest:
            flow[k, number[i, j, q + 1]] += offered
        if not waiting:
            flow[k, number[i + 1, j, 0]] += offered * chance[0]
            flow[k, number[i, j + 1, 0]] += offered * chance[1]
        for ends, (a, b) in ((i * rate[0], (i - 1, j)), (j * rate[1], (i, j - 1))):
            if ends and q:
                flow[k, number[a + 1, b, q - 1]] += ends * chance[0]
                flow[k, number[a, b + 1, q - 1]] += ends * chance[1]
            elif ends:
                flow[k, number[a, b, 0]] += ends
    balance = flow.T - np.diag(flow.sum(axis=1))
    balance[-1] = 1
    share = np.linalg.solve(balance, np.r_[np.zeros(len(states) - 1), 1.0])
    return float(share @ np.array([q for _, _, q in states])) / offered


@pytest.mark.parametrize(("servers", "use"), [(2, 0.5), (2, 0.8), (5, 0.7), (10, 0.8), (20, 0.9)])
def test_kimura_is_within_two_percent_of_fixed_service_times(servers: int, use: float) -> None:
    exact = fixed_service_wait(servers, servers * use)
    kimura = mean_wait_kimura_s(servers, servers * use, 1.0, 0.0)
    assert kimura == pytest.approx(exact, rel=0.02)
    lee_longton = mean_wait_lee_longton_s(servers, servers * use, 1.0, 0.0)
    assert abs(lee_longton - exact) > abs(kimura - exact)


@pytest.mark.parametrize(("servers", "use"), [(2, 0.5), (2, 0.8), (3, 0.7)])
def test_kimura_is_within_three_percent_of_service_times_with_a_long_tail(servers: int, use: float) -> None:
    exact = two_phase_wait(servers, servers * use, math.sqrt(2))
    assert mean_wait_kimura_s(servers, servers * use, 1.0, math.sqrt(2)) == pytest.approx(exact, rel=0.03)


def test_without_load_nobody_waits_and_beyond_the_limit_everybody_does_without_end() -> None:
    assert (erlang_b(3, 0.0), erlang_c(3, 0.0), mean_wait_s(3, 0.0, 60.0)) == (0, 0, 0)
    assert (mean_wait_mg1_s(0.0, 60.0, 1.0), mean_wait_kimura_s(3, 0.0, 60.0, 0.8)) == (0, 0)
    for offered in (3.0, 4.0):
        assert erlang_c(3, offered) == 1
        assert mean_queue(3, offered) == math.inf
        assert wait_tail(3, offered, 1.0, 1e9) == 1
        for wait in (mean_wait_s(3, offered, 1.0), mean_wait_kimura_s(3, offered, 1.0, 0.8)):
            assert wait == math.inf
    assert erlang_b(3, 1e12) == pytest.approx(1)
    assert mean_wait_mg1_s(1.0, 1.0, 0.5) == math.inf


@pytest.mark.parametrize("servers", [0, -1, 2.5])
def test_servers_are_whole_and_at_least_one(servers: float) -> None:
    with pytest.raises(ValueError, match="servers"):
        erlang_b(servers, 1.0)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_impossible_loads_and_times_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="offered"):
        erlang_c(3, bad)
    with pytest.raises(ValueError, match="service_s"):
        mean_wait_s(3, 0.1, bad)
    with pytest.raises(ValueError, match="service_cv"):
        mean_wait_mg1_s(0.1, 1.0, bad)
    with pytest.raises(ValueError, match="wait_s"):
        wait_tail(3, 0.1, 1.0, bad)
    with pytest.raises(ValueError, match="> 0"):
        mean_wait_s(3, 0.1, 0.0)
