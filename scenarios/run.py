"""Run a scenario into a run folder, and read one again."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dispatch.engine import simulate
from dispatch.explain import preventable
from dispatch.log import TABLES, RunLog
from dispatch.metrics import summarise
from geodata.city import City
from geodata.errors import Fault, InputError
from geodata.files import write_folder
from scenarios.build import build_problem, open_city
from scenarios.load import dump, load_scenario
from scenarios.maps import render_map
from scenarios.report import render_report
from scenarios.schema import Scenario

Progress = Callable[[str, float], None]
"""Told the name of a stage and the share of it that is done."""

DATA_FILES = ("scenario.toml", "summary.json", *(f"{name}.parquet" for name in TABLES))
RUN_FILES = (*DATA_FILES, "map.html", "report.html")
"""What a run folder holds."""

logger = logging.getLogger(__name__)


def silent(_stage: str, _share: float) -> None:
    """The progress of one who does not watch."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """A finished run, as its folder holds it."""

    scenario: Scenario
    city: City
    log: RunLog
    summary: dict[str, Any]
    """The content of `summary.json`."""


def run_scenario(scenario: Scenario, out: Path, progress: Progress = silent) -> Run:
    """Simulate a scenario and write its run folder whole; an older run there is replaced.

    The same scenario and city give the same bytes in `summary.json` and the Parquet files.

    Raises:
        InputError: the city cannot be opened or does not fit the scenario, or `out` holds something else than a run.
    """
    check_replaceable(out, RUN_FILES, "a run")
    progress("City", 0)
    city = open_city(scenario.city)
    progress("City", 1)
    progress("Incidents", 0)
    problem = build_problem(scenario, city)
    progress("Incidents", 1)
    logger.info("%s incidents, %s units", len(problem.incidents), len(problem.units))
    log = simulate(problem, lambda share: progress("Simulation", share))
    progress("Simulation", 1)
    progress("Reasons", 0)
    summary = summarise(
        log,
        problem.standard,
        start=problem.start,
        seed=scenario.run.seed,
        digest=problem.digest,
        preventable=preventable(problem, log)["incident_id"].tolist(),
    )
    progress("Reasons", 1)
    run = Run(scenario=scenario, city=city, log=log, summary=summary)
    write_folder(out, lambda folder: _write(run, folder, progress))
    return run


def read_run(folder: Path) -> Run:
    """A run as its folder holds it, with its city.

    Raises:
        InputError: no run folder, or its city is gone or is no longer the one of the run.
    """
    if missing := [name for name in DATA_FILES if not (folder / name).is_file()]:
        found = f"no {missing[0]}" if folder.is_dir() else "no such folder"
        raise InputError(Fault(str(folder), "", found, "the folder of a run", "Make one with `patrol run`."))
    scenario = load_scenario(folder / "scenario.toml")
    city = open_city(scenario.city)
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    if build_problem(scenario, city).digest != summary["digest"]:
        found = "the results of another city or another version of the scenario"
        mend = f"Run it again: patrol run {folder / 'scenario.toml'} --out {folder}"
        raise InputError(Fault(str(folder), "summary.json", found, "the results of scenario.toml", mend))
    return Run(scenario=scenario, city=city, log=RunLog.read(folder), summary=summary)


def map_page(run: Run, *, tiles: bool = False) -> str:
    """The map of a run as HTML; `tiles`: over a street map from the internet."""
    return render_map(run.city, run.log, run.summary, run.scenario, tiles=tiles)


def report_page(run: Run) -> str:
    """The report of a run as HTML."""
    return render_report(run.city, run.log, run.summary, run.scenario)


def check_replaceable(folder: Path, names: Collection[str], what: str) -> None:
    """Whether results may be written to a folder: it is new, empty, or holds nothing but older results.

    Raises:
        InputError: it is a file, or holds something that is not ours to delete.
    """
    mend = "Name another place with --out."
    if folder.exists() and not folder.is_dir():
        raise InputError(Fault(str(folder), "", "a file", f"a folder for {what}", mend))
    other = sorted(path.name for path in folder.iterdir() if path.name not in names) if folder.is_dir() else []
    if other:
        found = f"a folder that holds {other[0]}" + (f" and {len(other) - 1} more" if len(other) > 1 else "")
        raise InputError(Fault(str(folder), "", found, f"a new or empty folder, or {what} to be replaced", mend))


def write_whole(path: Path, text: str) -> None:
    """Write a file beside its place and move it there, so that nobody ever reads half of it."""
    beside = path.with_name(f".{path.name}-{os.getpid()}")
    beside.write_text(text, "utf-8")
    beside.replace(path)


def _write(run: Run, folder: Path, progress: Progress) -> None:
    (folder / "scenario.toml").write_text(dump(run.scenario), "utf-8")
    text = json.dumps(run.summary, ensure_ascii=False, indent=2, allow_nan=False)
    (folder / "summary.json").write_text(text + "\n", "utf-8")
    run.log.write(folder)
    for name, page in (("map", map_page), ("report", report_page)):
        progress(name.capitalize(), 0)
        (folder / f"{name}.html").write_text(page(run), "utf-8")
        progress(name.capitalize(), 1)
