"""What the command line shows: tables to standard output, faults and progress to standard error."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from dispatch.engine import is_compiled
from dispatch.log import RunLog
from dispatch.metrics import share_within, utilisation, with_hour
from dispatch.standard import Clock, Reading
from geodata.city import City
from geodata.sites import PlaceClass
from scenarios.findings import limits_by, limits_told
from scenarios.run import Progress as Watch
from scenarios.run import Run, silent
from scenarios.schema import Scenario, known_keys
from scenarios.study import StaffStudy
from scenarios.terms import CLOCK, PART, PLACE_CLASS, PRIORITY, TIER, Term, Verdict, count, limit, minutes, verdict
from scenarios.terms import percent as page_percent

WIDTH_WITHOUT_TERMINAL = 110
WORKLOAD_CEILING = 0.6
"""Of the duty time on incidents, from the literature."""
HOURS_A_BAND = 4
MOST_NAMED = 3
LITTLE_GAIN = 0.005
"""Of the incidents, for one unit more. Assumed."""
_STYLE = {Verdict.MET: "green", Verdict.NEARLY: "yellow", Verdict.NOT_MET: "red", Verdict.NONE: "dim"}
_MARK = {Verdict.MET: "✓", Verdict.NEARLY: "~", Verdict.NOT_MET: "✗", Verdict.NONE: ""}
_CLOCK_WORD = {Clock.RECEIVED: "call", Clock.ORDERED: "order", Clock.ROLLING: "rolling"}


def percent(share: float | None, digits: int = 1) -> str:
    """As on the pages, with a plain space, which every code page has."""
    return page_percent(share, digits).replace("\N{NO-BREAK SPACE}", " ")


def console() -> Console:
    """Standard output, wide enough for the tables where it is a file or a pipe."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL)


@contextmanager
def watch(quiet: bool) -> Iterator[Watch]:
    """Progress bars, a line a stage, on standard error; none where that is no terminal or all is to be quiet."""
    err = Console(stderr=True)
    if quiet or not err.is_terminal:
        yield silent
        return
    columns = (TextColumn("{task.description:<12}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    if not is_compiled():
        err.print("The first run makes machine code, once, which takes about a minute.")
    with Progress(*columns, TimeElapsedColumn(), console=err) as bars:
        stages: dict[str, TaskID] = {}

        def told(stage: str, share: float) -> None:
            if stage not in stages:
                stages[stage] = bars.add_task(stage, total=None if share == 0 else 1.0)
            # a stage that only tells its end pulses until then
            bars.update(stages[stage], total=1.0 if share > 0 else None, completed=share)

        yield told


def run_tables(run: Run) -> list[RenderableType]:
    """What a run found: who was reached in time, by place, priority and district; how busy; why late."""
    scenario, summary = run.scenario, run.summary
    incidents, days, start = summary["incidents"], scenario.run.days, scenario.run.start
    head = Text.assemble(
        (scenario.title or scenario.name, "bold"),
        f"  {scenario.title_zh}\n" if scenario.title_zh else "\n",
        f"{run.city.title}, {days:g} {'day' if days == 1 else 'days'} from {start:%a %d %b %Y %H:%M}: "
        f"{count(incidents['total'])} incidents, {count(incidents['reached'])} reached, "
        f"{count(incidents['unreached'])} never reached{_in_vain(summary)}.\n",
    )
    if not incidents["total"]:
        return [head, Text("No incident was drawn: the run is too short or the demand too low.")]
    return [head, _compliance(run), _explained(run), *_tiers(run), _busy(run), _late(summary)]


def _in_vain(summary: Mapping[str, Any]) -> str:
    """Incidents that called for no response."""
    results = summary["outcomes"]["by_result"]
    told = {"withdrawn_in_time": "withdrawn before that", "duplicate": "second calls about others"}
    return "".join(f", {count(results[name])} {what}" for name, what in told.items() if results[name])


def _tiers(run: Run) -> list[RenderableType]:
    """Each tier's own first arrival, where the standard asks for it."""
    summary = run.summary
    if summary["tiers"] is None:
        return []
    table = plain_table()
    for head in ("tier", "limit", "units", "sent to"):
        table.add_column(head, justify="left" if head == "tier" else "right")
    for clock in Clock:
        table.add_column(_clock_head(clock, run.scenario.standard.headline), justify="right")
    for tier, row in summary["tiers"].items():
        limit_s = summary["standard"]["tier_limits_s"][tier]
        shares = (percent(row[clock.value]["share"]) for clock in Clock)
        table.add_row(_both(TIER[int(tier)]), limit(limit_s), count(row["units"]), count(row["sent"]), *shares)
    return [titled("Share of incidents that each tier reached within its own limit", table)]


def _compliance(run: Run) -> Group:
    standard = run.scenario.standard
    table = plain_table()
    table.add_column(no_wrap=True)
    table.add_column("incidents", justify="right")
    for clock in Clock:
        table.add_column(_clock_head(clock, standard.headline), justify="right")
    for name in ("mean", "median", "P90"):
        table.add_column(f"{name}*\nmin:s", justify="right")
    _group(table, run, "", None, lambda _: "All 全部")
    _group(table, run, "By place class", "place_class", _place)
    _group(table, run, "By priority", "priority", lambda p: _both(PRIORITY[int(p)]))
    _group(table, run, "By district", "district", lambda name: str(name) or "(outside)")
    _group(table, run, "By hour", "hours", str)
    told = limits_told(run.summary["standard"]).en
    # each tier has a limit of its own, but all rows here are of whoever came first
    if Reading.ECHELON in limits_by(run.summary["standard"]):
        told += ", the limit of the last tier, by any unit that may act alone; each tier's own limit below"
    return titled(f"Share of incidents reached within {told}", table)


def _clock_head(clock: Clock, headline: Clock) -> str:
    return f"from\n{_CLOCK_WORD[clock]}{'*' if clock is headline else ''}"


def _group(table: Table, run: Run, heading: str, by: str | None, label: Callable[[Any], str]) -> None:
    standard, headline = run.scenario.standard, run.scenario.standard.headline
    log = _with_hours(run) if by == "hours" else run.log
    found = {clock: _rows(share_within(log, by, clock)) for clock in Clock}
    order = [c.label for c in reversed(PlaceClass)] if by == "place_class" else list(found[headline])
    if heading:
        table.add_row(Text(heading, "bold"))
    for value in order:
        if value not in found[headline]:
            continue
        row = found[headline][value]
        stands = verdict(row["share"], standard.target_share, standard.amber_share)
        shares = [
            Text(f"{percent(row['share'])} {_MARK[stands]}", _STYLE[stands])
            if clock is headline
            else percent(found[clock][value]["share"])
            for clock in Clock
        ]
        seconds = (minutes(row[column]) for column in ("mean_s", "p50_s", "p90_s"))
        table.add_row(f"{'  ' if by else ''}{label(value)}", count(row["incidents"]), *shares, *seconds)


def _with_hours(run: Run) -> RunLog:
    """The log with the local hours of the call, in bands such as 08–12."""
    log = with_hour(run.log, run.scenario.run.start)
    first = log.incidents["hour"] // HOURS_A_BAND * HOURS_A_BAND
    bands = first.map(lambda hour: f"{hour:02d}–{hour + HOURS_A_BAND:02d}")
    return replace(log, incidents=log.incidents.assign(hours=bands))


def _rows(table: pd.DataFrame) -> dict[Any, dict[str, float]]:
    return {value: dict(zip(table.columns, row, strict=True)) for value, *row in table.itertuples()}


def _place(label: str) -> str:
    return f"{'other' if label == PlaceClass.GENERAL.label else label} {PLACE_CLASS[label].zh}"


def _both(term: Term) -> str:
    return f"{term.en} {term.zh}"


def _explained(run: Run) -> Text:
    standard, desk_s = run.scenario.standard, run.log.incidents["desk_s"].mean()
    clock = CLOCK[standard.headline.value].en
    target, amber = percent(standard.target_share, 0), percent(standard.amber_share, 0)
    marks = ", ".join(f"{mark} {stands.term.en}" for stands, mark in _MARK.items() if mark)
    return Text(
        f"* the headline clock, {clock}. Target {target}, nearly met from {amber}: {marks}.\n"
        "An incident that was never reached is not within its limit, and in no time column.\n"
        f"Call handling took {desk_s:.0f} s on average, so a circle timed from the call is tighter by that.\n",
        "dim",
    )


def _busy(run: Run) -> Text:
    units = utilisation(run.log)["utilisation"].sort_values(ascending=False, kind="stable")
    over = units[units > WORKLOAD_CEILING]
    named = ", ".join(f"{unit} {percent(share, 0)}" for unit, share in units.head(MOST_NAMED).items())
    return Text.assemble(
        ("Workload 负荷  ", "bold"),
        f"{len(units)} crews were busy {percent(run.summary['utilisation']['mean'])} of their duty time; "
        f"{len(over)} of them more than {percent(WORKLOAD_CEILING, 0)}. Busiest: {named}.\n",
    )


def _late(summary: Mapping[str, Any]) -> Group:
    table = plain_table()
    for head in ("from", "late", "never\nreached"):
        table.add_column(head, justify="left" if head == "from" else "right")
    # a desk is waited for only where desks are counted
    parts = [part for part in PART if part != "desk_wait" or any(late[part] for late in summary["late"].values())]
    for part in parts:
        table.add_column(f"{PART[part].en}\n{PART[part].zh}", justify="right", max_width=12)
    for clock in Clock:
        late = summary["late"][clock.value]
        # a part before the clock's start takes none of its time
        shares = (percent(late[part] or None, 0) for part in parts)
        table.add_row(_CLOCK_WORD[clock], count(late["reached_late"]), count(late["never_reached"]), *shares)
    title = Text("Why late 超时原因: what the late responses spent their time on", "bold")
    return Group(title, table, *([] if summary["preventable"] is None else [_preventable(summary)]))


def _preventable(summary: Mapping[str, Any]) -> Text:
    number = summary["preventable"]
    some, whom = (count(number), "a") if number else ("none", "no")
    said = f"Of the late by the headline clock, {some} could have been prevented: {whom} free unit"
    return Text(f"{said} that was not sent was expected there within the limit.")


def plain_table() -> Table:
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))


def titled(title: str, table: Table) -> Group:
    """A title beside the table, for one inside it is broken to the table's width."""
    return Group(Text(title, "bold"), table)


def coverage_tables(city: City, shares: pd.DataFrame, when: str) -> list[RenderableType]:
    """Shares of a city within reach of its posts, a row for each number of minutes."""
    table = plain_table()
    table.add_column("within")
    heads = {
        "area": "area\n面积",
        "residents": "residents\n人口",
        "cells": "cells\n网格",
        "road_length": "roads\n道路",
        "sites": "all sites\n场所",
        "vital": "vital sites\n要害部位",
        "key": "key areas\n重点地区",
    }
    for head in heads.values():
        table.add_column(head, justify="right")
    for row in shares.to_dict("records"):
        table.add_row(f"{row['limit_s'] / 60:g} min", *(percent(row[name]) for name in heads))
    note = (
        "Every post has a free unit here, which a run seldom has. Residents and area count as far as roads are "
        "reached, a cell where nine tenths of its road is."
    )
    return [titled(f"{city.title}: share within reach of a post, {when}", table), Text(note, "dim")]


def staff_tables(study: StaffStudy, scenario: Scenario) -> list[RenderableType]:
    """The table of a staffing study and what it says in words."""
    clock = CLOCK[scenario.standard.headline.value]
    table = plain_table()
    for head in ("units", "within\nlimit %", "95 %\ninterval", "vital\n%", "key\n%", "other\n%", "busy\n%", "gain"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column(f"target\n{percent(study.target_share, 0)}")
    colour = {"meets": "green", "undecided": "yellow", "misses": "red"}
    for row in study.table.to_dict("records"):
        gain = (
            ""
            if pd.isna(row["gain"])
            else f"{100 * row['gain']:+.1f} ± {50 * (row['gain_high'] - row['gain_low']):.1f}"
        )
        table.add_row(
            str(row["units"]),
            _points(row["share"]),
            f"{_points(row['share_low'])}–{_points(row['share_high'])}",
            *(_points(row[name]) for name in ("vital", "key", "general", "utilisation")),
            gain,
            Text(row["verdict"], colour[row["verdict"]]),
        )
    title = f"{scenario.name}: share within the limit by units on duty in each shift, {clock.en}"
    return [titled(title, table), _gain_explained(study), Text(staff_answer(study))]


def _gain_a_unit(study: StaffStudy) -> float:
    """What each unit of the last step added to the share; infinite where there is but one row."""
    if len(study.table) < 2:
        return math.inf
    last = study.table.iloc[-1]
    return float(last["gain"] / (last["units"] - study.table["units"].iloc[-2]))


def _points(share: float) -> str:
    return "–" if pd.isna(share) else f"{100 * share:.1f}"


def _gain_explained(study: StaffStudy) -> Text:
    text = "gain: percentage points on the row above, on the same incidents, with its 95 % interval.\n"
    rows = study.table[1:]
    none = rows.loc[(rows["gain_low"] <= 0) & (rows["gain_high"] >= 0), "units"]
    if len(none):
        text += f"No detectable difference to the row above: {', '.join(map(str, none))} units.\n"
    return Text(text, "dim")


def staff_answer(study: StaffStudy) -> str:
    """The answer of a staffing study in words."""
    target = percent(study.target_share, 0)
    if study.fewest is None:
        best = max(study.table.to_dict("records"), key=lambda row: row["share"])
        answer = f"None of these numbers of units surely meets {target}; the best is {best['units']} units with "
        answer += f"{percent(best['share'])} within the limit."
        if _gain_a_unit(study) < LITTLE_GAIN:
            answer += " Another unit gains little by now: see `patrol coverage` for what the posts reach at best."
    else:
        answer = f"The fewest units that surely meet {target}: {study.fewest} on duty in each shift."
    if study.undecided:
        several = ", ".join(map(str, study.undecided))
        answer += f" Undecided: {several} units; more --replications would tell."
    return answer


def compare_tables(table: pd.DataFrame, scenario: Scenario) -> list[RenderableType]:
    """The table of a comparison of policies."""
    shown = plain_table()
    heads = (
        "",
        "within\nlimit %",
        "from\ncall %",
        "P1\n%",
        "waits\nmin:s",
        "mean\nmin:s",
        "P90\nmin:s",
        "busy\n%",
        "gain",
    )
    for head in heads:
        shown.add_column(head, justify="right" if head else "left", no_wrap=True)
    shown.add_column("beside\nnearest")
    colour = {"better": "green", "worse": "red"}
    several = int(table["replications"].max()) > 1
    for row in table.to_dict("records"):
        half = f" ± {50 * (row['gain_high'] - row['gain_low']):.1f}" if several else ""
        shown.add_row(
            str(row["policy"]),
            *(_points(row[name]) for name in ("share", "share_received", "p1_share")),
            *(minutes(row[name]) for name in ("queue_s", "mean_s", "p90_s")),
            _points(row["utilisation"]),
            f"{100 * row['gain']:+.1f}{half}" if row["verdict"] else "",
            Text(row["verdict"], colour.get(row["verdict"].split(",")[0].split(" from")[0], "")),
        )
    draws = f"{int(table['replications'].max())} draws" if several else "one draw"
    title = (
        f"{scenario.name}: the same incidents under each policy, {draws}, {CLOCK[scenario.standard.headline.value].en}"
    )
    notes = (
        "from call: the share within the limit from the call received, which sees what waits; waits: mean time that a "
        "call waited for its first unit.\n"
        "gain: percentage points on the nearest unit, draw by draw on the same incidents, with its 95 % interval.\n"
        "+name: the nearest unit, and this relief or move-up policy beside it."
    )
    return [titled(title, shown), Text(notes, "dim")]


def scenarios_table(scenarios: Sequence[Scenario]) -> Group:
    """The built-in scenarios, a row each."""
    table = plain_table()
    for head in ("name", "what it asks", ""):
        table.add_column(head)
    for scenario in scenarios:
        table.add_row(Text(scenario.name, "bold"), scenario.title, scenario.title_zh)
    return titled("Built-in scenarios", table)


def keys_table() -> Group:
    """Every key of a scenario file with its default and its meaning."""
    table = plain_table()
    for head in ("key", "default", "meaning"):
        table.add_column(head, overflow="fold")
    for key in known_keys():
        table.add_row(Text(key.place), Text(key.default), Text(key.description))
    basis = "[P] press or government report, [L] literature or standard, [D] derived from those, [A] assumed"
    return titled(f"Keys of a scenario file. Basis of a default: {basis}", table)


def remark(text: str) -> None:
    """A line on standard error."""
    Console(stderr=True, highlight=False).print(text, markup=False, soft_wrap=True)
