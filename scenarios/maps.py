"""A run as one page with a map of the city, that opens without any connection.

Folium makes the page, its layers and their control; what is drawn in the layers is one compact JSON value, drawn on
canvas by `templates/map.js`, because a page with tens of thousands of GeoJSON features is slow to load and to draw.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import folium
import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from branca.element import Element, MacroElement
from jinja2 import Template
from markupsafe import Markup
from numpy.typing import NDArray
from xstatic.pkg import jquery, leaflet

from dispatch.log import RunLog
from geodata.city import City
from geodata.grid import Level
from geodata.network import Floats, RoadClass
from geodata.reach import reach_lines
from geodata.routing import RoadTravel
from geodata.speeds import SpeedProfile
from scenarios.build import turn_out_by_post, units_of
from scenarios.compact import STEPS_A_DEGREE, Encoder, Shapes
from scenarios.findings import (
    FEW_INCIDENTS,
    REACH_HOUR,
    ClassFinding,
    Headline,
    cell_table,
    district_terms,
    headline_of,
    late_incidents,
    post_table,
    site_table,
    worst_cells,
)
from scenarios.schema import Scenario
from scenarios.terms import (
    BACKDROP_COLOUR,
    PLACE_COLOUR,
    Verdict,
    count,
    kind,
    limit,
    minutes,
    own_file,
    pages,
    percent,
    script_json,
)

ROAD_TOLERANCE_M = 2.0
"""How far from its place a street may be drawn."""
REACH_COLOUR = ("#08306b", "#2171b5", "#74b3e6")
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
SYMBOL_PX = {"post": 26, "vital": 20, "key": 12, "general": 11, "rank": 18}
MANY_POSTS = 40
"""With more, their symbols are smaller."""
SYMBOLS = {
    "post": '<path d="M12 1l9 3v7c0 6-4 10-9 12-5-2-9-6-9-12V4z" fill="#10275c" stroke="#fff" stroke-width="1.6"/>'
    '<path d="M12 6l1.6 3.6 3.9.4-2.9 2.6.8 3.9-3.4-2-3.4 2 .8-3.9-2.9-2.6 3.9-.4z" fill="#ffd75e"/>',
    "vital": f'<path d="M12 1l11 11-11 11L1 12z" fill="{PLACE_COLOUR["vital"]}" stroke="#fff" stroke-width="2"/>',
    "key": f'<path d="M3 3h18v18H3z" fill="{PLACE_COLOUR["key"]}" stroke="#fff" stroke-width="2.4"/>',
    "general": f'<circle cx="12" cy="12" r="9" fill="#fff" stroke="{PLACE_COLOUR["general"]}" stroke-width="4"/>',
}


def render_map(
    city: City,
    log: RunLog,
    summary: Mapping[str, Any],
    scenario: Scenario,
    speeds: SpeedProfile,
    *,
    tiles: bool = False,
) -> str:
    """The page as HTML text. With `tiles` it asks OpenStreetMap for a backdrop; without, it asks for nothing."""
    encoder = Encoder.at(city.network.epsg, _extent(city))
    headline = headline_of(log, summary, scenario)
    cells = cell_table(city, log, headline.clock)
    worst = worst_cells(cells)
    late = late_incidents(log, headline.clock)
    reach = _reach(city, scenario, speeds, encoder)
    data = {
        "steps": STEPS_A_DEGREE,
        "origin": encoder.origin,
        "view": encoder.points(_extent(city)),
        "symbol": SYMBOL_PX | {"post": SYMBOL_PX["post"] if len(city.posts) <= MANY_POSTS else 16},
        "backdrop": _backdrop(city, encoder),
        "roads": [encoder.shapes(_roads(city, road_class)) for road_class in RoadClass],
        "reach": reach,
        "districts": _districts(city, encoder),
        "cells": _cells(city, cells, headline, encoder),
        "worst": worst.index.tolist(),
        "late": encoder.points(late[["x_m", "y_m"]].to_numpy()),
        "sites": _sites(city, log, headline, encoder),
        "posts": _posts(city, log, scenario, encoder),
    }
    panel = _panel(city, worst, headline, scenario, reach)
    return _page(f"{city.name} {city.name_en} · 1-3-5", panel, data, tiles=tiles)


def _extent(city: City) -> Floats:
    """(2, 2) corners of all that is drawn."""
    shapes = [city.network.shape_xy_m]
    shapes += [shapely.get_coordinates(part) for part in (city.grid.polygons, city.areas.geometry.array)]
    xy = np.concatenate(shapes)
    return np.stack([xy.min(axis=0), xy.max(axis=0)])


def _backdrop(city: City, encoder: Encoder) -> list[dict[str, Any]]:
    """The land below the grid; parks and water over it, as they would be on any map of the city."""
    land = shapely.union_all(city.grid.polygons)
    areas = [{"pane": "land", "colour": "#f7f5f0", "opacity": 1, "shapes": encoder.shapes([land])}]
    for area, opacity in {"park": 0.9, "airport": 0.9, "runway": 1.0, "water": 0.95}.items():
        shapes = encoder.shapes(city.areas.geometry[city.areas["kind"] == area].to_numpy())
        areas.append({"pane": "water", "colour": BACKDROP_COLOUR[area], "opacity": opacity, "shapes": shapes})
    return areas


def _drawn(lines: shapely.MultiLineString) -> NDArray[np.object_]:
    """Lines joined where two meet, with the points that the eye needs."""
    joined = shapely.get_parts(shapely.line_merge(lines))
    # line by line, as the pieces need not mind each other: that is many times as fast
    return np.asarray(shapely.simplify(joined, ROAD_TOLERANCE_M, preserve_topology=False), object)


def _roads(city: City, road_class: RoadClass) -> NDArray[np.object_]:
    network = city.network
    return _drawn(shapely.multilinestrings(network.lines[network.street_class == road_class]))


def _reach(city: City, scenario: Scenario, speeds: SpeedProfile, encoder: Encoder) -> list[dict[str, Any]]:
    """One entry a limit, the longest first, so that what is reached sooner is drawn over it."""
    manned = np.unique([unit.post for unit in units_of(scenario, city)])
    bands = reach_lines(
        RoadTravel(city.network, speeds),
        city.posts.positions.take(manned),
        _limits(scenario),
        REACH_HOUR,
        scenario.units.speed_factor,
        turn_out_by_post(scenario.units.turn_out_s, city)[manned],
    )
    colour = dict(zip(_limits(scenario), (*REACH_COLOUR, *REACH_COLOUR[-1:] * 9), strict=False))
    return [
        {
            "limit_s": limit_s,
            "colour": colour[limit_s],
            "weight": 3.2 if limit_s == min(colour) else 2.4,
            "shapes": encoder.shapes(_drawn(lines)),
        }
        for limit_s, lines in zip(bands["limit_s"][::-1], bands.geometry[::-1], strict=True)
        if not lines.is_empty
    ]


def _limits(scenario: Scenario) -> list[float]:
    """The standard's limits, the shortest first."""
    return sorted(set(scenario.standard.limits_s.model_dump().values()))


def _districts(city: City, encoder: Encoder) -> dict[str, Any]:
    outlines = city.grid.outlines(Level.DISTRICT)
    terms = district_terms(city)
    places = encoder.points(_inside(outlines.geometry))
    return {
        "shapes": encoder.shapes(outlines.geometry.to_numpy()),
        "labels": [
            {"at": at, "zh": terms[name].zh, "en": terms[name].en}
            for at, name in zip(places, outlines["name"], strict=True)
        ],
    }


def _inside(shapes: gpd.GeoSeries) -> Floats:
    """(n, 2) a point in each shape, a point itself."""
    return shapely.get_coordinates(shapely.point_on_surface(np.asarray(shapes.array)))


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
        "at": encoder.points(_inside(city.grid.cells.geometry)),
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
        places = encoder.points(_inside(city.sites.table.geometry[chosen]))
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
        ("时限 Limit", limit(found.limit_s)),
    ]
    if site.incidents:
        rows += [("警情 Incidents here", count(site.incidents)), ("达标率 Within the limit", percent(site.share))]
    return rows


def _posts(city: City, log: RunLog, scenario: Scenario, encoder: Encoder) -> list[dict[str, Any]]:
    places = encoder.points(_inside(city.posts.table.geometry))
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
        for at, post in zip(places, post_table(city, log, scenario).to_dict("records"), strict=True)
    ]


def _panel(city: City, worst: pd.DataFrame, headline: Headline, scenario: Scenario, reach: Any) -> str:
    target, amber = percent(headline.target, 0), percent(headline.amber, 0)
    turn_out = sorted({unit.turn_out_post_s for unit in units_of(scenario, city)})
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
            units=scenario.units,
            symbols={name: _symbol(name) for name in SYMBOLS},
        )
    )


def _symbol(name: str) -> Markup:
    drawing = '<svg width="{0}" height="{0}" viewBox="0 0 24 24" aria-hidden="true">{1}</svg>'
    return Markup(drawing).format(SYMBOL_PX[name], Markup(SYMBOLS[name]))


def _page(title: str, panel: str, data: Mapping[str, Any], *, tiles: bool) -> str:
    """The page around it all, in which nothing is random.

    What stands in an element of branca is a template to it; so that no text of the data is ever run as one, the
    texts are handed to a fixed template as values.
    """
    page = _named(
        folium.Map(
            tiles=None,
            zoom_control="topright",
            font_size="13px",
            attribution_control=tiles,
            zoom_snap=0.25,
            max_zoom=19,
        ),
        "map",
    )
    page.default_js, page.default_css = [], []
    figure = page.get_root()
    figure.title = html.escape(title)
    for content in (
        f"<style>{_leaflet_style()}</style>",
        f"<script>{_package_file(jquery, 'jquery.min.js')}</script>",
        f"<script>{_leaflet_script()}</script>",
        f"<style>{own_file('map.css')}</style>",
        f"<script>{own_file('map.js')}</script>",
    ):
        figure.header.add_child(_verbatim(content))
    figure.html.add_child(_verbatim(f'<script type="application/json" id="map-data">{script_json(data)}</script>'))
    figure.html.add_child(_verbatim(panel))
    if tiles:
        page.add_child(_named(folium.TileLayer("OpenStreetMap", overlay=True, name="OpenStreetMap"), "tiles"))
    for name, (label, shown) in LAYERS.items():
        # where there are tiles they are the backdrop
        group = folium.FeatureGroup(label, show=shown and not (tiles and name in ("land", "roads")))
        page.add_child(_named(group, name))
    page.add_child(_named(folium.LayerControl(collapsed=False), "control"))
    groups = ", ".join(f"{name}: feature_group_{name}" for name in LAYERS)
    call = "{% macro script(this, kwargs) %}patrolMap(map_map, {" + groups + "});{% endmacro %}"
    page.add_child(_named(_element(MacroElement, call), "drawing"))
    rendered: str = figure.render()
    return rendered


def _named(element: Any, name: str) -> Any:
    """The element under a name of ours instead of a random one."""
    element._id = name
    return element


def _element(kind: Any, template: str) -> Any:
    element = kind()
    element._template = Template(template)
    return element


def _verbatim(text: str) -> Any:
    element = _element(Element, "{{ this.text }}")
    element.text = text
    return element


def _package_file(package: Any, name: str) -> str:
    return Path(package.BASE_DIR, name).read_text("utf-8")


def _leaflet_script() -> str:
    """Leaflet without the addresses of its home page and of its source map: the page refers to nothing outside."""
    script = _package_file(leaflet, "leaflet.js")
    return re.sub(r"\n//# sourceMappingURL=.*", "", script).replace('href="https://leafletjs.com" ', "")


def _leaflet_style() -> str:
    """Leaflet's style with its pictures in it."""

    def picture(match: re.Match[str]) -> str:
        content = base64.b64encode(Path(leaflet.BASE_DIR, match[1]).read_bytes()).decode()
        return f"url(data:image/png;base64,{content})"

    return re.sub(r"url\((images/[\w.-]+\.png)\)", picture, _package_file(leaflet, "leaflet.css"))
