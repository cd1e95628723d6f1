"""`make bench`: how fast the heart is beside its peers, both sides in one run.

Prints a table of medians and writes out/bench.json: a list of {name, ours, peer, peer_name, unit, ratio}, where a ratio
above 1 says that we are faster.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import geopandas as gpd
import networkx as nx
import numpy as np
import osmnx
import pandas as pd
import shapely
from engine_runs import incident_vs_simpy, patrol_vs_posts, year_changsha
from rich.console import Console
from rich.table import Column, Table
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from timing import Figure, in_turn, timed

from geodata import along
from geodata.city import City, Source
from geodata.grid import Grid, cut_streets
from geodata.network import Floats, Permission, RoadNetwork
from geodata.positions import Positions, locate, snap
from geodata.reach import Stretches, reach
from geodata.routing import RoadTravel
from geodata.sites import SITE_COLUMNS, Posts, Sites
from geodata.spread import spread
from geodata.synthetic import made_network
from geodata.turns import keep_connected

SEED = 135
NODES = 120_000
UNITS = 300
HOUR = 10
OUT = Path(__file__).parents[2] / "out" / "bench.json"


def at_nodes(network: RoadNetwork, rng: np.random.Generator, n: int) -> Positions:
    """Positions at the very tail of two-way edges, so that peers which know nodes alone answer the same question."""
    edge = rng.choice(np.flatnonzero(network.twin[: network.n_open] >= 0), n, replace=False)
    return Positions(edge.astype(np.int32), np.zeros(n))


def made_city(nodes: int = NODES, units: int = UNITS) -> City:
    """The made network as one cell, with a post for each unit at random nodes."""
    network = made_network(SEED, nodes)
    rng = np.random.default_rng(SEED)
    places = at_nodes(network, rng, units)
    bounds = shapely.box(*network.node_xy_m.min(0) - 100, *network.node_xy_m.max(0) + 100)
    cell = {"code": ["1"], "parent": ["D"], "name": ["城"], "name_en": ["City"], "residents": [1]}
    grid = Grid(
        gpd.GeoDataFrame(cell, geometry=[bounds], crs=network.epsg),
        pd.DataFrame({"code": ["D"], "parent": [""], "level": ["district"], "name": ["区"], "name_en": ["District"]}),
    )
    ids = [str(i) for i in range(units)]
    post = {"id": ids, "name": ids, "name_en": ids, "kind": "post", "capacity": 1}
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


def with_restrictions(network: RoadNetwork) -> RoadNetwork:
    """The network with a turn forbidden at one junction in thirty."""
    rng = np.random.default_rng(SEED)
    come = rng.permutation(network.n_open)[: network.n_nodes // 30]
    first = np.searchsorted(network.tail[: network.n_open], np.arange(network.n_nodes + 1))
    at = network.head[come]
    leave = first[at] + (rng.random(len(come)) * (first[at + 1] - first[at])).astype(np.int64)
    turns = np.stack([come, leave], axis=1)[leave != network.reverse[come]]
    is_open = network.permission == Permission.OPEN
    banned, _ = keep_connected(network.n_nodes, network.tail, network.head, is_open, turns.astype(np.int64))
    return replace(network, banned_turns=banned.astype(np.int32))


def anywhere(network: RoadNetwork, rng: np.random.Generator, n: int) -> Positions:
    edge = rng.integers(0, network.n_open, n).astype(np.int32)
    return Positions(edge, rng.random(n) * network.length_m[edge])


class ScipySearch:
    """The same question to scipy: the graph with restricted junctions taken apart, with a node for each target."""

    def __init__(self, travel: RoadTravel, units: Positions, targets: Positions) -> None:
        drive, time_s = travel.drive, travel.period(HOUR).time_s
        n, inward = len(drive.xy_m), travel.period(HOUR).inward

        def sides(places: Positions, end: int) -> tuple[np.ndarray, np.ndarray]:
            """(2, k) ports at an end of the edge and of its twin, and the seconds to there."""
            share = places.offset_m / drive.length_m[places.edge]
            share = 1 - share if end == along.HEAD else share
            twin = drive.ends[places.edge, along.TWIN]
            back_s = np.where(twin >= 0, (1 - share) * time_s[twin], np.inf)
            return drive.ends[[places.edge, twin], end], np.stack([share * time_s[places.edge], back_s])

        self.unit_port, self.unit_s = sides(units, along.HEAD)
        port, seconds = sides(targets, along.TAIL)
        row = np.concatenate([np.repeat(np.arange(n), np.diff(inward.first)), np.tile(n + np.arange(len(targets)), 2)])
        column, value = (
            np.concatenate([inward.record["other"], port.ravel()]),
            np.concatenate([inward.record["s"], seconds.ravel()]),
        )
        # a link of no length would be none; of parallel links the fastest counts, so it comes first
        value = np.maximum(value, 1e-12)
        order = np.lexsort((value, column, row))
        order = order[np.isfinite(value[order])]
        first = np.r_[True, (np.diff(row[order]) != 0) | (np.diff(column[order]) != 0)]
        order = order[first]
        self.graph = csr_array((value[order], (row[order], column[order])), shape=(n + len(targets),) * 2)
        self.n = n

    def nearest_s(self, target: int, rows: np.ndarray, direct_s: float = np.inf) -> float:
        """Seconds of the nearest of some units, with a limit that is doubled until it holds."""
        limit_s = 60.0
        while True:
            seconds = dijkstra(self.graph, indices=self.n + target, limit=limit_s)
            least = float(min((seconds[self.unit_port[:, rows]] + self.unit_s[:, rows]).min(), direct_s))
            if least <= limit_s:
                return least
            limit_s *= 2


def nearest(city: City) -> Iterator[Figure]:
    """The nearest of 300 units with all of them idle and with nine in ten busy, by the search alone (no times kept from
    posts): turn restrictions, units and incidents anywhere on the edges."""
    network = with_restrictions(city.network)
    rng = np.random.default_rng(SEED)
    units, targets = anywhere(network, rng, UNITS), anywhere(network, rng, 400)
    travel = RoadTravel(network)
    peer = ScipySearch(travel, units, targets)
    delay_s, slowness, asked = np.zeros(UNITS), np.ones(UNITS), list(targets)
    busy = [np.sort(rng.choice(UNITS, UNITS // 10, replace=False)) for _ in asked]
    on_street = network.street[units.edge]
    for name, idle in (("nearest_all_idle", [np.arange(UNITS)] * 400), ("nearest_90_busy", busy)):

        def ours(idle: list[np.ndarray] = idle) -> list[float]:
            answers = (
                travel.nearest(t, rows, units, delay_s, slowness, HOUR) for t, rows in zip(asked, idle, strict=True)
            )
            return [float(seconds[0]) for _, seconds in answers]

        def by_scipy(idle: list[np.ndarray] = idle) -> list[float]:
            return [peer.nearest_s(i, rows) for i, rows in enumerate(idle)]

        # scipy's graph does not know that two places may share a street
        apart = [network.street[t.edge] not in on_street[rows] for t, rows in zip(asked, idle, strict=True)]
        np.testing.assert_allclose(np.array(ours())[apart], np.array(by_scipy())[apart], atol=1e-6)
        mine, other = in_turn(ours, by_scipy, rounds=5)
        yield Figure(name, mine / 400 * 1e3, other / 400 * 1e3, "scipy dijkstra, doubling limit", "ms")


def nearest_networkx(city: City) -> Iterator[Figure]:
    """The nearest of 300 idle units at nodes, beside networkx."""
    network, units = city.network, city.posts.positions
    travel = RoadTravel(network)
    rng = np.random.default_rng(SEED)
    targets = list(at_nodes(network, rng, 400))
    rows, delay_s, slowness = np.arange(UNITS), np.zeros(UNITS), np.ones(UNITS)
    time_s = travel.edge_time_s(HOUR)[: network.n_open]
    unit_node = network.tail[units.edge]
    target_node = network.tail[[target.edge for target in targets]]

    def ours(n: int) -> list[float]:
        return [float(travel.nearest(target, rows, units, delay_s, slowness, HOUR)[1][0]) for target in targets[:n]]

    def by_networkx(n: int) -> list[float]:
        answers = []
        for node in target_node[:n].tolist():
            seconds = nx.single_source_dijkstra_path_length(graph, node, weight="time_s")
            answers.append(min(seconds[unit] for unit in unit_node.tolist()))
        return answers

    graph = nx.DiGraph()
    # of parallel edges the fastest counts, so it is added last
    order = np.argsort(-time_s, kind="stable")
    columns = network.head[order].tolist(), network.tail[order].tolist(), time_s[order].tolist()
    graph.add_weighted_edges_from(zip(*columns, strict=True), weight="time_s")
    np.testing.assert_allclose(ours(3), by_networkx(3), atol=1e-9)
    mine, _ = in_turn(lambda: ours(400), lambda: None, rounds=3)
    _, peer = in_turn(lambda: None, lambda: by_networkx(3), rounds=3)
    yield Figure("nearest_networkx", mine / 400 * 1e3, peer / 3 * 1e3, "networkx single_source_dijkstra", "ms")


def reach_300(city: City) -> Iterator[Figure]:
    """What 300 posts at any place of the roads reach in 1, 3 and 5 minutes, turn restrictions and all, beside scipy's
    search from one row that joins all posts. `reach_300`: the seconds at the nodes on both sides; `reach_300_streets`:
    every street cut where the time runs out, in numpy on the peer's side."""
    network, limits_s = with_restrictions(city.network), (60.0, 180.0, 300.0)
    posts = anywhere(network, np.random.default_rng(SEED), UNITS)
    travel = RoadTravel(network)
    drive, period = travel.drive, travel.period(HOUR)
    n, time_s = len(drive.xy_m), period.time_s
    is_open = np.isfinite(time_s)
    tail, head = drive.ends[is_open, along.TAIL], drive.ends[is_open, along.HEAD]
    twin = drive.ends[posts.edge, along.TWIN]
    both, share = twin >= 0, posts.offset_m / network.length_m[posts.edge]
    seeds = np.r_[drive.ends[posts.edge, along.HEAD], drive.ends[twin[both], along.HEAD]]
    seed_s = np.r_[(1 - share) * time_s[posts.edge], (share * time_s[twin])[both]]
    row, column = np.r_[tail, np.full(len(seeds), n)], np.r_[head, seeds]
    value = np.maximum(np.r_[time_s[is_open], seed_s], 1e-12)
    # of parallel links the fastest counts, so it comes first
    order = np.lexsort((value, column, row))
    order = order[np.r_[True, (np.diff(row[order]) != 0) | (np.diff(column[order]) != 0)]]
    graph = csr_array((value[order], (row[order], column[order])), shape=(n + 1,) * 2)

    def nodes_by_scipy() -> Floats:
        seconds: Floats = dijkstra(graph, indices=n, limit=limits_s[-1])[:-1]
        return seconds

    def streets_by_scipy() -> Floats:
        left_s = np.array(limits_s)[:, None] - nodes_by_scipy()
        return np.clip(left_s[:, tail] / np.maximum(time_s[is_open], 1e-12), 0, 1)

    def nodes() -> Floats:
        seconds: Floats = spread(*period.outward, seeds, seed_s, limits_s[-1])
        return seconds

    def streets() -> Stretches:
        return reach(travel, posts, HOUR, limits_s[-1]).stretches(limits_s)

    np.testing.assert_allclose(nodes(), nodes_by_scipy(), atol=1e-6)
    mine, peer = in_turn(nodes, nodes_by_scipy, rounds=31)
    yield Figure("reach_300", mine * 1e3, peer * 1e3, "scipy dijkstra, seconds at nodes", "ms")
    mine, cut = in_turn(streets, streets_by_scipy, rounds=31)
    yield Figure("reach_300_streets", mine * 1e3, cut * 1e3, "scipy dijkstra, edges cut in numpy", "ms")
    print(f"reach_300: with every street cut we take {mine / peer:.2f} times what scipy takes for the nodes alone")


def snap_200k(city: City) -> Iterator[Figure]:
    """Points all over the city to their nearest street. Ours tells edge, offset and distance; the peer, which has its
    points and its tree ready, tells street and distance alone."""
    network = city.network
    low_m, high_m = network.node_xy_m.min(0), network.node_xy_m.max(0)
    xy_m = np.random.default_rng(SEED).uniform(low_m, high_m, (200_000, 2))
    points, tree = np.asarray(shapely.points(xy_m)), network.tree

    def by_shapely() -> tuple[np.ndarray, Floats]:
        (_, street), distance_m = tree.query_nearest(points, return_distance=True, all_matches=False)
        return street, distance_m

    (positions, distance_m), (street, expected_m) = snap(network, xy_m), by_shapely()
    np.testing.assert_allclose(distance_m, expected_m, rtol=1e-9)
    # where streets are equally near, as at a junction, the peer takes any of them
    other = network.street[positions.edge] != street
    to_ours_m = shapely.distance(points[other], network.lines[network.street[positions.edge[other]]])
    np.testing.assert_allclose(to_ours_m, expected_m[other], rtol=1e-9)
    mine, peer = in_turn(lambda: snap(network, xy_m), by_shapely, rounds=5)
    yield Figure("snap_200k", mine, peer, "shapely STRtree.query_nearest", "s")


MEMORY_LIMIT_MB = 150.0
MEMORY_SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from geodata.city import City
from geodata.positions import snap
from geodata.reach import Stretches, reach
from geodata.routing import RoadTravel

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * {page} / 1e6

def use(folder):
    city = City.load(Path(folder))
    # mapped pages count as resident once they have been touched: touch them all
    for part in (city.network, city.pieces):
        for name in part.__dataclass_fields__:
            np.asarray(getattr(part, name)).any()
    loaded_mb = resident_mb()
    units = city.posts.positions
    n = len(units)
    travel = RoadTravel(city.network)
    at, _ = snap(city.network, city.network.node_xy_m[:1] + 5)
    travel.nearest(at[0], np.arange(n), units, np.zeros(n), np.ones(n), 10)
    return city, travel, loaded_mb

use(sys.argv[1])  # code is loaded and compiled on another, small city
before_mb = resident_mb()
kept = use(sys.argv[2])
print(kept[2] - before_mb, resident_mb() - before_mb)
"""


def city_memory(city: City) -> Iterator[Figure]:
    """Resident memory that a saved city takes in a fresh process, with its search graph, its index of streets and one
    query, beside the limit that we set ourselves. Linux only."""
    with tempfile.TemporaryDirectory() as folder:
        made_city(nodes=400, units=30).save(Path(folder) / "small")
        city.save(Path(folder) / "city")
        script = MEMORY_SCRIPT.format(page=os.sysconf("SC_PAGE_SIZE"))
        command = [sys.executable, "-c", script, f"{folder}/small", f"{folder}/city"]
        answers = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(3)]
    pairs = [map(float, answer.split()) for answer in answers]
    loaded_mb, used_mb = (statistics.median(values) for values in zip(*pairs, strict=True))
    print(f"city_memory: {loaded_mb:.0f} MB loaded, {used_mb:.0f} MB in use; {MEMORY_LIMIT_MB:.0f} allowed")
    yield Figure("city_memory", used_mb, MEMORY_LIMIT_MB, "limit", "MB")


def load_city(city: City) -> Iterator[Figure]:
    """A saved city (network, grid, posts) beside the same network as osmnx writes and reads it."""
    network = city.network
    graph = nx.MultiDiGraph(crs=f"EPSG:{network.epsg}", simplified=True)
    graph.add_nodes_from((i, {"x": x, "y": y}) for i, (x, y) in enumerate(network.node_xy_m.tolist()))
    of_edges = network.tail, network.head, network.street, network.length_m
    for tail, head, street, length_m in zip(*(c[: network.n_open].tolist() for c in of_edges), strict=True):
        graph.add_edge(tail, head, osmid=street, length=length_m, highway="residential", oneway=False)
    with tempfile.TemporaryDirectory() as folder:
        osmnx.save_graphml(graph, Path(folder) / "graph.graphml")
        city.save(Path(folder) / "city")
        mine, _ = in_turn(lambda: City.load(Path(folder) / "city"), lambda: None, rounds=7)
        peer = timed(lambda: osmnx.load_graphml(Path(folder) / "graph.graphml"))
        yield Figure("load_city", mine, peer, "osmnx load_graphml", "s")


BENCHES = (
    *(incident_vs_simpy, patrol_vs_posts, nearest, nearest_networkx, reach_300, snap_200k, city_memory, load_city),
    year_changsha,
)


def main() -> None:
    city = made_city()
    print(f"A made network of {city.network.n_nodes:,} nodes and {city.network.n_open:,} directed edges, {UNITS} units")
    wanted = set(sys.argv[1:])
    figures = [figure for bench in BENCHES if not wanted or bench.__name__ in wanted for figure in bench(city)]
    table = Table(Column("name", no_wrap=True), "ours", "peer", "unit", "ratio", "peer's name")
    for f in figures:
        table.add_row(f.name, f"{f.ours:.4g}", f"{f.peer:.4g}", f.unit, f"{f.ratio:.3g}", f.peer_name)
    Console().print(table)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps([asdict(f) | {"ratio": f.ratio} for f in figures], indent=1, ensure_ascii=False), "utf-8")
    print(f"Written to {OUT.relative_to(OUT.parents[1])}")


if __name__ == "__main__":
    main()
