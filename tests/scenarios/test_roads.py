"""How a scenario's units travel: by their own driving rules, slowed by closures and weather of a while."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely

from dispatch.engine import simulate
from geodata.city import City
from geodata.crs import LONLAT, project
from geodata.errors import InputError
from scenarios.build import build_problem
from scenarios.roads import slowdowns_of, travel_of, travels_of
from scenarios.schema import Scenario

NOON = 12
MORNING = {"start": datetime(2026, 6, 1, 9), "end": datetime(2026, 6, 1, 11)}


def scenario(travel: Any = None, **parts: Any) -> Scenario:
    given = {"name": "test", "city": {"synthetic_seed": 1}, "run": {"days": 0.5}, "demand": {"incidents_per_day": 50}}
    return Scenario.model_validate(given | {"travel": travel or {}} | parts)


@pytest.fixture(scope="module")
def area(small_city: City) -> shapely.Polygon:
    """A square of some blocks, in degrees."""
    middle = small_city.network.node_xy_m.mean(axis=0)
    square = shapely.get_coordinates(shapely.box(*(middle - 200), *(middle + 200)))
    return shapely.Polygon(project(square, small_city.network.epsg, LONLAT))


def test_a_closure_holds_from_its_start_to_its_end(small_city: City, area: shapely.Polygon) -> None:
    closure = {"name": "flood", "area": area.wkt} | MORNING
    travel = travels_of(scenario({"closures": [closure]}), small_city)["obey_all"]
    assert list(travel.changes_s) == [3600, 10_800]
    shut = [np.isinf(travel.edge_time_s(travel.moment(9, at_s))).sum() for at_s in (0, 3600, 10_799, 10_800)]
    # some are one-way
    assert shut[0] == shut[3]
    assert shut[0] + 20 < shut[1] == shut[2] < shut[0] + 200
    # what reach and coverage show is the usual day
    assert not travel_of(scenario({"closures": [closure]}), small_city).changes_s


def test_an_area_may_be_a_file_and_be_in_another_datum(small_city: City, area: shapely.Polygon, tmp_path: Path) -> None:
    gpd.GeoDataFrame(geometry=[area], crs=LONLAT).to_file(tmp_path / "flood.gpkg")
    of_file = {"name": "a", "area": str(tmp_path / "flood.gpkg"), "factor": 0.5} | MORNING
    shifted = {"name": "b", "area": area.wkt, "crs": "GCJ-02"} | MORNING
    one, same, other = slowdowns_of(
        scenario({"closures": [of_file, {"name": "c", "area": area.wkt} | MORNING, shifted]}), small_city.network
    )
    assert one.edges.tolist() == same.edges.tolist()
    assert (one.factor, same.factor) == (0.5, 0.0)
    assert one.edges.tolist() != other.edges.tolist()


def test_weather_slows_every_road(small_city: City) -> None:
    travel = travels_of(scenario({"weather": [{"factor": 0.5} | MORNING]}), small_city)["obey_all"]
    dry, wet = (travel.edge_time_s(travel.moment(NOON, at_s)) for at_s in (0, 3600))
    np.testing.assert_allclose(wet, 2 * dry)


def test_each_kind_drives_by_its_own_rules_with_the_same_posts(small_city: City) -> None:
    groups = [{"name": kind, "kind": kind, "count": 1} for kind in ("patrol_car", "motorcycle", "foot_patrol")]
    asked = scenario({"journey_cv": 0.2}, units={"groups": groups, "siren": {"arterial": 1.4}})
    problem = build_problem(asked, small_city)
    assert set(problem.travel) == {"obey_all", "motorcycle", "foot"}
    assert problem.journey_cv == 0.2
    assert all(travel.anchors is problem.posts for travel in problem.travel.values())
    assert {travel.rules.siren[1] for travel in problem.travel.values()} == {1.4}
    assert problem.travel["foot"].rules.max_kmh == 4.5
    again = build_problem(asked, small_city, travels=dict(problem.travel))
    assert again.digest == problem.digest


@pytest.mark.parametrize(
    ("area_text", "place", "mend"),
    [
        ("POLYGON ((0.001 0.001, 0.002 0.001, 0.002 0.002, 0.001 0.001))", "travel.closures[0].area", "datum"),
        ("POLYGON ((1 1, 2 2", "travel.closures[0].area", "Such as POLYGON"),
        ("no-such-file.gpkg", "", "Check the path"),
    ],
)
def test_an_area_that_closes_nothing_is_refused(small_city: City, area_text: str, place: str, mend: str) -> None:
    with pytest.raises(InputError) as caught:
        build_problem(scenario({"closures": [{"name": "a", "area": area_text} | MORNING]}), small_city)
    assert caught.value.faults[0].place == place
    assert mend in caught.value.faults[0].mend


def test_weather_makes_the_journeys_of_its_hours_longer(small_city: City) -> None:
    dry, wet = (
        simulate(build_problem(scenario({"weather": weather}), small_city)).incidents
        for weather in ([], [{"factor": 0.5} | MORNING])
    )
    assert dry["received_s"].tolist() == wet["received_s"].tolist()
    within = dry["ordered_s"].between(3600, 10_000)
    late_s = (wet["arrived_s"] - dry["arrived_s"])[within]
    assert within.any()
    assert (late_s > 10).all()
