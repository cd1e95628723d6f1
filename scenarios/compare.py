"""Whom to send? A scenario run under each policy on the same incidents, with replications.

Each replication draws its incidents, durations and the luck of journeys once; every policy meets the same. So their
differences are taken replication by replication, and take far fewer runs to see than the figures themselves.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from dispatch.beats import BY_POST
from dispatch.engine import simulate
from dispatch.metrics import share_within, utilisation
from dispatch.policies.moving_up import MOVE_UPS
from dispatch.policies.registry import POLICIES, RELIEFS
from dispatch.standard import Clock
from geodata.city import City
from geodata.errors import Fault, InputError
from scenarios.build import build_problem, check_fit
from scenarios.load import dump
from scenarios.roads import Travels
from scenarios.run import Progress, silent, write_whole
from scenarios.schema import Scenario
from scenarios.study import Answer, all_draws_alike, executor, interval

BASE = "nearest"
"""What the others are compared with."""
COMPARE_COLUMNS = {
    "policy": "the dispatch policy, or with + what is added to the nearest unit: a relief or a move-up policy",
    "replications": "runs behind the row",
    "share": "mean over the replications of the share of incidents within the limit, on the headline clock",
    "share_low": "lower end of its 95 % interval (Student's t over replications)",
    "share_high": "upper end",
    "mean_s": "mean response time on that clock, of those reached",
    "p90_s": "90th percentile of it, mean over the replications",
    "p1_share": "share within the limit of priority 1 alone; empty: there was none",
    "utilisation": "mean share of the duty time that units were engaged",
    "never": "mean number of incidents that nobody reached",
    "queue_s": "mean seconds that a call waited for its first unit",
    "gain": "mean difference of share to the nearest unit, replication by replication",
    "gain_low": "lower end of its 95 % interval",
    "gain_high": "upper end",
    "share_received": "mean share within the limit from the call received, which sees the waiting too",
    "gain_received": "mean difference of that to the nearest unit",
    "gain_received_low": "lower end of its 95 % interval",
    "gain_received_high": "upper end",
    "verdict": "better or worse than the nearest unit, or no detectable difference; on the headline clock and, where "
    "they differ, from the call",
}


Interval = tuple[float, float, float]
"""A mean, and the ends of its 95 % interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What is put in place of a scenario's policies; the rest of it stays."""

    policy: str = BASE
    relief: str | None = None
    move_up: str | None = None

    @property
    def name(self) -> str:
        added = self.relief or self.move_up
        return f"+{added}" if added else self.policy

    def of(self, scenario: Scenario) -> Scenario:
        """The scenario with it; its own options hold where it names the same policy."""
        part = scenario.dispatch
        changed = {
            "policy": self.policy,
            "options": part.options if part.policy == self.policy else {},
            "relief": self.relief,
            "relief_options": part.relief_options if part.relief == self.relief else {},
            "move_up": self.move_up,
            "move_up_options": part.move_up_options if part.move_up == self.move_up else {},
        }
        update: dict[str, Any] = {"dispatch": part.model_copy(update=changed)}
        if scenario.beats.by is None and self.policy == "beat_first":
            update["beats"] = scenario.beats.model_copy(update={"by": BY_POST})
        return scenario.model_copy(update=update)


MEANS = ("mean_s", "p90_s", "p1_share", "utilisation", "never", "queue_s", "share_received")
"""Figures of which the table holds the mean over the replications alone."""
VARIANTS: Mapping[str, Variant] = {
    each.name: each
    for each in (
        *(Variant(policy=name) for name in POLICIES),
        *(Variant(relief=name) for name in RELIEFS),
        *(Variant(move_up=name) for name in MOVE_UPS),
    )
}
"""By name."""


def variant(name: str) -> Variant:
    """The variant of a name; a dotted one is a dispatch policy of one's own."""
    return VARIANTS.get(name) or Variant(policy=name)


def compare_study(
    scenario: Scenario,
    city: City,
    variants: Sequence[str] = tuple(VARIANTS),
    *,
    replications: int,
    workers: int | None = None,
    folder: Path,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Run a scenario under each of some policies; a table with a row each, columns `COMPARE_COLUMNS`.

    The figures of each finished run are written to `folder`/runs; a study that was stopped goes on where it stopped.

    Args:
        variants: names of `VARIANTS`, or dotted ones of one's own dispatch policies; the nearest unit is always among
            them.
        replications: draws of the demand; one where all would be alike.
        workers: processes; None: one a core.

    Raises:
        InputError: an unknown name, or a city that does not fit the scenario.
    """
    names = list(dict.fromkeys([BASE, *variants]))
    if unknown := [name for name in names if name not in VARIANTS and "." not in name]:
        expected = f"some of {', '.join(VARIANTS)}, or module.function of one's own"
        raise InputError(Fault("--policies", "", f'"{unknown[0]}"', expected, "Name those that exist."))
    if replications < 1:
        raise InputError(Fault("--replications", "", str(replications), "1 or more", "20 are usual."))
    if all_draws_alike(scenario):
        replications = 1
    for name in names:
        check_fit(variant(name).of(scenario), city)
    runs = folder / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    (folder / "scenario.toml").write_text(dump(scenario), "utf-8")
    tasks = [(names.index(name), replication) for replication in range(replications) for name in names]
    figures = []
    progress("Runs", 0)
    with executor(scenario, city, workers or os.cpu_count() or 1) as each:
        for done, (figure, _) in enumerate(each(partial(_one, scenario, runs, names), tasks), 1):
            figures.append(figure)
            progress("Runs", done / len(tasks))
    table = _table(pd.DataFrame(figures), names)
    table.to_csv(folder / "policies.csv", index=False)
    return table


def _one(
    scenario: Scenario, runs: Path, names: Sequence[str], city: City, travels: Travels, task: tuple[int, int]
) -> Answer:
    """The figures of one run, and whether they were found finished."""
    number, replication = task
    name = names[number]
    problem = build_problem(variant(name).of(scenario), city, replication, travels=travels)
    path = runs / f"{name}-{replication:04d}-{problem.digest[:16]}.json"
    ours = {"version": version("patrol135"), "digest": problem.digest}
    if path.is_file():
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if found | ours == found:
            return found, True
    log = simulate(problem)
    clock = problem.standard.headline
    overall = share_within(log, None, clock).to_dict("records")[0]
    incidents = log.incidents
    by_priority = share_within(log, "priority", clock)["share"].to_dict()
    load = utilisation(log)
    figure = {
        "policy": name,
        "replication": replication,
        "share": float(overall["share"]),
        "mean_s": float(overall["mean_s"]),
        "p90_s": float(overall["p90_s"]),
        "p1_share": by_priority.get(1),
        "utilisation": float(load["busy_s"].sum() / load["on_duty_s"].sum()),
        "never": int(overall["incidents"] - overall["reached"]),
        "queue_s": float((incidents["ordered_s"] - incidents["ready_s"]).mean()),
        "share_received": float(share_within(log, None, Clock.RECEIVED)["share"].iloc[0]),
        "incidents": int(overall["incidents"]),
        **ours,
    }
    write_whole(path, json.dumps(figure, indent=1))
    return figure, False


def _table(figures: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    by_run = {
        column: figures.pivot_table(index="policy", columns="replication", values=column).astype(float)
        for column in ("share", "share_received")
    }
    rows: list[dict[str, Any]] = []
    for name in names:
        own = figures[figures["policy"] == name]
        mean, low, high = interval(by_run["share"].loc[name].to_numpy())
        gain, from_call = (
            interval((share.loc[name] - share.loc[BASE]).to_numpy(), within=(-1.0, 1.0)) for share in by_run.values()
        )
        row: dict[str, Any] = {"policy": name, "replications": len(own)}
        row |= {"share": mean, "share_low": low, "share_high": high}
        row |= {c: own[c].astype(float).mean() for c in MEANS}
        row |= {"gain": gain[0], "gain_low": gain[1], "gain_high": gain[2]}
        row |= dict(zip(("gain_received", "gain_received_low", "gain_received_high"), from_call, strict=True))
        row |= {"verdict": judge(name, gain, from_call, len(own))}
        rows.append(row)
    return pd.DataFrame(rows)[list(COMPARE_COLUMNS)]


def judge(name: str, gain: Interval, from_call: Interval, replications: int) -> str:
    """What is said of a policy beside the nearest unit, by its gains on the headline clock and from the call."""
    if name == BASE:
        return ""
    if replications == 1 or math.isnan(gain[0]):
        return "one draw: a difference may be luck"
    headline, call = _judged(gain), _judged(from_call)
    if headline == call or "no detectable difference" in (headline, call):
        return headline if call == "no detectable difference" or headline == call else f"{call} from the call"
    return f"{headline}, but {call} from the call"


def _judged(gain: Interval) -> str:
    if gain[1] > 0:
        return "better"
    return "worse" if gain[2] < 0 else "no detectable difference"
