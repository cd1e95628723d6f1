"""The map of a run: one file that asks for nothing, drawn by a browser without a network."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely

from dispatch.metrics import summarise
from geodata.city import City
from geodata.sites import Posts, Sites
from scenarios.build import standard_of
from scenarios.findings import FEW_INCIDENTS, cell_table, headline_of, late_incidents, worst_cells
from scenarios.maps import render_map
from scenarios.terms import percent

OUTSIDE = re.compile(r"""(?:src|href)\s*=\s*["'](?:https?:)?//|@import\b|\burl\(\s*["']?(?!data:|#)""")


@pytest.fixture(scope="module")
def page(shown: Any) -> str:
    return render_map(*shown.parts)


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="map-data">(.*?)</script>', page, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_the_page_refers_to_nothing_outside(page: str, parse: Callable[[str], Any]) -> None:
    assert not OUTSIDE.findall(page)
    tags = parse(page).tags
    assert not [tag for tag, attributes in tags if "src" in attributes or tag in ("link", "iframe", "base")]
    assert [attributes["href"] for tag, attributes in tags if tag == "a"] == ["report.html"]


def test_tiles_are_asked_for_where_they_are_wanted_and_there_alone(page: str, shown: Any) -> None:
    assert "openstreetmap.org" not in page
    tiled = render_map(*shown.parts, tiles=True)
    assert "https://tile.openstreetmap.org/{z}/{x}/{y}.png" in tiled
    assert not re.search(r"<(?:script|link)[^>]+(?:src|href)=", tiled)


def test_the_same_run_gives_the_same_page(page: str, shown: Any) -> None:
    assert render_map(*shown.parts) == page


def test_the_panel_tells_the_headline_and_what_counts(page: str, shown: Any, parse: Callable[[str], Any]) -> None:
    text = parse(page).visible
    headline = headline_of(shown.log, shown.summary, shown.scenario)
    for share in (headline.share, *(found.share for found in headline.classes)):
        assert percent(share).replace("\u00a0", " ") in text
    assert f"{headline.total} incidents" in text
    assert f"{headline.unreached} never reached" in text
    assert "target 90 %" in text
    assert "by late incidents" in text
    assert "turn-out of 30 / 75 s included" in text
    assert "siren × 1.3" in text
    assert "made for the tests" in text


def test_a_cell_is_coloured_by_its_share_and_pale_where_that_says_little(page: str, shown: Any) -> None:
    headline = headline_of(shown.log, shown.summary, shown.scenario)
    cells, drawn = cell_table(shown.city, shown.log, headline.clock), data_of(page)["cells"]
    assert drawn["colour"] == [headline.verdict_of(share).value for share in cells["share"]]
    pale = np.array(drawn["opacity"]) < max(drawn["opacity"])
    assert pale.tolist() == (cells["incidents"] < FEW_INCIDENTS).tolist()
    rows = {row["label"].split()[0]: row["values"] for row in drawn["rows"]}
    assert rows["编号"] == shown.city.grid.codes.tolist()
    assert rows["超时"] == [str(late) for late in cells["late"]]
    assert data_of(page)["worst"] == worst_cells(cells).index.tolist()


def test_late_incidents_stand_where_they_were(page: str, shown: Any) -> None:
    data = data_of(page)
    late = late_incidents(shown.log, headline_of(shown.log, shown.summary, shown.scenario).clock)
    degrees = pyproj.Transformer.from_crs(shown.city.network.epsg, 4326, always_xy=True)
    wanted = np.stack(degrees.transform(late["x_m"], late["y_m"]), 1)
    found = (np.array(data["late"]) + data["origin"]) / data["steps"]
    assert len(found) > 0
    np.testing.assert_allclose(found, wanted, atol=0.51 / data["steps"], rtol=0)


def test_reach_counts_the_turn_out_of_each_post(shown: Any) -> None:
    """A station turns out in 75 s: nothing is reached from it in a minute."""
    posts = shown.city.posts
    stations = Posts(posts.table.assign(kind="station"), posts.positions)
    bands = data_of(render_map(replace(shown.city, posts=stations), *shown.parts[1:]))["reach"]
    assert [band["limit_s"] for band in bands] == [300, 180]
    rooms = Posts(posts.table.assign(kind="room"), posts.positions)
    bands = data_of(render_map(replace(shown.city, posts=rooms), *shown.parts[1:]))["reach"]
    assert [band["limit_s"] for band in bands] == [300, 180, 60]
    assert all(band["shapes"] for band in bands)


HOSTILE = (
    "<script>document.documentElement.dataset.broken=1</script>",
    "</script><img src=x onerror='document.documentElement.dataset.broken=1'>",
    "{{ 7 * 191 }}{% raw %}${7*191}`\u2028\"'&amp;<!--",
)


@pytest.fixture(scope="module")
def hostile(shown: Any) -> str:
    """The page of a city whose every name is made to break out of it."""
    city = shown.city

    def spoil(table: Any) -> Any:
        names = [HOSTILE[i % len(HOSTILE)] for i in range(len(table))]
        return table.assign(name=names, name_en=names[::-1])

    spoilt = replace(
        city,
        name=HOSTILE[1],
        name_en=HOSTILE[2],
        sites=Sites(spoil(city.sites.table).assign(kind=HOSTILE[0])),
        posts=Posts(spoil(city.posts.table), city.posts.positions),
        grid=replace(city.grid, cells=spoil(city.grid.cells), areas=spoil(city.grid.areas)),
        sources=HOSTILE,
    )
    return render_map(spoilt, *shown.parts[1:])


def test_names_are_text_and_never_markup(hostile: str, page: str, parse: Callable[[str], Any]) -> None:
    names = [tag for tag, _ in parse(hostile).tags]
    assert names == [tag for tag, _ in parse(page).tags]
    assert "1337" not in hostile
    marks = [mark for group in data_of(hostile)["sites"] for mark in group["marks"]]
    assert {mark["zh"] for mark in marks} == set(HOSTILE)


def test_a_browser_without_a_network_draws_it(page: str, shown: Any, browser: Callable[[str], Any]) -> None:
    opened = browser(page)
    assert opened.console == ()
    worst = len(data_of(page)["worst"])
    assert f'data-map="20 4 {worst}"' in opened.dom
    assert opened.dom.count("<canvas") >= 6
    assert opened.dom.count('class="leaflet-marker-icon mark mark-post') == len(shown.city.posts)
    assert opened.dom.count("mark-rank") >= worst
    assert "leaflet-control-layers-expanded" in opened.dom
    assert "东区" in opened.dom


POINT_AT_A_CELL = """<script>
  const cells = feature_group_cells.getLayers();
  for (let i = 0; i < cells.length; i++) {
    const box = cells[i].getBounds();
    const at = map_map.latLngToContainerPoint(box.getSouthWest()).multiplyBy(0.85)
      .add(map_map.latLngToContainerPoint(box.getNorthEast()).multiplyBy(0.15));
    const top = document.elementFromPoint(at.x, at.y);
    if (top.tagName !== "CANVAS") continue;
    top.dispatchEvent(new MouseEvent("mousemove", { clientX: at.x, clientY: at.y, bubbles: true }));
    document.documentElement.dataset.pointed = i;
    break;
  }
</script>"""


def test_pointing_at_a_cell_tells_its_numbers(page: str, shown: Any, browser: Callable[[str], Any]) -> None:
    opened = browser(page + POINT_AT_A_CELL)
    row = int(re.findall(r'data-pointed="(\d+)"', opened.dom)[0])
    tooltip = re.findall(r'<div class="leaflet-tooltip .*?</table>', opened.dom)[0]
    cell = cell_table(shown.city, shown.log, headline_of(shown.log, shown.summary, shown.scenario).clock).loc[row]
    assert f"<b>{cell['name']}</b>" in tooltip
    assert f"<td>{cell['code']}</td>" in tooltip
    assert f"<td>{cell['late']}</td>" in tooltip
    assert f"<td>{percent(cell['share'])}</td>".replace("\u00a0", "&nbsp;") in tooltip


def test_a_browser_runs_no_name(hostile: str, browser: Callable[[str], Any]) -> None:
    opened = browser(hostile)
    assert opened.console == ()
    assert 'data-map="20 4' in opened.dom
    assert "data-broken" not in opened.dom


def test_a_run_without_incidents_in_a_bare_city_has_its_map(
    shown: Any, bare_city: City, browser: Callable[[str], Any]
) -> None:
    nothing = replace(shown.log, incidents=shown.log.incidents.iloc[:0], assignments=shown.log.assignments.iloc[:0])
    standard = standard_of(shown.scenario)
    summary = summarise(nothing, standard, start=shown.scenario.run.start, seed=1, digest="0")
    page = render_map(bare_city, nothing, summary, shown.scenario)
    assert "无超时警情 No late incident" in page
    opened = browser(page)
    assert opened.console == ()
    assert 'data-map="20 4 0"' in opened.dom


def test_a_cell_costs_little(shown: Any) -> None:
    """18,650 cells are to stay well below five megabytes."""
    city = shown.city
    cells = city.grid.cells.loc[np.repeat(city.grid.cells.index, 50)].reset_index(drop=True)
    cells = cells.assign(code=[f"430102001001{i:02d}" for i in range(len(cells))])
    many = replace(city, grid=replace(city.grid, cells=cells))
    more = len(render_map(many, *shown.parts[1:])) - len(render_map(*shown.parts))
    assert more / (len(cells) - len(city.grid)) < 220
    assert shapely.get_num_coordinates(city.grid.polygons).sum() == 5 * len(city.grid)
