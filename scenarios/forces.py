"""From groups to units: rosters, posts, beats and patrols."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from typing import Any, NamedTuple

import numpy as np

from dispatch.beats import BY_POST, make_beats
from dispatch.engine import FOLLOW_UP_S
from dispatch.patrol import Patrol
from dispatch.policies.ground import Ground
from dispatch.policies.patrolling import FORMS, SHIFT_S, Patroller, make_patrol
from dispatch.policies.situation import Beats
from dispatch.roster import DAY_S, Shift, duties
from dispatch.units import Span, UnitKind, UnitSpec
from geodata.city import City
from geodata.errors import Fault, Faults, InputError
from geodata.network import Bools, Floats, Ints
from geodata.opening import DAY_MIN, WEEK_MIN
from geodata.sites import Week
from geodata.travel import Rows
from scenarios.kinds import kinds_of
from scenarios.roads import Travels
from scenarios.rosters import Team, roster_of, teams_of
from scenarios.schema import GroupPart, PatrolPart, Scenario, TurnOut
from scenarios.schema.patrol import STAND_BY

STATION_KINDS = frozenset({"station", "police_station", "派出所"})
"""Kinds of post that turn out as a police station 派出所 does."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Forces:
    """Who is there."""

    units: tuple[UnitSpec, ...]
    beats: Beats | None


class Dealt(NamedTuple):
    """A unit and its post."""

    id: str
    group: int
    """Row of its group."""
    team: Team
    number: int
    """In its team."""
    of: int
    """Units of its team."""
    post: int


def forces_of(
    scenario: Scenario, city: City, travels: Travels, n_units: int | None = None, replication: int = 0
) -> Forces:
    """The units of every group and shift, each at its post; ids such as P01-D1, the first unit of post P01 by day, or
    P01-armed-D1 of a group.

    Args:
        scenario: who is wanted.
        city: its posts.
        travels: by the driving rules of the kinds.
        n_units: on duty in each shift, in place of the scenario's own count; groups share them as they share theirs.
        replication: of breakdowns and of the ways of patrols.

    Raises:
        InputError: kinds, posts or levels that there are not, no post for a unit, a patrol that cannot be driven, an
            outage of no unit.
    """
    dealt = deal_units(scenario, city, n_units)
    beats, beat_of_post = _beats(scenario, city, travels, np.unique([unit.post for unit in dealt]))
    maker = _Maker(scenario, city, travels, beats, replication)
    return Forces(units=tuple(maker.unit(unit, beat_of_post) for unit in dealt), beats=beats)


def deal_units(scenario: Scenario, city: City, n_units: int | None = None) -> list[Dealt]:
    """Every unit with its post; arguments and errors as of `forces_of`."""
    part, faults = scenario.units, Faults(f"scenario {scenario.name}")
    groups, known = part.forces, list(kinds_of(scenario))
    counts = [group.count for group in groups] if n_units is None else apportion([g.count for g in groups], n_units)
    ids, open_minutes = city.posts.table["id"].tolist(), Week.of(city.posts.table["opening_hours"])
    found: list[Dealt] = []
    for row, group in enumerate(groups):
        where = _place(scenario, row)
        if group.kind not in known:
            near = difflib.get_close_matches(group.kind, known, 1)
            mend = f"Did you mean `{near[0]}`?" if near else f"Define it in [units.kinds.{group.kind}]."
            faults.add(f"{where}.kind", f'the unknown kind "{group.kind}"', f"one of {', '.join(known)}", mend)
            continue
        allowed = _posts_named(group, city, where, faults)
        for team in teams_of(scenario, group):
            at = allowed & _open_for(open_minutes, team.shifts)
            if not at.any():
                expected = f"one that takes {group.kind} and is open whenever {team.name} is on duty"
                mend = "See `unit_kinds` and `opening_hours` of the city's posts."
                faults.add(f"{where}.posts", "no post", expected, mend)
                continue
            number, posts = dict.fromkeys(range(len(ids)), 0), deal(city, math.ceil(counts[row] * team.share), at)
            for i, post in enumerate(posts):
                number[post] += 1
                name = f"{group.name}-" if group.name else ""
                unit = f"{ids[post]}-{name}{team.mark}{number[post]}"
                found.append(Dealt(unit, row, team, i, len(posts), post))
    units = {unit.id for unit in found}
    for i, outage in enumerate(part.outages):
        if outage.unit not in units and n_units is None:
            near = difflib.get_close_matches(outage.unit, units, 1)
            mend = f"Did you mean {near[0]}?" if near else "Take the id of a unit, as the tables of a run name it."
            faults.add(f"units.outages[{i}].unit", f'no unit "{outage.unit}"', "one of the roster's", mend)
    faults.raise_any()
    return found


def _place(scenario: Scenario, group: int) -> str:
    return f"units.groups[{group}]" if scenario.units.groups else "units"


def _posts_named(group: GroupPart, city: City, where: str, faults: Faults) -> Bools:
    """(n_posts,) those that may have units of a group."""
    ids, takes = city.posts.table["id"].tolist(), city.posts.takes(group.kind)
    if not group.posts:
        return takes
    named = np.array([post in group.posts for post in ids], bool)
    for post in group.posts:
        if post not in ids:
            near = difflib.get_close_matches(post, ids, 1)
            mend = f"Did you mean {near[0]}?" if near else "Take an id of the city's posts."
            faults.add(f"{where}.posts", f'no post "{post}"', "ids of the city's posts", mend)
        elif not takes[ids.index(post)]:
            kinds = ", ".join(sorted(city.posts.unit_kinds[ids.index(post)]))
            faults.add(f"{where}.posts", f"{post}, which takes {kinds} only", f"posts for {group.kind}", "Remove it.")
    return named & takes


def _open_for(week: Week, shifts: Sequence[Shift]) -> Bools:
    """(n_posts,) those that are open in every minute of the shifts."""
    minutes = np.zeros(WEEK_MIN, bool)
    for shift in shifts:
        begin, length = int(shift.start_s // 60), math.ceil(shift.length_s / 60)
        for day in shift.weekdays:
            minutes[np.arange(day * DAY_MIN + begin, day * DAY_MIN + begin + length) % WEEK_MIN] = True
    always = np.asarray(week.minutes[:, minutes].all(axis=1), bool)
    return always[week.row]


def deal(city: City, n_units: int, allowed: Bools | None = None) -> list[int]:
    """The posts (rows) that a number of units stand by at: one to each post, then a second where there is room for
    two, and so on; the roomier post first, of equals the one that comes first in the table. When all posts are full
    the rounds begin again: room is a wish, and a planner may ask what more units would do.

    `allowed`: (n_posts,) the posts that may be dealt to; None: all.
    """
    capacity = np.maximum(city.posts.table["capacity"].to_numpy(int), 1)
    order = [int(post) for post in np.argsort(-capacity, kind="stable") if allowed is None or allowed[post]]

    most = int(capacity[order].max(initial=1))

    def rounds() -> Iterator[list[int]]:
        for number in count():
            yield [post for post in order if capacity[post] > number % most]

    return list(islice(chain.from_iterable(rounds()), n_units)) if order else []


def apportion(counts: Sequence[int], total: int) -> list[int]:
    """A total shared in the proportion of counts, by the largest remainders; of equal ones the first."""
    exact = np.array(counts) * total / sum(counts)
    whole = np.floor(exact).astype(int)
    more = np.argsort(-(exact - whole), kind="stable")[: total - int(whole.sum())]
    whole[more] += 1
    return [int(number) for number in whole]


def turn_out_by_post(part: TurnOut, city: City) -> Floats:
    """(n_posts,) seconds from the order to rolling, by the kind of each post."""
    return np.where(city.posts.table["kind"].isin(STATION_KINDS), part.station, part.post)


def _beats(scenario: Scenario, city: City, travels: Travels, manned: Rows) -> tuple[Beats | None, Ints]:
    """The beats, and (n_posts,) that of the units of each post."""
    by = scenario.beats.by
    if by is None:
        return None, np.full(len(city.posts), -1, np.int32)
    if by != BY_POST and by not in city.grid.levels:
        expected = ", ".join((BY_POST, *city.grid.levels))
        mend = "Name a level of the city's areas."
        raise InputError(Fault(f"scenario {scenario.name}", "beats.by", f'"{by}"', f"one of {expected}", mend))
    return make_beats(city, next(iter(travels.values())), by, manned)


class _Maker:
    """Makes the units of a scenario; what many share is made once."""

    def __init__(self, scenario: Scenario, city: City, travels: Travels, beats: Beats | None, replication: int) -> None:
        self.scenario, self.city, self.travels, self.beats = scenario, city, travels, beats
        self.replication = replication
        self.groups, self.kinds = scenario.units.forces, kinds_of(scenario)
        self.rosters = [roster_of(scenario, group) for group in self.groups]
        self.turn_out_s = turn_out_by_post(scenario.units.turn_out_s, city)
        self.grounds: dict[tuple[str, float], Ground] = {}

    def unit(self, dealt: Dealt, beat_of_post: Ints) -> UnitSpec:
        run, group = self.scenario.run, self.groups[dealt.group]
        kind = self.kinds[group.kind]
        own = duties(
            self.rosters[dealt.group],
            unit_id=dealt.id,
            team=dealt.team.row,
            number=dealt.number,
            start=run.start,
            # what was received last is followed to its end
            horizon_s=run.days * DAY_S + FOLLOW_UP_S,
            seed=run.seed,
            replication=self.replication,
        )
        beat = int(beat_of_post[dealt.post]) if group.beat is None else self.named_beat(group.beat, dealt.group)
        return UnitSpec(
            id=dealt.id,
            post=dealt.post,
            kind=kind,
            duty=own.duty,
            standby=own.standby,
            meals=own.meals,
            outages=own.outages,
            shift=dealt.team.name,
            beat=beat,
            patrol=self.patrol(dealt, kind, beat, own.duty),
            turn_out_post_s=float(self.turn_out_s[dealt.post]),
            turn_out_mobile_s=self.scenario.units.turn_out_s.mobile,
        )

    def named_beat(self, name: str, group: int) -> int:
        by = self.scenario.beats.by
        if by is None:
            known: list[str] = []
        elif by == BY_POST:
            known = self.city.posts.table["id"].tolist()
        else:
            codes = self.city.grid.ancestor_code(by).to_numpy(str)
            known = np.unique(codes[codes != ""]).tolist()
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            mend = f"Did you mean {near[0]}?" if near else "Set beats.by, and name one of its posts or areas."
            expected = f"the id or code of a beat by {by}" if by else "beats, as beats.by makes them"
            raise self.fault(group, "beat", f'"{name}"', expected, mend)
        return known.index(name)

    def patrol(self, dealt: Dealt, kind: UnitKind, beat: int, duty: Sequence[Span]) -> Patrol | None:
        part = self.groups[dealt.group].patrol or self.scenario.patrol
        turn = patrol_number(dealt.number, part.share)
        if part.form == STAND_BY or turn is None:
            return None
        options = _form_options(part, turn, patrolling(dealt.of, part.share))
        if options is None:
            return None
        who = Patroller(
            unit=dealt.id,
            home=self.city.posts.positions[dealt.post],
            cells=None if self.beats is None or beat < 0 else np.asarray(self.beats.of_cell == beat),
            shift_s=_stretch_s(duty, FORMS[part.form].again),
            seed=self.scenario.run.seed,
            replication=self.replication,
        )
        key = kind.driving, part.kmh
        if key not in self.grounds:
            self.grounds[key] = Ground(city=self.city, travel=self.travels[kind.driving], kmh=part.kmh)
        own = self.groups[dealt.group].patrol is not None
        try:
            return make_patrol(part.form, self.grounds[key], who, options)
        except InputError as error:
            place = self.patrol_place(dealt.group, own)
            raise InputError(
                *(
                    replace(f, source=f"scenario {self.scenario.name}", place=f"{place}: {f.place}")
                    for f in error.faults
                )
            ) from error
        except ValueError as error:
            place, mend = self.patrol_place(dealt.group, own), "Check its places and its minutes."
            raise InputError(
                Fault(f"scenario {self.scenario.name}", place, str(error), "a patrol that can be driven", mend)
            ) from error

    def patrol_place(self, group: int, own: bool) -> str:
        return f"{_place(self.scenario, group)}.patrol" if own else "patrol"

    def fault(self, group: int, key: str, found: str, expected: str, mend: str) -> InputError:
        place = f"{_place(self.scenario, group)}.{key}"
        return InputError(Fault(f"scenario {self.scenario.name}", place, found, expected, mend))


def patrol_number(number: int, share: float) -> int | None:
    """How many units of a team before this one patrol; None if it stands by itself. Those that patrol are spread
    evenly over the team."""
    before, after = patrolling(number, share), patrolling(number + 1, share)
    return before if after > before else None


def patrolling(n_units: int, share: float) -> int:
    """How many of the first units of a team patrol, rounded up."""
    return math.ceil(n_units * share - 1e-9)


def _stretch_s(duty: Sequence[Span], again: bool) -> float:
    """How long a patrol is to last; one that begins anew need not fill a week of duty without a pause."""
    longest_s = max((span.end_s - span.begin_s for span in duty), default=SHIFT_S)
    return min(longest_s, DAY_S) if again else longest_s


def _form_options(part: PatrolPart, turn: int, n_patrols: int) -> Mapping[str, Any] | None:
    """The options of a form for one unit; None: no place is left for it to guard or to check."""
    stay = part.stay_min
    if part.form == "route":
        return {"waypoints": part.places, "stay_minutes": stay[0] if stay else 0.0}
    if part.form == "guard":
        return {"site": part.places[turn]} if turn < len(part.places) else None
    if part.form == "checks":
        own = part.places[turn::n_patrols]
        return ({"sites": own} | ({"minutes": stay[0]} if stay else {})) if own else None
    area = {"weight": part.weight, "within_m": math.inf if part.within_m is None else part.within_m}
    if part.form == "roaming":
        return area | {"stay_minutes": stay[0] if stay else 0.0}
    spots: dict[str, Any] = area | {"n": part.spots, "every_minutes": part.every_min}
    if part.places:
        spots["places"] = part.places
    return spots | ({"stay_minutes": stay} if stay else {})
