"""Opening hours: what a usual week looks like, and what is refused."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodata.opening import WEEK_MIN, mentions_holidays, opening_minutes

MON, SAT, SUN = 0, 5 * 1440, 6 * 1440


def at(hour: float) -> int:
    return round(hour * 60)


@pytest.mark.parametrize("text", ["", " ", "24/7", "全天", "24小时", "00:00-24:00", "Mo-Su", "08:00-08:00"])
def test_always_open(text: str) -> None:
    assert opening_minutes(text).all()


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("Mo-Fr 08:00-20:00; Sa 09:00-12:00", 63),
        ("08:00-12:00,14:00-18:00", 56),
        ("Mo,We,Fr 10:00-11:30", 4.5),
        ("Fr-Mo 08:00-10:00", 8),
        ("20:00-02:00", 42),
        ("20:00-26:00", 42),
        ("Mo-Su 08:00-20:00; We off", 72),
        ("Mo-Fr 08:00-20:00; Fr 08:00-12:00", 52),
        ("We off", 144),
        ("off", 0),
        ("Mo-Fr", 120),
        ("mo - fr 8:00 - 9:00 ;", 5),
        ("周一至周五 08:00-20:00；周六 9:00-12:00", 63),
        ("每天 8：00～10：00", 14),
        ("工作日 09:00-17:00; 节假日 休息", 40),
    ],
)
def test_hours_a_week(text: str, hours: float) -> None:
    assert opening_minutes(text).sum() == at(hours)


def test_a_span_over_midnight_goes_on_the_next_day() -> None:
    friday = opening_minutes("Sa 20:00-02:00")
    assert friday[SAT + at(20) : SUN + at(2)].all()
    assert friday.sum() == at(6)
    sunday = opening_minutes("Su 22:00-03:00")
    assert sunday[: at(3)].all()
    assert not sunday[at(3)]


def test_the_end_of_a_span_is_closed() -> None:
    week = opening_minutes("Mo 08:00-20:00")
    assert list(week[[at(8) - 1, at(8), at(20) - 1, at(20)]]) == [False, True, True, False]


@pytest.mark.parametrize(
    ("text", "like"), [("PH off", "24/7"), ("Mo-Fr 08:00-20:00; PH off", "Mo-Fr 08:00-20:00"), ("Mo-Su,PH", "24/7")]
)
def test_holidays_are_no_part_of_a_usual_week(text: str, like: str) -> None:
    assert (opening_minutes(text) == opening_minutes(like)).all()
    assert mentions_holidays(text)
    assert not mentions_holidays(like)


@pytest.mark.parametrize(
    "text",
    [
        "8-20",
        "Jan-Mar 08:00-20:00",
        "Mo-Xx 08:00-20:00",
        "sunrise-sunset",
        "08:00+",
        "25:00-26:00",
        "08:61-09:00",
        "08:00-60:00",
        "12:00-47:00",
        "Mo-We-Fr 08:00-09:00",
        "PH-Mo 08:00-09:00",
        "Mo-Fr 08:00-12:00, We 14:00-18:00",
        '"by appointment"',
        ";",
        "Mo;;Tu",
    ],
)
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not understood|no span|no range|does not exist|longer than a day"):
        opening_minutes(text)


@given(st.text(alphabet="MoTuWeThFrSaSuPH0123456789:-,; /周一至off", max_size=30))
def test_any_text_is_a_week_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert opening_minutes(text).shape == (WEEK_MIN,)
