"""Lognormal times by group, fitted by maximum likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.incidents import Floats

LEAST_TIMES = 30
"""A group with fewer takes the times of all groups together. Assumed."""
LONGEST_S = 86_400.0
"""A recorded time of a day or more is a forgotten button, and is not used. Assumed."""


class Basis(IntEnum):
    """What a group's times were fitted from."""

    OWN = 0
    ALL_GROUPS = 1
    ASSUMED = 2

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", " ")


def usable(seconds: Floats) -> NDArray[np.bool_]:
    """(n,) whether each time is recorded, above 0 and below `LONGEST_S`: one of 0 is two presses of one moment."""
    with np.errstate(invalid="ignore"):
        return np.asarray((seconds > 0) & (seconds < LONGEST_S))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Lognormals:
    """Lognormal times of k groups."""

    n: NDArray[np.int64]
    """(k,) times of the group itself."""
    log_mean: Floats
    """(k,) of the logarithm of seconds."""
    log_sd: Floats
    """(k,)"""
    basis: NDArray[np.uint8]
    """(k,) values of `Basis`."""

    def __post_init__(self) -> None:
        if not len(self.n) == len(self.log_mean) == len(self.log_sd) == len(self.basis):
            raise ValueError("lognormal times: arrays of different lengths")
        if not (np.isfinite(self.log_mean).all() and np.isfinite(self.log_sd).all() and (self.log_sd >= 0).all()):
            raise ValueError("lognormal times: parameters that are not finite, or a negative spread")

    @property
    def mean_s(self) -> Floats:
        """(k,) exp(μ + σ² / 2)."""
        return np.asarray(np.exp(self.log_mean + self.log_sd**2 / 2))

    @property
    def cv(self) -> Floats:
        """(k,) standard deviation over mean, √(exp(σ²) − 1)."""
        return np.asarray(np.sqrt(np.expm1(self.log_sd**2)))

    @classmethod
    def fit(cls, seconds: Floats, group: NDArray[np.integer], mean_s: ArrayLike, cv: float) -> Lognormals:
        """The maximum-likelihood fit of each group: mean and standard deviation, with divisor n, of the logarithms
        (Crow and Shimizu, Lognormal Distributions, 1988, ch. 2). Times that are not `usable` are passed over.

        `group` (n,) numbers 0 to k - 1. A group with fewer than `LEAST_TIMES` takes the fit of all, and where those
        are too few as well, the assumed `mean_s` (k,) and `cv`.
        """
        means = np.asarray(mean_s, float)
        k = len(means)
        good = usable(seconds)
        logs, of = np.log(seconds[good]), group[good]
        n = np.bincount(of, minlength=k)
        # numbers near their middle keep their digits when they are squared
        middle = float(logs.mean()) if len(logs) else 0.0
        sums, squares = (np.bincount(of, (logs - middle) ** power, minlength=k) for power in (1, 2))
        own = n >= LEAST_TIMES
        some = np.maximum(n, 1)
        log_mean = middle + sums / some
        log_sd = np.sqrt(np.maximum(squares / some - (sums / some) ** 2, 0))
        basis = np.where(own, Basis.OWN, Basis.ALL_GROUPS)
        if len(logs) >= LEAST_TIMES:
            log_mean, log_sd = np.where(own, log_mean, middle), np.where(own, log_sd, logs.std())
        else:
            basis = np.full(k, Basis.ASSUMED)
            variance = np.log1p(cv**2)
            log_mean, log_sd = np.log(means) - variance / 2, np.full(k, np.sqrt(variance))
        return cls(n=n.astype(np.int64), log_mean=log_mean, log_sd=log_sd, basis=basis.astype(np.uint8))

    def draw(self, rng: np.random.Generator, group: NDArray[np.integer]) -> Floats:
        """(n,) seconds, one for each of (n,) groups."""
        return np.asarray(np.exp(self.log_mean[group] + self.log_sd[group] * rng.standard_normal(len(group))))
