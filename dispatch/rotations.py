"""Rosters in common use, by name, and what others like them are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dispatch.roster import DAY_S, REST, Roster, Rotation, Shift
from geodata.speeds import HOUR_S


def even_shifts(names: Sequence[str], first_s: float = 8 * HOUR_S) -> tuple[Shift, ...]:
    """Shifts of one length that fill a day, the first of them from a second of the local day."""
    length_s = DAY_S / len(names)
    return tuple(
        Shift(name=name, start_s=first_s + i * length_s, end_s=(first_s + (i + 1) * length_s) % DAY_S)
        for i, name in enumerate(names)
    )


def even_offsets(teams: int, cycle: Sequence[str]) -> tuple[int, ...]:
    """Those of teams at even distances in a cycle; the second one goes through it after the first."""
    return tuple(-(team * len(cycle) // teams) for team in range(teams))


def _rotating(name: str, teams: int, shifts: tuple[Shift, ...], cycle: tuple[str, ...]) -> Roster:
    return Roster(
        name=name, shifts=shifts, rotation=Rotation(cycle=cycle, offsets=even_offsets(teams, cycle)), on_duty=1
    )


_DAY_NIGHT = even_shifts(("day", "night"))
_DAY_EVENING_NIGHT = even_shifts(("day", "evening", "night"))
ROSTERS: Mapping[str, Roster] = {
    roster.name: roster
    for roster in (
        Roster(name="always", shifts=even_shifts(("all day",), 0.0), on_duty=1),
        Roster(name="two_shifts", shifts=_DAY_NIGHT, on_duty=1),
        Roster(name="three_shifts", shifts=_DAY_EVENING_NIGHT, on_duty=1),
        _rotating("four_teams_two_shifts", 4, _DAY_NIGHT, ("day", "night", REST, REST)),
        _rotating("four_teams_three_shifts", 4, _DAY_EVENING_NIGHT, ("day", "evening", "night", REST)),
        _rotating(
            "five_teams_three_shifts",
            5,
            _DAY_EVENING_NIGHT,
            ("day", "day", "evening", "evening", "night", "night", REST, REST, REST, REST),
        ),
        _rotating("on_24_off_48", 3, even_shifts(("on",)), ("on", REST, REST)),
    )
}
"""全天, 两班倒 and 三班倒 with teams of their own, 四班两运转, 四班三运转, 五班三运转, 24 h on and 48 off; one team is
always on duty. Changes at 8 o'clock, and the order within the cycles: assumed."""
