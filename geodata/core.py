"""The core of the roads: a fifth of the ports, between which all others lie in pockets of a few streets.

Whoever drives far passes a pocket through two of the few gates that it has. A search for one way needs only the gates
of the pockets at both ends and the links between gates, each of which stands for the fastest way through a pocket
(Bauer, Delling et al. 2010, "Combining hierarchical and goal-directed speed-up techniques for Dijkstra's algorithm").
Where the core lies follows from the streets alone; what it costs to drive there is measured for each period.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from geodata.along import HEAD
from geodata.compiled import compiled
from geodata.network import Floats, Ints
from geodata.pair import GATES, LEG, LINK, NONE, Guide, in_lines, laid_out, marked

MOST_NEIGHBOURS = 16
"""A port with more neighbours is of the core, and so is one whose removal would give others more."""
POCKET_PORTS = 64
"""No pocket has more."""


class Core(NamedTuple):
    """Which of p ports are the core."""

    number: Ints
    """(p,) of each port in the core, NONE outside."""
    port_of: Ints
    """(c,) the ports of the core."""
    pocket: Ints
    """(p,) NONE in the core."""

    @classmethod
    def of(cls, tail: Ints, head: Ints, n_ports: int) -> Core:
        """Part the ports into the core and pockets of at most `POCKET_PORTS`, each with at most `GATES` gates.

        Args:
            tail, head: (e,) the ports where each edge begins and ends.
            n_ports: p.
        """
        apart = tail != head
        both = np.r_[tail[apart], head[apart]], np.r_[head[apart], tail[apart]]
        joined = coo_array((np.ones(len(both[0]), np.int8), both), shape=(n_ports, n_ports)).tocsr()
        joined.sort_indices()
        pocket = _contract(joined.indptr.astype(np.int32), joined.indices.astype(np.int32), GATES)
        port_of = np.flatnonzero(pocket < 0).astype(np.int32)
        number = np.full(n_ports, NONE, np.int32)
        number[port_of] = np.arange(len(port_of))
        return cls(number, port_of, pocket)

    def guide(
        self,
        inward: tuple[Ints, NDArray[np.void]],
        outward: tuple[Ints, NDArray[np.void]],
        ends: Ints,
        length_m: Floats,
        from_s: Floats,
        to_s: Floats,
    ) -> Guide:
        """What leads a search through the core at some speeds.

        Args:
            inward, outward: the first links of each port and all links, of `LINK`: those that enter it or leave it.
            ends: (q, 3) as `DriveGraph` has them, and length_m: (q,) of each edge.
            from_s, to_s: as `pair.marked` has them.
        """
        p, lengths = len(self.number), np.ascontiguousarray(length_m)
        in_gates, out_gates = (in_lines(p * GATES, LINK).reshape(p, GATES) for _ in range(2))
        in_m, out_m = (np.zeros((p, GATES), np.float32) for _ in range(2))
        _measure(*outward, lengths, self.number, self.port_of, in_gates, in_m)
        begin, arc_s, arc_m, other, edge = _measure(*inward, lengths, self.number, self.port_of, out_gates, out_m)
        need = _needed(begin, arc_s, other)
        begin = np.concatenate([[0], np.cumsum(need)])[begin].astype(np.int32)
        legs = np.empty(int(begin[-1]), LEG)
        legs["m"], legs["port"] = arc_m[need], np.repeat(np.arange(len(self.port_of)), np.diff(begin))
        legs["last"], edges = _lay_legs(legs["port"], edge[need], ends, out_gates, self.port_of)
        legs["first"][1:], legs["first"][:1] = legs["last"][:-1], 0
        arcs = np.empty(len(legs), LINK)
        arcs["s"], arcs["other"], arcs["edge"] = arc_s[need], other[need], np.arange(len(legs))
        marks, step_s = marked(from_s, to_s)
        ports, own_marks, links = laid_out(begin, arcs, marks[self.port_of])
        return Guide(
            marks=marks,
            step_s=step_s,
            aim=np.zeros((1, marks.shape[1]), np.uint16),
            ports=ports,
            own_marks=own_marks,
            links=links,
            legs=legs,
            edges=edges,
            port_of=self.port_of,
            pocket=self.pocket,
            outward=out_gates,
            inward=in_gates,
            outward_m=out_m,
            inward_m=in_m,
            goal_s=np.zeros(2 * GATES),
            trail=np.zeros(len(self.port_of), np.int32),
        )


@compiled
def _contract(first: Any, neighbours: Any, most_gates: int) -> Any:
    """The pocket of each port, NONE in the core. The neighbours of i are neighbours[first[i]:first[i + 1]].

    Ports with few neighbours are taken out, fewest first, and their neighbours become neighbours of each other: the
    last that is taken out of a pocket has all its gates as neighbours.
    """
    n = len(first) - 1
    degree = np.diff(first)
    near = np.empty((n, MOST_NEIGHBOURS), np.int32)
    # of a port with too many neighbours nobody keeps account: it stays
    count = np.where(degree > MOST_NEIGHBOURS, MOST_NEIGHBOURS + 1, degree)
    for i in range(n):
        if count[i] <= MOST_NEIGHBOURS:
            near[i, : degree[i]] = neighbours[first[i] : first[i + 1]]
    pocket = np.full(n, NONE, np.int32)
    size = np.ones(n, np.int32)
    for few in range(1, most_gates + 1):
        goes_on = True
        while goes_on:
            goes_on = False
            for v in range(n):
                if pocket[v] >= 0 or count[v] > few or not _has_room(near, count, v):
                    continue
                if _join(neighbours[first[v] : first[v + 1]], pocket, size, v):
                    goes_on = True
                    for a in range(count[v]):
                        if count[near[v, a]] <= MOST_NEIGHBOURS:
                            _take_out(near, count, near[v, a], v)
    for i in range(n):
        if pocket[i] >= 0:
            pocket[i] = _root(pocket, i)
    return pocket


@compiled
def _root(pocket: Any, v: int) -> int:
    while pocket[v] != v:
        v = pocket[v]
    return v


@compiled
def _join(neighbours: Any, pocket: Any, size: Any, v: int) -> bool:
    """Make a port one pocket with those beside it; False, and nothing is changed, where that would be too large."""
    size_of_all = 1
    for i in range(len(neighbours)):
        if pocket[neighbours[i]] >= 0:
            root = _root(pocket, neighbours[i])
            known = False
            for j in range(i):
                known = known or (pocket[neighbours[j]] >= 0 and _root(pocket, neighbours[j]) == root)
            size_of_all += 0 if known else size[root]
    if size_of_all > POCKET_PORTS:
        return False
    pocket[v] = v
    for other in neighbours:
        if pocket[other] >= 0:
            pocket[_root(pocket, other)] = v
    size[v] = size_of_all
    return True


@compiled
def _is_near(near: Any, count: Any, i: int, other: int) -> bool:
    found = False
    for j in range(count[i]):
        found = found or near[i, j] == other
    return found


@compiled
def _has_room(near: Any, count: Any, v: int) -> bool:
    """Whether all neighbours of a port could become neighbours of each other."""
    for a in range(count[v]):
        i = near[v, a]
        if count[i] > MOST_NEIGHBOURS:
            continue
        after = count[i] - 1
        for b in range(count[v]):
            if near[v, b] != i and not _is_near(near, count, i, near[v, b]):
                after += 1
        if after > MOST_NEIGHBOURS:
            return False
    return True


@compiled
def _take_out(near: Any, count: Any, i: int, v: int) -> None:
    """Give a port the neighbours of one of them instead of that one."""
    last = count[i] - 1
    for j in range(last):
        if near[i, j] == v:
            near[i, j] = near[i, last]
    count[i] = last
    for b in range(count[v]):
        other = near[v, b]
        if other != i and not _is_near(near, count, i, other):
            near[i, count[i]] = other
            count[i] += 1


@compiled
def _measure(first: Any, links: Any, length_m: Any, core: Any, port_of: Any, gates: Any, gate_m: Any) -> Any:
    """How far it is to the gates, and from gate to gate, through a pocket or straight.

    Args:
        first, links: those of each port, of `LINK`, inward or outward.
        length_m: (q,) of each edge.
        core: (p,) the number of each port in the core, NONE outside; port_of: (c,) their ports.
        gates: (p, GATES) of `LINK`, to be filled. With inward links the seconds from each port to its gates, their
            numbers, and the edge by which the way there begins; with outward links the seconds from there, and the edge
            by which the way ends. A port of the core has itself; NONE fills up.
        gate_m: (p, GATES) metres, likewise.

    Returns the fastest ways between gates that pass no third, those of number i from begin[i] on: `begin` (c + 1,), and
    seconds, metres, the number at the other end and, with inward links, the edge by which each begins.
    """
    n, n_core = len(core), len(port_of)
    gates["other"][:] = NONE
    port_s, port_m, edge = np.full(n, np.inf), np.zeros(n), np.zeros(n, np.int32)
    waits = np.zeros(n, np.bool_)
    reached, queue = np.empty(n, np.int32), np.empty(n, np.int32)
    begin, n_arcs = np.zeros(n_core + 1, np.int32), 0
    arc_s, arc_m, arc_other, arc_edge = np.empty(n), np.empty(n), np.empty(n, np.int32), np.empty(n, np.int32)
    for number in range(n_core):
        start = port_of[number]
        port_s[start], port_m[start] = 0.0, 0.0
        queue[0], reached[0] = start, start
        head, n_waiting, n_reached = 0, 1, 1
        while n_waiting > 0:
            i = queue[head % n]
            head += 1
            n_waiting -= 1
            waits[i] = False
            for j in range(first[i], first[i + 1]):
                other, seconds = links[j]["other"], port_s[i] + links[j]["s"]
                if seconds >= port_s[other]:
                    continue
                if port_s[other] == np.inf:
                    reached[n_reached] = other
                    n_reached += 1
                port_s[other], port_m[other] = seconds, port_m[i] + length_m[links[j]["edge"]]
                edge[other] = links[j]["edge"]
                if core[other] < 0 and not waits[other]:
                    waits[other] = True
                    queue[(head + n_waiting) % n] = other
                    n_waiting += 1
        if n_arcs + n_reached > len(arc_s):
            arc_s, arc_m = np.append(arc_s, np.empty(n)), np.append(arc_m, np.empty(n))
            more = np.empty(n, np.int32)
            arc_other, arc_edge = np.append(arc_other, more), np.append(arc_edge, more)
        for r in range(n_reached):
            i = reached[r]
            if i == start or core[i] < 0:
                at = 0
                while gates[i, at]["other"] >= 0:
                    at += 1
                gates[i, at]["s"], gates[i, at]["other"], gates[i, at]["edge"] = port_s[i], number, edge[i]
                gate_m[i, at] = port_m[i]
            else:
                arc_s[n_arcs], arc_m[n_arcs] = port_s[i], port_m[i]
                arc_other[n_arcs], arc_edge[n_arcs] = core[i], edge[i]
                n_arcs += 1
            port_s[i] = np.inf
        begin[number + 1] = n_arcs
    return begin, arc_s[:n_arcs], arc_m[:n_arcs], arc_other[:n_arcs], arc_edge[:n_arcs]


@compiled
def _needed(begin: Any, arc_s: Any, other: Any) -> Any:
    """Which of the ways between gates no two others together outrun."""
    need = np.ones(len(arc_s), np.bool_)
    for i in range(len(begin) - 1):
        for j in range(begin[i], begin[i + 1]):
            between = other[j]
            for far in range(begin[between], begin[between + 1]):
                for k in range(begin[i], begin[i + 1]):
                    if other[k] == other[far] and arc_s[j] + arc_s[far] < arc_s[k]:
                        need[k] = False
    return need


@compiled
def _lay_legs(ports: Any, edge: Any, ends: Any, gates: Any, port_of: Any) -> Any:
    """The edges of all ways from gate to gate, and where those of each end among them.

    Args:
        ports: (a,) where each leads in the core; edge: (a,) by which it begins.
        ends: (q, 3)
        gates: the ways to them, as `_measure` has them.
        port_of: (c,)
    """
    last, edges, n = np.empty(len(edge), np.int32), np.empty(len(gates), np.int32), 0
    for i in range(len(edge)):
        e = edge[i]
        while True:
            if n == len(edges):
                edges = np.append(edges, np.empty(n, np.int32))
            edges[n] = e
            n += 1
            port = ends[e, HEAD]
            if port == port_of[ports[i]]:
                break
            k = 0
            while gates[port, k]["other"] != ports[i]:
                k += 1
            e = gates[port, k]["edge"]
        last[i] = n
    return last, edges[:n]
