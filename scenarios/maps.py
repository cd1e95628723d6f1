"""A run as one page with a map of the city, that opens without any connection; drawn by `templates/map.js`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dispatch.log import RunLog
from geodata.city import City
from geodata.reach import reach_lines
from geodata.travel import Rows
from scenarios.build import travel_of, turn_out_by_post
from scenarios.compact import Encoder, Shapes
from scenarios.findings import (
    FEW_INCIDENTS,
    REACH_HOUR,
    ClassFinding,
    Headline,
    cell_table,
    headline_of,
    late_incidents,
    post_table,
    site_table,
    standing_posts,
    worst_cells,
)
from scenarios.kinds import main_kind
from scenarios.mappage import SYMBOLS, backdrop_data, drawn, extent, inside, page, symbol
from scenarios.schema import Scenario
from scenarios.terms import PLACE_COLOUR, Verdict, count, kind, limit, minutes, pages, percent

REACH_COLOUR = ("#08306b", "#2171b5", "#74b3e6", "#b5d4ee")
"""From the shortest limit to the longest; a further one has the last colour."""
LAYERS = {
    "land": ("底图 Land and water", True),
    "cells": ("网格达标情况 Grid by compliance", True),
    "roads": ("道路 Roads", True),
    "reach": ("驻点出警可达 Reach from the posts", True),
    "districts": ("区界 Districts", True),
    "late": ("超时警情 Late incidents", False),
    "worst": ("最差网格 Worst cells", True),
    "general": ("其他场所 Other sites", False),
    "key": ("重点地区 Key areas", True),
    "vital": ("要害部位 Vital sites", True),
    "posts": ("驻点 Posts", True),
}
"""What the layer control offers, and whether it is shown at first."""


def render_map(
    city: City,
    log: RunLog,
    summary: Mapping[str, Any],
    scenario: Scenario,
    *,
    tiles: bool = False,
) -> str:
    """The page as HTML text. With `tiles` it asks OpenStreetMap for a backdrop; without, it asks for nothing."""
    encoder = Encoder.at(city.network.epsg, extent(city))
    headline = headline_of(log, summary, scenario)
    cells = cell_table(city, log, headline.clock)
    worst = worst_cells(cells)
    late = late_incidents(log, headline.clock)
    manned = standing_posts(log)
    reach = _reach(city, scenario, manned, headline.limits_s, encoder)
    data = backdrop_data(city, encoder) | {
        "reach": reach,
        "cells": _cells(city, cells, headline, encoder),
        "worst": worst.index.tolist(),
        "late": encoder.points(late[["x_m", "y_m"]].to_numpy()),
        "sites": _sites(city, log, headline, encoder),
        "posts": _posts(city, log, encoder),
    }
    panel = _panel(city, worst, headline, scenario, manned, reach)
    return page(f"{city.title} · 1-3-5", panel, data, "map.js", LAYERS, tiles=tiles)


def _reach(
    city: City, scenario: Scenario, manned: Rows, limits_s: Sequence[float], encoder: Encoder
) -> list[dict[str, Any]]:
    """One entry a limit, the longest first, so that what is reached sooner is drawn over it; none where no unit stands
    by at a post."""
    if not len(manned):
        return []
    bands = reach_lines(
        travel_of(scenario, city),
        city.posts.positions.take(manned),
        limits_s,
        REACH_HOUR,
        main_kind(scenario).speed_factor,
        turn_out_by_post(scenario.units.turn_out_s, city)[manned],
    )
    colour = dict(zip(limits_s, (*REACH_COLOUR, *REACH_COLOUR[-1:] * 9), strict=False))
    return [
        {
            "limit_s": limit_s,
            "colour": colour[limit_s],
            "weight": 3.2 if limit_s == min(colour) else 2.4,
            "shapes": encoder.shapes(drawn(lines)),
        }
        for limit_s, lines in zip(bands["limit_s"][::-1], bands.geometry[::-1], strict=True)
        if not lines.is_empty
    ]


def _cells(city: City, cells: pd.DataFrame, headline: Headline, encoder: Encoder) -> dict[str, Any]:
    some, many = cells["incidents"] > 0, cells["incidents"] >= FEW_INCIDENTS
    columns = {
        "编号 Code": cells["code"],
        "区 District": cells["district"],
        "警情 Incidents": cells["incidents"].map(count),
        "达标率 Within the limit": cells["share"].map(percent),
        "超时 Late": cells["late"].map(count),
        "中位数 Median, min:s": cells["p50_s"].map(minutes),
        "P90, min:s": cells["p90_s"].map(minutes),
    }
    return {
        "shapes": encoder.shapes(city.grid.polygons),
        "at": encoder.points(inside(city.grid.cells.geometry)),
        "name": cells["name"].tolist(),
        "name_en": cells["name_en"].tolist(),
        "colour": [headline.verdict_of(share).value for share in cells["share"]],
        "opacity": np.select([many, some], [0.6, 0.32], 0.08).tolist(),
        "rows": [{"label": label, "values": values.tolist()} for label, values in columns.items()],
    }


def _sites(city: City, log: RunLog, headline: Headline, encoder: Encoder) -> list[dict[str, Any]]:
    sites = site_table(city, log, headline.clock)
    groups = []
    for found in headline.classes:
        chosen = (sites["place_class"] == found.place_class).to_numpy()
        # the general class holds everywhere: its sites have no zone of their own
        zones: Shapes = [] if found.place_class == "general" else np.asarray(city.sites.zones.geometry.array)[chosen]
        places = encoder.points(inside(city.sites.table.geometry[chosen]))
        groups.append(
            {
                "place_class": found.place_class,
                "colour": PLACE_COLOUR[found.place_class],
                "zones": encoder.shapes(zones),
                "marks": [
                    {"at": at, "zh": site.name, "en": site.name_en, "rows": _site_rows(site, found)}
                    for at, site in zip(places, sites[chosen].itertuples(index=False), strict=True)
                ],
            }
        )
    return groups


def _site_rows(site: Any, found: ClassFinding) -> list[tuple[str, str]]:
    rows = [
        ("类别 Kind", kind(site.kind)),
        ("等级 Class", f"{found.term.zh} {found.term.en}"),
    ]
    if found.limit_s is not None:
        rows.append(("时限 Limit", limit(found.limit_s)))
    if site.incidents:
        rows += [("警情 Incidents here", count(site.incidents)), ("达标率 Within the limit", percent(site.share))]
    return rows


def _posts(city: City, log: RunLog, encoder: Encoder) -> list[dict[str, Any]]:
    places = encoder.points(inside(city.posts.table.geometry))
    return [
        {
            "at": at,
            "zh": post["name"],
            "en": post["name_en"],
            "rows": [
                ("类别 Kind", kind(post["kind"])),
                ("警力 Units", post["units"] or "–"),
                ("处警 Incidents served", count(post["incidents"])),
                ("利用率 Utilisation", percent(post["utilisation"])),
            ],
        }
        for at, post in zip(places, post_table(city, log).to_dict("records"), strict=True)
    ]


def _panel(city: City, worst: pd.DataFrame, headline: Headline, scenario: Scenario, manned: Rows, reach: Any) -> str:
    target, amber = percent(headline.target, 0), percent(headline.amber, 0)
    turn_out = np.unique(turn_out_by_post(scenario.units.turn_out_s, city)[manned]).tolist()
    bands = {band["limit_s"]: band["colour"] for band in reversed(reach)}
    return (
        pages()
        .get_template("map_panel.html")
        .render(
            city=city,
            headline=headline,
            worst=worst.reset_index(names="row").to_dict("records"),
            compliance=[
                (Verdict.MET, f"≥ {target} {Verdict.MET.term.zh}"),
                (Verdict.NEARLY, f"{amber} – {target} {Verdict.NEARLY.term.zh}"),
                (Verdict.NOT_MET, f"< {amber} {Verdict.NOT_MET.term.zh}"),
                (Verdict.NONE, f"{Verdict.NONE.term.zh} {Verdict.NONE.term.en}"),
            ],
            few=FEW_INCIDENTS,
            bands=bands,
            turn_out=" / ".join(f"{seconds:g}" for seconds in turn_out),
            siren=main_kind(scenario).speed_factor,
            symbols={name: symbol(name) for name in SYMBOLS},
        )
    )
