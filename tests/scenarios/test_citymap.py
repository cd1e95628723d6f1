"""The map of a city and its faults: every case where it lies, in one file that a browser draws without a network."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
from test_compact import decoded
from test_maps import HOSTILE, OUTSIDE, data_of

from geodata.check import city_faults
from geodata.city import City
from geodata.defects import Defect, defect_table, general
from geodata.grid import Grid
from geodata.gridcheck import Kind
from geodata.sites import Posts, Sites
from scenarios.citymap import check_page, render_city_map
from scenarios.cli import main
from scenarios.compact import STEPS_A_DEGREE
from scenarios.fault_terms import done_term, kind_term

EPSG = 4547
X, Y = 400_000.0, 3_120_000.0


def case(kind: str, done: str, shapes: list[Any], label: str = "way") -> Defect:
    named = tuple(f"{label} {i + 1}" for i in range(len(shapes)))
    return Defect(kind=kind, done=done, label=named, shapes=np.array(shapes, object), epsg=EPSG)


LINES = [shapely.LineString([(X, Y + 40 * i), (X + 300 + 200 * i, Y + 40 * i)]) for i in range(2)]
TWO_PARTS = shapely.MultiLineString([[(X, Y + 200), (X + 100, Y + 200)], [(X, Y + 300), (X + 100, Y + 300)]])
TRAPS = case("one-way traps", "left out: they can be entered or left, but not both", [*LINES, TWO_PARTS])
CROSSINGS = case("crossings without a shared vertex", "taken for bridges", [shapely.Point(X, Y), None], "feature")
CELLS = replace(
    case("grid: overlap", "build again with --repair", [shapely.box(X, Y, X + 200, Y + 100)], "G0"), stays=True
)
MIXED = shapely.GeometryCollection([shapely.Point(X, Y), shapely.MultiPoint([(X + 9, Y), (X, Y + 9)]), LINES[0]])
SUNDRY = case("things of no word", "left as they are", [MIXED, shapely.Point(np.inf, Y), shapely.Point(1e9, 1e9)])
WHOLE = general("no class column named", "all streets are taken as collector", EPSG)
FAULTS = [CELLS, TRAPS, CROSSINGS, SUNDRY, WHOLE]


@pytest.fixture(scope="module")
def turning(small_city: City) -> City:
    """The small city with two forbidden turns."""
    network = small_city.network
    come = np.array([0, 100], np.int32)
    leave = np.array([np.flatnonzero(network.tail[: network.n_open] == network.head[e])[-1] for e in come], np.int32)
    return replace(small_city, network=replace(network, banned_turns=np.stack([come, leave], axis=1)))


@pytest.fixture(scope="module")
def page(turning: City) -> str:
    return render_city_map(turning, FAULTS)


def degrees(*xy_m: tuple[float, float]) -> np.ndarray:
    to_wgs84 = pyproj.Transformer.from_crs(EPSG, 4326, always_xy=True)
    return np.stack(to_wgs84.transform(*np.array(xy_m, float).T), axis=1)


def test_the_page_refers_to_nothing_outside(page: str, parse: Callable[[str], Any]) -> None:
    assert not OUTSIDE.findall(page)
    assert not [tag for tag, given in parse(page).tags if {"src", "href"} & given.keys() or tag in ("link", "iframe")]


def test_tiles_are_asked_for_where_they_are_wanted_and_there_alone(page: str, turning: City) -> None:
    assert "openstreetmap.org" not in page
    assert "https://tile.openstreetmap.org/{z}/{x}/{y}.png" in render_city_map(turning, FAULTS, tiles=True)


def test_the_same_city_gives_the_same_page(page: str, turning: City) -> None:
    assert render_city_map(turning, FAULTS) == page


def test_each_kind_is_listed_with_its_count_extent_and_mend(page: str, parse: Callable[[str], Any]) -> None:
    text = parse(page).visible
    assert "1 待处理 still in the city" in text
    assert "8 已处理 in the sources, dealt with" in text
    assert "网格：相互重叠 grid: overlap 1 › 2.0 ha · 请用 --repair 重新生成 build again with --repair" in text
    assert "单行陷阱 one-way traps 3 › 1.0 km · 未采用：只能进或只能出 left out: they can be entered or left" in text
    assert "things of no word 3 ›" in text
    assert "未指定道路等级字段 no class column named : 所有道路按同一等级处理 all streets are taken as coll" in text


def test_what_is_still_in_the_city_is_switched_on_and_the_rest_off(page: str, parse: Callable[[str], Any]) -> None:
    boxes = [given for tag, given in parse(page).tags if "data-fault" in given]
    assert [(box["data-fault"], "checked" in box) for box in boxes] == [
        ("0", True),
        ("1", False),
        ("2", False),
        ("3", False),
    ]


def test_every_case_lies_where_it_is(page: str) -> None:
    data = data_of(page)
    overlap, traps, crossings, sundry, _ = data["faults"]
    origin = data["origin"]
    within = {"atol": 0.51 / STEPS_A_DEGREE, "rtol": 0}
    lines = decoded(traps["lines"]["shapes"], origin)
    found = dict(zip(traps["lines"]["case"], lines, strict=True)) | {2: [line for shape in lines[2:] for line in shape]}
    for i, shape in enumerate(TRAPS.shapes):
        for drawn, line in zip(found[i], shapely.get_parts(shape), strict=True):
            np.testing.assert_allclose(drawn, degrees(*line.coords), **within)
    (ring,) = decoded(overlap["areas"]["shapes"], origin)[0]
    np.testing.assert_allclose(ring, degrees(*CELLS.shapes[0].exterior.coords[:-1]), **within)
    points = (np.array(crossings["points"]["at"]) + origin) / STEPS_A_DEGREE
    np.testing.assert_allclose(points, degrees((X, Y)), **within)
    assert (sundry["points"]["case"], sundry["lines"]["case"]) == ([0, 0, 0], [0])


def test_a_case_tells_what_it_is_found_by_and_its_size(page: str) -> None:
    overlap, traps, *_ = data_of(page)["faults"]
    assert traps["label"] == ["way 1", "way 2", "way 3"]
    assert traps["size"] == ["300 m", "500 m", "200 m"]
    assert (overlap["label"], overlap["size"]) == (["G0 1"], ["2 ha"])


def test_cases_that_lie_nowhere_are_named(page: str, parse: Callable[[str], Any]) -> None:
    text = parse(page).visible
    assert [fault["nowhere"] for fault in data_of(page)["faults"]] == [[], [], [1], [1, 2], [0]]
    assert "1 处无法上图 not on the map feature 2" in text
    assert "2 处无法上图 not on the map way 2, way 3" in text


def test_one_way_streets_run_as_they_are_driven(small_city: City) -> None:
    network = small_city.network
    turned = replace(network, backward=~network.backward)
    ends = [
        decoded(data["one_way"], data["origin"])[0][0]
        for data in (data_of(render_city_map(replace(small_city, network=n), [])) for n in (network, turned))
    ]
    edges = network.edge_of_street[network.one_way]
    assert len(edges) == 19
    first, last = (
        (set(network.tail[edges]) - set(network.head[edges])),
        (set(network.head[edges]) - set(network.tail[edges])),
    )
    expected = degrees(*network.node_xy_m[[*first, *last]])
    np.testing.assert_allclose(ends[0][[0, -1]], expected, atol=1e-5, rtol=0)
    np.testing.assert_allclose(ends[1][[-1, 0]], expected, atol=1e-5, rtol=0)


def test_only_layers_with_something_in_them_are_offered(page: str, bare_city: City) -> None:
    def offered(text: str) -> set[str]:
        return set(re.findall(r"feature_group_(\w+) = L\.featureGroup", text))

    everything = {"land", "roads", "oneway", "turns", "cells", "districts", "general", "key", "vital", "posts"}
    assert offered(page) == everything
    assert offered(render_city_map(bare_city, [])) == everything - {"turns", "districts", "general", "key", "vital"}


def test_names_are_text_and_never_markup(
    turning: City, page: str, parse: Callable[[str], Any], browser: Callable[[str], Any]
) -> None:
    def spoil(table: Any) -> Any:
        names = [HOSTILE[i % len(HOSTILE)] for i in range(len(table))]
        return table.assign(name=names, name_en=names[::-1])

    network = replace(turning.network, names=tuple(HOSTILE[i % 3] for i in range(len(turning.network.names))))
    spoilt = replace(
        turning,
        name=HOSTILE[1],
        name_en=HOSTILE[2],
        network=network,
        sites=Sites(spoil(turning.sites.table).assign(kind=HOSTILE[0])),
        posts=Posts(spoil(turning.posts.table), turning.posts.positions),
        grid=replace(turning.grid, cells=spoil(turning.grid.cells), areas=spoil(turning.grid.areas)),
        sources=HOSTILE,
    )
    faults = [replace(fault, kind=HOSTILE[0], label=HOSTILE[: len(fault)]) for fault in FAULTS[:-1]]
    faults = [replace(fault, done=HOSTILE[1], stays=True) for fault in faults]
    text = render_city_map(spoilt, [*faults, general(HOSTILE[1], HOSTILE[2], EPSG)])
    allowed = {tag for tag, _ in parse(page).tags}
    assert {tag for tag, _ in parse(text).tags} <= allowed
    assert "1337" not in text
    opened = browser(text + "<script>location.hash = '#fault=2&case=2';</script>")
    assert opened.console == ()
    assert "2 / 3" in opened.dom
    assert "data-broken" not in opened.dom


def test_a_browser_without_a_network_draws_it(page: str, browser: Callable[[str], Any]) -> None:
    opened = browser(page)
    assert opened.console == ()
    assert 'data-map="20 4 5"' in opened.dom
    assert opened.dom.count('class="leaflet-marker-icon mark mark-') >= 4 + 6
    assert 'class="leaflet-popup-content"' not in opened.dom


def card(dom: str) -> str:
    found = re.findall(r'<div class="leaflet-popup-content".*?</table>', dom)
    assert len(found) == 1
    return re.sub(r"<[^>]+>", " ", found[0])


def test_an_address_leads_to_a_case(page: str, browser: Callable[[str], Any]) -> None:
    opened = browser(page + "<script>location.hash = '#fault=2&case=2';</script>")
    assert opened.console == ()
    for told in ("单行陷阱", "way 2", "500 m", "未采用：只能进或只能出", "2 / 3"):
        assert told in card(opened.dom)


STEP_ON = """<script>
  for (let i = 0; i < 4; i++) $("[data-step=1]").trigger("click");
  document.documentElement.dataset.shown = $("[data-fault=1]").prop("checked");
</script>"""


def test_the_number_of_a_kind_leads_from_case_to_case_and_round_again(page: str, browser: Callable[[str], Any]) -> None:
    opened = browser(page + STEP_ON)
    assert opened.console == ()
    assert 'data-shown="true"' in opened.dom
    assert "1 / 3" in card(opened.dom)


CLICK_A_CASE = """<script>
  location.hash = "#fault=2&case=2";
  addEventListener("hashchange", function () {
    setTimeout(function () {
      map_map.closePopup();
      const at = map_map.latLngToContainerPoint(map_map.getCenter());
      const canvas = map_map.getPane("pick").querySelector("canvas");
      const place = { clientX: at.x + CLICK_X, clientY: at.y, bubbles: true };
      ["mousemove", "mousedown", "mouseup", "click"].forEach(function (kind) {
        canvas.dispatchEvent(new MouseEvent(kind, place));
      });
    }, 100);
  });
</script>"""


def test_a_click_on_a_case_tells_of_it(page: str, browser: Callable[[str], Any]) -> None:
    opened = browser(page + CLICK_A_CASE.replace("CLICK_X", "0"))
    assert "way 2" in card(opened.dom)


def test_a_city_without_faults_says_so(small_city: City, parse: Callable[[str], Any]) -> None:
    faults = city_faults(small_city)
    assert faults == []
    assert "没有 Nothing in it looks wrong." in parse(render_city_map(small_city, faults)).visible


def test_a_city_whose_cells_are_invalid_is_drawn(small_city: City, browser: Callable[[str], Any]) -> None:
    cells = small_city.grid.cells.copy()
    x0, y0, x1, y1 = cells.geometry[0].bounds
    cells.loc[0, "geometry"] = shapely.Polygon([(x0, y0), (x1, y1), (x1, y0), (x0, y1)])
    city = replace(small_city, grid=Grid(cells, small_city.grid.areas))
    faults = city_faults(city)
    assert "grid: invalid ring" in [fault.kind for fault in faults]
    opened = browser(render_city_map(city, faults))
    assert opened.console == ()
    assert f'data-map="20 4 {len(faults)}"' in opened.dom


def test_thousands_of_cases_stay_light(small_city: City) -> None:
    spots = np.array([X, Y]) + np.random.default_rng(1).uniform(0, 2800, (10_000, 2))
    many = case("crossings without a shared vertex", "taken for bridges", list(shapely.points(spots)), "feature")
    more = len(render_city_map(small_city, [many])) - len(render_city_map(small_city, []))
    assert more / len(many) < 45


def test_every_fault_of_a_grid_has_a_chinese_word() -> None:
    assert all(kind_term(f"grid: {kind.value}").zh for kind in Kind)


@pytest.mark.parametrize(
    ("kind", "zh"),
    [
        ("posts more than 100 m off the road", "驻点离道路超过 100 米"),
        ("sites at one spot", "场所位置重合"),
        ("ends of lines within 0.1 m of another line", "端点距另一条线不足 0.1 米"),
        ("no such kind", ""),
    ],
)
def test_kinds_with_a_number_or_a_layer_in_them_have_their_word(kind: str, zh: str) -> None:
    assert kind_term(kind) == (zh, kind)


def test_the_longest_beginning_says_what_was_done() -> None:
    assert done_term("left out").zh == "未采用"
    assert done_term("left out: the first one stays").zh == "未采用：保留第一条"
    assert done_term("draw cells there, or move them") == (
        "请补画网格或移动位置",
        "draw cells there, or move them",
    )
    assert done_term("no such deed") == ("", "no such deed")


def typed(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["city", "map", *arguments])
    return int(ended.value.code or 0)


def test_the_command_writes_the_page_of_a_saved_city(
    small_city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    replace(small_city, defects=defect_table([TRAPS, WHOLE], EPSG)).save(tmp_path / "small")
    assert typed("small") == 0
    assert capsys.readouterr().out.strip() == "small-map.html"
    data = data_of(Path("small-map.html").read_text("utf-8"))
    assert [(fault["en"], len(fault["label"])) for fault in data["faults"]] == [
        ("one-way traps", 3),
        ("no class column named", 1),
    ]
    assert typed("small", "--out", "maps/a.html", "--tiles") == 0
    assert "tile.openstreetmap.org" in Path("maps/a.html").read_text("utf-8")
    assert typed("small", "--out", "maps/a.html") == 0
    assert "tile.openstreetmap.org" not in Path("maps/a.html").read_text("utf-8")


def test_the_command_draws_the_demo_city(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, browser: Callable[[str], Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert typed("demo") == 0
    text = Path("demo-map.html").read_text("utf-8")
    opened = browser(text)
    assert opened.console == ()
    data = json.loads(re.findall(r'id="map-data">(.*?)</script>', text, re.DOTALL)[0])
    counts = (len(data["cells"]["name"]), len(data["posts"]), len(data["faults"]))
    assert 'data-map="{} {} {}"'.format(*counts) in opened.dom


def test_the_page_of_another_is_kept(
    small_city_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.html"
    mine.write_text("mine")
    assert typed(str(small_city_folder), "--out", str(mine)) == 2
    assert "did not write" in capsys.readouterr().err
    assert mine.read_text() == "mine"
    assert typed(str(small_city_folder), "--out", str(mine), "--force") == 0
    check_page(mine, force=False)
    for out, found in ((tmp_path / "map.png", "ends in .html"), (tmp_path, "ends in .html")):
        assert typed(str(small_city_folder), "--out", str(out)) == 2
        assert found in capsys.readouterr().err
    folder = tmp_path / "a.html"
    folder.mkdir()
    assert typed(str(small_city_folder), "--out", str(folder), "--force") == 2
    assert "a folder" in capsys.readouterr().err
