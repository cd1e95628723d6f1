"""Where the made city lies, and the random streams that it is drawn from."""

from __future__ import annotations

import zlib

import numpy as np

EPSG = 4547
ORIGIN_M = np.array([398_870.0, 3_121_030.0])
"""Easting and northing of the made city's centre: near 112.97 E, 28.20 N."""


def stream(seed: int, purpose: str) -> np.random.Generator:
    """One random stream a purpose, so that a draw more in one place changes nothing elsewhere."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(zlib.crc32(purpose.encode()),)))
