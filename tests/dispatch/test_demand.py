"""Incidents are drawn as the demand says: how many, when, where, of which kind; one random stream a purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from dispatch.demand import (
    DUPLICATE_WITHIN_S,
    HOUR_WEIGHT,
    PRIORITY_SHARE,
    SECOND_UNIT_SHARE,
    TYPE_SHARE,
    CellWeight,
    Demand,
    Life,
    draw_incidents,
)
from dispatch.incidents import Incidents, IncidentType
from dispatch.roster import DAY_S
from dispatch.standard import ResponseStandard
from geodata.city import City
from geodata.errors import InputError
from geodata.grid import Grid
from geodata.positions import locate, snap
from geodata.sites import PlaceClass

MONDAY = datetime(2026, 6, 1)
WEEK_S = 7 * DAY_S
Draw = Callable[..., Incidents]


@pytest.fixture(scope="module")
def draw(small_city: City) -> Draw:
    def drawn(demand: Demand | None = None, city: City = small_city, **changed: Any) -> Incidents:
        asked: dict[str, Any] = {"start": MONDAY, "horizon_s": DAY_S, "seed": 135} | changed
        return draw_incidents(city, demand or Demand(incidents_per_day=400), ResponseStandard(), **asked)

    return drawn


@pytest.fixture(scope="module")
def many(draw: Draw) -> Incidents:
    """A week of some 20,000."""
    return draw(Demand(incidents_per_day=3_000), horizon_s=WEEK_S)


def with_residents(city: City, residents: np.ndarray) -> City:
    return replace(city, grid=Grid(city.grid.cells.assign(residents=residents), city.grid.areas))


def assert_shares(counts: np.ndarray, shares: np.ndarray) -> None:
    """Each count lies within 3.5 standard errors of its share, and all together within the chi-square law's."""
    n = counts.sum()
    expected = n * shares / shares.sum()
    assert (abs(counts - expected) <= 3.5 * np.sqrt(expected * (1 - expected / n))).all()
    some = expected > 0
    chi_square, freedom = ((counts - expected)[some] ** 2 / expected[some]).sum(), some.sum() - 1
    assert abs(chi_square - freedom) < 3.5 * np.sqrt(2 * freedom)


def test_the_number_of_incidents_is_poisson(draw: Draw) -> None:
    demand = Demand(incidents_per_day=40, weekday_weight=(1.0,) * 7)
    n = np.array([len(draw(demand, replication=r)) for r in range(300)])
    assert abs(n.mean() - 40) < 3.5 * np.sqrt(40 / len(n))
    # the variance of a Poisson number is its mean; that of a sample variance about 2 mean² / n
    assert abs(n.var(ddof=1) - 40) < 3.5 * 40 * np.sqrt(2 / len(n))


def test_incidents_follow_the_hours_of_the_day(many: Incidents) -> None:
    hour = (many.received_s // 3600).astype(int) % 24
    assert_shares(np.bincount(hour, minlength=24), np.array(HOUR_WEIGHT))


def test_incidents_follow_the_days_of_the_week(many: Incidents) -> None:
    day = (many.received_s // DAY_S).astype(int)
    assert_shares(np.bincount(day, minlength=7), np.array([1, 1, 1, 1, 1.05, 1, 0.88]))


def test_a_run_that_starts_in_the_middle_of_an_hour_follows_the_clock(draw: Draw) -> None:
    evening = tuple(1.0 if hour == 20 else 0.0 for hour in range(24))
    demand = Demand(incidents_per_day=2_000, hour_weight=evening)
    received_s = draw(demand, start=datetime(2026, 6, 1, 19, 45), horizon_s=DAY_S).received_s
    assert received_s.min() >= 15 * 60
    assert received_s.max() <= 75 * 60
    assert abs(len(received_s) - 2_000) < 3.5 * np.sqrt(2_000)
    assert abs(received_s.mean() - 45 * 60) < 3.5 * 3_600 / np.sqrt(12 * len(received_s))


def test_an_hour_of_no_weight_has_no_incidents(draw: Draw) -> None:
    weight = tuple(float(hour in (0, 3, 4, 23)) for hour in range(24))
    received_s = draw(Demand(incidents_per_day=1_000, hour_weight=weight), horizon_s=2 * DAY_S).received_s
    counts = np.bincount((received_s // 3600).astype(int) % 24, minlength=24)
    assert_shares(counts, np.array(weight))


def test_incidents_come_in_the_order_received_and_within_the_horizon(draw: Draw) -> None:
    received_s = draw(horizon_s=10_000.0).received_s
    assert (np.diff(received_s) >= 0).all()
    assert received_s[0] >= 0
    assert received_s[-1] <= 10_000


def test_types_and_priorities_follow_their_shares(many: Incidents) -> None:
    assert_shares(np.bincount(many.type, minlength=6), np.array([TYPE_SHARE[t] for t in IncidentType]))
    assert_shares(np.bincount(many.priority, minlength=5)[1:], np.array([PRIORITY_SHARE[p] for p in range(1, 5)]))


def test_a_type_of_no_share_never_comes(draw: Draw) -> None:
    drawn = draw(Demand(incidents_per_day=2_000, type_share={IncidentType.TRAFFIC: 2.0, IncidentType.HELP: 6.0}))
    assert_shares(np.bincount(drawn.type, minlength=6), np.array([0, 0, 2, 0, 6, 0]))


@pytest.mark.parametrize("which", [CellWeight.RESIDENTS, CellWeight.ROAD_LENGTH])
def test_cells_have_incidents_by_their_weight(draw: Draw, small_city: City, which: CellWeight) -> None:
    residents = np.arange(len(small_city.grid)) * 100.0
    drawn = draw(Demand(incidents_per_day=8_000, weight=which), with_residents(small_city, residents))
    weight = residents if which is CellWeight.RESIDENTS else small_city.road_m_by_cell
    assert_shares(np.bincount(drawn.cell, minlength=len(weight)), weight)


def test_a_cell_without_residents_has_no_incidents(draw: Draw, small_city: City) -> None:
    residents = np.where(np.arange(len(small_city.grid)) == 7, 1.0, 0.0)
    drawn = draw(city=with_residents(small_city, residents))
    assert (drawn.cell == 7).all()


def test_places_lie_on_the_streets_and_in_the_cell_that_is_told(many: Incidents, small_city: City) -> None:
    network = small_city.network
    assert (many.positions.offset_m >= 0).all()
    assert (many.positions.offset_m <= network.length_m[many.positions.edge]).all()
    assert np.array_equal(many.xy_m, locate(network, many.positions))
    some = slice(0, 500)
    _, away_m = snap(network, many.xy_m[some])
    assert away_m.max() < 1e-6
    assert np.array_equal(small_city.grid.locate(many.xy_m[some]), many.cell[some])
    assert many.cell.min() >= 0


def test_places_are_spread_evenly_along_the_streets_of_a_cell(many: Incidents, small_city: City) -> None:
    pieces = small_city.pieces
    inside = many.cell == 0
    street = small_city.network.street[many.positions.edge[inside]]
    length_m = np.bincount(
        pieces.street[pieces.cell == 0], (pieces.to_m - pieces.from_m)[pieces.cell == 0], small_city.network.n_streets
    )
    assert_shares(np.bincount(street, minlength=len(length_m)), length_m)


def test_the_limit_is_that_of_the_place(many: Incidents, small_city: City) -> None:
    expected = small_city.sites.place_class(many.xy_m)
    assert np.array_equal(many.place_class, expected)
    assert set(expected) == set(PlaceClass)
    assert np.array_equal(many.limit_s, np.array([300.0, 180.0, 60.0])[expected])


def assert_lognormal(values: np.ndarray, mean: float, cv: float) -> None:
    n, sigma = len(values), np.sqrt(np.log1p(cv**2))
    assert abs(values.mean() - mean) < 3.5 * mean * cv / np.sqrt(n)
    # its logarithm is normal
    log = np.log(values)
    assert abs(log.std(ddof=1) - sigma) < 3.5 * sigma / np.sqrt(2 * n)
    skew = ((log - log.mean()) ** 3).mean() / log.std() ** 3
    assert abs(skew) < 3.5 * np.sqrt(6 / n)


def test_desk_and_on_scene_times_are_lognormal_with_the_mean_and_variation_asked_for(many: Incidents) -> None:
    assert_lognormal(many.desk_s, 83.0, 0.5)
    minutes = (48, 31, 47, 26, 37, 31)
    for kind, mean_min in zip(IncidentType, minutes, strict=True):
        assert_lognormal(many.on_scene_s[many.type == kind], 60.0 * mean_min, 0.8)


def test_without_variation_every_time_is_the_mean(draw: Draw) -> None:
    demand = Demand(incidents_per_day=200, desk_mean_s=45, desk_cv=0, on_scene_cv=0)
    drawn = draw(demand)
    assert drawn.desk_s == pytest.approx(45)
    assert drawn.on_scene_s[drawn.type == IncidentType.DISPUTE] == pytest.approx(26 * 60)


def test_units_at_once_and_backup_by_priority(many: Incidents) -> None:
    for priority, (at_once, share) in {1: (2, 0.0), 2: (1, 0.4), 3: (1, 0.1), 4: (1, 0.0)}.items():
        these = many.priority == priority
        assert set(many.units_needed[these]) == {at_once}
        assert set(many.backup[these]) <= {0, 1}
        error = np.sqrt(share * (1 - share) / these.sum())
        assert abs(many.backup[these].mean() - share) <= 3.5 * error
        assert SECOND_UNIT_SHARE[priority] == max(share, at_once - 1)


def test_nothing_else_becomes_of_incidents_unless_it_is_asked_for(many: Incidents) -> None:
    assert not many.plan.any()
    assert not many.false_alarm.any()
    assert not many.custody_s.any()
    assert np.isinf(many.withdrawn_s).all()
    assert (many.duplicate_of == -1).all()


EVERY_TYPE = dict.fromkeys(IncidentType, 0.2)
EVENTFUL = Life(
    units_at_once={1: 3, 2: 2},
    backup_share={2: 0.5, 3: 0.5, 4: 0.5},
    plan={1: 2, 2: 1},
    false_alarm_share=EVERY_TYPE | {IncidentType.HELP: 0.0},
    duplicate_share=0.2,
    withdrawn_share=0.2,
    custody_share={IncidentType.CRIME: 0.5, IncidentType.PUBLIC_ORDER: 0.3},
)


@pytest.fixture(scope="module")
def eventful(draw: Draw) -> Incidents:
    """The same week as `many`, with all that may become of incidents."""
    return draw(Demand(incidents_per_day=3_000, life=EVENTFUL), horizon_s=WEEK_S)


def assert_share(happened: np.ndarray, share: float) -> None:
    assert abs(happened.mean() - share) <= 3.5 * np.sqrt(share * (1 - share) / len(happened))


def assert_exponential(values: np.ndarray, mean: float) -> None:
    assert abs(values.mean() - mean) < 3.5 * mean / np.sqrt(len(values))
    assert_share(values > mean, np.exp(-1))


def test_plans_and_units_follow_the_priority(eventful: Incidents) -> None:
    assert np.array_equal(eventful.plan, np.array([0, 2, 1, 0, 0])[eventful.priority])
    assert np.array_equal(eventful.units_needed, np.array([1, 3, 2, 1, 1])[eventful.priority])
    assert not eventful.backup[eventful.priority == 1].any()


def test_false_alarms_come_by_type_and_are_soon_over(eventful: Incidents) -> None:
    helped = eventful.type == IncidentType.HELP
    assert not eventful.false_alarm[helped].any()
    first = eventful.duplicate_of < 0
    assert_share(eventful.false_alarm[first & ~helped], 0.2)
    assert_lognormal(eventful.on_scene_s[first & eventful.false_alarm], 8 * 60.0, 0.8)
    crimes = first & (eventful.type == IncidentType.CRIME) & ~eventful.false_alarm
    assert_lognormal(eventful.on_scene_s[crimes], 48 * 60.0, 0.8)


def test_custody_comes_by_type_but_never_of_a_false_alarm(eventful: Incidents) -> None:
    real = (eventful.duplicate_of < 0) & ~eventful.false_alarm
    assert_share(eventful.custody_s[real & (eventful.type == IncidentType.CRIME)] > 0, 0.5)
    assert_share(eventful.custody_s[real & (eventful.type == IncidentType.PUBLIC_ORDER)] > 0, 0.3)
    assert not eventful.custody_s[eventful.false_alarm | (eventful.type > IncidentType.PUBLIC_ORDER)].any()
    assert_lognormal(eventful.custody_s[real & (eventful.custody_s > 0)], 40 * 60.0, 0.8)


def test_callers_take_incidents_back_after_an_exponential_time(eventful: Incidents) -> None:
    first = eventful.duplicate_of < 0
    back = np.isfinite(eventful.withdrawn_s)
    assert_share(back[first], 0.2)
    assert not back[~first].any()
    assert_exponential(eventful.withdrawn_s[back], 600.0)


def test_a_second_call_repeats_an_incident_within_ten_minutes(many: Incidents, eventful: Incidents) -> None:
    second = np.flatnonzero(eventful.duplicate_of >= 0)
    of = eventful.duplicate_of[second]
    assert len(eventful) == len(many) + len(second)
    # each incident has one second call at most
    assert len(np.unique(of)) == len(of)
    assert (eventful.duplicate_of[of] == -1).all()
    assert_share(np.isin(np.flatnonzero(eventful.duplicate_of < 0), of), 0.2)
    for name in ("type", "priority", "cell", "place_class", "xy_m", "limit_s", "plan", "units_needed"):
        values = getattr(eventful, name)
        assert np.array_equal(values[second], values[of])
    assert np.array_equal(eventful.positions.edge[second], eventful.positions.edge[of])
    after_s = eventful.received_s[second] - eventful.received_s[of]
    assert after_s.min() >= 0
    assert after_s.max() <= DUPLICATE_WITHIN_S
    # of an exponential law that is cut off, the share below its own mean
    assert_share(after_s < 180.0, (1 - np.exp(-1)) / (1 - np.exp(-DUPLICATE_WITHIN_S / 180.0)))
    assert set(eventful.desk_s[second]) <= set(many.desk_s)
    assert abs(eventful.desk_s[second].mean() - 83.0) < 3.5 * 83.0 * 0.5 / np.sqrt(len(second))
    assert (eventful.desk_s[second] == eventful.desk_s[of]).mean() < 0.01


def test_second_calls_after_the_run_are_left_out(draw: Draw) -> None:
    demand = Demand(incidents_per_day=20_000, life=Life(duplicate_share=1.0))
    drawn = draw(demand, horizon_s=600.0)
    assert drawn.received_s[-1] <= 600.0
    assert 0 < (drawn.duplicate_of >= 0).sum() < (drawn.duplicate_of < 0).sum()


def as_bytes(incidents: Incidents) -> dict[str, bytes]:
    named = {f.name: getattr(incidents, f.name) for f in fields(Incidents) if f.name != "positions"}
    named |= {"edge": incidents.positions.edge, "offset_m": incidents.positions.offset_m}
    return {name: values.tobytes() for name, values in named.items()}


def test_the_same_seed_gives_the_same_incidents_and_another_or_another_replication_gives_others(draw: Draw) -> None:
    once = as_bytes(draw())
    assert as_bytes(draw()) == once
    for other in (draw(seed=136), draw(replication=1)):
        told = as_bytes(other)
        assert all(told[name] != once[name] for name in ("received_s", "edge", "offset_m", "desk_s", "on_scene_s"))


@pytest.mark.parametrize(
    ("changed", "moves"),
    [
        ({"desk_cv": 0.9}, {"desk_s"}),
        ({"desk_mean_s": 59.0}, {"desk_s"}),
        ({"on_scene_cv": 0.4}, {"on_scene_s"}),
        ({"priority_share": {1: 1.0, 4: 1.0}}, {"priority", "units_needed", "backup"}),
        ({"type_share": {IncidentType.CRIME: 1.0, IncidentType.HELP: 1.0}}, {"type", "on_scene_s"}),
        ({"weight": CellWeight.ROAD_LENGTH}, {"edge", "offset_m", "xy_m", "cell", "place_class", "limit_s"}),
        ({"hour_weight": (1.0,) * 24}, {"received_s"}),
    ],
)
def test_a_change_in_one_purpose_changes_no_other(draw: Draw, changed: dict[str, Any], moves: set[str]) -> None:
    flat = Demand(incidents_per_day=400, weekday_weight=(1.0,) * 7)
    before, after = as_bytes(draw(flat)), as_bytes(draw(replace(flat, **changed)))
    assert {name for name in before if before[name] != after[name]} == moves


@pytest.mark.parametrize(
    ("changed", "moves"),
    [
        ({"units_at_once": {1: 2}}, {"units_needed"}),
        ({"backup_share": {2: 0.9}}, {"backup"}),
        ({"plan": {3: 1}}, {"plan"}),
        ({"false_alarm_share": EVERY_TYPE}, {"false_alarm", "on_scene_s", "custody_s"}),
        ({"false_alarm_mean_s": 60.0}, {"on_scene_s"}),
        ({"custody_share": EVERY_TYPE}, {"custody_s"}),
        ({"custody_mean_s": 60.0}, {"custody_s"}),
        ({"withdrawn_share": 0.5}, {"withdrawn_s"}),
        ({"withdrawn_mean_s": 60.0}, {"withdrawn_s"}),
        ({"cv": 0.1}, {"on_scene_s", "custody_s"}),
        ({"duplicate_share": 0.5}, set()),
        ({"duplicate_share": 0.0}, set()),
        ({"duplicate_mean_s": 60.0}, set()),
    ],
)
def test_a_change_in_what_becomes_of_incidents_changes_nothing_else(
    draw: Draw, changed: dict[str, Any], moves: set[str]
) -> None:
    demand = Demand(incidents_per_day=2_000, life=replace(EVENTFUL, false_alarm_share=dict.fromkeys(IncidentType, 0.1)))
    before, after = (
        {
            name: getattr(drawn, name)[drawn.duplicate_of < 0].tobytes()
            for name in (f.name for f in fields(Incidents))
            if name not in ("positions", "duplicate_of")
        }
        for drawn in (draw(demand), draw(replace(demand, life=replace(demand.life, **changed))))
    )
    assert {name for name in before if before[name] != after[name]} == moves


def test_a_larger_share_of_second_calls_keeps_those_of_a_smaller_one(draw: Draw) -> None:
    few, more = (
        draw(Demand(incidents_per_day=2_000, life=Life(duplicate_share=share))).received_s for share in (0.1, 0.3)
    )
    assert set(few) < set(more)


@pytest.mark.parametrize(
    "wrong",
    [
        {"units_at_once": {1: 0}},
        {"plan": {1: -1}},
        {"backup_share": {1: 1.1}},
        {"false_alarm_share": {IncidentType.CRIME: -0.1}},
        {"custody_share": {IncidentType.CRIME: np.nan}},
        {"duplicate_share": 2.0},
        {"withdrawn_share": -1.0},
        {"false_alarm_mean_s": 0.0},
        {"duplicate_mean_s": 0.0},
        {"withdrawn_mean_s": np.inf},
        {"custody_mean_s": -1.0},
        {"cv": -0.1},
    ],
)
def test_an_impossible_life_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"incident life: .*expected"):
        Life(**wrong)


def test_a_city_whose_cells_have_no_residents_is_refused_with_the_mend(draw: Draw, small_city: City) -> None:
    empty = with_residents(small_city, np.zeros(len(small_city.grid)))
    with pytest.raises(InputError, match=r"demand\.weight to road_length"):
        draw(city=empty)
    assert len(draw(Demand(incidents_per_day=400, weight=CellWeight.ROAD_LENGTH), empty)) > 0


def test_no_demand_gives_no_incidents(draw: Draw) -> None:
    assert len(draw(Demand(incidents_per_day=0))) == 0
    assert len(draw(Demand(incidents_per_day=0, life=EVENTFUL))) == 0


@pytest.mark.parametrize("wrong", [{"incidents_per_day": -1}, {"hour_weight": (1.0,) * 23}, {"weekday_weight": ()}])
def test_an_impossible_demand_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Demand(**{"incidents_per_day": 10} | wrong)
