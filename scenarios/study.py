"""How many units are enough? A scenario run for each number of units, with replications on common random numbers.

Replications run as processes on the cores of one machine. One machine's pool does that with the standard library
alone; a cluster scheduler would earn its weight only where a study spreads over several machines. Every finished run
is a file of its own that any worker can write, so that such a scheduler can take the pool's place without a change to
the results.
"""

from __future__ import annotations

import json
import logging
import math
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from dispatch.engine import simulate
from dispatch.metrics import summarise
from geodata.city import City
from geodata.errors import Fault, InputError
from geodata.sites import PlaceClass
from scenarios.build import build_problem, check_fit
from scenarios.load import dump
from scenarios.roads import Travels, travels_of
from scenarios.run import Progress, silent, write_whole
from scenarios.schema import Scenario

REPLICATIONS = 20
CONFIDENCE = 0.95
STUDY_COLUMNS = {
    "units": "on duty in each shift",
    "replications": "runs behind the row",
    "share": "mean over the replications of the share of incidents within the limit, on the headline clock",
    "share_low": "lower end of its 95 % interval (Student's t over replications)",
    "share_high": "upper end",
    "vital": "mean share at vital sites",
    "key": "mean share in key areas",
    "general": "mean share elsewhere",
    "utilisation": "mean share of the duty time that units were busy",
    "gain": "mean difference of share to the row above, replication by replication",
    "gain_low": "lower end of its 95 % interval",
    "gain_high": "upper end",
    "verdict": "meets: the whole interval is at the target or above; misses: it is below; undecided: it straddles",
}

logger = logging.getLogger(__name__)


class Finding(StrEnum):
    """How sure it is that a number of units meets the target."""

    MEETS = "meets"
    UNDECIDED = "undecided"
    MISSES = "misses"


@dataclass(frozen=True, eq=False, kw_only=True)
class StaffStudy:
    """What a staffing study found."""

    table: pd.DataFrame
    """One row a number of units, columns `STUDY_COLUMNS`."""
    target_share: float
    resumed: int
    """Runs that were found finished."""

    @property
    def fewest(self) -> int | None:
        """The fewest units whose whole interval is at the target or above; None where no number of units is."""
        meets = self.table.loc[self.table["verdict"] == Finding.MEETS, "units"]
        return None if meets.empty else int(meets.min())

    @property
    def undecided(self) -> list[int]:
        """Smaller numbers of units that may meet the target too: more replications would tell."""
        below = math.inf if self.fewest is None else self.fewest
        rows = (self.table["verdict"] == Finding.UNDECIDED) & (self.table["units"] < below)
        return [int(n) for n in self.table.loc[rows, "units"]]


def staff_study(
    scenario: Scenario,
    city: City,
    units: Sequence[int],
    *,
    replications: int = REPLICATIONS,
    workers: int | None = None,
    folder: Path,
    progress: Progress = silent,
) -> StaffStudy:
    """Run a scenario for each number of units and compare them with the target share.

    Replication r draws the same incidents for every number of units. The figures of each finished run are written to
    `folder`/runs; a study that was stopped goes on where it stopped. The answer is the same for any number of workers.

    Args:
        units: on duty in each shift.
        workers: processes; None: one a core.

    Raises:
        InputError: no number of units, fewer than two replications, or a city that does not fit the scenario.
    """
    levels = sorted(set(units))
    _check(levels, replications)
    if all_draws_alike(scenario):
        replications = 1
    check_fit(scenario, city)
    runs = folder / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    (folder / "scenario.toml").write_text(dump(scenario), "utf-8")
    tasks = [(n, replication) for replication in range(replications) for n in levels]
    figures, resumed = [], 0
    progress("Runs", 0)
    with executor(scenario, city, workers or os.cpu_count() or 1) as each:
        for done, (figure, was_there) in enumerate(each(partial(_one, scenario, runs), tasks), 1):
            figures.append(figure)
            resumed += was_there
            progress("Runs", done / len(tasks))
    table = _table(pd.DataFrame(figures), scenario.standard.target_share)
    table.to_csv(folder / "staffing.csv", index=False)
    logger.info("%s runs, %s of them found finished", len(tasks), resumed)
    return StaffStudy(table=table, target_share=scenario.standard.target_share, resumed=resumed)


def all_draws_alike(scenario: Scenario) -> bool:
    """Whether nothing is drawn: recorded incidents are played again, and journeys take what is expected."""
    return scenario.demand.history is not None and not scenario.travel.journey_cv


def _check(levels: Sequence[int], replications: int) -> None:
    if not levels or levels[0] < 1:
        found = f"{levels[0]} units" if levels else "no number of units"
        raise InputError(Fault("units", "", found, "numbers of units from 1", "Such as --units 8:24:2."))
    if replications < 2:
        mend = "An interval needs at least two; 20 are usual."
        raise InputError(Fault("replications", "", str(replications), "2 or more", mend))


Task = tuple[int, int]
Answer = tuple[dict[str, Any], bool]


def _one(scenario: Scenario, runs: Path, city: City, travels: Travels, task: Task) -> Answer:
    """The figures of one run, and whether they were found finished."""
    n_units, replication = task
    problem = build_problem(scenario, city, replication, n_units, travels)
    path = runs / f"{n_units:04d}-{replication:04d}-{problem.digest[:16]}.json"
    ours = {"version": version("patrol135"), "digest": problem.digest}
    if path.is_file():
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if found | ours == found:
            return found, True
    summary = summarise(
        simulate(problem), problem.standard, start=problem.start, seed=scenario.run.seed, digest=problem.digest
    )
    clock = problem.standard.headline.value
    by_class = summary["share_within"]["by_place_class"]
    figure = {
        "units": n_units,
        "replication": replication,
        "share": summary["share_within"]["overall"][clock],
        **{c.label: by_class[c.label][clock] for c in PlaceClass},
        "utilisation": summary["utilisation"]["mean"],
        "incidents": summary["incidents"]["total"],
        **ours,
    }
    write_whole(path, json.dumps(figure, indent=1))
    return figure, False


Work = Callable[[City, Travels, Task], Answer]
_place: tuple[City, Travels] | None = None
"""In a worker process: the city and its travel times, shared by the worker's runs."""


@contextmanager
def executor(
    scenario: Scenario, city: City, workers: int
) -> Iterator[Callable[[Work, Sequence[Task]], Iterator[Answer]]]:
    """What runs tasks in any order: here, or on processes that map one saved copy of the city."""
    if workers == 1:
        travels = travels_of(scenario, city)
        yield lambda work, tasks: (work(city, travels, task) for task in tasks)
        return
    with tempfile.TemporaryDirectory(prefix="patrol-") as scratch:
        saved = Path(scratch) / "city"
        city.save(saved)
        # started afresh: a forked process would inherit the locks of threads that it does not have
        fresh = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, fresh, _open, (scenario, saved)) as pool:

            def each(work: Work, tasks: Sequence[Task]) -> Iterator[Answer]:
                for job in as_completed([pool.submit(_in_worker, work, task) for task in tasks]):
                    yield job.result()

            try:
                yield each
            finally:
                # one who interrupts does not wait for the runs that were not yet begun
                pool.shutdown(cancel_futures=True)


def _open(scenario: Scenario, saved: Path) -> None:
    # an interrupt is for the one that started the workers, which lets them finish the run at hand
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    global _place  # noqa: PLW0603 - a worker process opens its city once
    city = City.load(saved)
    _place = city, travels_of(scenario, city)


def _in_worker(work: Work, task: Task) -> Answer:
    if _place is None:
        raise RuntimeError("the worker has no city")
    return work(*_place, task)


def _table(figures: pd.DataFrame, target: float) -> pd.DataFrame:
    by = figures.pivot_table(index="units", columns="replication", values="share", dropna=False).astype(float)
    rows = []
    previous: np.ndarray | None = None
    for n_units, of_level in figures.sort_values(["units", "replication"]).groupby("units"):
        share = by.loc[n_units].to_numpy()
        mean, low, high = interval(share)
        gain = (math.nan,) * 3 if previous is None else interval(share - previous, within=(-1.0, 1.0))
        row: dict[str, Any] = {"units": int(of_level["units"].iloc[0]), "replications": len(of_level)}
        row |= {"share": mean, "share_low": low, "share_high": high}
        row |= {c.label: of_level[c.label].astype(float).mean() for c in reversed(PlaceClass)}
        row |= {"utilisation": of_level["utilisation"].mean()}
        row |= {"gain": gain[0], "gain_low": gain[1], "gain_high": gain[2], "verdict": _verdict(low, high, target)}
        rows.append(row)
        previous = share
    return pd.DataFrame(rows)[list(STUDY_COLUMNS)]


def _verdict(low: float, high: float, target: float) -> str:
    if low >= target:
        return Finding.MEETS.value
    return Finding.MISSES.value if high < target else Finding.UNDECIDED.value


def interval(values: np.ndarray, within: tuple[float, float] = (0.0, 1.0)) -> tuple[float, float, float]:
    """Mean of (n,) independent values with the ends of its 95 % interval after Student's t, cut to the possible.

    A replication without a value (no incidents) is left out; fewer than two values give an interval of all that is
    possible.
    """
    known = values[np.isfinite(values)]
    if len(known) < 2:
        return (float(known.mean()) if len(known) else math.nan, *within)
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(known) - 1) * known.std(ddof=1) / math.sqrt(len(known))
    mean = float(known.mean())
    return mean, max(mean - half, within[0]), min(mean + half, within[1])


def parse_units(text: str) -> list[int]:
    """Numbers of units as typed: `12`, `8,12,16`, or `8:24:2`, that is from 8 to 24, both included, in steps of 2.

    Raises:
        InputError: it is none of these.
    """
    try:
        if ":" not in text:
            return [int(part) for part in text.split(",")]
        first, last, step = (int(part) for part in (text if text.count(":") > 1 else f"{text}:1").split(":"))
        levels = list(range(first, last + 1, step))
    except ValueError:
        levels = []
    if not levels:
        mend = "Such as 8:24:2, from 8 to 24 in steps of 2."
        raise InputError(Fault("--units", "", f'"{text}"', "first:last:step, or numbers with commas", mend))
    return levels
