"""The same problem gives the same log, byte for byte, wherever it is run; and what is drawn for one purpose changes
nothing that is drawn for another."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from problems import drawn
from theory import MONDAY

from dispatch import demand
from dispatch.demand import Demand, Life, draw_incidents
from dispatch.engine import simulate
from dispatch.incidents import IncidentType
from dispatch.log import TABLES
from dispatch.policies.registry import RELIEFS
from dispatch.problem import Problem
from dispatch.standard import ResponseStandard
from dispatch.streams import stream
from dispatch.units import UnitSpec
from geodata.city import City
from geodata.positions import Positions

SEEDS = (0, 1, 2)


def posed(seed: int) -> Problem:
    """With luck on the way, and all that depends on the order of things."""
    return drawn(seed, journey_cv=0.3, move_up="dmexclp", relief=RELIEFS["nearer"], desks=1, seed=seed)


def bytes_of_logs(folder: Path) -> str:
    """The digest of the files of some runs, and of their problems."""
    sha = hashlib.sha256()
    for seed in SEEDS:
        problem = posed(seed)
        sha.update(problem.digest.encode())
        simulate(problem).write(folder)
        for name in TABLES:
            sha.update((folder / f"{name}.parquet").read_bytes())
    return sha.hexdigest()


@pytest.mark.parametrize("hash_seed", ["0", "135"])
def test_a_run_in_another_process_gives_the_same_bytes(tmp_path: Path, hash_seed: str) -> None:
    there = subprocess.run(
        [sys.executable, __file__, str(tmp_path)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert there.returncode == 0, there.stderr
    assert there.stdout.strip() == bytes_of_logs(tmp_path)


def test_a_run_gives_the_same_again_in_any_order_of_runs() -> None:
    first = [simulate(posed(seed)) for seed in SEEDS]
    for seed in reversed(SEEDS):
        again = simulate(posed(seed))
        for name in TABLES:
            pd.testing.assert_frame_equal(getattr(again, name), getattr(first[SEEDS.index(seed)], name))


def test_another_seed_of_the_journeys_changes_the_journeys() -> None:
    one, other = (simulate(drawn(1, journey_cv=0.3, seed=seed)) for seed in (1, 2))
    assert one.incidents["received_s"].equals(other.incidents["received_s"])
    assert not one.unit_states["pace"].equals(other.unit_states["pace"])


def test_a_unit_more_that_never_works_changes_nothing() -> None:
    problem = posed(1)
    idle = UnitSpec(id="never", post=0, kind=problem.units[0].kind, duty=())
    less, more = simulate(problem), simulate(replace(problem, units=(*problem.units, idle)))
    for name in ("incidents", "assignments", "unit_states"):
        pd.testing.assert_frame_equal(getattr(less, name), getattr(more, name))


def test_a_new_stream_changes_no_other(small_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = dict(start=MONDAY, horizon_s=3 * 86_400.0, seed=135, replication=2)
    before = draw_incidents(small_city, Demand(incidents_per_day=100), ResponseStandard(), **asked)
    names = []

    def with_another(seed: int, replication: int, name: str) -> np.random.Generator:
        """As if each purpose were preceded by a new one."""
        names.append(name)
        stream(seed, replication, f"before {name}").random(1_000)
        return stream(seed, replication, name)

    monkeypatch.setattr(demand, "stream", with_another)
    after = draw_incidents(small_city, Demand(incidents_per_day=100), ResponseStandard(), **asked)
    assert len(set(names)) == len(names) > 5
    assert same_columns(before, after) == {column.name for column in fields(before)}
    firsts = [stream(135, 2, name).random() for name in names]
    assert len(set(firsts)) == len(firsts)


def test_what_becomes_of_incidents_changes_neither_when_nor_where_they_come(small_city: City) -> None:
    """Custody, false alarms and withdrawals asked for: all that was drawn for other purposes stays."""
    asked = dict(start=MONDAY, horizon_s=3 * 86_400.0, seed=135)
    plain = draw_incidents(small_city, Demand(incidents_per_day=100), ResponseStandard(), **asked)
    life = Life(
        custody_share=dict.fromkeys(IncidentType, 0.3),
        false_alarm_share=dict.fromkeys(IncidentType, 0.2),
        withdrawn_share=0.2,
    )
    eventful = draw_incidents(small_city, Demand(incidents_per_day=100, life=life), ResponseStandard(), **asked)
    changed = {column.name for column in fields(plain)} - same_columns(plain, eventful)
    assert changed == {"custody_s", "false_alarm", "withdrawn_s", "on_scene_s"}
    real = ~eventful.false_alarm
    assert np.array_equal(plain.on_scene_s[real], eventful.on_scene_s[real])


def same_columns(a: object, b: object) -> set[str]:
    def columns(value: object) -> dict[str, list[np.ndarray]]:
        found = {column.name: getattr(value, column.name) for column in fields(value)}
        return {k: [v.edge, v.offset_m] if isinstance(v, Positions) else [v] for k, v in found.items()}

    left, right = columns(a), columns(b)
    return {name for name in left if all(map(np.array_equal, left[name], right[name]))}


if __name__ == "__main__":
    print(bytes_of_logs(Path(sys.argv[1])))
