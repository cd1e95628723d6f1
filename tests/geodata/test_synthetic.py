"""The demo city holds what a planner expects of a city, and the same seed makes it again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geodata.city import City
from geodata.grid import Level
from geodata.network import RoadClass, Streets
from geodata.positions import locate
from geodata.synthetic import demo_city, made_network, streets
from geodata.synthetic.plan import RIVER_X_M, draw_plan
from geodata.synthetic.warp import Warp

OTHER_SEED = 7


@pytest.fixture(scope="module")
def city() -> City:
    return demo_city()


@pytest.fixture(scope="module", params=["demo", "other seed"])
def any_city(request: pytest.FixtureRequest, city: City) -> City:
    return city if request.param == "demo" else demo_city(OTHER_SEED)


def test_the_city_has_the_size_that_it_promises(any_city: City) -> None:
    level = any_city.grid.areas["level"].value_counts()
    assert 8_000 <= any_city.network.n_nodes <= 12_000
    assert level["city"] == 1
    assert level["district"] == 5
    assert 400 <= len(any_city.grid) <= 600
    assert level["district"] < level["subdistrict"] < level["community"] < len(any_city.grid)
    assert any_city.grid.cells["residents"].sum() == pytest.approx(1_150_000, abs=500)
    west, south, east, north = any_city.grid.cells.total_bounds
    assert 12_000 < east - west < 15_000
    assert 12_000 < north - south < 15_000


def test_sites_and_posts_are_there_in_the_promised_numbers(any_city: City) -> None:
    sites = any_city.sites.table
    school = sites["kind"] == "school"
    assert sites["id"].is_unique
    assert sites["name"].is_unique
    assert 8 <= (sites["place_class"] == "vital").sum() <= 14
    assert 20 <= ((sites["place_class"] == "key") & ~school).sum() <= 40
    assert 30 <= school.sum() <= 60
    assert {"government", "railway_station", "airport", "hospital", "metro_station"} <= set(sites["kind"])
    assert 12 <= len(any_city.posts) <= 20
    assert any_city.posts.table["capacity"].between(1, 3).all()
    assert any_city.posts.table["name"].is_unique


def test_every_post_and_point_site_stands_by_a_road(any_city: City) -> None:
    posts, sites = any_city.posts, any_city.sites.table
    at = shapely.get_coordinates(posts.table.geometry.array)
    assert np.hypot(*(locate(any_city.network, posts.positions) - at).T).max() < 100
    point = sites.geometry[sites.geometry.geom_type == "Point"].to_numpy()
    _, away_m = any_city.network.tree.query_nearest(point, return_distance=True, all_matches=False)
    assert away_m.max() < 100


def test_cells_fill_the_city_without_gap_or_overlap(any_city: City) -> None:
    polygons = any_city.grid.polygons
    whole = shapely.union_all(polygons)
    assert shapely.coverage_is_valid(polygons)
    assert shapely.area(polygons).sum() == pytest.approx(shapely.area(whole), rel=1e-9)
    water = any_city.areas.geometry[any_city.areas["kind"] == "water"].to_numpy()
    filled = shapely.union_all([whole, *shapely.buffer(water, 0.01)])
    assert shapely.get_num_geometries(filled) == 1
    assert sum(shapely.area(shapely.polygons(ring)) for ring in shapely.get_parts(filled)[0].interiors) < 10.0


def test_every_cell_climbs_to_the_city(any_city: City) -> None:
    grid = any_city.grid
    parent = dict(zip(grid.areas["code"], grid.areas["parent"], strict=True))
    assert grid.cells["code"].is_unique
    assert grid.cells["name"].is_unique
    for code, community in zip(grid.cells["code"], grid.cells["parent"], strict=True):
        assert len(code) == 14
        assert code.isdigit()
        assert [code[:12], code[:9], code[:6]] == [community, parent[community], parent[parent[community]]]
        assert parent[parent[code[:6]]] == ""
    for level in Level:
        named = grid.areas[grid.areas["level"] == level]
        assert named["name"].is_unique
        assert (grid.ancestor(level) != "").all()


def test_a_district_is_one_region(any_city: City) -> None:
    # the parts that the brook or the river cut off lie within its width
    for district in any_city.grid.outlines(Level.DISTRICT).geometry:
        near = shapely.buffer(district, 320)
        assert shapely.get_num_geometries(near) == 1


def test_only_main_roads_cross_the_water_and_they_do_cross_it(any_city: City) -> None:
    network = any_city.network
    water = any_city.areas[any_city.areas["kind"] == "water"].set_index("name").geometry
    river, lake = water["云江 Yun River"], water["东湖 Donghu Lake"]
    bridge = shapely.intersects(network.lines, river)
    assert set(network.street_class[bridge]) == {RoadClass.EXPRESSWAY, RoadClass.ARTERIAL}
    assert bridge.sum() >= 5
    assert not shapely.intersects(network.lines, lake).any()


def test_small_streets_keep_out_of_parks_and_the_airport(city: City) -> None:
    network = city.network
    closed = city.areas[city.areas["kind"].isin(["park", "airport"])].geometry.buffer(-10)
    small = network.street_class >= RoadClass.COLLECTOR
    inside = network.lines[small][shapely.intersects(network.lines[small], closed.union_all())]
    names = {network.names[network.street_name[i]] for i in np.flatnonzero(small) if network.lines[i] in set(inside)}
    assert names == {"洲心路 Zhouxin Road"}, "only the island's own road runs in a park"


def test_streets_meet_at_junctions_and_cross_nowhere_else(any_city: City) -> None:
    network = any_city.network
    ground = np.flatnonzero(network.street_class != RoadClass.EXPRESSWAY)
    lines = network.lines[ground]
    crossing, _ = shapely.STRtree(lines).query(lines, predicate="crosses")
    assert len(crossing) == 0


def test_streets_curve_and_carry_names_in_two_languages(city: City) -> None:
    network = city.network
    points = np.diff(network.shape_first)
    assert (points > 2).mean() > 0.2
    steps = np.hypot(*np.diff(network.shape_xy_m, axis=0).T)
    within = np.ones(len(steps), bool)
    within[network.shape_first[1:-1] - 1] = False
    assert steps[within].max() < 1500
    main = network.street_class <= RoadClass.ARTERIAL
    names = [network.names[i] for i in np.unique(network.street_name[main])]
    assert all(any("一" <= c <= "鿿" for c in name) and " " in name for name in names)
    assert {"云江大道 Yunjiang Avenue", "云江绕城高速 Yunjiang Ring Expressway"} <= set(names)
    assert np.isin(network.street_class, list(RoadClass)).all()
    assert 0.02 < (network.twin < 0).mean() < 0.15, "some streets are one-way"


def test_nearly_nothing_is_dropped_for_want_of_a_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []
    build = streets.build_network

    def listening(raw: Streets) -> object:
        network, dropped = build(raw)
        told.append(sum(item.length_m for item in dropped))
        return network, dropped

    monkeypatch.setattr(streets, "build_network", listening)
    network, _ = streets.make_network(draw_plan(135), Warp.draw(135, RIVER_X_M), 135)
    assert told[0] < 0.02 * network.street_length_m.sum()


def test_the_same_seed_makes_the_same_city(city: City) -> None:
    again, other = demo_city(), demo_city(OTHER_SEED)
    assert again.network.digest == city.network.digest
    assert again.grid.cells.equals(city.grid.cells)
    assert again.grid.areas.equals(city.grid.areas)
    assert again.sites.table.equals(city.sites.table)
    assert again.posts.table.equals(city.posts.table)
    assert other.network.digest != city.network.digest
    assert "seed 135" in str(city.sources[0])
    assert "invented" in str(city.sources[0])


def test_the_city_is_saved_and_loaded_whole(city: City, tmp_path: Path) -> None:
    city.save(tmp_path / "city")
    loaded = City.load(tmp_path / "city")
    assert loaded.network.digest == city.network.digest
    assert loaded.grid.cells["code"].tolist() == city.grid.cells["code"].tolist()
    assert loaded.posts.table["name"].tolist() == city.posts.table["name"].tolist()
    assert loaded.areas["kind"].tolist() == city.areas["kind"].tolist()
    assert loaded.sources == city.sources


def test_the_bend_of_the_drawing_board_can_be_undone() -> None:
    warp = Warp.draw(OTHER_SEED, RIVER_X_M)
    xy = np.stack(np.meshgrid(np.linspace(-12e3, 12e3, 40), np.linspace(-12e3, 12e3, 40)), -1).reshape(-1, 2)
    np.testing.assert_allclose(warp.inverse(warp(xy)), xy, atol=1.0)


@pytest.mark.parametrize("n_nodes", [2, 10, 5_000])
def test_a_made_network_is_strongly_connected_and_of_the_asked_size(n_nodes: int) -> None:
    network = made_network(3, n_nodes)
    links = coo_array(
        (np.ones(network.n_open), (network.tail[: network.n_open], network.head[: network.n_open])),
        shape=(n_nodes, n_nodes),
    )
    parts, _ = connected_components(links, directed=True, connection="strong")
    assert network.n_nodes == n_nodes
    assert parts == 1
    assert made_network(3, n_nodes).digest == network.digest
    assert made_network(4, n_nodes).digest != network.digest


def test_a_large_made_network_has_the_mix_of_a_city() -> None:
    network = made_network(1, 20_000)
    share = np.bincount(network.street_class, minlength=4) / network.n_streets
    assert 2.3 < network.n_open / network.n_nodes < 2.7
    assert (share > 0.02).all()
    assert share[RoadClass.LOCAL] > 0.45
    assert 0.03 < (network.twin < 0).mean() < 0.3


def test_a_network_needs_two_nodes() -> None:
    with pytest.raises(ValueError, match="expected at least 2"):
        made_network(1, 1)
