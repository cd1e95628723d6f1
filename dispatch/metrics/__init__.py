"""What the log says: pure functions of it, each with its formula; tables by any columns of the incidents and units."""

from dispatch.metrics.flow import littles_law
from dispatch.metrics.keys import By, with_hour
from dispatch.metrics.lateness import PARTS, late_parts, late_shares, parts
from dispatch.metrics.outcomes import (
    RESULTS,
    called_for,
    late,
    outcomes,
    response_s,
    results,
    results_by,
    within_limit,
)
from dispatch.metrics.patrolling import patrol_km, presence_by_place, visits
from dispatch.metrics.response import arrivals, nth_arrival, share_within, tiers, within_tier, worst_cells
from dispatch.metrics.summary import summarise
from dispatch.metrics.workload import (
    BUSY,
    busy_hours,
    cross_beat,
    gini,
    meals,
    moves,
    overtime,
    unit_hours,
    utilisation,
    workload,
)

__all__ = [
    "BUSY",
    "PARTS",
    "RESULTS",
    "By",
    "arrivals",
    "busy_hours",
    "called_for",
    "cross_beat",
    "gini",
    "late",
    "late_parts",
    "late_shares",
    "littles_law",
    "meals",
    "moves",
    "nth_arrival",
    "outcomes",
    "overtime",
    "parts",
    "patrol_km",
    "presence_by_place",
    "response_s",
    "results",
    "results_by",
    "share_within",
    "summarise",
    "tiers",
    "unit_hours",
    "utilisation",
    "visits",
    "with_hour",
    "within_limit",
    "within_tier",
    "workload",
    "worst_cells",
]
