"""Free units: back to the post, at another post, on patrol."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from played import LINE, N_PLACES, STEP_S, Call, car, line, order_of, play, posed, steps, walk

from dispatch.cover import Cover
from dispatch.engine import simulate
from dispatch.patrol import Patrol
from dispatch.policies.situation import Move, MoveUpPolicy, Order, Situation, Standing
from dispatch.units import Span

AWAY_S = np.abs(np.subtract.outer(np.arange(N_PLACES), np.arange(N_PLACES))) * STEP_S
COVER = Cover(
    time_s=AWAY_S,
    limit_s=np.full(N_PLACES, 180.0),
    weight=np.full(N_PLACES, 1 / N_PLACES),
    between_s=AWAY_S,
)


class TestTheWayBack:
    def test_without_hurry_it_takes_as_long_as_traffic_does(self) -> None:
        run = play([Call(at=3)], [car("A", 0)], line(times=0.5, calm=2.0))
        assert run.did("A")[2:] == steps(("on_scene", 180), ("returning", 780), ("idle", 1_380))[:3]

    def test_a_unit_is_sent_from_wherever_it_is(self) -> None:
        """A step and a half on its way back from 3, with another step and a half to go to 0."""
        run = play([Call(at=3), Call(received_s=1_080, at=0)], [car("A", 0)])
        order = run.order(1, "A")
        assert order.offset_m == pytest.approx(1_500)
        assert (order.rolling_s, order.arrived_s) == (1_095, pytest.approx(1_245))
        assert order.travel_m == pytest.approx(1_500)

    def test_before_it_is_there_it_is_mobile_and_once_there_it_is_not(self) -> None:
        turned_out = [
            play([Call(at=3), Call(received_s=s, at=0)], [car("A", 0)]).order(1, "A").rolling_s - s
            for s in (1_229.0, 1_231.0)
        ]
        assert turned_out == [15, 30]


def moving(*moves: Move) -> MoveUpPolicy:
    """Makes one move after the other, each as soon as its unit may be moved."""
    left = list(moves)

    def policy(standing: Standing) -> list[Move]:
        return [left.pop(0)] if left and left[0].unit in standing.idle else []

    return policy


class Standings:
    """A move-up policy that moves nobody and remembers what it was shown."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, int, list[int], list[int], float]] = []

    def __call__(self, at: Standing) -> list[Move]:
        self.seen.append((at.now_s, at.freed, at.idle.tolist(), at.heading.tolist(), at.busy_share))
        return []

    __module__, __qualname__ = "tests", "Standings"


class TestMoveUps:
    UNITS = (car("A", 0), car("B", 9))

    def test_another_unit_stands_in_and_stays_there(self) -> None:
        """A is sent from 0; B, of 9, stands by at 4 and answers from there, and comes back there."""
        calls = [Call(at=0, on_scene_s=3_000), Call(received_s=1_000, at=5, on_scene_s=100)]
        run = play(calls, self.UNITS, move_up=moving(Move(1, 4)), cover=COVER, policy=by_row(0, 1))
        assert run.did("B") == steps(
            ("idle", 0), ("moving_up", 0), ("idle", 500), ("turn_out", 1_000), ("travelling", 1_030),
            ("on_scene", 1_130), ("returning", 1_230), ("idle", 1_330),
        )[1:]  # fmt: skip
        assert [(row.post, row.edge) for row in run.rows("B", "idle")] == [(4, LINE.place(4).edge)] * 2

    def test_the_unit_that_is_freed_may_be_the_one_that_moves(self) -> None:
        run = play([Call(at=3, on_scene_s=100)], [car("A", 0)], move_up=moving(Move(0, 5)), cover=COVER)
        assert run.did("A")[-2:] == steps(("moving_up", 430), ("idle", 630))

    def test_a_moved_unit_is_left_there_for_a_while(self) -> None:
        """B is moved at 0 and could be moved again from 600 on: that happens when A frees itself at 630."""
        calls = [Call(at=0, on_scene_s=600), Call(received_s=300, at=1, on_scene_s=2_000)]
        units = [car("A", 0), car("B", 9), car("C", 1)]
        run = play(calls, units, move_up=moving(Move(1, 4), Move(1, 8)), cover=COVER)
        assert run.did("B", "moving_up", "idle") == steps(
            ("moving_up", 0), ("idle", 500), ("moving_up", 630), ("idle", 1_030)
        )

    def test_without_the_gap_it_is_moved_again_at_once(self) -> None:
        calls = [Call(at=0, on_scene_s=600), Call(received_s=300, at=1, on_scene_s=2_000)]
        units = [car("A", 0), car("B", 9), car("C", 1)]
        run = play(calls, units, move_up=moving(Move(1, 4), Move(1, 2)), cover=COVER, move_gap_s=0.0)
        # at 6 on its way to 4, and four steps on
        assert run.did("B", "moving_up") == [("moving_up", 0, 300), ("moving_up", 300, 700)]

    def test_back_to_its_own_post_it_is_returning(self) -> None:
        calls = [Call(at=0, on_scene_s=700)]
        run = play(calls, self.UNITS, move_up=moving(Move(1, 4), Move(1, 9)), cover=COVER)
        assert run.did("B") == steps(("moving_up", 0), ("idle", 500), ("returning", 730), ("idle", 1_230))

    def test_the_next_shift_begins_at_home(self) -> None:
        units = [car("A", 0), car("B", 9, duty=(Span(0, 2_000), Span(4_000, 7_200)))]
        run = play([Call(at=0, on_scene_s=5_000)], units, move_up=moving(Move(1, 4)), cover=COVER)
        assert run.did("B") == [
            ("moving_up", 0, 500), ("idle", 500, 2_000), ("returning", 2_000, 2_500), ("idle", 4_000, 7_200)
        ]  # fmt: skip
        assert run.rows("B", "idle")[1].post == 9

    def test_also_where_the_unit_was_at_work_when_it_began(self) -> None:
        units = [car("A", 0), car("B", 9, duty=(Span(0, 2_000), Span(2_000, 7_200)))]
        calls = [Call(at=0, on_scene_s=5_000), Call(received_s=1_900, at=4)]
        run = play(calls, units, move_up=moving(Move(1, 4)), cover=COVER)
        assert run.did("B")[-2:] == steps(("returning", 2_530), ("idle", 3_030))

    def test_what_the_policy_sees(self) -> None:
        """After each order, and of each unit that is free again."""
        standings = Standings()
        play([Call(at=3, on_scene_s=300)], self.UNITS, move_up=standings, cover=COVER)
        (sent, freed) = standings.seen
        assert sent == (0, -1, [1], [-1, 9], 0)
        assert freed[:4] == (630, 0, [0, 1], [-1, 9])
        assert freed[4] == pytest.approx(0.5)

    def test_overtime_is_no_time_on_duty(self) -> None:
        standings = Standings()
        units = [car("A", 0, duty=(Span(0, 100),)), car("B", 9)]
        play([Call(at=0, on_scene_s=5_000), Call(at=9, on_scene_s=1_000)], units, move_up=standings, cover=COVER)
        assert standings.seen[-1][:2] == (1_030, 1)
        assert standings.seen[-1][4] == 1

    def test_units_on_patrol_are_not_moved(self) -> None:
        units = [car("A", 0), car("B", 0, patrol=walk((4, 0.0)))]
        with pytest.raises(ValueError, match="moves unit B, which is not free to be moved"):
            play([Call(at=0)], units, move_up=lambda _: [Move(1, 4)], cover=COVER)

    @pytest.mark.parametrize("unit", [0, 1])
    def test_nor_those_that_are_engaged_or_were_moved_a_moment_ago(self, unit: int) -> None:
        calls = [Call(at=0, on_scene_s=100), Call(received_s=20, at=0, on_scene_s=100)]
        moves = iter([[Move(1, 4)], [Move(unit, 5)]])
        units = [*self.UNITS, car("C", 0), car("D", 7)]
        with pytest.raises(ValueError, match=f"moves unit {'AB'[unit]}, which is not free to be moved"):
            play(calls, units, move_up=lambda _: next(moves, []), cover=COVER)


def by_row(*units: int):
    """The first free of some units, in that order."""

    def policy(at: Situation) -> list[Order]:
        return [order_of(at, unit) for unit in units if unit in at.free][:1]

    return policy


class TestPatrols:
    """From 0 to 4 and back in 1600 s, at half the speed of a unit on its way to a call."""

    ROUND = walk((4, 0.0))

    def test_a_unit_is_dispatched_from_the_middle_of_its_way(self) -> None:
        run = play([Call(received_s=300, at=4)], [car("A", 0, patrol=self.ROUND)])
        order = run.order(0, "A")
        # a step and a half from 0, and mobile
        assert order.offset_m == pytest.approx(1_500)
        assert (order.rolling_s, order.arrived_s) == (315, pytest.approx(315 + 250))

    def test_it_goes_on_with_its_patrol_where_it_left_off(self) -> None:
        run = play([Call(received_s=300, at=4, on_scene_s=85)], [car("A", 0, patrol=self.ROUND)])
        assert run.did("A") == steps(
            ("patrolling", 0), ("turn_out", 300), ("travelling", 315), ("on_scene", 565), ("returning", 650),
            ("patrolling", 900),
        )  # fmt: skip
        first, again = run.rows("A", "patrolling")
        assert (first.phase_s, again.phase_s) == (0, 300)
        assert again.offset_m == pytest.approx(1_500)

    def test_and_from_there_it_goes_round(self) -> None:
        """At 900 it takes up its patrol at 300 s; at 2300 it has been round once and 100 s."""
        calls = [Call(received_s=300, at=4, on_scene_s=85), Call(received_s=2_300, at=9)]
        order = play(calls, [car("A", 0, patrol=self.ROUND)]).order(1, "A")
        assert order.offset_m == pytest.approx(500)

    def test_one_sent_on_its_way_back_to_it_still_knows_where_it_left_off(self) -> None:
        calls = [Call(received_s=300, at=4, on_scene_s=85), Call(received_s=700, at=4, on_scene_s=85)]
        run = play(calls, [car("A", 0, patrol=self.ROUND)])
        assert [row.phase_s for row in run.rows("A", "patrolling")] == [0, 300]

    def test_the_nearest_of_units_in_motion_is_sent(self) -> None:
        """A has gone from 0 and B from 9; at 600 they are at 3 and 6, at 1000 at 3 and 4."""
        units = [car("A", 0, patrol=self.ROUND), car("B", 9, patrol=walk((4, 0.0), home=9))]
        for received_s, unit in ((600, "A"), (1_000, "B")):
            assert play([Call(received_s=received_s, at=4)], units).sent == [(0, unit, received_s)]

    def test_at_a_stop_it_stands_still(self) -> None:
        """Guarding place 4 from 800 to 2000."""
        units = [car("A", 0, patrol=walk((4, 1_200.0)))]
        for received_s in (801.0, 1_999.0):
            order = play([Call(received_s=received_s, at=4)], units).order(0, "A")
            assert (order.travel_m, order.arrived_s) == (pytest.approx(0), pytest.approx(received_s + 15))

    def test_guarding_a_site_is_one_long_stop(self) -> None:
        guard = Patrol(
            name="guard", edge=np.array([LINE.place(0).edge], np.int32), from_share=np.zeros(1), to_share=np.zeros(1),
            until_s=np.array([inf]),
        )  # fmt: skip
        run = play([Call(received_s=900, at=1, on_scene_s=100)], [car("A", 0, patrol=guard)])
        assert run.did("A", "patrolling", "returning") == [
            ("patrolling", 0, 900), ("returning", 1_115, 1_215), ("patrolling", 1_215, 7_200)
        ]  # fmt: skip

    def test_one_that_does_not_begin_anew_ends_at_the_post(self) -> None:
        run = play([], [car("A", 0, patrol=walk((4, 0.0), again=False))])
        assert run.did("A") == steps(("patrolling", 0), ("idle", 1_600))
        assert run.rows("A", "idle")[0].post == 0

    def test_after_its_end_the_unit_stands_by_there(self) -> None:
        calls = [Call(received_s=2_000, at=2, on_scene_s=70)]
        run = play(calls, [car("A", 0, patrol=walk((4, 0.0), again=False))])
        assert run.did("A") == steps(
            ("patrolling", 0), ("idle", 1_600), ("turn_out", 2_000), ("travelling", 2_030), ("on_scene", 2_230),
            ("returning", 2_300), ("idle", 2_500),
        )  # fmt: skip

    def test_what_is_left_of_it_is_driven_when_a_call_came_between(self) -> None:
        calls = [Call(received_s=300, at=4, on_scene_s=85)]
        run = play(calls, [car("A", 0, patrol=walk((4, 0.0), again=False))])
        # 1300 s are left at 900
        assert run.did("A")[-2:] == steps(("patrolling", 900), ("idle", 2_200))

    @pytest.mark.parametrize("again", [True, False])
    def test_the_next_shift_begins_it_anew(self, again: bool) -> None:
        unit = car("A", 0, patrol=walk((4, 0.0), again=again), duty=(Span(0, 1_000), Span(3_000, 4_000)))
        run = play([], [unit])
        # at 1000 on the way back at 3, and so at 4000
        assert run.did("A") == [
            ("patrolling", 0, 1_000), ("returning", 1_000, 1_300), ("patrolling", 3_000, 4_000),
            ("returning", 4_000, 4_300),
        ]  # fmt: skip
        assert run.rows("A", "patrolling")[1].phase_s == 0

    def test_also_where_the_unit_was_at_work_when_it_began(self) -> None:
        unit = car("A", 0, patrol=walk((4, 0.0)), duty=(Span(0, 1_000), Span(1_000, 7_200)))
        run = play([Call(received_s=300, at=4, on_scene_s=1_000)], [unit])
        assert [row.phase_s for row in run.rows("A", "patrolling")] == [0, 0]

    def test_whoever_stands_at_a_post_and_whoever_passes_are_seen_as_they_are(self) -> None:
        """By the policy: position, post and turn-out."""
        seen: list[tuple[float, int, float]] = []

        def policy(at: Situation) -> list[Order]:
            units = at.units
            seen.extend((units.positions.offset_m[u], units.post[u], units.turn_out_s[u]) for u in (0, 1))
            return []

        simulate(posed([Call(received_s=300, at=9)], [car("A", 0, patrol=self.ROUND), car("B", 6)], policy=policy))
        assert seen == [(pytest.approx(1_500), -1, 15), (0, 6, 30)]
