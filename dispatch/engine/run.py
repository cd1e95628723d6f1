"""A run, put together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dispatch.engine.calls import Calls
from dispatch.engine.clock import Steps
from dispatch.engine.closures import Closures
from dispatch.engine.duties import Duties
from dispatch.engine.ordinary import Ordinary
from dispatch.engine.responses import Responses
from dispatch.engine.standby import Standby
from dispatch.log import RunLog
from dispatch.problem import Problem
from geodata.speeds import HOUR_S

FOLLOW_UP_S = 4 * HOUR_S
"""How long after the horizon incidents are still followed. Assumed."""
STEPS = 200
"""So often progress is told."""

Progress = Callable[[float], None]


def no_progress(share: float) -> None:
    """Tell nobody."""


def simulate(problem: Problem, progress: Progress = no_progress) -> RunLog:
    """Run a problem to its end.

    Args:
        problem: all that decides the run.
        progress: told the share of the run that is done, now and then.

    Raises:
        ValueError: a policy orders what cannot be done, such as a unit that is off duty.
    """
    run = Run(problem)
    run.lay_down(progress)
    run.clock.run(until=run.finished)
    return run.journal.tables(run.answered_s, np.asarray(run.ready_s), run.backup_asked, run.clock.now)


class Run(Calls, Responses, Standby, Duties, Closures, Ordinary):
    """All parts of the engine over one state."""

    def lay_down(self, progress: Progress) -> None:
        """What happens by itself: calls, withdrawals, rosters, closures, and the end."""
        clock, incidents = self.clock, self.problem.incidents
        clock.process(self.horizon())
        if progress is not no_progress:
            clock.process(self.tell(progress))
        self.take_up_ordinary()
        if clock.beside is None and len(self.order):
            clock.at(self.ready_s[self.order[0]], self.call_ready, 0)
        withdrawn_s = incidents.received_s + incidents.withdrawn_s
        for incident in np.flatnonzero(np.isfinite(withdrawn_s)).tolist():
            clock.at(float(withdrawn_s[incident]), self.withdraw, incident)
        self.begin_rosters()
        if self.changes_s:
            clock.process(self.changes())

    def horizon(self) -> Steps:
        """End the run at the horizon, or later when all is over, or when nothing more is followed."""
        yield self.clock.until(self.problem.horizon_s)
        if self.open:
            yield self.clock.until(self.problem.horizon_s + FOLLOW_UP_S)
        self.finish()

    def tell(self, progress: Progress) -> Steps:
        for step in range(STEPS):
            progress(step / STEPS)
            yield self.clock.until((step + 1) / STEPS * self.problem.horizon_s)
