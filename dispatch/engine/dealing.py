"""The steps of ordinary incidents, compiled; who takes them when, `ordinary` tells."""

from __future__ import annotations

from math import inf, nan
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.engine import journal as rows
from dispatch.engine.fleet import (
    AT_MEAL,
    AWAY,
    EDGE,
    FREE,
    GOAL_EDGE,
    GOAL_M,
    GOAL_POST,
    MOBILE_TURN_OUT_S,
    MODE,
    OFFSET_M,
    PHASE_S,
    POST,
    ROUND,
    SINCE_S,
    STILL,
    TURN_OUT_S,
    lay,
    on_patrol,
)
from dispatch.engine.lookout import Room, nearest_free, note_seen
from dispatch.engine.luck import journey_factor
from dispatch.incidents import Outcome
from dispatch.units import UnitState
from geodata.compiled import compiled, is_kept
from geodata.network import Bools, Floats, Ints
from geodata.search import way

IDLE, TURN_OUT, TRAVELLING, ON_SCENE, RETURNING, PATROLLING = (
    int(UnitState.IDLE),
    int(UnitState.TURN_OUT),
    int(UnitState.TRAVELLING),
    int(UnitState.ON_SCENE),
    int(UnitState.RETURNING),
    int(UnitState.PATROLLING),
)
DEALT_WITH, NOTHING_THERE = int(Outcome.CLEARED), int(Outcome.FALSE_ALARM)
UNTIL, FULL, CALL, FREED = range(4)
"""Why `deal` stops: it is where it was to stop, the sheet is full, or a call or a freed unit is left to others."""
NO_PATROL, ROUNDS, ONE_ROUND = range(3)
STATES_EACH = 6
"""Rows of states for each: at most so many are written between two of them."""
NEXT_CALL, CALL_NUMBER, N_DUE, N_OPEN, NUMBER, WHICH, N_ASSIGNED, N_STATES = range(8)
"""Places of the ledger: the next call, the number of its event, how many units have an event to come, incidents not yet
over, the number of the next new event, what is left to others, and how much of the sheet is written."""

Ids = NDArray[np.int64]


class Roads(NamedTuple):
    """What is asked of the roads in an hour. The first arguments of kernels, and the posts."""

    near: tuple[Any, ...]
    """Of `nearest_kept`, before the anchors of the candidates ..."""
    graph: tuple[Any, ...]
    """... and after them."""
    back: tuple[Any, ...]
    """Of `way`, as traffic drives."""
    path: Ints
    """Where these leave the edges of a way."""
    post_edge: Ints
    post_m: Floats
    edge_s: Floats
    """As traffic drives."""


class Asked(NamedTuple):
    """What is given of the incidents."""

    order: Ids
    """In which they are ready."""
    ready_s: Floats
    edge: Ints
    offset_m: Floats
    priority: NDArray[np.uint8]
    on_scene_s: Floats
    expected_s: Floats
    """On scene, by the dispatcher."""
    role: Ids
    """Of the one unit that is wanted."""
    ordinary: Bools
    false_alarm: Bools


class Found(NamedTuple):
    """The journal's columns of the incidents."""

    ordered_s: Floats
    rolling_s: Floats
    arrived_s: Floats
    present_s: Floats
    assembled_s: Floats
    cleared_s: Floats
    outcome: NDArray[np.uint8]
    first_unit: Ints


class Crews(NamedTuple):
    """What is known of the units, as in `State`."""

    available: NDArray[np.uint8]
    doing: NDArray[np.uint8]
    engaged: Ints
    engaged_priority: NDArray[np.uint8]
    free_s: Floats
    role: Ids
    arrived: Bools
    turn: Ids
    row: Ids
    back_s: Floats
    on_duty: Bools
    out_until_s: Floats
    stacked: Ints
    base: Ints
    patrol: NDArray[np.uint8]
    phase_s: Floats
    slowness: Floats


class Queue(NamedTuple):
    """A binary heap of the units by the second and the number of their next event."""

    due_s: Floats
    number: Ids
    heap: Ids


class Sheet(NamedTuple):
    """New rows of the journal."""

    assigned: Floats
    state_numbers: Ints
    state_values: Floats


class Table(NamedTuple):
    """All that `deal` works with."""

    roads: Roads
    moving: tuple[Any, ...]
    crews: Crews
    asked: Asked
    found: Found
    queue: Queue
    ledger: Ids
    sheet: Sheet
    room: Room


@compiled
def deal(
    held: Any, assigned: Any, until_s: float, until_number: int, horizon_s: float, waiting: bool, any_meal: bool,
    settles: bool, fastest_m_s: float, luck_key: int, sigma: float,
) -> tuple[float, int, float]:  # fmt: skip
    """Deal with events in order, up to one at `until_s` with `until_number` or a greater one.

    Args:
        held: a `Table`.
        assigned: the rows of assignments that the journal holds, flat.
        waiting: whether calls wait for a unit.
        settles: whether a unit that is free can drive back without others being asked.

    Returns the second of the last event, why it stops, and the second of the next event.
    """
    roads, moving, crews, asked, found, queue, ledger, sheet, room = held.what
    best, cost, drive = np.empty(1, np.int64), np.empty(1), np.empty((1, 2))
    now_s = 0.0
    while True:
        next_s, next_number, is_call = _next(queue, ledger, asked)
        if next_s == inf or next_s > until_s or (next_s == until_s and next_number >= until_number):
            return now_s, UNTIL, next_s
        if ledger[N_ASSIGNED] == len(sheet.assigned) or ledger[N_STATES] + STATES_EACH > len(sheet.state_numbers):
            return now_s, FULL, next_s
        now_s = next_s
        if is_call:
            incident = asked.order[ledger[NEXT_CALL]]
            ledger[NEXT_CALL] += 1
            if ledger[NEXT_CALL] < len(asked.order):
                ledger[CALL_NUMBER] = _new_number(ledger)
            n_found = 0
            if asked.ordinary[incident] and not waiting:
                level = AT_MEAL if any_meal and asked.priority[incident] == 1 else FREE
                # whole numbers as the interpreter has them: a kernel is compiled anew for others
                n_found = nearest_free(
                    now_s, level, crews.available, crews.back_s, moving, crews.slowness, roads.near, roads.graph,
                    np.int64(asked.edge[incident]), asked.offset_m[incident], fastest_m_s, room, best, cost, drive,
                )  # fmt: skip
            if n_found == 0:
                ledger[WHICH] = incident
                return now_s, CALL, _next(queue, ledger, asked)[0]
            luck = journey_factor(luck_key, incident, best[0], sigma)
            _send(
                now_s, incident, best[0], drive[0, 0], drive[0, 1], luck, moving, crews, asked, found, queue, ledger,
                sheet, len(assigned),
            )  # fmt: skip
            continue
        unit = _take(queue, ledger)
        notes, at = assigned, crews.row[unit]
        if at >= len(assigned):
            notes, at = sheet.assigned.ravel(), at - len(assigned)
        if not crews.arrived[unit]:
            _arrive(now_s, unit, notes, at, crews, asked, found, queue, ledger, sheet)
            continue
        notes[at + rows.CLEARED] = now_s
        in_service = _set_free(now_s, unit, roads, moving, crews, asked, found, ledger)
        if not (in_service and settles and not waiting and _go_back(now_s, unit, roads, moving, crews, ledger, sheet)):
            ledger[WHICH] = unit
            return now_s, FREED, _next(queue, ledger, asked)[0]
        if ledger[N_OPEN] == 0 and now_s >= horizon_s:
            ledger[WHICH] = -1
            return now_s, FREED, _next(queue, ledger, asked)[0]


def is_compiled() -> bool:
    """Whether a run finds its machine code; the first after an installation makes it."""
    return is_kept(deal)


@compiled
def _send(
    now_s: float, incident: int, unit: int, drive_s: float, drive_m: float, luck: float, moving: Any, crews: Any,
    asked: Any, found: Any, queue: Any, ledger: Any, sheet: Any, n_before: int,
) -> None:  # fmt: skip
    """As `Responses.send`."""
    numbers, values = moving[0], moving[1]
    if crews.patrol[unit] != NO_PATROL and numbers[ROUND, unit] >= 0:
        crews.phase_s[unit] = values[PHASE_S, unit] + max(now_s - values[SINCE_S, unit], 0.0)
    turn_out_s, edge, offset_m = values[TURN_OUT_S, unit], numbers[EDGE, unit], values[OFFSET_M, unit]
    rolling_s = now_s + turn_out_s
    pace = crews.slowness[unit] * luck
    wait_s = turn_out_s + drive_s * crews.slowness[unit]
    crews.available[unit], crews.doing[unit], crews.arrived[unit] = AWAY, TRAVELLING, False
    crews.engaged[unit], crews.engaged_priority[unit] = incident, asked.priority[incident]
    crews.role[unit] = asked.role[incident]
    crews.free_s[unit] = now_s + wait_s + asked.expected_s[incident]
    crews.turn[unit] += 1
    found.ordered_s[incident] = now_s
    at = ledger[N_ASSIGNED]
    ledger[N_ASSIGNED] += 1
    crews.row[unit] = n_before + at * rows.ASSIGNMENT
    row = sheet.assigned[at]
    row[:] = nan
    row[rows.INCIDENT], row[rows.UNIT], row[rows.ORDERED], row[rows.ROLLING] = incident, unit, now_s, rolling_s
    row[rows.TRAVEL], row[rows.EXPECTED], row[rows.FROM_EDGE], row[rows.FROM_M] = drive_m, wait_s, edge, offset_m
    row[rows.WHY] = row[rows.CENTRE] = -1.0
    _note(sheet, ledger, unit, TURN_OUT, now_s, edge, offset_m, incident, -1, 0.0)
    _note(sheet, ledger, unit, TRAVELLING, rolling_s, edge, offset_m, incident, -1, pace)
    _wait(queue, ledger, unit, rolling_s + drive_s * pace)


@compiled
def _arrive(
    now_s: float, unit: int, notes: Any, at: int, crews: Any, asked: Any, found: Any, queue: Any, ledger: Any,
    sheet: Any,
) -> None:  # fmt: skip
    """As `Responses.arrive` and `Responses.begin_service`."""
    incident = crews.engaged[unit]
    notes[at + rows.ARRIVED] = now_s
    _note(sheet, ledger, unit, ON_SCENE, now_s, asked.edge[incident], asked.offset_m[incident], incident, -1, 0.0)
    crews.arrived[unit], crews.doing[unit] = True, ON_SCENE
    crews.free_s[unit] = now_s + asked.expected_s[incident]
    found.present_s[incident] = found.arrived_s[incident] = found.assembled_s[incident] = now_s
    found.first_unit[incident], found.rolling_s[incident] = unit, notes[at + rows.ROLLING]
    _wait(queue, ledger, unit, now_s + asked.on_scene_s[incident])


@compiled
def _set_free(
    now_s: float, unit: int, roads: Any, moving: Any, crews: Any, asked: Any, found: Any, ledger: Any
) -> bool:
    """As `Calls.over` and `Responses.release`; whether the unit may be sent again."""
    numbers, values = moving[0], moving[1]
    incident = crews.engaged[unit]
    found.outcome[incident] = NOTHING_THERE if asked.false_alarm[incident] else DEALT_WITH
    found.cleared_s[incident] = now_s
    ledger[N_OPEN] -= 1
    numbers[EDGE, unit], values[OFFSET_M, unit] = asked.edge[incident], asked.offset_m[incident]
    numbers[MODE, unit], numbers[POST, unit], numbers[ROUND, unit] = STILL, -1, -1
    values[TURN_OUT_S, unit] = values[MOBILE_TURN_OUT_S, unit]
    note_seen(unit, now_s, numbers, values, roads.graph)
    crews.engaged[unit], crews.engaged_priority[unit], crews.free_s[unit] = -1, 0, inf
    crews.doing[unit], crews.back_s[unit] = IDLE, inf
    crews.turn[unit] += 1
    in_service = crews.on_duty[unit] and crews.out_until_s[unit] <= now_s
    if in_service:
        crews.available[unit] = FREE
    return bool(in_service and crews.stacked[unit] < 0)


@compiled
def _go_back(now_s: float, unit: int, roads: Any, moving: Any, crews: Any, ledger: Any, sheet: Any) -> bool:
    """As `Standby.stand_by`; False, and nothing is changed, where that has to do it."""
    numbers, values, edges, end_s, _, first, again, stretch, cursor = moving
    edge, offset_m, post, path = np.int64(numbers[EDGE, unit]), values[OFFSET_M, unit], np.int64(-1), roads.path
    if crews.patrol[unit] == ONE_ROUND:
        return False
    if crews.patrol[unit] == ROUNDS:
        to_edge, to_m = on_patrol(unit, crews.phase_s[unit], first, again, stretch, cursor)
    else:
        post = np.int64(crews.base[unit])
        to_edge, to_m = np.int64(roads.post_edge[post]), roads.post_m[post]
    count, begin, end, road_s = way(*roads.back, to_edge, to_m, edge, offset_m)
    if count == 0 or count > edges.shape[1]:
        return False
    n_edges = 0
    for i in range(count):
        # without the links that join the ports of a junction
        if path[i] < len(roads.edge_s):
            path[n_edges] = path[i]
            n_edges += 1
    numbers[GOAL_EDGE, unit], values[GOAL_M, unit], numbers[GOAL_POST, unit] = to_edge, to_m, post
    there_s = lay(unit, path[:n_edges], begin, end, road_s, roads.edge_s, 1.0, now_s, numbers, values, edges, end_s)
    crews.doing[unit], crews.back_s[unit] = RETURNING, there_s
    _note(sheet, ledger, unit, RETURNING, now_s, edge, offset_m, -1, post, 1.0)
    if post >= 0:
        _note(sheet, ledger, unit, IDLE, there_s, to_edge, to_m, -1, post, 0.0)
    else:
        phase_s = crews.phase_s[unit]
        numbers[ROUND, unit] = unit
        values[PHASE_S, unit], values[SINCE_S, unit] = phase_s, there_s
        _note(sheet, ledger, unit, PATROLLING, there_s, to_edge, to_m, -1, -1, phase_s)
    return True


@compiled
def _note(
    sheet: Any, ledger: Any, unit: int, state: int, start_s: float, edge: int, offset_m: float, incident: int,
    post: int, extra: float,
) -> None:  # fmt: skip
    """As `Journal.state`."""
    at = ledger[N_STATES]
    ledger[N_STATES] += 1
    numbers, values = sheet.state_numbers[at], sheet.state_values[at]
    numbers[rows.STATE_UNIT], numbers[rows.STATE_OF], numbers[rows.STATE_INCIDENT] = unit, state, incident
    numbers[rows.STATE_POST], numbers[rows.STATE_EDGE] = post, edge
    values[rows.START], values[rows.STATE_M], values[rows.EXTRA] = start_s, offset_m, extra


# the queue


@compiled
def _next(queue: Any, ledger: Any, asked: Any) -> tuple[float, int, bool]:
    """Second and number of the next event, and whether it is a call."""
    next_s, number = inf, np.int64(0)
    if ledger[N_DUE] > 0:
        next_s, number = queue.due_s[queue.heap[0]], queue.number[queue.heap[0]]
    if ledger[NEXT_CALL] < len(asked.order):
        call_s = asked.ready_s[asked.order[ledger[NEXT_CALL]]]
        if call_s < next_s or (call_s == next_s and ledger[CALL_NUMBER] < number):
            return float(call_s), int(ledger[CALL_NUMBER]), True
    return float(next_s), int(number), False


@compiled
def _new_number(ledger: Any) -> int:
    number = ledger[NUMBER]
    ledger[NUMBER] += 1
    return int(number)


@compiled
def _wait(queue: Any, ledger: Any, unit: int, when_s: float) -> None:
    """Put the next event of a unit into the queue."""
    due_s, heap = queue.due_s, queue.heap
    due_s[unit], queue.number[unit] = when_s, _new_number(ledger)
    i = ledger[N_DUE]
    ledger[N_DUE] += 1
    # of two at one second the one already there has the smaller number
    while i > 0 and due_s[heap[(i - 1) >> 1]] > when_s:
        heap[i] = heap[(i - 1) >> 1]
        i = (i - 1) >> 1
    heap[i] = unit


@compiled
def _take(queue: Any, ledger: Any) -> int:
    """The unit of the next event, which leaves the queue."""
    heap = queue.heap
    unit = heap[0]
    ledger[N_DUE] -= 1
    size = ledger[N_DUE]
    last = heap[size]
    i, child = 0, 1
    while child < size:
        if child + 1 < size and _before(queue, heap[child + 1], heap[child]):
            child += 1
        if not _before(queue, heap[child], last):
            break
        heap[i] = heap[child]
        i, child = child, 2 * child + 1
    heap[i] = last
    return int(unit)


@compiled
def _before(queue: Any, one: int, other: int) -> bool:
    due_s, number = queue.due_s, queue.number
    return bool(due_s[one] < due_s[other] or (due_s[one] == due_s[other] and number[one] < number[other]))
