"""Waiting and loss without a simulation: Poisson arrivals at identical servers, in the order of arrival.

`servers` are whole numbers, `offered` is the load in erlangs (arrivals in a mean service time). All arguments may be
arrays, which broadcast against each other as in numpy; each function returns an array of their common shape. Where
more is offered than the servers can do, every call waits, and waits without end (infinity).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geodata.network import Floats


def erlang_b(servers: ArrayLike, offered: ArrayLike) -> Floats:
    """Share of calls lost in M/M/c without a queue; holds for any distribution of service times (M/G/c/c).

    Recursion B(n) = a B(n−1) / (n + a B(n−1)) from B(0) = 1, which neither overflows nor cancels.
    Source: Erlang (1917); insensitivity: Sevastyanov (1957).
    """
    c, a = _servers(servers, offered)
    lost: Floats = np.ones(c.shape)
    for n in range(1, int(c.max(initial=0)) + 1):
        lost = np.where(n <= c, a * lost / (n + a * lost), lost)
    return lost


def erlang_c(servers: ArrayLike, offered: ArrayLike) -> Floats:
    """Share of calls that find all servers busy and wait, in M/M/c; 1 where a >= c.

    C = B / (1 − ρ + ρ B), ρ = min(a/c, 1), B of `erlang_b`. Source: Erlang (1917).
    """
    c, a = _servers(servers, offered)
    lost, use = erlang_b(c, a), np.minimum(a / c, 1.0)
    waiting: Floats = lost / ((1 - use) + use * lost)
    return waiting


def mean_queue(servers: ArrayLike, offered: ArrayLike) -> Floats:
    """Mean number of calls that wait in M/M/c: C a / (c − a)."""
    c, a = _servers(servers, offered)
    return _over(erlang_c(c, a) * a, c - a)


def mean_wait_s(servers: ArrayLike, arrivals_per_s: ArrayLike, service_s: ArrayLike) -> Floats:
    """Mean seconds in the queue of M/M/c, calls that do not wait included: C s / (c − a), with a = λ s."""
    service = _positive("service_s", service_s)
    c, a = _servers(servers, np.asarray(arrivals_per_s, float) * service)
    return _over(erlang_c(c, a) * service, c - a)


def wait_tail(servers: ArrayLike, arrivals_per_s: ArrayLike, service_s: ArrayLike, wait_s: ArrayLike) -> Floats:
    """Share of calls of M/M/c that wait longer than `wait_s` (>= 0): C exp(−(c − a) t / s)."""
    service, wait = _positive("service_s", service_s), _not_negative("wait_s", wait_s)
    c, a = _servers(servers, np.asarray(arrivals_per_s, float) * service)
    tail: Floats = erlang_c(c, a) * np.exp(-np.maximum(c - a, 0.0) * wait / service)
    return tail


def mean_wait_mg1_s(arrivals_per_s: ArrayLike, service_s: ArrayLike, service_cv: ArrayLike) -> Floats:
    """Mean seconds in the queue of M/G/1, exact: ρ s (1 + v²) / (2 (1 − ρ)), v the coefficient of variation.

    Source: Pollaczek (1930), Khinchine (1932).
    """
    service, cv = _positive("service_s", service_s), _not_negative("service_cv", service_cv)
    use = _not_negative("arrivals_per_s", arrivals_per_s) * service
    return _over(use * service * (1 + cv**2) / 2, 1 - use)


def mean_wait_lee_longton_s(
    servers: ArrayLike, arrivals_per_s: ArrayLike, service_s: ArrayLike, service_cv: ArrayLike
) -> Floats:
    """Mean seconds in the queue of M/G/c, approximate: (1 + v²)/2 times the wait of M/M/c.

    Exact for one server and for exponential service. Source: Lee and Longton (1959).
    """
    cv = _not_negative("service_cv", service_cv)
    wait: Floats = mean_wait_s(servers, arrivals_per_s, service_s) * (1 + cv**2) / 2
    return wait


def mean_wait_kimura_s(
    servers: ArrayLike, arrivals_per_s: ArrayLike, service_s: ArrayLike, service_cv: ArrayLike
) -> Floats:
    """Mean seconds in the queue of M/G/c, approximate, between M/D/c and M/M/c; nearer than Lee–Longton for c > 1.

    W = (1 + v²) / (2 v² / W(M/M/c) + (1 − v²) / W(M/D/c)): Kimura (1986), for Poisson arrivals.
    W(M/D/c) = W(M/M/c) (1 + g)/2 with g = min(0.24, (1 − ρ)(c − 1)(√(4 + 5c) − 2) / (16 c ρ)): Cosmetatos (1975), with
    the bound at light load of Whitt (1993). Exact for one server and for exponential service.
    """
    service, cv = _positive("service_s", service_s), _not_negative("service_cv", service_cv)
    c, a = _servers(servers, np.asarray(arrivals_per_s, float) * service)
    use = np.minimum(a / c, 1.0)
    excess = (1 - use) * (c - 1) * (np.sqrt(4 + 5 * c) - 2)
    # compared before dividing, for ρ may be 0
    gain = np.minimum(0.24 * 16 * c * use, excess) / np.where(use > 0, 16 * c * use, 1.0)
    factor = (1 + cv**2) / (2 * cv**2 + (1 - cv**2) * 2 / (1 + gain))
    wait: Floats = mean_wait_s(servers, arrivals_per_s, service_s) * factor
    return wait


def _servers(servers: ArrayLike, offered: ArrayLike) -> tuple[NDArray[np.int64], Floats]:
    c = np.asarray(servers)
    if not np.issubdtype(c.dtype, np.integer) or (c < 1).any():
        raise ValueError(f"servers = {servers!r}, expected whole numbers >= 1")
    both = np.broadcast_arrays(c.astype(np.int64), _not_negative("offered load", offered))
    return both[0], both[1]


def _not_negative(name: str, value: ArrayLike) -> Floats:
    number = np.asarray(value, float)
    if not (np.isfinite(number) & (number >= 0)).all():
        raise ValueError(f"{name} = {value!r}, expected finite and >= 0")
    return number


def _positive(name: str, value: ArrayLike) -> Floats:
    number = _not_negative(name, value)
    if (number == 0).any():
        raise ValueError(f"{name} = {value!r}, expected > 0")
    return number


def _over(part: Floats, slack: Floats) -> Floats:
    """A quotient, infinite where there is no slack."""
    part, slack = np.broadcast_arrays(part, slack)
    quotient: Floats = np.divide(part, slack, out=np.full(part.shape, np.inf), where=slack > 0)
    return quotient
