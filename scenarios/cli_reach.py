"""`patrol coverage` and `patrol city calibrate`: how far units come in time, and how fast traffic is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from geodata.errors import Fault, InputError
from scenarios.cli_city import CityName, Force, Quiet

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS = get_args(Day)
Driving = Literal["obey_all", "ignore_turns", "emergency", "motorcycle", "foot"]
"""The names of `geodata.driving.RULES`, which takes its time to import."""


def coverage(
    city: CityName,
    minutes: Annotated[list[float], typer.Option(help="One or more, such as --minutes 1 3 5.")] = [1.0, 3.0, 5.0],  # noqa: B006
    day: Annotated[Day, typer.Option(help="Day of the week.")] = "mon",
    hour: Annotated[int, typer.Option(min=0, max=23, help="Hour of the day; 18 is in the evening peak.")] = 18,
    turn_out_s: Annotated[
        float | None, typer.Option(min=0, help="Seconds from the order to rolling; else by the kind of post.")
    ] = None,
    speed_factor: Annotated[float, typer.Option(min=0.1, max=3, help="On the road's speed, with siren.")] = 1.3,
    driving: Annotated[Driving, typer.Option(help="What units may do on their way.")] = "obey_all",
    closed: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Polygons inside which roads are closed: a flood, a cordon.")
    ] = None,
    closed_crs: Annotated[str | None, typer.Option(help="Their CRS or datum, such as GCJ-02.")] = None,
    gpkg: Annotated[
        Path | None, typer.Option(metavar="FILE.gpkg", help="Write what is reached there: roads, ground, cells.")
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """How much of a city its posts reach in time, each with a unit at home."""
    import numpy as np

    from dispatch.planning.coverage import posts_reach
    from geodata.driving import RULES
    from geodata.export import check_target, write_gpkg
    from geodata.reach import reach_shares
    from geodata.routing import RoadTravel
    from scenarios.build import city_named, turn_out_by_post
    from scenarios.console import console, coverage_tables, remark, watch
    from scenarios.reached import closure, reach_layers
    from scenarios.schema import TurnOut

    if wrong := [value for value in minutes if not value > 0]:
        raise typer.BadParameter(f"{wrong[0]:g} is not above 0", param_hint="--minutes")
    if gpkg is not None:
        check_target(gpkg, force=force)
    turn_out = TurnOut() if turn_out_s is None else TurnOut(post=turn_out_s, station=turn_out_s)
    limits_s = [60 * value for value in sorted(set(minutes))]
    with watch(quiet) as progress:
        progress("City", 0)
        at = city_named(city)
        progress("City", 1)
        progress("Reach", 0)
        slowdowns = [] if closed is None else [closure(at.network, closed, closed_crs)]
        travel = RoadTravel(at.network, rules=RULES[driving], slowdowns=slowdowns)
        found = posts_reach(
            at,
            travel,
            hour=travel.moment(DAYS.index(day) * 24 + hour, 0.0),
            limit_s=limits_s[-1],
            speed_factor=speed_factor,
            turn_out_s=turn_out_by_post(turn_out, at),
        )
        shares = reach_shares(at, found, limits_s)
        progress("Reach", 1)
        if gpkg is not None:
            progress("Layers", 0)
            write_gpkg(reach_layers(at, found, limits_s), gpkg, force=force)
            progress("Layers", 1)
    turn_outs = " / ".join(f"{seconds:g}" for seconds in sorted({turn_out.post, turn_out.station}))
    when = f"{day.capitalize()} {hour}:00, turn-out {turn_outs} s, siren × {speed_factor:g}"
    when += f", {driving}" * (driving != "obey_all") + ", with closures" * bool(slowdowns)
    screen = console()
    for part in coverage_tables(at, shares, when):
        screen.print(part)
    for down in slowdowns:
        if len(down.edges):
            km = at.network.street_length_m[np.unique(at.network.street[down.edges])].sum() / 1000
            remark(f"{km:,.1f} km of road are closed by {down.name}; a post inside reaches nothing")
        else:
            remark(
                f"no road lies inside {down.name}, so nothing is closed: check its place, and its datum (--closed-crs)"
            )
    if shut := int((~at.posts.open_at(DAYS.index(day) * 24 + hour)).sum()):
        remark(
            f"{shut} of {len(at.posts)} posts are not open then by their opening hours, but count here as if they were"
        )
    if gpkg is not None:
        print(f"Layers  {gpkg}")


def calibrate(
    city: CityName,
    journeys: Annotated[
        Path,
        typer.Argument(
            metavar="JOURNEYS", help="CSV: origin_lon, origin_lat, dest_lon, dest_lat, start, seconds; a row a journey."
        ),
    ],
    crs: Annotated[str, typer.Option(help="CRS or datum of the coordinates, such as GCJ-02.")] = "EPSG:4326",
    zone: Annotated[str, typer.Option(help="Time zone of the city.")] = "Asia/Shanghai",
    driving: Annotated[Driving, typer.Option(help="What those vehicles could do.")] = "obey_all",
    speed_factor: Annotated[float, typer.Option(min=0.1, max=3, help="Of those vehicles on the road's speed.")] = 1.0,
) -> None:
    """Fit the driving speeds to recorded journeys, and print them for a scenario file."""
    from geodata.calibrate import calibrate as fit
    from geodata.calibrate import read_journeys
    from geodata.driving import RULES
    from scenarios.build import city_named
    from scenarios.console import console
    from scenarios.reached import calibration_tables, speeds_toml

    at = city_named(city)
    found, left_out = read_journeys(journeys, at.network, crs, zone=zone)
    try:
        fitted = fit(at.network, found, rules=RULES[driving], speed_factor=speed_factor)
    except ValueError as error:
        mend = "Check that the journeys lie in this city, and their datum."
        raise InputError(Fault(str(journeys), "", str(error), "journeys on the city's roads", mend)) from error
    screen = console()
    for part in calibration_tables(fitted, left_out):
        screen.print(part)
    print(speeds_toml(fitted), end="")
