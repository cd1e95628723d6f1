"""`patrol history`: recorded incidents from CAD exports, a look at them, and the demand that they tell of."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from geodata.errors import Fault, InputError

history_app = typer.Typer(help="Import recorded incidents, look at them, fit a demand to them.", no_args_is_help=True)

_DAY = ["%Y-%m-%d", "%Y-%m-%dT%H"]
HistoryName = Annotated[Path, typer.Argument(metavar="HISTORY", help="Folder of an imported history.")]
CityOf = Annotated[str, typer.Option("--city", metavar="CITY", help="Folder of a saved city, or demo.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and no remarks.")]


@history_app.command("import")
def import_history(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="CAD exports: CSV in UTF-8 or GB18030, or Parquet; one system's."),
    ],
    city: CityOf,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD=COLUMN", help="Read a field from this column; usual names are known."),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(metavar="FILE.toml", help="Columns, and what values of type, priority and status mean."),
    ] = None,
    places_crs: Annotated[
        str | None,
        typer.Option(help="CRS or datum of the places, such as GCJ-02, BD-09 or EPSG:4547.", show_default="WGS-84"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the history.", show_default="histories/NAME")] = None,
    quiet: Quiet = False,
) -> None:
    """Read recorded incidents from exports of a dispatch system, one row a call or one row a unit sent.

    Missing, zero, reversed and identical times are counted, never guessed; columns that may tell of persons are never
    read.
    """
    missing = [path for path in files if not path.is_file()]
    if missing:
        raise InputError(
            *(Fault(str(path), "", "no such file", "a CAD export to read", "Check the path.") for path in missing)
        )

    from dispatch.history.cad import read_cad
    from dispatch.history.cadrows import OTHER_DATUM
    from dispatch.history.cadwords import CadMapping
    from dispatch.history.record import HISTORY
    from dispatch.history.saved import check_free
    from scenarios.build import city_named
    from scenarios.console import console, remark, watch
    from scenarios.history_tables import history_tables

    folder = out or Path("histories") / files[0].name.split(".")[0]
    check_free(folder, HISTORY)
    said = CadMapping.of(column or (), mapping)
    with watch(quiet) as progress:
        progress("City", 0)
        found = city_named(city)
        progress("City", 1)
        history = read_cad(files, found, said, places_crs=places_crs, progress=progress)
        progress("Saving", 0)
        history.save(folder)
        progress("Saving", 1)
    if not quiet:
        for count in history.counts:
            if count.kind == OTHER_DATUM:
                remark(f"{count.kind}: {count.done}")
    screen = console()
    for part in history_tables(history):
        screen.print(part)
    print(f"History  {folder}")


@history_app.command()
def info(history: HistoryName) -> None:
    """What an imported history holds, and what was found wrong in its files."""
    from dispatch.history.record import History
    from scenarios.console import console
    from scenarios.history_tables import history_tables

    screen = console()
    for part in history_tables(History.load(history)):
        screen.print(part)


@history_app.command()
def fit(
    history: HistoryName,
    city: CityOf,
    start: Annotated[
        datetime | None, typer.Option("--from", formats=_DAY, help="Local time.", show_default="the first day")
    ] = None,
    end: Annotated[
        datetime | None, typer.Option("--to", formats=_DAY, help="Not included.", show_default="after the last day")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the demand.", show_default="HISTORY-demand")] = None,
    quiet: Quiet = False,
) -> None:
    """Fit a demand: rates by type, cell and hour of the week, time on scene by type, time at the desk, mixes."""
    from dispatch.history.fitted import FITTED
    from dispatch.history.fitting import fit_demand
    from dispatch.history.record import History
    from dispatch.history.saved import check_free
    from scenarios.build import city_named
    from scenarios.console import console, watch
    from scenarios.history_tables import fitted_tables

    folder = out or history.with_name(f"{history.resolve().name}-demand")
    check_free(folder, FITTED)
    with watch(quiet) as progress:
        progress("History", 0)
        recorded = History.load(history)
        begin, until = start or recorded.start, end or recorded.end
        if begin >= until:
            found = f"from {begin:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M}"
            held = f"{recorded.start:%Y-%m-%d} to {recorded.end:%Y-%m-%d}"
            mend = f"The history runs from {held}."
            raise InputError(Fault(str(history), "period", found, "an earlier and a later time", mend))
        progress("History", 1)
        progress("City", 0)
        place = city_named(city)
        progress("City", 1)
        progress("Fitting", 0)
        demand = fit_demand(recorded, place, start=begin, end=until)
        demand.save(folder)
        progress("Fitting", 1)
    screen = console()
    for part in fitted_tables(demand):
        screen.print(part)
    print(f"Demand  {folder}")
