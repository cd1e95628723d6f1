"""A city small enough to reckon with by hand, and commands as typed, shared by the tests of all three floors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import settings

from geodata.city import City, Source
from geodata.grid import Grid, Level, RoadPieces
from geodata.network import OneWay, RoadClass, RoadNetwork, Streets, build_network
from geodata.positions import snap
from geodata.sites import Posts, Sites
from scenarios.cli import main

# no test is a matter of time: a busy machine is slow
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

EPSG = 4547
SIDE = 20
"""Junctions along each side."""
BLOCK_M = 150.0
CORNER_M = np.array([400_000.0, 3_120_000.0])
COLUMNS, ROWS = 5, 4
"""Cells."""
MARGIN_M = 60.0


@pytest.fixture(scope="session")
def small_city() -> City:
    """20 × 20 jittered junctions 150 m apart (EPSG:4547), 20 cells of 500 residents in two districts, three sites of
    each place class and four posts of capacity 3, 2, 1 and 1."""
    network = _network()
    grid = _grid()
    posts = _points([(350, 400), (2400, 500), (600, 2300), (2300, 2400)])
    return City(
        name="小城",
        name_en="Small City",
        network=network,
        grid=grid,
        pieces=_pieces(network, grid),
        sites=Sites(_sites()),
        posts=Posts(
            gpd.GeoDataFrame(
                {
                    "id": ["P01", "P02", "P03", "P04"],
                    "name": ["东风所", "解放所", "湘江警务室", "岳麓快警平台"],
                    "name_en": ["Dongfeng", "Jiefang", "Xiangjiang", "Yuelu"],
                    "kind": ["station", "station", "room", "platform"],
                    "capacity": [3, 2, 1, 1],
                },
                geometry=list(posts),
                crs=EPSG,
            ),
            snap(network, shapely.get_coordinates(posts))[0],
        ),
        areas=gpd.GeoDataFrame(
            {"kind": ["water", "park"]},
            geometry=[_box(-60, 1380, 2910, 1440), _box(160, 160, 290, 290)],
            crs=EPSG,
        ),
        sources=(Source(what="made for the tests"),),
    )


@pytest.fixture(scope="session")
def small_city_folder(small_city: City, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, saved."""
    folder = tmp_path_factory.mktemp("cities") / "small"
    small_city.save(folder)
    return folder


def _points(at_m: Sequence[tuple[float, float]]) -> np.ndarray:
    return np.asarray(shapely.points(CORNER_M + np.array(at_m)))


def _box(x0: float, y0: float, x1: float, y1: float) -> shapely.Polygon:
    x, y = CORNER_M
    return shapely.Polygon(shapely.box(x + x0, y + y0, x + x1, y + y1))


def _network() -> RoadNetwork:
    """Every fifth row and column is an arterial, every second of the rest a collector; the topmost row is one-way."""
    row, column = np.divmod(np.arange(SIDE * SIDE), SIDE)
    jitter = np.random.default_rng(135).uniform(-20, 20, (SIDE * SIDE, 2))
    xy = CORNER_M + BLOCK_M * np.stack([column, row], axis=1) + jitter
    node = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    along = [(node[r, c], node[r, c + 1], r) for r in range(SIDE) for c in range(SIDE - 1)]
    across = [(node[r, c], node[r + 1, c], c) for c in range(SIDE) for r in range(SIDE - 1)]
    start, end, line = np.array(along + across).T
    rank = np.where(line % 5 == 2, RoadClass.ARTERIAL, np.where(line % 2 == 0, RoadClass.COLLECTOR, RoadClass.LOCAL))
    one_way = np.where((np.arange(len(line)) < len(along)) & (line == SIDE - 1), OneWay.FORWARD, OneWay.NO)
    names = [f"{line + 1}横路" for *_, line in along] + [f"{line + 1}纵路" for *_, line in across]
    network, dropped = build_network(
        Streets(
            epsg=EPSG,
            start=start,
            end=end,
            one_way=one_way.astype(np.int8),
            road_class=rank.astype(np.uint8),
            speed_kmh=np.full(len(line), np.nan),
            name=names,
            shape_first=2 * np.arange(len(line) + 1),
            shape_xy_m=xy[np.stack([start, end], axis=1).reshape(-1)],
        )
    )
    assert not dropped
    return network


def _grid() -> Grid:
    """Cell G<row><column>; the western three columns are one district, the eastern two the other."""
    x = np.linspace(-MARGIN_M, (SIDE - 1) * BLOCK_M + MARGIN_M, COLUMNS + 1)
    y = np.linspace(-MARGIN_M, (SIDE - 1) * BLOCK_M + MARGIN_M, ROWS + 1)
    at = [(r, c) for r in range(ROWS) for c in range(COLUMNS)]
    cells = gpd.GeoDataFrame(
        {
            "code": [f"G{r}{c}" for r, c in at],
            "parent": ["W" if c < 3 else "E" for _, c in at],
            "name": [f"第{i + 1}网格" for i in range(len(at))],
            "name_en": [f"Grid {i + 1}" for i in range(len(at))],
            "residents": 500.0,
        },
        geometry=[_box(x[c], y[r], x[c + 1], y[r + 1]) for r, c in at],
        crs=EPSG,
    )
    areas = pd.DataFrame(
        {
            "code": ["C", "W", "E"],
            "parent": ["", "C", "C"],
            "level": [Level.CITY, Level.DISTRICT, Level.DISTRICT],
            "name": ["小城", "西区", "东区"],
            "name_en": ["Small City", "West", "East"],
        }
    )
    return Grid(cells, areas)


def _pieces(network: RoadNetwork, grid: Grid) -> RoadPieces:
    """Streets are straight and cells convex: each street has at most one piece in a cell."""
    street, cell = grid.tree.query(network.lines, predicate="intersects")
    inside = shapely.intersection(network.lines[street], grid.polygons[cell])
    ends = [shapely.line_locate_point(network.lines[street], shapely.get_point(inside, i)) for i in (0, -1)]
    from_m, to_m = np.minimum(*ends), np.maximum(*ends)
    some = to_m > from_m
    order = np.lexsort((from_m[some], street[some]))
    return RoadPieces(
        *(column[some][order] for column in (street.astype(np.int32), cell.astype(np.int32), from_m, to_m))
    )


def _sites() -> gpd.GeoDataFrame:
    at = [(300, 1900), (1500, 900), (2600, 2600), (900, 300), (1200, 2000), (2200, 1200), (200, 900), (1700, 2600)]
    at.append((2700, 300))
    return gpd.GeoDataFrame(
        {
            "id": [f"S{i + 1}" for i in range(9)],
            "name": ["火车站", "市政府", "水厂", "商业街", "中学", "医院", "公园", "小学", "菜场"],
            "name_en": [
                "Station",
                "City Hall",
                "Waterworks",
                "Shops",
                "School",
                "Hospital",
                "Park",
                "School",
                "Market",
            ],
            "kind": ["station", "government", "utility", "shops", "school", "hospital", "park", "school", "market"],
            "place_class": ["vital"] * 3 + ["key"] * 3 + ["general"] * 3,
        },
        geometry=list(_points(at)),
        crs=EPSG,
    )


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def patrol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Type a `patrol` command in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def typed(*words: object) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return Ended(int(ended.value.code or 0), shown.out, shown.err)

    return typed
