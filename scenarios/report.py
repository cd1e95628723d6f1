"""A run as one page to read and to print: the headline, tables, plots, and what was assumed. It asks for nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from importlib import metadata
from typing import Any

import pandas as pd
from markupsafe import Markup

from dispatch.log import RunLog
from dispatch.metrics import share_within, utilisation, with_hour
from dispatch.planning.coverage import coverage
from dispatch.standard import Clock
from dispatch.units import KINDS
from geodata.city import City
from geodata.sites import SITE_RADIUS_M
from geodata.speeds import NIGHT_HOURS, PEAK_HOURS
from scenarios import charts
from scenarios.build import travel_of, turn_out_by_post
from scenarios.findings import (
    FEW_INCIDENTS,
    REACH_HOUR,
    Headline,
    cell_table,
    district_terms,
    headline_of,
    late_incidents,
    post_table,
    site_table,
    worst_cells,
)
from scenarios.kinds import kinds_used, main_kind
from scenarios.schema import Scenario, ShiftPart, known_keys
from scenarios.schema.patrol import STAND_BY
from scenarios.terms import CLOCK, INCIDENT_TYPE, PART, PART_COLOUR, PLACE_CLASS, PRIORITY, Term, own_file, pages

N_SITES = 15
KIND_MEANING = {
    "speed_factor": "On the road's speed when driving with siren (1.0–1.6)",
    "driving": "On the way to an incident",
    "echelon": "Its tier, minutes",
}
"""What is assumed of a kind of units."""
BASIS = {
    "A": Term("假设", "assumed"),
    "D": Term("推算", "derived from published figures"),
    "P": Term("报道", "press or government reports"),
    "L": Term("文献", "literature or a named standard"),
}
LIBRARIES = ("patrol135", "geopandas", "numba", "numpy", "pandas", "shapely", "simpy")
REMEDY = {
    "desk_wait": Term(
        "等待接警席是主因：在繁忙时段增加接警席收效最大。",
        "Waiting for a desk weighs most: more desks in the busy hours gain most; more units would not shorten it.",
    ),
    "desk": Term(
        "接警处置是主因：缩短接警和派警时间收效最大。",
        "Call handling weighs most: a faster desk gains most; more units would not shorten it.",
    ),
    "queue": Term(
        "等待警力是主因：在繁忙时段增加在岗警力收效最大。",
        "Waiting for a unit weighs most: more units on duty in the busy hours gain most.",
    ),
    "turn_out": Term(
        "出动准备是主因：屯警街面、动中备勤收效最大。",
        "Turn-out weighs most: units that stand by on the street gain most.",
    ),
    "travel": Term(
        "路途时间是主因：驻点更靠近警情密集处，或附近有更多空闲警力，收效最大。",
        "Travel weighs most: posts nearer to the demand, or more free units near it, gain most.",
    ),
}
"""What a planner may look at first, by the part in which most of the late seconds lie."""


def render_report(city: City, log: RunLog, summary: Mapping[str, Any], scenario: Scenario) -> str:
    """The page as HTML text."""
    headline = headline_of(log, summary, scenario)
    clock = headline.clock
    use = utilisation(log)
    cells = cell_table(city, log, clock)
    by_hour = share_within(with_hour(log, headline.start), "hour", clock)
    return (
        pages()
        .get_template("report.html")
        .render(
            style=Markup(own_file("report.css")),
            city=city,
            scenario=scenario,
            headline=headline,
            incidents=summary["incidents"],
            digest=summary["digest"],
            seed=summary["seed"],
            sentence=_sentence(headline),
            clocks=_clocks(log),
            plots={
                "curves": charts.response_curves(log, headline),
                "city": charts.city_map(city, cells, headline),
                "hours": charts.hours(by_hour, headline),
                "workload": charts.workload(use),
            },
            groups=_groups(city, log, headline),
            late=_late(summary),
            n_late=len(late_incidents(log, clock)),
            parts={part: PART[part] for part in PART if any(late[part] for late in summary["late"].values())},
            part_colours=PART_COLOUR,
            n_units=len(use),
            forces=_forces(scenario),
            siren=main_kind(scenario).speed_factor,
            mean_use=summary["utilisation"]["mean"],
            busiest=use["utilisation"].max(),
            n_over=int((use["utilisation"] > charts.WORKLOAD_CEILING).sum()),
            ceiling=charts.WORKLOAD_CEILING,
            posts=post_table(city, log).to_dict("records"),
            cells=worst_cells(cells).to_dict("records"),
            sites=_worst_sites(site_table(city, log, clock)),
            coverage=_coverage(city, scenario, headline.limits_s),
            values=_values(scenario),
            few=FEW_INCIDENTS,
            reach_hour=REACH_HOUR,
            basis=BASIS,
            fixed=_fixed(),
            versions={name: metadata.version(name) for name in LIBRARIES},
        )
    )


def _clocks(log: RunLog) -> list[dict[str, Any]]:
    """One entry a clock: its term, and a row for all incidents and for each place class."""
    found = []
    for clock in Clock:
        overall, by_class = share_within(log, None, clock), share_within(log, "place_class", clock)
        rows = [(Term("全部", "all"), overall.loc["all"])] if len(overall) else []
        rows += [(term, by_class.loc[name]) for name, term in PLACE_CLASS.items() if name in by_class.index]
        found.append({"clock": clock.value, "term": CLOCK[clock], "rows": rows})
    return found


def _groups(city: City, log: RunLog, headline: Headline) -> list[dict[str, Any]]:
    """Compliance by the headline clock, by district, priority and type."""
    words: dict[str, tuple[Term, Mapping[Any, Term]]] = {
        "district": (Term("区", "District"), district_terms(city) | {"": Term("区外", "outside")}),
        "priority": (Term("等级", "Priority"), PRIORITY),
        "type": (Term("类型", "Type"), INCIDENT_TYPE),
    }
    late = late_incidents(log, headline.clock)
    found = []
    for column, (title, terms) in words.items():
        table = share_within(log, column, headline.clock)
        table["late"] = late[column].value_counts().reindex(table.index, fill_value=0)
        rows = [
            {"term": terms.get(value, Term(str(value), "")), **row}
            for value, row in zip(table.index, table.to_dict("records"), strict=True)
        ]
        found.append({"title": title, "rows": rows})
    return found


def _sentence(headline: Headline) -> Term:
    """What the headline number means."""
    if headline.share is None:
        return Term("本次运行没有警情。", "There was no incident in this run.")
    of_hundred = f"{100 * headline.share:.0f}"
    return Term(
        f"每100起警情中，{of_hundred}起在时限内有警力到达（{headline.limits.zh}），{headline.clock_term.zh}计时；从未到达的计为超时。",
        f"Of every 100 incidents, {of_hundred} were reached within their limit ({headline.limits.en}), "
        f"{headline.clock_term.en}; those never reached count as late.",
    )


def _late(summary: Mapping[str, Any]) -> dict[str, Any]:
    """How late seconds divide into parts on each clock, and what weighs most of all that a caller waits for."""
    by_clock = [
        {
            "term": CLOCK[clock],
            "reached_late": of_clock["reached_late"],
            "shares": {part: of_clock[part] for part in PART if of_clock[part]},
        }
        for clock, of_clock in summary["late"].items()
    ]
    from_call: dict[str, float] = by_clock[0]["shares"]
    most = max(from_call, key=lambda part: from_call[part], default=None)
    return {
        "clocks": by_clock,
        "never_reached": summary["incidents"]["unreached"],
        "preventable": summary["preventable"],
        "remedy": REMEDY[most] if most else None,
        "most": PART[most] if most else None,
        "most_share": from_call[most] if most else None,
    }


def _worst_sites(sites: pd.DataFrame) -> list[dict[Any, Any]]:
    """Of the vital sites and key areas with incidents, those with the most late ones."""
    some = sites[(sites["place_class"] != "general") & (sites["incidents"] > 0)]
    worst = some.sort_values(["late", "share"], ascending=[False, True], kind="stable").head(N_SITES)
    return [row | {"term": PLACE_CLASS[row["place_class"]]} for row in worst.to_dict("records")]


def _coverage(city: City, scenario: Scenario, limits_s: Sequence[float]) -> list[dict[Any, Any]]:
    """What the posts reach within each limit when every unit is there and free."""
    table = coverage(
        city,
        travel_of(scenario, city),
        minutes=[limit_s / 60 for limit_s in limits_s],
        hour=REACH_HOUR,
        speed_factor=main_kind(scenario).speed_factor,
        turn_out_s=turn_out_by_post(scenario.units.turn_out_s, city),
    )
    return table.assign(limit_s=limits_s).to_dict("records")


def _values(scenario: Scenario) -> dict[str, list[dict[str, Any]]]:
    """The scenario's numbers by where their default comes from, the assumed ones first."""
    silent = Scenario(name="defaults", city=scenario.city)
    found: dict[str, list[dict[str, Any]]] = {mark: [] for mark in BASIS}
    for key in known_keys():
        mark = re.search(r"\s*\[([ADPL])\]", key.description)
        if mark and not re.search(r"\[\]|\bNAME\b", key.place) and _holds(scenario, key.place):
            value, default = _at(scenario, key.place), _at(silent, key.place)
            meaning = key.description.replace(mark[0], "").rstrip(".")
            if value not in (None, ()):
                row = {"key": key.place, "meaning": meaning, "value": _typed(value), "own": value != default}
                found[mark[1]].append(row)
    found["A"] += _kinds(scenario)
    return found


def _holds(scenario: Scenario, place: str) -> bool:
    """Whether a key has a say in this scenario."""
    part = place.split(".", maxsplit=1)[0]
    if part == "patrol":
        return STAND_BY not in {(group.patrol or scenario.patrol).form for group in scenario.units.forces}
    recorded = scenario.demand.history is not None or scenario.demand.fitted is not None
    return not (part == "demand" and recorded)


def _kinds(scenario: Scenario) -> Iterator[dict[str, Any]]:
    """What the kinds of units are taken to be."""
    for kind in kinds_used(scenario):
        usual = KINDS.get(kind.name)
        for name, meaning in KIND_MEANING.items():
            value = getattr(kind, name)
            own = usual is None or value != getattr(usual, name)
            yield {"key": f"{kind.name}.{name}", "meaning": meaning, "value": _typed(value), "own": own}


def _at(scenario: Scenario, place: str) -> Any:
    """The value of a key, None where a table above it is left out."""
    return reduce(lambda part, name: None if part is None else getattr(part, name), place.split("."), scenario)


def _typed(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(_typed(part) for part in value)
    if isinstance(value, ShiftPart):
        return f"{value.name} {value.start:%H:%M}–{value.end:%H:%M}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _forces(scenario: Scenario) -> str:
    """How many units of which kind are on duty in each shift."""
    if not scenario.units.groups:
        return str(scenario.units.count)
    return ", ".join(f"{group.count} {group.kind}" for group in scenario.units.groups)


def _fixed() -> list[tuple[str, str]]:
    """What no scenario changes, all assumed: meaning and value."""
    return [
        *(
            (f"{PLACE_CLASS[c].zh} {PLACE_CLASS[c].en}: zone around a point", f"{m:g} m")
            for c, m in SITE_RADIUS_M.items()
        ),
        ("高峰 peak hours on working days", ", ".join(f"{hour}–{hour + 1}" for hour in PEAK_HOURS)),
        ("夜间 night hours", f"{min(h for h in NIGHT_HOURS if h > 12)}–{max(h for h in NIGHT_HOURS if h < 12) + 1}"),
    ]
