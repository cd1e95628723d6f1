"""Forms of patrol: where they go and how long they stay, and timelines that follow the roads and are never faster."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.patrol import Patrol, presence
from dispatch.policies.ground import FAR_M, Ground, Stop, places_in, timeline
from dispatch.policies.patrolling import (
    FORMS,
    Patroller,
    Weight,
    checks,
    guard,
    hot_spots,
    make_patrol,
    roaming,
    route,
    short_tour,
)
from geodata.city import City
from geodata.crs import LONLAT, project
from geodata.driving import RULES
from geodata.errors import InputError
from geodata.network import RoadNetwork
from geodata.positions import Position, Positions, locate
from geodata.routing import RoadTravel
from geodata.speeds import Slowdown
from geodata.travel import NoWayError

HOUR_S = 3600.0
REFERENCE = Path(__file__).parents[1] / "geodata" / "reference.py"


def hard_network(rng: np.random.Generator, n: int) -> RoadNetwork:
    spec = importlib.util.spec_from_file_location("hard_networks", REFERENCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network: RoadNetwork = module.hard_network(rng, n)
    return network


class RoadsOnly:
    """What timelines need of a city."""

    def __init__(self, network: RoadNetwork) -> None:
        self.network = network


def some_positions(network: RoadNetwork, rng: np.random.Generator, n: int) -> list[Position]:
    """Some of them at the ends of their edges."""
    edge = rng.integers(0, network.n_open, n).astype(np.int32)
    share = np.where(rng.random(n) < 0.3, rng.integers(0, 2, n), rng.random(n))
    return list(Positions(edge, share * network.length_m[edge]))


def xy(network: RoadNetwork, at: Position) -> np.ndarray:
    return locate(network, Positions(np.array([at.edge]), np.array([at.offset_m])))[0]


@pytest.fixture(scope="module")
def ground(small_city: City) -> Ground:
    return Ground(city=small_city, travel=RoadTravel(small_city.network, anchors=small_city.posts.positions))


@pytest.fixture(scope="module")
def who(small_city: City) -> Patroller:
    return Patroller(unit="U1", home=small_city.posts.positions[0], seed=135)


@pytest.fixture(scope="module")
def east(small_city: City) -> np.ndarray:
    return (small_city.grid.cells["parent"] == "E").to_numpy()


def first(stops: Iterable[Stop], n: int) -> list[Stop]:
    return list(itertools.islice(stops, n))


def cells_of(city: City, stops: Iterable[Stop]) -> np.ndarray:
    return city.grid.locate(np.array([xy(city.network, stop.at) for stop in stops]))


# timelines


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), kmh=st.sampled_from([4.5, 15.0, 20.0, 90.0]), rules=st.sampled_from(list(RULES)))
def test_a_timeline_follows_the_roads_from_the_post_to_each_stop_and_home_and_is_never_faster_than_they_allow(
    seed: int, kmh: float, rules: str
) -> None:
    rng = np.random.default_rng(seed)
    network = hard_network(rng, int(rng.integers(4, 25)))
    travel = RoadTravel(network, rules=RULES[rules])
    ground: Any = Ground(city=RoadsOnly(network), travel=travel, kmh=kmh)  # type: ignore[arg-type]
    home, *places = some_positions(network, rng, int(rng.integers(2, 8)))
    stops = [Stop(at, float(rng.choice([0.0, 60.0]))) for at in places]
    patrol = timeline("any", home, [*stops, Stop(places[0], 5.0)], ground)

    begins = [Position(int(e), s * network.length_m[e]) for e, s in zip(patrol.edge, patrol.from_share, strict=True)]
    ends = [Position(int(e), s * network.length_m[e]) for e, s in zip(patrol.edge, patrol.to_share, strict=True)]
    for before, after in itertools.pairwise(range(len(begins))):
        np.testing.assert_allclose(xy(network, ends[before]), xy(network, begins[after]), atol=1e-6)
    for at in (begins[0], ends[-1]):
        np.testing.assert_allclose(xy(network, at), xy(network, home), atol=1e-6)

    time_s, share = np.diff(patrol.until_s, prepend=0.0), patrol.to_share - patrol.from_share
    slowest_s = np.max([travel.calm.edge_time_s(hour)[patrol.edge] for hour in range(168)], axis=0)
    drives = share > 0
    assert (share >= 0).all()
    assert (time_s[drives] >= share[drives] * slowest_s[drives] - 1e-6).all()
    assert (time_s[drives] >= share[drives] * network.length_m[patrol.edge[drives]] / (kmh / 3.6) - 1e-6).all()
    stays_s = [stop.stay_s for stop in stops if stop.stay_s] + [5.0]
    np.testing.assert_allclose(time_s[~drives], stays_s)
    shortest_s = sum(
        travel.calm.route(a, b, 10).time_s for a, b in itertools.pairwise([home, *places, places[0], home])
    )
    assert patrol.length_s >= shortest_s + sum(stays_s) - 1e-6


@pytest.mark.parametrize("form", ["roaming", "hot_spots"])
def test_it_moves_without_jumps_also_from_its_end_to_its_beginning(form: str, ground: Ground, who: Patroller) -> None:
    patrol, network = make_patrol(form, ground, who), ground.city.network
    speed_m_s = ground.kmh / 3.6
    phases_s = np.random.default_rng(1).uniform(0, 2 * patrol.length_s, 300)
    for phase_s in [*phases_s.tolist(), patrol.length_s - 5]:
        one, other = (xy(network, patrol.at(at_s, network.length_m)) for at_s in (phase_s, phase_s + 10))
        assert np.hypot(*(one - other)) <= 10 * speed_m_s * 1.05


def test_a_patrol_is_as_slow_as_the_slowest_hour_of_the_week(small_city: City) -> None:
    travel = RoadTravel(small_city.network)
    ground = Ground(city=small_city, travel=travel, kmh=50.0)
    n = small_city.network.n_open
    peak_s = travel.edge_time_s(8)[:n]
    assert (peak_s > travel.edge_time_s(10)[:n]).all()
    np.testing.assert_allclose(ground.edge_s[:n], np.maximum(peak_s, small_city.network.length_m[:n] / (50 / 3.6)))


def test_slow_downs_count_where_their_moments_are_named_and_closures_never_do(small_city: City) -> None:
    edges = np.arange(4, dtype=np.int32)
    slowdowns = (
        Slowdown(name="snow", edges=edges[:2], from_s=0.0, until_s=100.0, factor=0.1),
        Slowdown(name="flood", edges=edges[2:], from_s=0.0, until_s=100.0),
    )
    travel = RoadTravel(small_city.network, slowdowns=slowdowns)
    hours = Ground(city=small_city, travel=travel).edge_s
    ground = Ground(city=small_city, travel=travel, moments=[10, travel.moment(10, 50.0)])
    np.testing.assert_allclose(ground.edge_s[:2], travel.edge_time_s(10)[:2] * 10)
    assert (ground.edge_s[2:4] <= hours[2:4]).all()


def test_a_way_that_is_closed_at_the_moment_of_planning_is_told(small_city: City) -> None:
    network = small_city.network
    every = np.arange(network.n_edges, dtype=np.int32)
    travel = RoadTravel(network, slowdowns=[Slowdown(name="flood", edges=every, from_s=0.0, until_s=100.0)])
    ground = Ground(city=small_city, travel=travel, hour=travel.moment(10, 50.0))
    home, there = small_city.posts.positions[0], small_city.posts.positions[1]
    with pytest.raises(NoWayError):
        timeline("any", home, [Stop(there)], ground)
    with pytest.raises(NoWayError):
        ground.way_s(small_city.posts.positions)


def test_who_may_drive_against_one_way_streets_in_a_hurry_does_not_on_patrol(small_city: City) -> None:
    network = small_city.network
    ground = Ground(city=small_city, travel=RoadTravel(network, rules=RULES["emergency"]))
    one_way = np.flatnonzero(network.one_way[network.street[: network.n_open]])
    stops = [Stop(Position(int(edge), 0.5 * network.length_m[edge])) for edge in one_way]
    patrol = timeline("any", small_city.posts.positions[0], stops[::-1], ground)
    assert (patrol.edge < network.n_open).all()


def test_a_patrol_that_goes_nowhere_is_refused(ground: Ground, who: Patroller) -> None:
    with pytest.raises(ValueError, match="patrol nowhere"):
        timeline("nowhere", who.home, [Stop(who.home)], ground)


def test_a_patrol_at_no_speed_is_refused(ground: Ground) -> None:
    with pytest.raises(ValueError, match="0 km/h"):
        Ground(city=ground.city, travel=ground.travel, kmh=0.0)


# forms


def test_a_route_is_driven_round_by_its_waypoints(ground: Ground, who: Patroller) -> None:
    patrol = make_patrol("route", ground, who, {"waypoints": ["S1", "P04", "S9"], "stay_minutes": 2.0})
    network, places = ground.city.network, places_in(ground.city, ["S1", "P04", "S9"], "")
    stays = np.flatnonzero(patrol.to_share == patrol.from_share)
    for stay, at in zip(stays, places, strict=True):
        assert patrol.until_s[stay] - patrol.until_s[stay - 1] == pytest.approx(120.0)
        middle_s = (patrol.until_s[stay] + patrol.until_s[stay - 1]) / 2
        np.testing.assert_allclose(xy(network, patrol.at(middle_s, network.length_m)), xy(network, at), atol=1e-6)
    assert patrol.again
    assert patrol.length_s < HOUR_S


def test_roaming_fills_the_shift_and_does_not_repeat_within_it(ground: Ground, who: Patroller) -> None:
    patrol = make_patrol("roaming", ground, who)
    assert who.shift_s <= patrol.length_s < who.shift_s + HOUR_S
    assert patrol.again
    assert patrol.km_per_hour(ground.city.network.length_m) == pytest.approx(17.5, abs=2.5)


def test_roaming_goes_to_cells_by_their_weight(ground: Ground, who: Patroller) -> None:
    stops = first(roaming(ground, who, weight={"G00": 3.0, "G34": 1.0}), 2_000)
    cells = np.bincount(cells_of(ground.city, stops), minlength=20)
    assert cells[0] + cells[19] == 2_000
    # 3.5 standard deviations of a binomial
    assert abs(cells[0] - 1_500) < 3.5 * np.sqrt(2_000 * 0.75 * 0.25)


def test_roaming_by_road_length_is_even_along_the_streets(ground: Ground, who: Patroller) -> None:
    stops = first(roaming(ground, who, weight="road_length"), 2_000)
    road_m = ground.city.road_m_by_cell
    expected = 2_000 * road_m / road_m.sum()
    found = np.bincount(cells_of(ground.city, stops), minlength=20)
    assert (np.abs(found - expected) < 4.5 * np.sqrt(expected)).all()


def test_roaming_is_even_along_the_streets_of_a_cell(ground: Ground, who: Patroller) -> None:
    stops = first(roaming(ground, who, weight={"G11": 1.0}), 2_000)
    pieces, network = ground.city.pieces, ground.city.network
    metres = (pieces.to_m - pieces.from_m)[pieces.cell == 6]
    crossing = pieces.street[pieces.cell == 6][metres < 80]
    share = metres[metres < 80].sum() / metres.sum()
    found = np.isin([network.street[stop.at.edge] for stop in stops], crossing).sum()
    assert abs(found - 2_000 * share) < 3.5 * np.sqrt(2_000 * share * (1 - share))


@pytest.mark.parametrize("form", ["roaming", "hot_spots"])
def test_draws_stay_in_the_beat_and_near_the_post(
    form: str, ground: Ground, small_city: City, east: np.ndarray
) -> None:
    home = small_city.posts.positions[1]
    who = Patroller(unit="U2", home=home, cells=east, seed=135)
    stops = [stop for stop in first(FORMS[form].stops(ground, who, within_m=900.0), 300) if stop.at != home]
    assert east[cells_of(small_city, stops)].all()
    away_m = [np.hypot(*(xy(small_city.network, stop.at) - xy(small_city.network, home))) for stop in stops]
    # the middle of the street lies within, the point may lie half a block beyond
    assert max(away_m) < 900 + 100


def test_a_beat_without_any_weight_is_refused(ground: Ground, small_city: City, east: np.ndarray) -> None:
    who = Patroller(unit="U1", home=small_city.posts.positions[0], cells=east)
    with pytest.raises(InputError, match="patrol of U1: its beat within 300 m of its post: found no street"):
        make_patrol("roaming", ground, who, {"within_m": 300.0})
    with pytest.raises(InputError, match="its beat: found no street of any weight"):
        make_patrol("hot_spots", ground, who, {"weight": {"G00": 1.0}})


@pytest.mark.parametrize(
    ("weight", "told"),
    [
        ("crime", "'crime'"),
        ({"G99": 1.0}, "cell G99"),
        ({"G00": -1.0}, "20 numbers"),
        (np.ones(3), "3 numbers"),
        (np.full(20, np.nan), "20 numbers"),
    ],
)
def test_weights_that_are_none_are_refused(weight: Weight, told: str, ground: Ground, who: Patroller) -> None:
    with pytest.raises(InputError, match=f"patrol of U1: weight: found {told}"):
        make_patrol("roaming", ground, who, {"weight": weight})


def test_hot_spots_are_in_the_riskiest_cells_and_stays_last_10_to_16_minutes(ground: Ground, who: Patroller) -> None:
    weight = np.arange(20.0)
    stops = [stop for stop in first(hot_spots(ground, who, n=4, weight=weight), 400) if stop.at != who.home]
    assert set(cells_of(ground.city, stops).tolist()) == {16, 17, 18, 19}
    stays_s = np.array([stop.stay_s for stop in stops])
    assert (stays_s >= 600).all()
    assert (stays_s <= 960).all()
    # evenly drawn: mean 780 s, standard deviation 360 s / √12
    assert abs(stays_s.mean() - 780) < 3.5 * 360 / np.sqrt(12 * len(stays_s))


def test_each_hot_spot_is_visited_about_every_two_hours(ground: Ground, who: Patroller) -> None:
    patrol, network = make_patrol("hot_spots", ground, who), ground.city.network
    stay = np.flatnonzero((patrol.to_share == patrol.from_share) & (np.diff(patrol.until_s, prepend=0.0) >= 600))
    home = xy(network, who.home)
    begin_s = patrol.until_s[stay - 1]
    spot = [tuple(np.round(xy(network, patrol.at(at_s + 1, network.length_m)), 3)) for at_s in begin_s]
    names, place = np.unique([str(at) for at in spot if np.hypot(*(np.array(at) - home)) > 1], return_inverse=True)
    at_spot = [np.hypot(*(np.array(at) - home)) > 1 for at in spot]
    begin_s, end_s = begin_s[at_spot], patrol.until_s[stay[at_spot]]
    seen = presence(place.astype(np.int32), begin_s, end_s, len(names), begin_s[0], patrol.length_s)
    assert len(names) == 6
    assert (seen.visits >= 6).all()
    assert (seen.longest_gap_s < 2.1 * HOUR_S).all()


def test_places_that_are_named_are_the_hot_spots(ground: Ground, who: Patroller) -> None:
    stops = first(hot_spots(ground, who, places=["S2", "S4"], stay_minutes=(11.0, 11.0), every_minutes=60.0), 6)
    places = places_in(ground.city, ["S2", "S4"], "")
    assert {stop.at for stop in stops} == {*places, who.home}
    assert [stop.stay_s for stop in stops[:2]] == [660.0, 660.0]
    assert stops[2].at == who.home
    # what is left of an hour after 22 minutes of stays and some minutes of driving
    assert 20 * 60 < stops[2].stay_s < 38 * 60


@pytest.mark.parametrize("options", [{"n": 0}, {"stay_minutes": (0.0, 5.0)}, {"stay_minutes": (9.0, 5.0)}])
def test_hot_spots_without_places_or_stays_are_refused(options: dict[str, Any], ground: Ground, who: Patroller) -> None:
    with pytest.raises(ValueError, match="expected some"):
        make_patrol("hot_spots", ground, who, options)


def test_a_guard_stays_at_its_site_and_is_home_when_the_duty_ends(ground: Ground, who: Patroller) -> None:
    patrol, network = make_patrol("guard", ground, who, {"site": "S3"}), ground.city.network
    assert not patrol.again
    assert patrol.length_s == pytest.approx(who.shift_s)
    site = xy(network, places_in(ground.city, ["S3"], "")[0])
    for phase_s in (0.1 * who.shift_s, 0.9 * who.shift_s):
        np.testing.assert_allclose(xy(network, patrol.at(phase_s, network.length_m)), site, atol=1e-6)
    assert first(guard(ground, who, site="S3"), 2)[0].stay_s == np.inf


def test_a_site_too_far_to_be_guarded_in_the_shift_is_told(ground: Ground, small_city: City) -> None:
    hurried = Patroller(unit="U1", home=small_city.posts.positions[0], shift_s=60.0)
    with pytest.raises(ValueError, match="left for a stay without end"):
        make_patrol("guard", ground, hurried, {"site": "S3"})


def test_checks_take_their_minutes_at_each_site_once(ground: Ground, who: Patroller) -> None:
    sites, minutes = ["S3", "S1", "S9", "S4"], [5.0, 10.0, 15.0, 20.0]
    stops = list(checks(ground, who, sites=sites, minutes=minutes))
    at = places_in(ground.city, sites, "")
    assert sorted((stop.at, stop.stay_s) for stop in stops) == sorted(zip(at, np.array(minutes) * 60, strict=True))
    assert not make_patrol("checks", ground, who, {"sites": sites}).again


def test_checks_are_made_in_the_shortest_order(ground: Ground, who: Patroller) -> None:
    sites = [f"S{i}" for i in (3, 1, 9, 4, 6)]
    at = places_in(ground.city, sites, "")

    def takes_s(order: Iterable[Position]) -> float:
        return timeline("any", who.home, map(Stop, order), ground).length_s

    found_s = takes_s(stop.at for stop in checks(ground, who, sites=sites))
    best_s = min(takes_s(order) for order in itertools.permutations(at))
    # 2-opt promises no optimum
    assert found_s <= 1.1 * best_s


@pytest.mark.parametrize("minutes", [[5.0], [5.0, 0.0], 0.0])
def test_checks_without_minutes_for_each_are_refused(minutes: Any, ground: Ground, who: Patroller) -> None:
    with pytest.raises(InputError, match="checks of U1: minutes"):
        make_patrol("checks", ground, who, {"sites": ["S1", "S2"], "minutes": minutes})


@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_a_short_tour_holds_every_place_once_and_no_reversal_makes_it_shorter(seed: int, n: int) -> None:
    way_s = np.random.default_rng(seed).uniform(1, 100, (n, n))
    tour = short_tour(way_s)

    def length_s(order: list[int]) -> float:
        return float(sum(way_s[a, b] for a, b in itertools.pairwise([*order, order[0]])))

    assert tour[0] == 0
    assert sorted(tour) == list(range(n))
    turned = [tour[:i] + tour[i:j][::-1] + tour[j:] for i, j in itertools.combinations(range(1, n + 1), 2) if j - i > 1]
    assert all(length_s(order) >= length_s(tour) - 1e-5 for order in turned)


# draws


def same(a: Patrol, b: Patrol) -> bool:
    return all(np.array_equal(getattr(a, part), getattr(b, part)) for part in ("edge", "from_share", "until_s"))


@pytest.mark.parametrize("form", ["roaming", "hot_spots"])
def test_the_same_seed_gives_the_same_timeline_and_another_seed_replication_or_unit_another(
    form: str, ground: Ground, small_city: City
) -> None:
    home = small_city.posts.positions[0]

    def made(unit: str = "U1", seed: int = 1, replication: int = 0) -> Patrol:
        return make_patrol(form, ground, Patroller(unit=unit, home=home, seed=seed, replication=replication))

    others = [made(unit="U2"), made(seed=2), made(replication=1)]
    assert same(made(), made())
    assert not any(same(a, b) for a, b in itertools.combinations([made(), *others], 2))


# places


def test_places_are_sites_posts_positions_or_longitude_and_latitude(small_city: City) -> None:
    network, post = small_city.network, small_city.posts.positions[2]
    lonlat = project(xy(network, post)[None], network.epsg, LONLAT)[0].tolist()
    found = places_in(small_city, ["P03", post, lonlat, "S2"], "route")
    for at in found[:3]:
        np.testing.assert_allclose(xy(network, at), xy(network, post), atol=0.01)
    hall = small_city.sites.table.geometry.iloc[1]
    assert np.hypot(*(xy(network, found[3]) - [hall.x, hall.y])) < 100


def test_all_places_that_are_unknown_are_told_at_once(small_city: City) -> None:
    with pytest.raises(InputError) as told:
        places_in(small_city, ["S77", "S1", "P99"], "route of U1")
    assert [fault.place for fault in told.value.faults] == ["S77", "P99"]


def test_a_place_far_from_any_street_and_no_place_at_all_are_refused(small_city: City) -> None:
    with pytest.raises(InputError, match=f"expected within {FAR_M:g} m"):
        places_in(small_city, [(112.0, 27.0)], "route of U1")
    with pytest.raises(InputError, match="route of U1: places: found none"):
        places_in(small_city, [], "route of U1")


def test_a_fixed_route_asks_for_its_waypoints_before_it_is_driven(ground: Ground, who: Patroller) -> None:
    with pytest.raises(InputError, match="route of U1"):
        route(ground, who, waypoints=["nowhere"])
