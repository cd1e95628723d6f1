"""The made city's sites and posts, in places where a planner would expect them."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import shapely
from shapely.geometry import Point, Polygon, box

from geodata.grid import Grid, Level
from geodata.network import Floats, RoadClass, RoadNetwork
from geodata.positions import snap
from geodata.sites import POST_COLUMNS, SITE_COLUMNS, Posts, Sites
from geodata.synthetic import plan as board
from geodata.synthetic.cells import bend
from geodata.synthetic.streams import EPSG, stream
from geodata.synthetic.warp import Warp

Row = tuple[str, str, str, str, Point | Polygon]
"""Chinese name, English name, kind, place class, place on the board."""
SCHOOLS = 44
SCHOOL_GAP_M = 620.0
SET_BACK_M = 35.0
"""How far a site stands from its road."""
STATIONS = 11
STATION_REACH_M = 1700.0
"""The residents within this distance count for a police station's place."""

VITAL: tuple[Row, ...] = (
    ("云江市人民政府", "Yunjiang City Government", "government", "vital", Point(-3350, 3420)),
    ("云江火车站", "Yunjiang Railway Station", "railway_station", "vital", Point(4960, 40)),
    ("云江南站", "Yunjiang South Railway Station", "railway_station", "vital", Point(3500, -5900)),
    ("云江机场航站楼", "Yunjiang Airport Terminal", "airport", "vital", Point(9000, 4640)),
    ("云江广播电视台", "Yunjiang Radio and Television", "broadcaster", "vital", Point(3450, 3300)),
    ("第一水厂", "First Waterworks", "waterworks", "vital", Point(-1000, 5200)),
    ("城东变电站", "Chengdong Substation", "power_plant", "vital", Point(6050, -4300)),
    ("云江热电厂", "Yunjiang Power Plant", "power_plant", "vital", Point(5750, -5600)),
    ("云江中心医院", "Yunjiang Central Hospital", "hospital", "vital", Point(2080, -820)),
    ("云江通信枢纽", "Yunjiang Telecom Hub", "telecom_hub", "vital", Point(1330, 1480)),
    ("中心金库", "Central Vault", "bank_vault", "vital", Point(80, 90)),
    ("云江市公安指挥中心", "Yunjiang Police Command Centre", "police_headquarters", "vital", Point(2750, -60)),
)
KEY: tuple[Row, ...] = (
    ("钟楼商业街", "Zhonglou Shopping Street", "shopping_street", "key", box(480, -1150, 720, -90)),
    ("五一广场", "Wuyi Plaza", "plaza", "key", box(420, -80, 780, 130)),
    ("滨江新天地", "Binjiang Xintiandi", "shopping_street", "key", box(-1080, -620, -880, 260)),
    ("云顶商城", "Yunding Mall", "shopping_mall", "key", Point(3330, -1620)),
    ("星湾广场", "Xingwan Plaza", "plaza", "key", box(-3160, 2560, -2840, 2900)),
    ("书院路美食街", "Shuyuan Food Street", "shopping_street", "key", box(-3290, -3300, -3130, -2600)),
    ("云江大学", "Yunjiang University", "university", "key", box(-3150, -2900, -1960, -700)),
    ("云江理工学院", "Yunjiang Institute of Technology", "university", "key", box(4120, -2950, 4760, -2250)),
    ("云麓山景区", "Yunlu Hill Scenic Area", "scenic_area", "key", Point(-3560, -560)),
    ("橙洲公园", "Chengzhou Island Park", "scenic_area", "key", Point(board.RIVER_X_M, 380)),
    ("东湖公园", "Donghu Lake Park", "scenic_area", "key", Point(4960, -2500)),
    ("云江体育中心", "Yunjiang Sports Centre", "stadium", "key", box(-4420, 3900, -3980, 4300)),
    ("城北批发市场", "Chengbei Wholesale Market", "market", "key", Point(1300, 4600)),
    ("南门菜市场", "Nanmen Market", "market", "key", Point(60, -1620)),
    ("高桥建材市场", "Gaoqiao Building Market", "market", "key", Point(4780, 2900)),
    ("河西农贸市场", "Hexi Farmers' Market", "market", "key", Point(-5000, -3260)),
    ("儿童医院", "Children's Hospital", "hospital", "key", Point(1900, 3060)),
    ("河西医院", "Hexi Hospital", "hospital", "key", Point(-3120, 1180)),
    ("城南医院", "Chengnan Hospital", "hospital", "key", Point(660, -4180)),
    ("东湖医院", "Donghu Hospital", "hospital", "key", Point(6160, -900)),
    ("汽车东站", "East Coach Station", "coach_station", "key", Point(6900, 90)),
    ("汽车西站", "West Coach Station", "coach_station", "key", Point(-6500, 90)),
)
METRO: tuple[Row, ...] = tuple(
    (f"{zh}地铁站", f"{en} Metro Station", "metro_station", "key", Point(x, y))
    for zh, en, x, y in (
        ("云西", "Yunxi", -5800, 0),
        ("麓山门", "Lushanmen", -4500, 0),
        ("书院路", "Shuyuan Road", -3200, 0),
        ("滨江西", "Binjiang West", -1880, 0),
        ("钟楼", "Zhonglou", 600, 0),
        ("东门", "Dongmen", 2000, 0),
        ("文化宫", "Cultural Palace", 3400, 0),
        ("火车站", "Railway Station", 4850, 0),
        ("东湖北", "Donghu North", 6250, 0),
        ("城南", "Chengnan", 600, -4900),
        ("南湖大道", "Nanhu Avenue", 600, -3350),
        ("南门", "Nanmen", 600, -1700),
        ("北门", "Beimen", 600, 1550),
        ("长虹", "Changhong", 600, 3150),
        ("城北", "Chengbei", 600, 4700),
    )
)
PLATFORMS = (
    ("五一广场快警平台", "Wuyi Plaza Quick Police Platform", Point(690, 60), 3),
    ("火车站快警平台", "Railway Station Quick Police Platform", Point(4800, -90), 3),
    ("滨江快警平台", "Binjiang Quick Police Platform", Point(-1080, -420), 2),
    ("星湾广场快警平台", "Xingwan Plaza Quick Police Platform", Point(-3080, 2950), 2),
    ("大学城快警平台", "University Town Quick Police Platform", Point(-3170, -2500), 2),
)
STANDBY = (
    ("机场屯警点", "Airport Standby Point", Point(8860, 4400), 1),
    ("南站屯警点", "South Station Standby Point", Point(3440, -5800), 1),
    ("市政府屯警点", "City Government Standby Point", Point(-3260, 3300), 1),
    ("东湖屯警点", "Donghu Standby Point", Point(4850, -2300), 1),
)


def make_sites(warp: Warp, network: RoadNetwork, grid: Grid, seed: int) -> Sites:
    """Vital sites, key areas and schools; those given as points stand beside a road."""
    rows = [*VITAL, *KEY, *METRO]
    shapes = [bend(row[4], warp) for row in rows]
    is_point = np.array([isinstance(shape, Point) for shape in shapes])
    points = np.array([shape.centroid.coords[0] for shape in shapes])
    points[is_point] = _beside(network, points[is_point])
    placed = [shape if not flat else Point(xy) for shape, flat, xy in zip(shapes, is_point, points, strict=True)]
    schools = _beside(network, _school_places(network, grid, seed))
    for i, (xy, (chinese, english)) in enumerate(
        zip(schools, _area_stems(grid, schools, Level.COMMUNITY), strict=True)
    ):
        kind, kind_en = ("中学", "Middle School") if i % 3 == 0 else ("小学", "Primary School")
        if any(row[0] == chinese + kind for row in rows):
            kind, kind_en = f"第二{kind}", f"No. 2 {kind_en}"
        rows.append((chinese + kind, f"{english} {kind_en}", "school", "key", Point(xy)))
        placed.append(Point(xy))
    table = gpd.GeoDataFrame(
        [(f"S{i:03d}", *row[:4], shape) for i, (row, shape) in enumerate(zip(rows, placed, strict=True), start=1)],
        columns=list(SITE_COLUMNS),
        geometry="geometry",
        crs=EPSG,
    )
    return Sites(table)


def _beside(network: RoadNetwork, xy: Floats) -> Floats:
    """The places moved to `SET_BACK_M` from their nearest street, on the side where they were."""
    positions, away_m = snap(network, xy)
    street = network.street[positions.edge]
    line = network.lines[street]
    at = shapely.get_coordinates(
        shapely.line_interpolate_point(line, shapely.line_locate_point(line, shapely.points(xy)))
    )
    aside = (xy - at) / np.maximum(away_m, 1e-9)[:, None]
    aside = np.where(away_m[:, None] < 0.5, (1.0, 0.0), aside)
    moved: Floats = at + SET_BACK_M * aside
    return moved


def _area_stems(grid: Grid, xy: Floats, level: Level) -> list[tuple[str, str]]:
    """The names, without their kind, of the areas of a level that the places lie in."""
    english = dict(zip(grid.areas["name"], grid.areas["name_en"], strict=True))
    found = grid.ancestor(level).to_numpy()[grid.locate(xy)]
    return [(name[:2], english[name].rsplit(" ", 1)[0]) for name in found]


def _school_places(network: RoadNetwork, grid: Grid, seed: int) -> Floats:
    """On small streets, more where more people live, none close to the next."""
    rng = stream(seed, "schools")
    small = network.lines[network.street_class >= RoadClass.COLLECTOR]
    middle = shapely.get_coordinates(shapely.line_interpolate_point(small, 0.5, normalized=True)) + np.array(
        [12.0, 12.0]
    )
    cell = grid.locate(middle)
    streets_in = np.bincount(cell[cell >= 0], minlength=len(grid))
    weight = np.where(cell >= 0, (grid.cells["residents"].to_numpy() / np.maximum(streets_in, 1))[cell], 0)
    order = rng.choice(len(middle), size=len(middle) // 2, replace=False, p=weight / weight.sum())
    chosen: list[int] = []
    for i in order.tolist():
        if all(np.hypot(*(middle[i] - middle[j])) > SCHOOL_GAP_M for j in chosen):
            chosen.append(i)
        if len(chosen) == SCHOOLS:
            break
    places: Floats = middle[chosen]
    return places


def make_posts(warp: Warp, network: RoadNetwork, grid: Grid) -> Posts:
    """Platforms and standby points by the busiest places, police stations where most residents are not yet near."""
    rows = [(zh, en, "quick_police_platform", capacity, at) for zh, en, at, capacity in PLATFORMS]
    rows += [(zh, en, "standby_point", capacity, at) for zh, en, at, capacity in STANDBY]
    fixed = warp(np.array([row[4].coords[0] for row in rows]))
    stations = _station_places(grid, fixed)
    rows += [
        (f"{chinese}派出所", f"{english} Police Station", "police_station", 2, Point())
        for chinese, english in _area_stems(grid, stations, Level.SUBDISTRICT)
    ]
    positions, _ = snap(network, np.r_[fixed, stations])
    line = network.lines[network.street[positions.edge]]
    at = shapely.line_interpolate_point(line, shapely.line_locate_point(line, shapely.points(np.r_[fixed, stations])))
    table = gpd.GeoDataFrame(
        [(f"P{i:02d}", *row[:4], xy) for i, (row, xy) in enumerate(zip(rows, at, strict=True), start=1)],
        columns=list(POST_COLUMNS),
        geometry="geometry",
        crs=EPSG,
    )
    return Posts(table, positions)


def _station_places(grid: Grid, fixed: Floats) -> Floats:
    """One after the other, the cell with the most residents near that no post serves yet."""
    centre = shapely.get_coordinates(shapely.point_on_surface(grid.polygons))
    away_m = np.hypot(*(centre[:, None] - centre[None]).transpose(2, 0, 1))
    served_m = np.hypot(*(centre[:, None] - fixed[None]).transpose(2, 0, 1)).min(axis=1)
    residents = grid.cells["residents"].to_numpy(float)
    chosen: list[int] = []
    for _ in range(STATIONS):
        unserved = residents * np.clip(served_m / STATION_REACH_M - 0.6, 0, 1)
        gain = np.exp(-((away_m / STATION_REACH_M) ** 2)) @ unserved
        best = int(np.argmax(gain))
        chosen.append(best)
        served_m = np.minimum(served_m, away_m[best])
    return centre[chosen]
