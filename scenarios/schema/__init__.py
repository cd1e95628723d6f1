"""A scenario file, part by part: what may stand in it, in a planner's units, and what holds where it is silent.

Every default says where it comes from: [P] a press or government report, [L] published literature or a standard,
[D] derived from those, [A] assumed.
"""

from scenarios.schema.parts import Part
from scenarios.schema.patrol import BeatsPart, PatrolPart
from scenarios.schema.question import CityPart, StandardPart
from scenarios.schema.roads import SpeedsPart, TravelPart
from scenarios.schema.scenario import Key, Scenario, known_keys, part_of
from scenarios.schema.units import GroupPart, MealPart, ShiftPart, TurnOut, UnitsPart

__all__ = [
    "BeatsPart",
    "CityPart",
    "GroupPart",
    "Key",
    "MealPart",
    "Part",
    "PatrolPart",
    "Scenario",
    "ShiftPart",
    "SpeedsPart",
    "StandardPart",
    "TravelPart",
    "TurnOut",
    "UnitsPart",
    "known_keys",
    "part_of",
]
