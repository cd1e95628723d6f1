"""How a scenario's units travel: speeds by hour, driving rules, closures and weather."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from shapely.errors import ShapelyError

from geodata.city import City
from geodata.crs import LONLAT, parse_declared
from geodata.driving import RULES, DrivingRules
from geodata.errors import Fault, InputError, plain
from geodata.network import RoadClass, RoadNetwork
from geodata.readers.coordinates import placed
from geodata.readers.vector import POLYGONS, open_layer, to_projected
from geodata.routing import RoadTravel
from geodata.speeds import GivenTimes, Slowdown, SpeedProfile, Speeds, edges_inside, weekly_kmh
from scenarios.kinds import kinds_used, main_kind
from scenarios.schema import Scenario
from scenarios.schema.roads import ClosurePart, is_wkt

Travels = dict[str, RoadTravel]
"""By driving rules."""


def speeds_of(scenario: Scenario) -> Speeds:
    """The scenario's speeds by hour of the week: peak on working days, faster by a factor at night; or the tables of
    times that the roads bring."""
    part = scenario.speeds
    off_peak, peak = (
        tuple(float(getattr(table, c.name.lower())) for c in RoadClass) for table in (part.off_peak_kmh, part.peak_kmh)
    )
    profile = SpeedProfile(weekly_kmh(off_peak, peak, part.night_factor), off_peak)
    if part.given_peak is None or part.given_off_peak is None:
        return profile
    return GivenTimes.peak_and_off_peak(part.given_peak, part.given_off_peak, profile)


def rules_of(scenario: Scenario, driving: str | None = None) -> DrivingRules:
    """What units do on their way to an incident, by the name of their rules; None: those of the main kind."""
    siren = tuple(getattr(scenario.units.siren, c.name.lower()) for c in RoadClass)
    part = scenario.speeds
    rules = RULES[main_kind(scenario).driving if driving is None else driving]
    return replace(rules, siren=siren, junction_s=part.junction_s, u_turn_s=part.u_turn_s)


def travel_of(scenario: Scenario, city: City) -> RoadTravel:
    """Travel times of the main kind of units at any time, with those from the city's posts kept: closures and weather
    set aside."""
    return RoadTravel(city.network, speeds_of(scenario), city.posts.positions, rules=rules_of(scenario))


def travels_of(scenario: Scenario, city: City) -> Travels:
    """Travel times by the driving rules of the scenario's units, with closures and weather.

    Raises:
        InputError: an area that cannot be read, or that touches no road.
    """
    speeds, slowdowns = speeds_of(scenario), tuple(slowdowns_of(scenario, city.network))
    return {
        driving: RoadTravel(
            city.network, speeds, city.posts.positions, rules=rules_of(scenario, driving), slowdowns=slowdowns
        )
        for driving in dict.fromkeys(kind.driving for kind in kinds_used(scenario))
    }


def slowdowns_of(scenario: Scenario, network: RoadNetwork) -> Iterator[Slowdown]:
    """Closures and weather in seconds of the run."""

    def second(at: datetime) -> float:
        return (at - scenario.run.start).total_seconds()

    for number, part in enumerate(scenario.travel.closures):
        place = f"travel.closures[{number}].area"
        edges = edges_inside(network, _area(part, network, scenario, place))
        if not len(edges):
            mend = "Check its place, and its datum (`crs`)."
            raise InputError(
                Fault(f"scenario {scenario.name}", place, f"no road inside {part.name}", "some roads to close", mend)
            )
        yield Slowdown(
            name=part.name, edges=edges, from_s=second(part.start), until_s=second(part.end), factor=part.factor
        )
    every = np.arange(network.n_edges, dtype=np.int32)
    for spell in scenario.travel.weather:
        yield Slowdown(
            name=spell.name, edges=every, from_s=second(spell.start), until_s=second(spell.end), factor=spell.factor
        )


def _area(part: ClosurePart, network: RoadNetwork, scenario: Scenario, place: str) -> shapely.Geometry:
    if not is_wkt(part.area):
        table = open_layer(Path(part.area), POLYGONS, crs=part.crs)
    else:
        source = f"scenario {scenario.name}"
        try:
            shape = shapely.from_wkt(part.area)
        except ShapelyError as error:
            mend = "Such as POLYGON ((112.98 28.19, 112.99 28.19, 112.99 28.20, 112.98 28.19))."
            raise InputError(Fault(source, place, plain(error), "a POLYGON as WKT", mend)) from error
        declared = parse_declared(part.crs or LONLAT, source)
        table = placed(gpd.GeoDataFrame(geometry=[shape]), declared, source, lambda _: place)
    area: shapely.Geometry = to_projected(table, network.epsg).geometry.union_all()
    return area
