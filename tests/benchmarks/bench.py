"""`make bench`: how fast the heart is beside its peers, both sides in one run.

Prints a table of medians and writes out/bench.json: a list of {name, ours, peer, peer_name, unit, ratio}, where a ratio
above 1 says that we are faster.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import geopandas as gpd
import networkx as nx
import numpy as np
import osmnx
import pandas as pd
import shapely
import simpy
from rich.console import Console
from rich.table import Column, Table
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from dispatch.demand import CellWeight, Demand, draw_incidents
from dispatch.engine import simulate
from dispatch.metrics import utilisation
from dispatch.policies.dispatching import POLICIES
from dispatch.problem import Problem
from dispatch.standard import ResponseStandard
from dispatch.units import DAY_S, UnitSpec
from geodata.city import City, Source
from geodata.grid import Grid, cut_streets
from geodata.network import RoadNetwork
from geodata.positions import Positions, locate
from geodata.routing import RoadTravel
from geodata.sites import POST_COLUMNS, SITE_COLUMNS, Posts, Sites
from geodata.synthetic import made_network

SEED = 135
NODES = 120_000
UNITS = 300
HOUR = 10
OUT = Path(__file__).parents[2] / "out" / "bench.json"


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    name: str
    ours: float
    peer: float
    peer_name: str
    unit: str

    @property
    def ratio(self) -> float:
        return self.peer / self.ours


def timed(work: Callable[[], object]) -> float:
    gc.collect()
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def in_turn(ours: Callable[[], object], peer: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median seconds of both, taken in turn so that a drift of the machine meets both alike; the first is warm-up."""
    ours()
    peer()
    pairs = [(timed(ours), timed(peer)) for _ in range(rounds)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def at_nodes(network: RoadNetwork, rng: np.random.Generator, n: int) -> Positions:
    """Positions at the very tail of two-way edges, so that peers which know nodes alone answer the same question."""
    edge = rng.choice(np.flatnonzero(network.twin[: network.n_open] >= 0), n, replace=False)
    return Positions(edge.astype(np.int32), np.zeros(n))


def made_city() -> City:
    """The made network as one cell, with a post for each unit at random nodes."""
    network = made_network(SEED, NODES)
    rng = np.random.default_rng(SEED)
    places = at_nodes(network, rng, UNITS)
    bounds = shapely.box(*network.node_xy_m.min(0) - 100, *network.node_xy_m.max(0) + 100)
    cell = {"code": ["1"], "parent": ["D"], "name": ["城"], "name_en": ["City"], "residents": [1]}
    grid = Grid(
        gpd.GeoDataFrame(cell, geometry=[bounds], crs=network.epsg),
        pd.DataFrame({"code": ["D"], "parent": [""], "level": ["district"], "name": ["区"], "name_en": ["District"]}),
    )
    post = {column: [str(i) for i in range(UNITS)] for column in POST_COLUMNS[:-1]}
    none: dict[str, list[str]] = {column: [] for column in SITE_COLUMNS[:-1]}
    return City(
        name="made",
        name_en="made",
        network=network,
        grid=grid,
        pieces=cut_streets(network, grid),
        sites=Sites(gpd.GeoDataFrame(none, geometry=[], crs=network.epsg)),
        posts=Posts(gpd.GeoDataFrame(post, geometry=shapely.points(locate(network, places)), crs=network.epsg), places),
        areas=gpd.GeoDataFrame({"kind": []}, geometry=[], crs=network.epsg),
        sources=(Source(what="made from a seed"),),
    )


def nearest_all_idle(city: City) -> Iterator[Figure]:
    """The nearest of 300 idle units, by the search alone (no kept times)."""
    network, units = city.network, city.posts.positions
    travel = RoadTravel(network)
    rng = np.random.default_rng(SEED)
    targets = list(at_nodes(network, rng, 400))
    rows, delay_s, slowness = np.arange(UNITS), np.zeros(UNITS), np.ones(UNITS)
    time_s = travel.period(HOUR).time_s
    against = csr_array((time_s, (network.head, network.tail)), shape=(network.n_nodes,) * 2)
    unit_node = network.tail[units.edge]
    target_node = network.tail[[target.edge for target in targets]]

    def ours(n: int) -> list[float]:
        return [float(travel.nearest(target, rows, units, delay_s, slowness, HOUR)[1][0]) for target in targets[:n]]

    def by_scipy(n: int) -> list[float]:
        answers = []
        for node in target_node[:n]:
            limit_s = 60.0
            while np.isinf(least := dijkstra(against, indices=node, limit=limit_s)[unit_node].min()):
                limit_s *= 2
            answers.append(float(least))
        return answers

    def by_networkx(n: int) -> list[float]:
        answers = []
        for node in target_node[:n].tolist():
            seconds = nx.single_source_dijkstra_path_length(graph, node, weight="time_s")
            answers.append(min(seconds[unit] for unit in unit_node.tolist()))
        return answers

    np.testing.assert_allclose(ours(400), by_scipy(400), atol=1e-9)
    mine, peer = in_turn(lambda: ours(400), lambda: by_scipy(400), rounds=7)
    yield Figure("nearest_all_idle", mine / 400 * 1e3, peer / 400 * 1e3, "scipy dijkstra, doubling limit", "ms")

    graph = nx.DiGraph()
    # of parallel edges the fastest counts, so it is added last
    order = np.argsort(-time_s, kind="stable")
    columns = network.head[order].tolist(), network.tail[order].tolist(), time_s[order].tolist()
    graph.add_weighted_edges_from(zip(*columns, strict=True), weight="time_s")
    np.testing.assert_allclose(ours(3), by_networkx(3), atol=1e-9)
    mine, _ = in_turn(lambda: ours(400), lambda: None, rounds=3)
    _, peer = in_turn(lambda: None, lambda: by_networkx(3), rounds=3)
    yield Figure("nearest_all_idle_networkx", mine / 400 * 1e3, peer / 3 * 1e3, "networkx single_source_dijkstra", "ms")


def incident_vs_simpy(city: City) -> Iterator[Figure]:
    """A whole incident (decision, drive, way back, log) beside a bare SimPy process of six events: the call, a unit
    from a store, turn-out, travel, on scene, the unit put back. Units are busy about a fifth of their time."""
    per_day, days = 2_000, 10.0
    start, standard = datetime(2026, 6, 1), ResponseStandard()
    incidents = draw_incidents(
        city,
        Demand(incidents_per_day=per_day, weight=CellWeight.ROAD_LENGTH, second_unit_share={}),
        standard,
        start=start,
        horizon_s=days * DAY_S,
        seed=SEED,
    )
    travel = RoadTravel(city.network, anchors=city.posts.positions)
    problem = Problem(
        city=city,
        incidents=incidents,
        units=tuple(UnitSpec(id=str(i), post=i) for i in range(UNITS)),
        standard=standard,
        policy=POLICIES["nearest"],
        travel=travel,
        start=start,
        horizon_s=days * DAY_S,
    )
    n = len(incidents)

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
                yield env.timeout(DAY_S / per_day)
                env.process(incident())

        env.process(source())
        env.run()

    prepared_s = timed(lambda: [travel.period(hour) for hour in range(24)])
    mine, peer = in_turn(lambda: simulate(problem), bare, rounds=5)
    load = utilisation(simulate(problem))
    busy = load["busy_s"].sum() / load["on_duty_s"].sum()
    print(f"incident_vs_simpy: {n:,} incidents, units busy {busy:.0%}; travel times kept once in {prepared_s:.1f} s")
    yield Figure("incident_vs_simpy", mine / n * 1e6, peer / n * 1e6, "bare SimPy, six events", "µs")


def load_city(city: City) -> Iterator[Figure]:
    """A saved city (network, grid, posts) beside the same network as osmnx writes and reads it."""
    network = city.network
    graph = nx.MultiDiGraph(crs=f"EPSG:{network.epsg}", simplified=True)
    graph.add_nodes_from((i, {"x": x, "y": y}) for i, (x, y) in enumerate(network.node_xy_m.tolist()))
    columns = network.tail.tolist(), network.head.tolist(), network.street.tolist(), network.length_m.tolist()
    for tail, head, street, length_m in zip(*columns, strict=True):
        graph.add_edge(tail, head, osmid=street, length=length_m, highway="residential", oneway=False)
    with tempfile.TemporaryDirectory() as folder:
        osmnx.save_graphml(graph, Path(folder) / "graph.graphml")
        city.save(Path(folder) / "city")
        mine, _ = in_turn(lambda: City.load(Path(folder) / "city"), lambda: None, rounds=7)
        peer = timed(lambda: osmnx.load_graphml(Path(folder) / "graph.graphml"))
        yield Figure("load_city", mine, peer, "osmnx load_graphml", "s")


def main() -> None:
    city = made_city()
    print(f"A made network of {city.network.n_nodes:,} nodes and {city.network.n_open:,} directed edges, {UNITS} units")
    wanted = set(sys.argv[1:])
    figures = [
        figure
        for bench in (incident_vs_simpy, nearest_all_idle, load_city)
        if not wanted or bench.__name__ in wanted
        for figure in bench(city)
    ]
    table = Table(Column("name", no_wrap=True), "ours", "peer", "unit", "ratio", "peer's name")
    for f in figures:
        table.add_row(f.name, f"{f.ours:.4g}", f"{f.peer:.4g}", f.unit, f"{f.ratio:.3g}", f.peer_name)
    Console().print(table)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps([asdict(f) | {"ratio": f.ratio} for f in figures], indent=1, ensure_ascii=False), "utf-8")
    print(f"Written to {OUT.relative_to(OUT.parents[1])}")


if __name__ == "__main__":
    main()
