"""One random stream per purpose, so that a new draw in one place changes no other."""

from __future__ import annotations

import hashlib

import numpy as np


def key(seed: int, name: str) -> int:
    """A whole number of 63 bits that stands for a purpose under a seed."""
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8], "little") >> 1


def stream(seed: int, replication: int, name: str) -> np.random.Generator:
    """The generator of one purpose in one replication; the same three give the same numbers."""
    purpose = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(replication, purpose)))
