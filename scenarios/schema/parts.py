"""What all parts of a scenario file are made of: tables that refuse what they do not know, and values in a planner's
units."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, datetime, time
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict
from pydantic_core import PydanticCustomError


def refusal(found: str, expected: str, mend: str) -> PydanticCustomError:
    """An error of our own, in the words that a fault needs."""
    return PydanticCustomError("scenario", "{expected}", {"found": found, "expected": expected, "mend": mend})


def one_of(known: Collection[str] | Collection[int], mend: str) -> AfterValidator:
    """A name or a number among those that are known."""

    def check(value: str | int) -> str | int:
        if value not in known:
            found = f'"{value}"' if isinstance(value, str) else str(value)
            raise refusal(found, f"one of {', '.join(map(str, known))}", mend)
        return value

    return AfterValidator(check)


def first_twice(names: Iterable[str]) -> str | None:
    """The first name that stands there a second time."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _time_of_day(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return time.fromisoformat(value)
    except ValueError:
        raise refusal(f'"{value}"', "a time of day", 'Write it as "08:00".') from None


def _local(value: datetime) -> datetime:
    if value.tzinfo is None:
        return value
    mend = f"Write it without the offset: {value.replace(tzinfo=None).isoformat()}."
    raise refusal(value.isoformat(), "a local time without an offset", mend)


Number = Annotated[float, Strict()]
Whole = Annotated[int, Strict()]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Share = Annotated[Number, Field(ge=0, le=1)]
Count = Annotated[Whole, Field(ge=1)]
TimeOfDay = Annotated[time, Strict(), BeforeValidator(_time_of_day)]
Moment = Annotated[datetime, Strict(), AfterValidator(_local)]
Day = Annotated[date, Strict()]
Text = Annotated[str, Strict()]
Name = Annotated[Text, Field(min_length=1)]
Flag = Annotated[bool, Strict()]


class Part(BaseModel):
    """A table of the file: frozen, and refusing keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)
