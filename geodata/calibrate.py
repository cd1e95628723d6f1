"""Speeds by road class and time of day, fitted to recorded journeys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyproj
from numpy.typing import NDArray

from geodata.crs import LONLAT, in_range, parse_declared, project
from geodata.datum import Datum, to_wgs84
from geodata.driving import OBEY_ALL, DrivingRules
from geodata.errors import Fault, InputError
from geodata.network import Bools, Floats, RoadClass, RoadNetwork
from geodata.positions import Positions, locate, snap
from geodata.readers.csvtable import CsvTable
from geodata.routing import RoadTravel
from geodata.speeds import HOURS_A_WEEK, NIGHT_HOURS, SpeedProfile, is_peak

PERIODS = ("peak", "off_peak", "night")
FARTHEST_M = 200.0
"""A journey that begins or ends further from any street is left out. Assumed."""
SHORTEST_M = 300.0
"""As the crow flies: a shorter journey tells more of its ends than of the speed between. Assumed."""
PLAUSIBLE_KMH = (3.0, 150.0)
"""Along the way; a journey outside is left out. Assumed."""
PRIOR_SD = 0.3
"""How far the assumed slowness is trusted: the standard deviation of fitted over assumed seconds. Assumed."""
LEAST_SD = 0.02
"""Journeys scatter at least so much about any model, as a share of their seconds. Assumed."""
HUBER = 1.345
"""Beyond so many standard deviations a journey counts less: 95 % efficient on normal errors (Huber 1964)."""
RATIOS = (0.25, 4.0)
"""Fitted over assumed seconds stay within. Assumed."""
ROUNDS, SETTLED = 10, 0.005
"""At most so many times new ways are looked for; fewer when no speed changes by more than this share."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Journeys:
    """n recorded journeys."""

    origins: Positions
    targets: Positions
    hour: NDArray[np.int64]
    """(n,) of the week, when each began."""
    seconds: Floats
    """(n,)"""

    def __len__(self) -> int:
        return len(self.seconds)

    def take(self, rows: NDArray[np.integer] | Bools) -> Journeys:
        at = np.arange(len(self))[rows]
        return Journeys(
            origins=self.origins.take(at), targets=self.targets.take(at), hour=self.hour[at], seconds=self.seconds[at]
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Calibration:
    """What journeys say about the speeds."""

    profile: SpeedProfile
    speeds: pd.DataFrame
    """A row a period and road class: `before_kmh` and `after_kmh` (means over the period's hours), `se_kmh`, `journeys`
    and `km` driven there, and `enough`: whether the journeys say more than was assumed before."""
    errors: pd.DataFrame
    """A row a period with journeys and one for "all": their number, and before and after the fit the median absolute
    error in percent, the root mean square error in seconds, and the mean of predicted less recorded seconds."""
    left_out: Mapping[str, int]
    """Journeys that were not used, by reason."""
    weighted_down: int
    """Journeys used with less weight, for they lie far from the others."""
    rounds: int
    """How often ways were looked for."""


def period_of_hours() -> NDArray[np.int64]:
    """(168,) index into `PERIODS` of each hour of the week."""
    night = np.isin(np.arange(HOURS_A_WEEK) % 24, NIGHT_HOURS)
    return np.where(is_peak(), 0, np.where(night, 2, 1))


def calibrate(
    network: RoadNetwork,
    journeys: Journeys,
    speeds: SpeedProfile | None = None,
    *,
    rules: DrivingRules = OBEY_ALL,
    speed_factor: float = 1.0,
) -> Calibration:
    """Fit the seconds a metre takes, by road class and period, to journeys by least squares.

    Journeys are taken along the fastest ways under the speeds of the moment, which are looked for anew until the speeds
    settle. Errors count as shares of the seconds, outliers less (Huber's weights); the fit is drawn towards the given
    speeds as if these were known to `PRIOR_SD`, so that a class without journeys keeps its speed.

    Args:
        network: the roads.
        journeys: recorded on them.
        speeds: to begin with; by default the assumed ones.
        rules: that the recorded vehicles drove by.
        speed_factor: of the recorded vehicles on the roads' speed.

    Raises:
        ValueError: no journey can be used.
    """
    assumed = speeds or SpeedProfile()
    period_of = period_of_hours()
    used, left_out = _plausible(network, journeys, assumed, rules)
    if not len(used):
        raise ValueError(f"no journey of {len(journeys)} can be used: {left_out}")
    period = period_of[used.hour]
    ratio = np.ones((len(PERIODS), len(RoadClass)))
    assumed_s, metres = _by_class(network, used, assumed, rules)
    assumed_s /= speed_factor
    before_s = assumed_s.sum(axis=1)
    scale = max(_spread(np.log(used.seconds / before_s)), LEAST_SD)
    best = _loss(used.seconds, before_s, scale), ratio, before_s, assumed_s, metres
    rounds = 0
    for rounds in range(1, ROUNDS + 1):  # noqa: B007
        new = np.stack([_fit(assumed_s[period == p], used.seconds[period == p], ratio[p]) for p in range(len(PERIODS))])
        moved = np.abs(new / ratio - 1).max()
        ratio = new
        profile = replace(assumed, kmh=assumed.kmh / ratio[period_of].T)
        now_s, metres = _by_class(network, used, profile, rules)
        now_s /= speed_factor
        assumed_s = now_s / ratio[period]
        loss = _loss(used.seconds, now_s.sum(axis=1), scale)
        if loss < best[0]:
            best = loss, ratio, now_s.sum(axis=1), assumed_s, metres
        if moved < SETTLED:
            break
    _, ratio, after_s, assumed_s, metres = best
    residual = (used.seconds - after_s) / after_s
    return Calibration(
        profile=replace(assumed, kmh=assumed.kmh / ratio[period_of].T),
        speeds=_speed_table(assumed, ratio, assumed_s, metres, used.seconds, period),
        errors=_error_table(used.seconds, before_s, after_s, period),
        left_out=dict(left_out),
        weighted_down=int((np.abs(residual) > HUBER * max(_spread(residual), LEAST_SD)).sum()),
        rounds=rounds,
    )


def _plausible(
    network: RoadNetwork, journeys: Journeys, speeds: SpeedProfile, rules: DrivingRules
) -> tuple[Journeys, Counter[str]]:
    """The journeys that can be used, and the number of the others by reason."""
    left_out: Counter[str] = Counter()

    def without(some: Journeys, wrong: Bools, reason: str) -> Journeys:
        if wrong.any():
            left_out[reason] += int(wrong.sum())
        return some.take(~wrong)

    used = without(journeys, ~(np.isfinite(journeys.seconds) & (journeys.seconds > 0)), "no seconds above 0")
    apart_m = np.hypot(*(locate(network, used.targets) - locate(network, used.origins)).T)
    used = without(used, apart_m < SHORTEST_M, f"shorter than {SHORTEST_M:g} m")
    _, metres = _by_class(network, used, speeds, rules)
    kmh = metres.sum(axis=1) / used.seconds * 3.6
    used, kmh = (
        without(used, kmh < PLAUSIBLE_KMH[0], f"slower than {PLAUSIBLE_KMH[0]:g} km/h"),
        kmh[kmh >= PLAUSIBLE_KMH[0]],
    )
    return without(used, kmh > PLAUSIBLE_KMH[1], f"faster than {PLAUSIBLE_KMH[1]:g} km/h"), left_out


def _by_class(
    network: RoadNetwork, journeys: Journeys, speeds: SpeedProfile, rules: DrivingRules
) -> tuple[Floats, Floats]:
    """(n, 5) seconds and metres on each road class along the fastest way of each journey."""
    travel = RoadTravel(network, speeds, rules=rules)
    seconds, metres = np.zeros((2, len(journeys), len(RoadClass)))
    for i, hour in enumerate(journeys.hour.tolist()):
        way = travel.route(journeys.origins[i], journeys.targets[i], hour)
        span = np.ones(len(way.edges))
        span[0] -= way.begin_share
        span[-1] -= 1 - way.end_share
        classes = network.road_class[way.edges]
        # a way over which nothing is driven has a share of no edge, whatever the edge's own seconds
        edge_s = np.where(span > 0, travel.edge_time_s(hour)[way.edges], 0.0)
        seconds[i] = np.bincount(classes, span * edge_s, len(RoadClass))
        metres[i] = np.bincount(classes, span * network.length_m[way.edges], len(RoadClass))
    return seconds, metres


def _spread(values: Floats) -> float:
    """A standard deviation that outliers do not move: 1.4826 × the median absolute deviation."""
    return float(1.4826 * np.median(np.abs(values - np.median(values)))) if len(values) else 0.0


def _loss(recorded_s: Floats, predicted_s: Floats, scale: float) -> float:
    """Mean of Huber's function of the logarithmic errors."""
    error = np.abs(np.log(recorded_s / predicted_s)) / scale
    return float(np.where(error <= HUBER, error**2 / 2, HUBER * (error - HUBER / 2)).mean())


def _normal(assumed_s: Floats, seconds: Floats, ratio: Floats) -> tuple[Floats, Floats, float]:
    """Matrix and right side of the weighted normal equations about a fit, with the draw towards 1, and the scatter."""
    predicted = assumed_s @ ratio
    residual = (seconds - predicted) / predicted
    sd = max(_spread(residual), LEAST_SD)
    weight = np.minimum(1, HUBER * sd / np.maximum(np.abs(residual), 1e-12)) / predicted**2
    draw = (sd / PRIOR_SD) ** 2
    matrix = (assumed_s * weight[:, None]).T @ assumed_s + draw * np.eye(len(ratio))
    return matrix, (assumed_s * weight[:, None]).T @ seconds + draw, sd


def _fit(assumed_s: Floats, seconds: Floats, ratio: Floats) -> Floats:
    """(5,) fitted over assumed seconds by class, from (n, 5) assumed and (n,) recorded ones."""
    if not len(seconds):
        return ratio
    for _ in range(20):
        matrix, right, _ = _normal(assumed_s, seconds, ratio)
        ratio = np.clip(np.linalg.solve(matrix, right), *RATIOS)
    return ratio


def _speed_table(
    assumed: SpeedProfile, ratio: Floats, assumed_s: Floats, metres: Floats, seconds: Floats, period: NDArray[np.int64]
) -> pd.DataFrame:
    rows = []
    hours = period_of_hours()
    for p, name in enumerate(PERIODS):
        mine = period == p
        sd = np.full(len(RoadClass), PRIOR_SD)
        if mine.any():
            matrix, _, scatter = _normal(assumed_s[mine], seconds[mine], ratio[p])
            sd = scatter * np.sqrt(np.diag(np.linalg.inv(matrix)))
        before = assumed.kmh[:, hours == p].mean(axis=1)
        after = before / ratio[p]
        for c in RoadClass:
            rows.append(
                {
                    "period": name,
                    "road_class": c.name.lower(),
                    "before_kmh": before[c],
                    "after_kmh": after[c],
                    "se_kmh": after[c] * sd[c] / ratio[p, c],
                    "journeys": int((metres[mine, c] > 0).sum()),
                    "km": metres[mine, c].sum() / 1_000,
                    "enough": bool(sd[c] <= PRIOR_SD / 2),
                }
            )
    return pd.DataFrame(rows)


def _error_table(recorded_s: Floats, before_s: Floats, after_s: Floats, period: NDArray[np.int64]) -> pd.DataFrame:
    rows = []
    for p, name in [*enumerate(PERIODS), (-1, "all")]:
        mine = (period == p) | (p < 0)
        if mine.any():
            row: dict[str, str | float] = {"period": name, "journeys": int(mine.sum())}
            for when, predicted in (("before", before_s), ("after", after_s)):
                error = predicted[mine] - recorded_s[mine]
                row[f"median_abs_pct_{when}"] = float(np.median(np.abs(error) / recorded_s[mine]) * 100)
                row[f"rmse_s_{when}"] = float(np.sqrt((error**2).mean()))
                row[f"bias_s_{when}"] = float(error.mean())
            rows.append(row)
    return pd.DataFrame(rows)


def read_journeys(
    path: Path, network: RoadNetwork, crs: str = f"EPSG:{LONLAT}", *, zone: str = "Asia/Shanghai"
) -> tuple[Journeys, dict[str, int]]:
    """Journeys from a CSV with the columns `origin_lon`, `origin_lat`, `dest_lon`, `dest_lat`, `start` (ISO 8601; local
    unless it has an offset) and `seconds`, and the number of rows left out by reason.

    Args:
        path: a `.csv` or `.csv.gz` in UTF-8 or GB18030.
        network: its streets are where journeys begin and end.
        crs: what the coordinates are in: an EPSG code, or a datum such as GCJ-02.
        zone: the local time.

    Raises:
        InputError: no such file, a column that is missing, or no row that can be used.
    """
    expected = "a CSV of journeys: origin_lon, origin_lat, dest_lon, dest_lat, start, seconds"
    table = CsvTable.read(path, expected)
    declared = parse_declared(crs, table.source)
    value = {
        name: table.numbers(table.required(None, (name,), name))[0]
        for name in ("origin_lon", "origin_lat", "dest_lon", "dest_lat", "seconds")
    }
    begins = table.texts(table.required(None, ("start",), "the time at which a journey begins"))
    hour = np.array([_hour_of_week(text, ZoneInfo(zone)) for text in begins], np.int64)
    xy = np.stack([value["origin_lon"], value["origin_lat"], value["dest_lon"], value["dest_lat"]], 1).reshape(-1, 2)
    finite = np.isfinite(xy).all(axis=1)
    if isinstance(declared, Datum) or declared.is_geographic:
        finite &= in_range(np.where(np.isfinite(xy), xy, 0))
    if isinstance(declared, Datum):
        xy[finite] = to_wgs84(xy[finite], declared)
        declared = pyproj.CRS(LONLAT)
    placed = np.full(xy.shape, np.nan)
    placed[finite] = project(xy[finite], declared, network.epsg)
    finite &= np.isfinite(placed).all(axis=1)
    reasons = {
        "coordinates that are no numbers or no place": ~finite.reshape(-1, 2).all(axis=1),
        "a start that is no ISO time": hour < 0,
        "seconds that are no number above 0": ~(np.isfinite(value["seconds"]) & (value["seconds"] > 0)),
    }
    left_out: Counter[str] = Counter()
    good = np.ones(len(table), bool)
    for reason, wrong in reasons.items():
        left_out[reason] += int((good & wrong).sum())
        good &= ~wrong
    at, distance_m = snap(network, placed.reshape(-1, 4)[good].reshape(-1, 2))
    far = (distance_m > FARTHEST_M).reshape(-1, 2).any(axis=1)
    left_out[f"further than {FARTHEST_M:g} m from any street"] += int(far.sum())
    if far.all():
        found = "; ".join(f"{n:,} with {reason}" for reason, n in left_out.items() if n)
        raise InputError(Fault(table.source, "all rows", found, expected, "Check the columns and the CRS declared."))
    rows = np.flatnonzero(~far)
    journeys = Journeys(
        origins=at.take(2 * rows),
        targets=at.take(2 * rows + 1),
        hour=hour[good][rows],
        seconds=value["seconds"][good][rows],
    )
    return journeys, {reason: n for reason, n in left_out.items() if n}


def _hour_of_week(text: str, zone: ZoneInfo) -> int:
    """Local hour of the week of a time, -1 where it is none."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        return -1
    try:
        local = at if at.tzinfo is None else at.astimezone(zone)
    except OverflowError:  # at either end of the calendar
        return -1
    return local.weekday() * 24 + local.hour
