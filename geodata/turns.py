"""Turn restrictions: which turns are forbidden, and the few junctions that a search must see in parts for their sake.

A junction where every turn is allowed is one node. Where some are not, the edges with a restricted turn get a *port* of
their own there, and *connectors* without length join the ports as the turns are allowed. Only restricted junctions
grow; the search stays one over nodes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Index = NDArray[np.int64]
AnyIndex = NDArray[np.integer]


class Ports(NamedTuple):
    """The graph of a network with its restricted junctions taken apart."""

    tail: Index
    """(m,) port where each edge begins: its node, or a new number."""
    head: Index
    """(m,) port where it ends."""
    node: Index
    """The node that each port belongs to; the first ones are the nodes themselves."""
    connector: Index
    """(c, 2) ports that may be passed from one to the other."""
    connector_s: NDArray[np.float64]
    """(c,) seconds that this takes."""


def banned_pairs(tail: Index, head: Index, street: Index, closed: NDArray[np.bool_], turns: Index) -> Index:
    """(t, 2) forbidden turns as pairs of open edges, sorted, from restrictions as `geodata.network.Streets.turns` has
    them, but with streets and nodes of the network. Where only one turn is allowed all others are forbidden, the U-turn
    too."""
    if not len(turns):
        return np.empty((0, 2), np.int64)
    rule = pd.DataFrame(turns, columns=["from_street", "via", "to_street", "only"])
    rule["rule"] = np.arange(len(rule))
    edges = pd.DataFrame({"edge": np.arange(len(tail)), "street": street, "tail": tail, "head": head})[~closed]
    come = rule.merge(edges, left_on=["from_street", "via"], right_on=["street", "head"])
    come = come[["rule", "via", "from_street", "to_street", "only", "edge"]].rename(columns={"edge": "come"})
    both = come.merge(edges[["edge", "street", "tail"]], left_on="via", right_on="tail")
    named = both["street"] == both["to_street"]
    # a restriction to one turn counts where that turn exists
    kept = both["rule"].isin(both.loc[named, "rule"]) & np.where(both["only"] == 1, ~named, named)
    pairs = both.loc[kept, ["come", "edge"]].to_numpy(np.int64)
    return np.unique(pairs, axis=0) if len(pairs) else pairs.reshape(0, 2)


def take_apart(
    n_nodes: int,
    tail: AnyIndex,
    head: AnyIndex,
    driven: NDArray[np.bool_],
    banned: Index,
    slow: Index | None = None,
    slow_s: float = 0.0,
) -> Ports:
    """Ports and connectors for forbidden turns, and for turns that take their time.

    Args:
        n_nodes: number of nodes n.
        tail: (m,) and head: (m,) nodes of the edges.
        driven: (m,) the edges that may be driven at all.
        banned: (t, 2) pairs of edges.
        slow: (u, 2) pairs of edges between which the turn takes `slow_s` seconds.
    """
    slow = np.empty((0, 2), np.int64) if slow is None else slow
    banned = banned[driven[banned].all(axis=1)]
    slow = slow[driven[slow].all(axis=1)]
    some = np.concatenate([banned, slow])
    come, leave = np.unique(some[:, 0]), np.unique(some[:, 1])
    node = np.unique(head[come])
    restricted = np.zeros(n_nodes, bool)
    restricted[node] = True
    free = driven & restricted[head]
    free[come] = False
    hub_node = np.unique(head[free])
    owner = np.concatenate([np.arange(n_nodes), head[come], hub_node, tail[leave]])
    come_port = n_nodes + np.arange(len(come))
    hub_port = come_port.size + n_nodes + np.arange(len(hub_node))
    leave_port = n_nodes + len(come) + len(hub_node) + np.arange(len(leave))
    new_tail, new_head = tail.astype(np.int64), head.astype(np.int64)
    new_head[come] = come_port
    new_head[free] = hub_port[np.searchsorted(hub_node, head[free])]
    new_tail[leave] = leave_port
    # from a port at which edges end one comes to the node, from which all unrestricted edges leave, and to the others
    enter = pd.DataFrame(
        {
            "port": np.r_[come_port, hub_port],
            "edge": np.r_[come, np.full(len(hub_node), -1)],
            "node": np.r_[head[come], hub_node],
        }
    )
    out = pd.DataFrame({"to": leave_port, "out": leave, "node": tail[leave]})
    turn = enter.merge(out, on="node")
    key = turn["edge"].to_numpy() * len(tail) + turn["out"].to_numpy()
    allowed = ~np.isin(key, banned[:, 0] * len(tail) + banned[:, 1])
    late = np.isin(key, slow[:, 0] * len(tail) + slow[:, 1])
    connector = np.concatenate([enter[["port", "node"]].to_numpy(), turn[["port", "to"]].to_numpy()[allowed]])
    seconds = np.concatenate([np.zeros(len(enter)), np.where(late, slow_s, 0.0)[allowed]])
    return Ports(new_tail, new_head, owner, connector.astype(np.int64), seconds)


def keep_connected(
    n_nodes: int, tail: Index, head: Index, driven: NDArray[np.bool_], banned: Index
) -> tuple[Index, Index]:
    """The forbidden turns with which every edge can still be reached from every other, and those given up for it."""
    kept = banned
    while len(kept):
        ports = take_apart(n_nodes, tail, head, driven, kept)
        links = np.concatenate([np.stack([ports.tail, ports.head], 1)[driven], ports.connector])
        graph = coo_array((np.ones(len(links)), links.T), shape=(len(ports.node),) * 2)
        _, component = connected_components(graph, directed=True, connection="strong")
        main = np.bincount(component[ports.tail[driven]]).argmax()
        cut = driven & ((component[ports.tail] != main) | (component[ports.head] != main))
        if not cut.any():
            break
        touched = np.zeros(n_nodes, bool)
        touched[tail[cut]] = touched[head[cut]] = True
        kept = kept[~touched[head[kept[:, 0]]]]
    key = banned @ np.array([len(tail), 1])
    return kept, banned[~np.isin(key, kept @ np.array([len(tail), 1]))]
