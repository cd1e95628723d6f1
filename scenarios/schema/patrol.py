"""What units do that are free: patrols and beats."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, PlainValidator, model_validator

from dispatch.beats import BY_POST
from dispatch.demand import CellWeight
from dispatch.policies.patrolling import FORMS
from scenarios.schema.parts import Count, Part, Positive, Text, one_of, refusal

STAND_BY = "none"
USES = {
    "route": ("places", "stay_min"),
    "roaming": ("weight", "within_m", "stay_min"),
    "hot_spots": ("places", "spots", "weight", "within_m", "stay_min", "every_min"),
    "guard": ("places",),
    "checks": ("places", "stay_min"),
}
"""The keys that a form of patrol heeds."""
NEEDS_PLACES = ("route", "guard", "checks")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _places(value: object) -> tuple[str | tuple[float, float], ...]:
    """Ids, or pairs of longitude and latitude."""
    expected, mend = "a list of ids of sites and posts, or of [lon, lat]", 'Such as places = ["S01", [112.98, 28.19]].'
    if not isinstance(value, list | tuple):
        raise refusal(f"{value!r}", expected, mend)
    found: list[str | tuple[float, float]] = []
    for place in value:
        if isinstance(place, str) and place:
            found.append(place)
        elif isinstance(place, list | tuple) and len(place) == 2 and all(map(_is_number, place)):
            found.append((float(place[0]), float(place[1])))
        else:
            raise refusal(f"{place!r}", expected, mend)
    return tuple(found)


def _weight(value: object) -> str | dict[str, float]:
    if isinstance(value, str) and value in tuple(CellWeight):
        return str(value)
    if isinstance(value, dict) and value and all(_is_number(v) and v >= 0 for v in value.values()):
        return {str(code): float(v) for code, v in value.items()}
    expected = f"{' or '.join(CellWeight)}, or a table of numbers of 0 or more by the codes of cells"
    raise refusal(f"{value!r}", expected, "Name what makes streets worth a patrol.")


def _stay(value: object) -> tuple[float, float] | None:
    """One number stands for both ends."""
    if value is None:
        return None
    ends = (value, value) if _is_number(value) else value
    if isinstance(ends, list | tuple) and len(ends) == 2 and all(map(_is_number, ends)) and 0 <= ends[0] <= ends[1]:
        return float(ends[0]), float(ends[1])
    raise refusal(f"{value!r}", "minutes, or two numbers between which they are drawn", "Such as 10, or [10, 16].")


class PatrolPart(Part):
    """动中备勤: what free units do in place of standing by at their posts."""

    form: Annotated[Text, one_of((STAND_BY, *FORMS), "Name a form of patrol that exists.")] = Field(
        default=STAND_BY, description=f"{STAND_BY}: they stand by at their posts; or {', '.join(FORMS)}."
    )
    share: Annotated[Positive, Field(le=1)] = Field(
        default=1.0, description="Of the units of each shift: so many patrol, the others stand by. [A]"
    )
    kmh: Positive = Field(default=20.0, description="Of a car; 15 for e-bikes, 4.5 on foot. [A]")
    places: Annotated[Any, PlainValidator(_places)] = Field(
        default=(),
        description="Ids of sites or posts, or [lon, lat]: the stops of a route, hot spots, the sites to check (dealt "
        "among the units), the sites to guard (one a unit).",
    )
    weight: Annotated[Any, PlainValidator(_weight)] = Field(
        default="residents",
        description="Where roaming and hot spots lead: residents, road_length, or numbers by code of cell. [A]",
    )
    within_m: Positive | None = Field(
        default=None, description="No farther from the post than so many metres, roaming and hot spots."
    )
    spots: Count = Field(default=6, description="Hot spots of a unit, where no places are named. [A]")
    stay_min: Annotated[Any, PlainValidator(_stay)] = Field(
        default=None,
        description="Minutes at each stop, or two numbers for hot spots; left out: hot spots 10–16 (Koper) [L], checks "
        "10, others 0.",
    )
    every_min: Positive = Field(default=120.0, description="Minutes of a round of hot spots at least. [L]")

    @model_validator(mode="after")
    def _what_the_form_heeds(self) -> Self:
        if self.form != STAND_BY:
            heeds = USES[self.form]
            for key in ("places", "weight", "within_m", "spots", "stay_min", "every_min"):
                if key not in heeds and getattr(self, key) != type(self).model_fields[key].default:
                    raise refusal(f"`{key}` with the form {self.form}", f"{', '.join(heeds)}", f"Remove `{key}`.")
            if self.form in NEEDS_PLACES and not self.places:
                raise refusal(f"no places for the form {self.form}", "at least one", "Name `places`.")
        if self.stay_min and self.form in ("route", "roaming", "checks") and self.stay_min[0] != self.stay_min[1]:
            raise refusal("two numbers of minutes", f"one for the form {self.form}", "Only hot spots draw theirs.")
        return self


class BeatsPart(Part):
    """责任区: who is responsible for which cells."""

    by: Text | None = Field(
        default=None,
        description=f"{BY_POST}: the cells nearest to each post with units; or a level of the grid's areas, such as "
        "district or subdistrict; left out: no beats.",
    )
