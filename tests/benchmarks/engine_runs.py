"""How fast the engine is: an incident beside bare SimPy, patrols beside posts, a year of a large city."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import simpy
from timing import Figure, in_turn, timed

from dispatch.demand import CellWeight, Demand, Life, draw_incidents
from dispatch.engine import simulate
from dispatch.metrics import utilisation
from dispatch.policies.ground import Ground
from dispatch.policies.patrolling import Patroller, make_patrol
from dispatch.policies.registry import POLICIES
from dispatch.problem import Problem
from dispatch.roster import DAY_S
from dispatch.standard import ResponseStandard
from dispatch.units import UnitSpec
from geodata.city import City
from geodata.routing import RoadTravel

SEED = 135
UNITS = 300
START = datetime(2026, 6, 1)
PER_DAY = 4_250.0
"""Keeps 300 units busy for two fifths of their time."""
HOURS = range(24)


def made_problem(city: City, days: float) -> Problem:
    """300 cars at 300 posts, one unit an incident, as many at every hour."""
    standard, posts = ResponseStandard(), city.posts.positions
    demand = Demand(
        incidents_per_day=PER_DAY,
        weight=CellWeight.ROAD_LENGTH,
        hour_weight=(1.0,) * 24,
        weekday_weight=(1.0,) * 7,
        life=Life(units_at_once={}, backup_share={}),
    )
    return Problem(
        incidents=draw_incidents(city, demand, standard, start=START, horizon_s=days * DAY_S, seed=SEED),
        units=tuple(UnitSpec(id=str(i), post=i % len(posts)) for i in range(UNITS)),
        posts=posts,
        travel={"obey_all": RoadTravel(city.network, anchors=posts)},
        policy=POLICIES["nearest"],
        standard=standard,
        start=START,
        horizon_s=days * DAY_S,
        grid=city.grid,
    )


def incident_vs_simpy(city: City) -> Iterator[Figure]:
    """A whole incident (decision, drive, way back, log) beside a bare SimPy process of six events: the call, a unit
    from a store, turn-out, travel, on scene, the unit put back. Units are busy two fifths of their time."""
    problem = made_problem(city, days=4.0)
    n = len(problem.incidents)

    def bare() -> None:
        env = simpy.Environment()
        units = simpy.Store(env, UNITS)
        units.items.extend(range(UNITS))

        def incident() -> Iterator[simpy.Event]:
            yield env.timeout(80.0)
            unit = yield units.get()
            yield env.timeout(30.0)
            yield env.timeout(120.0)
            yield env.timeout(1_800.0)
            yield units.put(unit)

        def source() -> Iterator[simpy.Event]:
            for _ in range(n):
                yield env.timeout(DAY_S / PER_DAY)
                env.process(incident())

        env.process(source())
        env.run()

    travel = problem.travel["obey_all"]
    prepared_s = timed(lambda: [travel.keep(hour) for hour in HOURS])
    mine, peer = in_turn(lambda: simulate(problem), bare, rounds=15)
    load = utilisation(simulate(problem))
    busy = load["busy_s"].sum() / load["on_duty_s"].sum()
    print(f"incident_vs_simpy: {n:,} incidents, units busy {busy:.0%}; travel times kept once in {prepared_s:.1f} s")
    yield Figure("incident_vs_simpy", mine / n * 1e6, peer / n * 1e6, "bare SimPy, six events", "µs")


def patrol_vs_posts(city: City) -> Iterator[Figure]:
    """The same incidents with all units roaming within 2 km of their posts, beside all standing at them."""
    posted = made_problem(city, days=2.0)
    ground = Ground(city=city, travel=posted.travel["obey_all"])

    def roaming(unit: UnitSpec) -> UnitSpec:
        who = Patroller(unit=unit.id, home=posted.posts[unit.post], seed=SEED)
        return replace(unit, patrol=make_patrol("roaming", ground, who, {"weight": "road_length", "within_m": 2_000.0}))

    patrolling = replace(posted, units=tuple(roaming(unit) for unit in posted.units))
    mine, peer = in_turn(lambda: simulate(patrolling), lambda: simulate(posted), rounds=15)
    n = len(posted.incidents)
    yield Figure("patrol_vs_posts", mine / n * 1e6, peer / n * 1e6, "units at posts", "µs")


CHANGSHA = Path(__file__).parents[3] / "shared" / "data" / "changsha-osm2019" / "changsha_simplified_edges.gpkg"
SCENARIO = """
name = "changsha"
[city]
path = "city"
[run]
start = 2026-01-01T00:00:00
days = {days}
[demand]
incidents_per_day = 3400
weight = "road_length"
[units]
count = 240
[[units.shifts]]
name = "all"
start = "00:00"
end = "00:00"
"""
RUN_SCRIPT = """
import re, sys, time
from pathlib import Path
from dispatch.engine import simulate
from scenarios.build import build_problem, open_city
from scenarios.load import load_scenario
scenario = load_scenario(Path(sys.argv[1]))
problem = build_problem(scenario, open_city(scenario.city))
for travel in problem.travel.values():
    for hour in range(24):
        travel.keep(hour)
begin = time.perf_counter()
log = simulate(problem)
seconds = time.perf_counter() - begin
out = Path(sys.argv[2])
out.mkdir()
log.write(out)
size = sum(path.stat().st_size for path in out.iterdir())
# what getrusage tells holds for the process that this one was started by, too
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
print(len(log.incidents), seconds, peak, size)
"""
MEMORY_LIMIT_GIB = 2.0


def year_changsha(_city: City) -> Iterator[Figure]:
    """A year of Changsha on its real network: 3,400 incidents a day, 240 units, the nearest unit; beside a day of it.
    Prints time, peak memory of the process and the size of the log."""
    if not CHANGSHA.exists():
        print(f"year_changsha: left out, as {CHANGSHA} is not there")
        return
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        roads = [CHANGSHA, "--layer", "edges", "--cell-m", "1000", "--make-posts", "80", "--name", "Changsha"]
        patrol = [sys.executable, "-m", "scenarios.cli", "city", "build", *roads, "--out", out / "city", "--quiet"]
        subprocess.run(patrol, check=True, stdout=subprocess.DEVNULL)
        per_incident_us = {}
        for days in (1, 30, 365):
            scenario = out / f"{days}.toml"
            scenario.write_text(SCENARIO.format(days=days), "utf-8")
            script = [sys.executable, "-c", RUN_SCRIPT, scenario, out / f"log{days}"]
            told = subprocess.run(script, capture_output=True, text=True, check=True).stdout.split()
            n, seconds, peak, size = (float(value) for value in told)
            per_incident_us[days] = seconds / n * 1e6
            print(
                f"year_changsha: {days} days, {n:,.0f} incidents in {seconds:.1f} s "
                f"({per_incident_us[days]:.0f} µs each), peak {peak / 2**30:.2f} GiB, log {size / 1e6:.0f} MB"
            )
    yield Figure("year_changsha_memory", peak / 2**30, MEMORY_LIMIT_GIB, "what it may take", "GiB")
    yield Figure("year_changsha", per_incident_us[365], per_incident_us[1], "an incident of a day", "µs")
