"""From the drawing board to the map: a smooth, invertible bending of the plane.

The city is drawn straight and square, which keeps every junction exact, and is bent as a whole afterwards: the river
meanders and the streets beside it follow, quarters turn by some degrees, and far out the roads wind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geodata.network import Floats
from geodata.synthetic.streams import ORIGIN_M, stream

TURNS = (
    # x, y, reach in metres, degrees
    (-4700.0, 4100.0, 2000.0, 24.0),
    (4100.0, -4300.0, 1900.0, -20.0),
    (3700.0, 4600.0, 1900.0, 15.0),
    (-4300.0, -5200.0, 1900.0, 17.0),
    (600.0, -200.0, 1700.0, 7.0),
)
STILL = (9350.0, 5250.0)
STILL_REACH_M = 2300.0
"""Around the airport the board is carried along whole: a runway is straight."""
NOISE_WAVES_M = (9000.0, 7000.0, 5200.0, 4300.0, 3600.0)
RURAL_WAVES_M = (1900.0, 1500.0, 1250.0)


@dataclass(frozen=True, eq=False)
class Warp:
    """Bends (n, 2) drawing-board metres to easting and northing, and back."""

    river_x_m: float
    phases: Floats
    """(2,) of the river's two waves."""
    noise: Floats
    """(k, 6): wave vector x, y; phase; shift x, y; 1 where the wave is for the outskirts alone."""

    @classmethod
    def draw(cls, seed: int, river_x_m: float) -> Warp:
        rng = stream(seed, "warp")
        length = np.r_[NOISE_WAVES_M, RURAL_WAVES_M]
        rural = np.r_[np.zeros(len(NOISE_WAVES_M)), np.ones(len(RURAL_WAVES_M))]
        heading, turn = rng.uniform(0, 2 * np.pi, (2, len(length)))
        wave = 2 * np.pi / length
        size = length * np.where(rural > 0, 0.022, 0.021)
        noise = np.stack(
            [
                wave * np.cos(heading),
                wave * np.sin(heading),
                rng.uniform(0, 2 * np.pi, len(length)),
                size * np.cos(turn),
                size * np.sin(turn),
                rural,
            ],
            axis=1,
        )
        return cls(river_x_m, rng.uniform(-0.5, 0.5, 2), noise)

    def __call__(self, xy_m: Floats) -> Floats:
        xy = np.asarray(xy_m, float)
        for x, y, reach_m, degrees in TURNS:
            away = xy - (x, y)
            angle = np.radians(degrees) * np.exp(-(away**2).sum(axis=1) / (2 * reach_m**2))
            cos, sin = np.cos(angle), np.sin(angle)
            turned = np.stack([cos * away[:, 0] - sin * away[:, 1], sin * away[:, 0] + cos * away[:, 1]], axis=1)
            xy = turned + np.array([x, y])
        moved = self._meander(xy) + self._wave(xy) - xy
        still = np.array([STILL])
        carried = self._meander(still) + self._wave(still) - still
        calm = np.exp(-((np.hypot(*(xy - still).T) / STILL_REACH_M) ** 4))[:, None]
        bent: Floats = ORIGIN_M + xy + (1 - calm) * moved + calm * carried
        return bent

    def inverse(self, xy_m: Floats) -> Floats:
        """Drawing-board metres, within 1 m."""
        target = np.asarray(xy_m, float)
        xy: Floats = target - ORIGIN_M
        for _ in range(12):
            here = self(xy)
            by_x, by_y = self(xy + np.array([1.0, 0.0])) - here, self(xy + np.array([0.0, 1.0])) - here
            off = target - here
            area = by_x[:, 0] * by_y[:, 1] - by_x[:, 1] * by_y[:, 0]
            step = np.stack(
                [off[:, 0] * by_y[:, 1] - off[:, 1] * by_y[:, 0], off[:, 1] * by_x[:, 0] - off[:, 0] * by_x[:, 1]],
                axis=1,
            )
            xy = xy + 0.8 * step / area[:, None]
        return xy

    def _meander(self, xy: Floats) -> Floats:
        x, y = xy[:, 0] - self.river_x_m, xy[:, 1]
        long, short = 2 * np.pi / 11500, 2 * np.pi / 6100
        first, second = long * y + self.phases[0] + 2.2, short * y + self.phases[1]
        shift = 1150 * np.sin(first) + 230 * np.sin(second)
        slope = 1150 * long * np.cos(first) + 230 * short * np.cos(second)
        # the cross streets turn with the river as well, so that crossings stay near to square
        east = shift * np.exp(-((x / 6500) ** 2))
        north = -0.75 * slope * x * np.exp(-((x / 2600) ** 2))
        moved: Floats = xy + np.stack([east, north], axis=1)
        return moved

    def _wave(self, xy: Floats) -> Floats:
        outside = 1 / (1 + np.exp(-(np.hypot(*xy.T) - 8600) / 500))
        part = np.sin(xy @ self.noise[:, :2].T + self.noise[:, 2])
        part = part * np.where(self.noise[:, 5] > 0, outside[:, None], 1.0)
        moved: Floats = part @ self.noise[:, 3:5]
        return moved
