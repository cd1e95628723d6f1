"""A made network of any size, for benchmarks: an irregular lattice with classes, gaps and one-way streets."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

from geodata.network import OneWay, RoadClass, RoadNetwork, Streets, build_network
from geodata.synthetic.streams import EPSG, ORIGIN_M, stream

SPACING_M = 120.0
JITTER = 0.28
"""Of the spacing, each way."""
STREETS_A_NODE = 1.36
ONE_WAY_SHARE = 0.5
"""Of the streets that are no part of the tree that keeps all nodes connected: about an eighth of all."""


def made_network(seed: int, n_nodes: int) -> RoadNetwork:
    """A strongly connected network of exactly `n_nodes` nodes and about 2.5 directed edges a node.

    Every 27th line of the lattice is an expressway, every 9th an arterial, every 3rd a collector. The same seed and
    size give the same network.

    Raises:
        ValueError: fewer than 2 nodes.
    """
    if n_nodes < 2:
        raise ValueError(f"a network of {n_nodes} nodes, expected at least 2")
    rng = stream(seed, "lattice")
    width = int(np.ceil(np.sqrt(n_nodes)))
    node = np.arange(n_nodes)
    column, row = node % width, node // width
    xy = np.stack([column, row], axis=1) + rng.uniform(-JITTER, JITTER, (n_nodes, 2))

    east, north = node[(column < width - 1) & (node + 1 < n_nodes)], node[node + width < n_nodes]
    start, end = np.r_[east, north], np.r_[east + 1, north + width]
    line = np.r_[row[east], column[north]]
    road_class = np.select(
        [line % 27 == 13, line % 9 == 4, line % 3 == 1],
        [RoadClass.EXPRESSWAY, RoadClass.ARTERIAL, RoadClass.COLLECTOR],
        RoadClass.LOCAL,
    ).astype(np.uint8)

    # the larger roads come first into the tree and into what is kept beside it
    cost = 1 + rng.random(len(start)) + 0.25 * road_class
    tree = minimum_spanning_tree(coo_array((cost, (start, end)), shape=(n_nodes,) * 2)).tocoo()
    in_tree = np.isin(start * n_nodes + end, tree.row.astype(np.int64) * n_nodes + tree.col)
    spare = np.flatnonzero(~in_tree)
    wanted = min(len(spare), round(STREETS_A_NODE * n_nodes) - int(in_tree.sum()))
    chosen = spare[np.argsort(cost[spare], kind="stable")[:wanted]]
    kept = np.sort(np.r_[np.flatnonzero(in_tree), chosen])

    one_way = np.where(~in_tree & (rng.random(len(start)) < ONE_WAY_SHARE), OneWay.FORWARD, OneWay.NO)
    one_way = np.where(rng.random(len(start)) < 0.5, one_way, -one_way).astype(np.int8)[kept]
    ends = np.stack([start[kept], end[kept]], axis=1)
    network, _ = build_network(
        Streets(
            epsg=EPSG,
            start=ends[:, 0],
            end=ends[:, 1],
            one_way=one_way,
            road_class=road_class[kept],
            speed_kmh=np.full(len(kept), np.nan),
            name=[""] * len(kept),
            shape_first=np.arange(len(kept) + 1) * 2,
            shape_xy_m=(ORIGIN_M + SPACING_M * (xy - width / 2))[ends.reshape(-1)],
        )
    )
    return network
