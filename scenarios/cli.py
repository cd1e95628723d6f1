"""The command line. It prints; everything else is done by what it calls, and is imported only when it is called."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geodata.errors import InputError
from scenarios.cli_city import Quiet, city_app
from scenarios.cli_explain import explain
from scenarios.cli_history import history_app
from scenarios.cli_reach import calibrate, coverage

if TYPE_CHECKING:
    from geodata.city import City
    from scenarios.schema import Scenario

WRONG_INPUT = 2
"""Exit status, as of an unknown option."""
SPREADING = ("--minutes",)
"""Options that take several values after one another."""

app = typer.Typer(
    name="patrol",
    help="Simulate police patrol dispatch and see how a city meets the 1-3-5 minute response circle.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(city_app, name="city")
app.add_typer(history_app, name="history")

ScenarioName = Annotated[str, typer.Argument(metavar="SCENARIO", help="A .toml file, or the name of a built-in one.")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit status; a wrong input is told without a traceback."""
    typed = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a console or a pipe in an old code page lacks some signs; better a ? than no table
            stream.reconfigure(errors="replace")
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        app(args=list(spread(typed)), prog_name="patrol")
    except InputError as error:
        for fault in error.faults:
            print(f"error: {fault}", file=sys.stderr)
        sys.exit(WRONG_INPUT)
    except OSError as error:
        if error.filename is None:
            raise
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit(WRONG_INPUT)


def spread(arguments: Sequence[str]) -> Iterator[str]:
    """`--minutes 1 3 5` as `--minutes 1 --minutes 3 --minutes 5`, which the parser understands."""
    option = ""
    first = True
    for argument in arguments:
        if argument in SPREADING:
            option, first = argument, True
            yield argument
        elif option and _is_number(argument):
            if not first:
                yield option
            first = False
            yield argument
        else:
            option = ""
            yield argument


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"patrol135 {version('patrol135')}")
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    del show_version


app.command()(coverage)
app.command()(explain)
city_app.command()(calibrate)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("out/demo"),
    quiet: Quiet = False,
) -> None:
    """Run a week in the made demo city: the quickest way to see what this is."""
    _run("demo", out, None, quiet)


@app.command()
def run(
    scenario: ScenarioName,
    out: Annotated[Path | None, typer.Option(help="Folder of the results.", show_default="out/NAME")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="In place of the scenario's own.")] = None,
    quiet: Quiet = False,
) -> None:
    """Run a scenario; print how its city meets the circle; write tables, a map and a report."""
    _run(scenario, out, seed, quiet)


def _run(name: str, out: Path | None, seed: int | None, quiet: bool) -> None:
    from scenarios.console import console, run_tables, watch
    from scenarios.load import find_scenario, load_scenario
    from scenarios.run import run_scenario

    scenario = load_scenario(find_scenario(name))
    if seed is not None:
        scenario = scenario.model_copy(update={"run": scenario.run.model_copy(update={"seed": seed})})
    folder = out or Path("out") / scenario.name
    with watch(quiet) as progress:
        done = run_scenario(scenario, folder, progress)
    _tell_replay(scenario, done.city, quiet)
    screen = console()
    for part in run_tables(done):
        screen.print(part)
    print(f"\nReport 报告  {folder / 'report.html'}\nMap 地图     {folder / 'map.html'}")


def _tell_replay(scenario: Scenario, city: City, quiet: bool) -> None:
    """What a replay left out or drew, once a command, however many runs it makes."""
    from scenarios.build import standard_of
    from scenarios.console import remark
    from scenarios.happenings import replay_of

    if not quiet and scenario.demand.history is not None:
        for count in replay_of(scenario, city, standard_of(scenario), Path(scenario.demand.history)).counts:
            remark(f"replay: {count}")


@app.command()
def scenarios(
    keys: Annotated[bool, typer.Option("--keys", help="Explain every key of a scenario file instead.")] = False,
) -> None:
    """List the built-in scenarios."""
    from scenarios.console import console, keys_table, scenarios_table
    from scenarios.load import library, load_scenario

    screen = console()
    if keys:
        screen.print(keys_table())
    else:
        screen.print(scenarios_table([load_scenario(path) for path in library().values()]))
        print("Run one: patrol run NAME. Every key of a scenario file: patrol scenarios --keys.")


@app.command("map")
def draw_map(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    tiles: Annotated[bool, typer.Option("--tiles", help="Over a street map from the internet.")] = False,
    quiet: Quiet = False,
) -> None:
    """Draw the map of a finished run again."""
    from scenarios.console import watch
    from scenarios.run import map_page, read_run, write_whole

    with watch(quiet) as progress:
        progress("Run", 0)
        found = read_run(run)
        progress("Run", 1)
        progress("Map", 0)
        write_whole(run / "map.html", map_page(found, tiles=tiles))
        progress("Map", 1)
    print(run / "map.html")


@app.command()
def staff(
    scenario: ScenarioName,
    units: Annotated[str, typer.Option(help="On duty in each shift: 8:24:2, or 8,12,16.")],
    replications: Annotated[int, typer.Option(min=2, help="Draws of the demand for each number of units.")] = 20,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes.", show_default="one a core")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the study; a stopped one goes on there.", show_default="out/NAME-staff"),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """How many units are enough? Run a scenario for each number of them and compare with the target."""
    from scenarios.build import open_city
    from scenarios.console import console, staff_tables, watch
    from scenarios.load import find_scenario, load_scenario
    from scenarios.study import parse_units, staff_study

    asked = load_scenario(find_scenario(scenario))
    levels = parse_units(units)
    folder = out or Path("out") / f"{asked.name}-staff"
    with watch(quiet) as progress:
        progress("City", 0)
        city = open_city(asked.city)
        progress("City", 1)
        study = staff_study(
            asked, city, levels, replications=replications, workers=workers, folder=folder, progress=progress
        )
    _tell_replay(asked, city, quiet)
    screen = console()
    for part in staff_tables(study, asked):
        screen.print(part)
    print(f"\nTable  {folder / 'staffing.csv'}")


@app.command()
def compare(
    scenario: ScenarioName,
    policies: Annotated[
        str | None, typer.Option(help="Names with commas.", show_default="all that are built in")
    ] = None,
    replications: Annotated[int, typer.Option(min=1, help="Draws of the demand; each policy meets them all.")] = 5,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes.", show_default="one a core")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the study; a stopped one goes on there.", show_default="out/NAME-policies"),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Whom to send? Run a scenario under each dispatch policy on the same incidents and compare."""
    from scenarios.build import open_city
    from scenarios.compare import VARIANTS, compare_study
    from scenarios.console import compare_tables, console, watch
    from scenarios.load import find_scenario, load_scenario

    asked = load_scenario(find_scenario(scenario))
    names = tuple(VARIANTS) if policies is None else tuple(name.strip() for name in policies.split(","))
    folder = out or Path("out") / f"{asked.name}-policies"
    with watch(quiet) as progress:
        progress("City", 0)
        city = open_city(asked.city)
        progress("City", 1)
        table = compare_study(
            asked, city, names, replications=replications, workers=workers, folder=folder, progress=progress
        )
    _tell_replay(asked, city, quiet)
    screen = console()
    for part in compare_tables(table, asked):
        screen.print(part)
    print(f"\nTable  {folder / 'policies.csv'}")


if __name__ == "__main__":
    main()
