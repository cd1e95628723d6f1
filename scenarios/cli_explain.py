"""`patrol explain`: one incident of a run in words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geodata.errors import Fault, InputError
from scenarios.cli_city import Quiet


def explain(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    incident: Annotated[int, typer.Argument(metavar="INCIDENT", help="Its number, as in incidents.parquet.")],
    nearest: Annotated[int, typer.Option(min=1, help="So many of the nearest units are told of.")] = 6,
    quiet: Quiet = False,
) -> None:
    """Tell one incident in words: what happened when, where its seconds went, and why this unit."""
    from dispatch.explain import explain as explained
    from scenarios.build import build_problem
    from scenarios.console import console, watch
    from scenarios.explained import explanation
    from scenarios.run import read_run

    with watch(quiet) as progress:
        progress("Run", 0)
        found = read_run(run)
        problem = build_problem(found.scenario, found.city)
        progress("Run", 1)
    last = len(found.log.incidents) - 1
    if not 0 <= incident <= last:
        expected = f"0 to {last}" if last >= 0 else "no incident at all: the run has none"
        mend = f"incident_id in {run / 'incidents.parquet'} has the numbers."
        raise InputError(Fault(str(run), "INCIDENT", str(incident), expected, mend))
    case = explained(problem, found.log, incident, nearest)
    screen = console()
    for part in explanation(case, problem.standard, problem.start):
        screen.print(part)
