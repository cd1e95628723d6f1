"""How fast traffic moves, and what slows or closes roads for a while."""

from __future__ import annotations

import re
from typing import Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from scenarios.schema.parts import Moment, Name, NotNegative, Part, Positive, Text, refusal


class OffPeakKmh(Part):
    """km/h by road class outside the peak."""

    expressway: Positive = Field(default=55.0, description="快速路 [A]")
    arterial: Positive = Field(default=36.0, description="主干路 [A]")
    collector: Positive = Field(default=28.0, description="次干路 [A]")
    local: Positive = Field(default=20.0, description="支路 [A]")
    pedestrian: Positive = Field(default=10.0, description="步行街, for units that may use them. [A]")


class PeakKmh(Part):
    """km/h by road class at 7–9 and 17–19 o'clock on working days."""

    expressway: Positive = Field(default=31.0, description="快速路; Changsha 2020. [P]")
    arterial: Positive = Field(default=21.0, description="主干路; Changsha 2020. [P]")
    collector: Positive = Field(default=18.0, description="次干路 [A]")
    local: Positive = Field(default=15.0, description="支路 [A]")
    pedestrian: Positive = Field(default=8.0, description="步行街, for units that may use them. [A]")


class SpeedsPart(Part):
    """How fast traffic moves."""

    off_peak_kmh: OffPeakKmh = OffPeakKmh()
    peak_kmh: PeakKmh = PeakKmh()
    night_factor: Positive = Field(default=1.15, description="On the off-peak speed from 22 to 6 o'clock. [A]")
    junction_s: NotNegative = Field(
        default=0.0, description="Seconds that every junction of three or more streets takes. [A]"
    )
    u_turn_s: NotNegative = Field(
        default=0.0, description="Seconds of a U-turn, where a turn restriction makes one worth while. [A]"
    )
    given_off_peak: Text | None = Field(
        default=None, description="Name of a table of times that the roads bring, in place of the speeds."
    )
    given_peak: Text | None = Field(default=None, description="The same for the peak hours of working days.")

    @field_validator("given_peak")
    @classmethod
    def _both_tables(cls, peak: str | None, info: ValidationInfo) -> str | None:
        if (peak is None) != (info.data.get("given_off_peak") is None):
            found = "one of given_off_peak and given_peak"
            raise refusal(found, "both or none", "Name the table of the other hours too; it may be the same.")
        return peak


_WKT = re.compile(r"\s*(MULTI)?POLYGON\b", re.IGNORECASE)


def is_wkt(area: str) -> bool:
    """Whether the area of a closure stands in the scenario itself, and not in a file."""
    return _WKT.match(area) is not None


class _WhilePart(Part):
    """Something that holds for a while."""

    start: Moment = Field(description="Local time from which on it holds.")
    end: Moment = Field(description="Local time at which it is over.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.start < self.end:
            raise refusal(f"{self.start} to {self.end}", "an end after the start", "Correct one of the two.")
        return self


class ClosurePart(_WhilePart):
    """Roads in an area: a flood, a cordon, an event with crowds."""

    name: Name = Field(description="Such as the name of a bridge.")
    area: Name = Field(description="A file with polygons, relative to this file, or a POLYGON as WKT.")
    crs: Text | None = Field(
        default=None, description="CRS or datum of the area, such as GCJ-02; left out: the file's own, WGS-84 for WKT."
    )
    factor: NotNegative = Field(default=0.0, description="On the speed of the roads that touch it; 0: closed. [A]")


class WeatherPart(_WhilePart):
    """All roads of the city."""

    name: Name = Field(default="weather", description="Such as rain.")
    factor: Positive = Field(description="On the speed of all roads: 0.85 in rain is fair. [A]")


class TravelPart(Part):
    """What makes journeys uncertain or slow."""

    journey_cv: NotNegative = Field(
        default=0.0, description="Coefficient of variation of journeys around what is expected; 0.2 is fair. [A]"
    )
    closures: tuple[ClosurePart, ...] = Field(default=(), description="Roads that are closed or slow for a while.")
    weather: tuple[WeatherPart, ...] = Field(default=(), description="Spells in which all roads are slow.")
