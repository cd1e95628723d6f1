"""What both pages show of a run, as tables: the headline, place classes, cells, sites and posts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from dispatch.log import RunLog
from dispatch.metrics import called_for, late, share_within, utilisation
from dispatch.standard import Clock, Reading
from dispatch.units import UnitState
from geodata.city import City
from geodata.grid import Level
from scenarios.schema import Scenario
from scenarios.terms import CLOCK, PLACE_CLASS, PRIORITY, Term, Verdict, limit, verdict

N_WORST = 10
FEW_INCIDENTS = 5
"""A cell with fewer says little about its share and is drawn paler."""
REACH_HOUR = 18
"""Hour of the week at which reach is shown: Monday 18:00, in the evening peak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFinding:
    """How one place class did by the headline clock."""

    place_class: str
    term: Term
    limit_s: float | None
    """None where limits follow something else beside the place."""
    incidents: int
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The one number of a run and what it is measured by."""

    share: float | None
    target: float
    amber: float
    clock: Clock
    clock_term: Term
    classes: tuple[ClassFinding, ...]
    """Vital, key, general."""
    limits: Term
    """What the limits are, in words."""
    limits_s: tuple[float, ...]
    """All of them, the shortest first."""
    total: int
    unreached: int
    """Among the total, and counted as late."""
    start: datetime
    end: datetime

    @property
    def verdict(self) -> Verdict:
        return self.verdict_of(self.share)

    def verdict_of(self, share: float | None) -> Verdict:
        """Where any share within the limit stands against this run's target."""
        return verdict(share, self.target, self.amber)

    @property
    def period(self) -> str:
        days = (self.end - self.start) / timedelta(days=1)
        return f"{self.start:%Y-%m-%d %H:%M} – {self.end:%Y-%m-%d %H:%M} ({days:g} {'day' if days == 1 else 'days'})"


def headline_of(log: RunLog, summary: Mapping[str, Any], scenario: Scenario) -> Headline:
    standard, shares = summary["standard"], summary["share_within"]
    clock = Clock(standard["headline"])
    incidents = log.incidents.loc[called_for(log, clock), "place_class"].value_counts()
    by_place = set(limits_by(standard)) == {Reading.PLACE_CLASS}
    return Headline(
        share=shares["overall"][clock],
        target=standard["target_share"],
        amber=standard["amber_share"],
        clock=clock,
        clock_term=CLOCK[clock],
        classes=tuple(
            ClassFinding(
                place_class=name,
                term=term,
                limit_s=standard["limits_s"][name] if by_place else None,
                incidents=int(incidents.get(name, 0)),
                share=shares["by_place_class"][name][clock],
            )
            for name, term in PLACE_CLASS.items()
        ),
        limits=limits_told(standard),
        limits_s=limits_of(standard),
        total=summary["incidents"]["total"],
        unreached=summary["incidents"]["unreached"],
        start=scenario.run.start,
        end=scenario.run.start + timedelta(days=scenario.run.days),
    )


def limits_by(standard: Mapping[str, Any]) -> dict[Reading, list[tuple[Term, float]]]:
    """The readings of the standard in a summary that limit an incident, and what they hold for. Of the echelon reading,
    which has a limit for each tier, the last one counts, and only where it stands alone."""
    tables = {
        Reading.PLACE_CLASS: [(term, standard["limits_s"][name]) for name, term in PLACE_CLASS.items()],
        Reading.SEVERITY: [(term, standard["priority_limits_s"][str(p)]) for p, term in PRIORITY.items()],
    }
    found = {reading: table for reading, table in tables.items() if reading.value in standard["readings"]}
    last = max(standard["tier_limits_s"].values())
    return found or {Reading.ECHELON: [(Term("各处", "everywhere"), last)]}


def limits_of(standard: Mapping[str, Any]) -> tuple[float, ...]:
    """All limits of an incident by the standard in a summary, the shortest first."""
    return tuple(sorted({limit_s for table in limits_by(standard).values() for _, limit_s in table}))


def limits_told(standard: Mapping[str, Any]) -> Term:
    """The limits of an incident by the standard in a summary, in words."""
    tables = limits_by(standard).values()
    en = [", ".join(f"{limit(limit_s)} {term.en}" for term, limit_s in table) for table in tables]
    zh = ["、".join(f"{term.zh}{limit_s / 60:g}分钟" for term, limit_s in table) for table in tables]
    if len(en) > 1:
        return Term(f"取最严者：{'；'.join(zh)}", f"the shorter of {' and of '.join(en)}")
    return Term(zh[0], en[0])


def late_incidents(log: RunLog, clock: Clock) -> pd.DataFrame:
    """The incidents not reached within their limit though they called for it, those never reached among them."""
    return log.incidents[late(log, clock)]


def cell_table(city: City, log: RunLog, clock: Clock) -> pd.DataFrame:
    """One row a cell of the grid, in its order: `code`, `name`, `name_en`, `district`, `incidents`, `late`, `share`
    within the limit, `p50_s`, `p90_s`; NaN where there is nothing to reckon with."""
    found = share_within(log, "cell", clock).reindex(city.grid.codes)
    missed = late_incidents(log, clock)["cell"].value_counts().reindex(city.grid.codes)
    table = _named(city.grid.cells, "code")
    return table.assign(
        district=city.grid.ancestor(Level.DISTRICT).to_numpy(),
        incidents=found["incidents"].fillna(0).to_numpy(int),
        late=missed.fillna(0).to_numpy(int),
        share=found["share"].to_numpy(float),
        p50_s=found["p50_s"].to_numpy(float),
        p90_s=found["p90_s"].to_numpy(float),
    )


def worst_cells(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells of `cell_table` with the most late incidents; of equals the one with the smaller share within the
    limit, then by code."""
    some = cells[cells["late"] > 0]
    return some.sort_values(["late", "share", "code"], ascending=[False, True, True]).head(N_WORST)


def site_table(city: City, log: RunLog, clock: Clock) -> pd.DataFrame:
    """One row a site, in their order: `name`, `name_en`, `kind`, `place_class`, and of the incidents in its zone
    `incidents`, `late` and the `share` within their limit, NaN where there were none."""
    zones = np.asarray(city.sites.zones.geometry.array, object)
    called = called_for(log, clock)
    tree = shapely.STRtree(np.asarray(shapely.points(log.incidents.loc[called, ["x_m", "y_m"]].to_numpy())))
    zone, incident = tree.query(zones, predicate="intersects")
    is_late = late(log, clock)[called].to_numpy()
    incidents = np.bincount(zone, minlength=len(zones))
    missed = np.bincount(zone, is_late[incident], minlength=len(zones)).astype(int)
    share = np.divide(incidents - missed, incidents, out=np.full(len(zones), np.nan), where=incidents > 0)
    table = _named(city.sites.table, "kind", "place_class")
    return table.assign(incidents=incidents, late=missed, share=share)


def standing_posts(log: RunLog) -> NDArray[np.int64]:
    """Rows of the posts that are home to units which were on duty and stood by, and did not patrol."""
    states = log.unit_states
    patrols = states.loc[states["state"] == UnitState.PATROLLING.label, "unit_id"]
    standing = log.units["unit_id"].isin(states["unit_id"]) & ~log.units["unit_id"].isin(patrols)
    return np.unique(log.units.loc[standing, "post"].to_numpy(np.int64))


def post_table(city: City, log: RunLog) -> pd.DataFrame:
    """One row a post, in their order: `name`, `name_en`, `kind`, `units` (ids) that are based there, `incidents` that
    they went to, and their `utilisation`; NaN where no unit was on duty."""
    units = log.units[["unit_id", "post"]]
    by_post = units.join(utilisation(log), on="unit_id").groupby("post")
    rows = range(len(city.posts))
    table = _named(city.posts.table, "kind")
    return table.assign(
        units=by_post["unit_id"].agg(", ".join).reindex(rows).fillna(""),
        incidents=by_post["incidents"].sum().reindex(rows).fillna(0).astype(int),
        utilisation=(by_post["busy_s"].sum() / by_post["on_duty_s"].sum()).reindex(rows),
    )


def district_terms(city: City) -> dict[str, Term]:
    """The districts by name."""
    areas = city.grid.areas[city.grid.areas["level"] == Level.DISTRICT]
    return {row["name"]: Term(row["name"], row["name_en"]) for row in _named(areas).to_dict("records")}


def _named(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """`name`, `name_en` and further columns, rows numbered from 0; no English name where it is the name itself."""
    name_en = table["name_en"].where(table["name_en"] != table["name"], "")
    return pd.DataFrame(table)[[*columns, "name"]].assign(name_en=name_en).reset_index(drop=True)
