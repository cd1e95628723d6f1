"""What the map of a run and the map of a city share: one page that opens without any connection.

Folium makes the page, its layers and their control; what is drawn in the layers is one compact JSON value, drawn on
canvas by the scripts in `templates`, because a page with tens of thousands of GeoJSON features is slow to load and to
draw.
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
import shapely
from branca.element import Element, MacroElement
from jinja2 import Template
from markupsafe import Markup
from numpy.typing import NDArray
from xstatic.pkg import jquery, leaflet

from geodata.city import City
from geodata.grid import Level
from geodata.network import Floats, RoadClass
from scenarios.compact import STEPS_A_DEGREE, Encoder
from scenarios.findings import district_terms
from scenarios.terms import BACKDROP_COLOUR, PLACE_COLOUR, own_file, script_json

WRITTEN_BY = '<meta name="generator" content="Patrol 135">'
"""By which a page of ours is known again."""
ROAD_TOLERANCE_M = 2.0
"""How far from its place a street may be drawn."""
ROAD_COLOUR = ("#8f867b", "#a39b91", "#b9b3aa", "#c6c1ba", "#7fa387")
"""By `RoadClass`."""
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


def backdrop_data(city: City, encoder: Encoder) -> dict[str, Any]:
    """What lies below everything else on a map, as `map_base.js` draws it."""
    return {
        "steps": STEPS_A_DEGREE,
        "origin": encoder.origin,
        "view": encoder.points(extent(city)),
        "symbol": SYMBOL_PX | {"post": SYMBOL_PX["post"] if len(city.posts) <= MANY_POSTS else 16},
        "backdrop": _backdrop(city, encoder),
        "road_colour": ROAD_COLOUR,
        "roads": [encoder.shapes(_roads(city, road_class)) for road_class in RoadClass],
        "districts": _districts(city, encoder),
    }


def extent(city: City) -> Floats:
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


def drawn(lines: shapely.MultiLineString, *, directed: bool = False) -> NDArray[np.object_]:
    """Lines joined where two meet, with the points that the eye needs; `directed`: only where one goes on as the
    other."""
    joined = shapely.get_parts(shapely.line_merge(lines, directed=directed))
    # line by line, as the pieces need not mind each other: that is many times as fast
    return np.asarray(shapely.simplify(joined, ROAD_TOLERANCE_M, preserve_topology=False), object)


def _roads(city: City, road_class: RoadClass) -> NDArray[np.object_]:
    network = city.network
    return drawn(shapely.multilinestrings(network.lines[network.street_class == road_class]))


def _districts(city: City, encoder: Encoder) -> dict[str, Any]:
    outlines = city.grid.outlines(Level.DISTRICT)
    terms = district_terms(city)
    places = encoder.points(inside(outlines.geometry))
    return {
        "shapes": encoder.shapes(outlines.geometry.to_numpy()),
        "labels": [
            {"at": at, "zh": terms[name].zh, "en": terms[name].en}
            for at, name in zip(places, outlines["name"], strict=True)
        ],
    }


def inside(shapes: gpd.GeoSeries) -> Floats:
    """(n, 2) a point in each shape, a point itself."""
    return shapely.get_coordinates(shapely.point_on_surface(np.asarray(shapes.array)))


def symbol(name: str) -> Markup:
    drawing = '<svg width="{0}" height="{0}" viewBox="0 0 24 24" aria-hidden="true">{1}</svg>'
    return Markup(drawing).format(SYMBOL_PX[name], Markup(SYMBOLS[name]))


def page(
    title: str, panel: str, data: Mapping[str, Any], script: str, layers: Mapping[str, tuple[str, bool]], *, tiles: bool
) -> str:
    """The page around it all, in which nothing is random.

    `script`: the file in `templates` whose `patrolMap` draws the data. `layers`: what the layer control offers, and
    whether it is shown at first.

    What stands in an element of branca is a template to it; so that no text of the data is ever run as one, the
    texts are handed to a fixed template as values.
    """
    drawing = _named(
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
    drawing.default_js, drawing.default_css = [], []
    figure = drawing.get_root()
    figure.title = html.escape(title)
    for content in (
        WRITTEN_BY,
        f"<style>{_leaflet_style()}</style>",
        f"<script>{_package_file(jquery, 'jquery.min.js')}</script>",
        f"<script>{_leaflet_script()}</script>",
        f"<style>{own_file('map.css')}</style>",
        f"<script>{own_file('map_base.js')}</script>",
        f"<script>{own_file(script)}</script>",
    ):
        figure.header.add_child(_verbatim(content))
    figure.html.add_child(_verbatim(f'<script type="application/json" id="map-data">{script_json(data)}</script>'))
    figure.html.add_child(_verbatim(panel))
    if tiles:
        drawing.add_child(_named(folium.TileLayer("OpenStreetMap", overlay=True, name="OpenStreetMap"), "tiles"))
    for name, (label, shown) in layers.items():
        # where there are tiles they are the backdrop
        group = folium.FeatureGroup(label, show=shown and not (tiles and name in ("land", "roads")))
        drawing.add_child(_named(group, name))
    drawing.add_child(_named(folium.LayerControl(collapsed=False), "control"))
    groups = ", ".join(f"{name}: feature_group_{name}" for name in layers)
    call = "{% macro script(this, kwargs) %}patrolMap(map_map, {" + groups + "});{% endmacro %}"
    drawing.add_child(_named(_element(MacroElement, call), "drawing"))
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
