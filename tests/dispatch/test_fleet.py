"""Where units are while nobody looks: at the post, at the scene, on the way back, as a policy sees them."""

from __future__ import annotations

import numpy as np
import pytest

from dispatch.engine import simulate
from dispatch.policies.dispatching import Order, Situation, nearest
from dispatch.units import UnitSpec
from geodata.positions import Position


class Seen:
    """A policy that decides as `nearest` and remembers what it was shown."""

    def __init__(self) -> None:
        self.where: list[tuple[Position, int, float]] = []
        """Of unit 0: position, post, expected turn-out."""

    def __call__(self, at: Situation) -> list[Order]:
        self.where.append((at.positions[0], int(at.post[0]), float(at.turn_out_s[0])))
        return nearest(at)

    __module__, __qualname__ = "tests", "Seen"


AWAY_S = 5_000.0
"""A second at which the first incident is over."""


@pytest.fixture(scope="module")
def first(pose, call):
    """An incident far from the post, cleared at AWAY_S."""
    unit, at = UnitSpec(id="A", post=0), pose.somewhere(1_200, 0.4)
    drive_s = pose.travel.route(pose.post(0), at, 6).time_s / unit.speed_factor
    return call(received_s=0, at=at, desk_s=0, on_scene_s=AWAY_S - 30 - drive_s)


@pytest.fixture(scope="module")
def way_back(pose, first):
    return pose.travel.route(first.at, pose.post(0), 7)


def after(pose, call, first, seconds: float) -> tuple[Position, int, float]:
    """What the desk sees of the unit so many seconds after its first incident."""
    seen = Seen()
    simulate(
        pose(
            [first, call(received_s=AWAY_S + seconds, at=pose.somewhere(300, 0.5), desk_s=0)],
            [UnitSpec(id="A", post=0)],
            policy=seen,
        )
    )
    assert len(seen.where) == 2
    assert seen.where[0] == (pose.post(0), 0, 30.0)
    return seen.where[1]


@pytest.mark.parametrize("share", [0.02, 0.25, 0.5, 0.9, 0.98])
def test_a_unit_on_its_way_back_is_where_its_route_has_brought_it(pose, call, first, way_back, share: float) -> None:
    where, post, turn_out_s = after(pose, call, first, share * way_back.time_s)
    assert (post, turn_out_s) == (-1, 15.0)
    # at the roads' own speed: the siren is for the way there
    rest_s = pose.travel.route(where, pose.post(0), 7).time_s
    gone_s = pose.travel.route(first.at, where, 7).time_s
    assert rest_s == pytest.approx((1 - share) * way_back.time_s, abs=1e-6)
    assert gone_s == pytest.approx(share * way_back.time_s, abs=1e-6)


def test_a_unit_that_is_back_stands_at_its_post_and_takes_its_full_turn_out(pose, call, first, way_back) -> None:
    assert after(pose, call, first, way_back.time_s + 1) == (pose.post(0), 0, 30.0)


def test_a_unit_with_work_waiting_goes_on_from_the_scene(pose, call, first) -> None:
    where, post, turn_out_s = after(pose, call, first, -600)
    assert (post, turn_out_s) == (-1, 15.0)
    assert where == pytest.approx(first.at)


def test_a_unit_called_off_goes_back_from_where_it_is(pose, call, check_log) -> None:
    """B is on its way when A, at the place, is done; a third incident finds B not far from there."""
    quick = UnitSpec(id="A", post=0, turn_out_post_s=0.0)
    problem = pose(
        [
            call(received_s=0, at=pose.post(0), desk_s=0, on_scene_s=130, units_needed=2),
            call(received_s=130, at=pose.post(0), desk_s=0, on_scene_s=50, units_needed=2),
        ],
        [quick, UnitSpec(id="B", post=1)],
    )
    log = simulate(problem)
    check_log(log, problem)
    sent = log.assignments.set_index(["incident_id", "unit_id"])
    assert sent.loc[(0, "B"), "cancelled_s"] == 130
    whole_m = sent.loc[(0, "B"), "travel_m"]
    assert 100 < sent.loc[(1, "B"), "travel_m"] < whole_m - 100
    returning = log.unit_states[(log.unit_states["unit_id"] == "B") & (log.unit_states["state"] == "returning")]
    assert len(returning) == 1


def test_units_start_at_their_posts(pose, call) -> None:
    shown: list[Situation] = []

    def policy(at: Situation) -> list[Order]:
        shown.append(at._replace(positions=at.positions.take(np.arange(3)), post=at.post.copy()))
        return nearest(at)

    units = [UnitSpec(id=f"U{i}", post=post) for i, post in enumerate((2, 0, 3))]
    simulate(pose([call(received_s=5, at=pose.post(1))], units, policy=policy))
    assert shown[0].post.tolist() == [2, 0, 3]
    assert list(shown[0].positions) == [pose.post(2), pose.post(0), pose.post(3)]
