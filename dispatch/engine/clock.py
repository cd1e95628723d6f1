"""The time of a run: SimPy's, with events at a given second."""

from __future__ import annotations

from collections.abc import Callable, Generator
from math import ulp
from typing import Any

import simpy

Event = simpy.Event
Steps = Generator[Event, Any, None]
"""What a process yields."""


class Clock(simpy.Environment):
    """Seconds of the run. Events of one second happen in the order in which they were asked for."""

    def at(self, when_s: float, do: Callable[[Any], None], value: Any) -> None:
        """Do something at a second, not an instant before; it is given the event, whose `value` this is."""
        event = simpy.Timeout(self, self._delay_s(when_s), value)
        event.callbacks.append(do)

    def until(self, when_s: float) -> Event:
        """What a process waits for."""
        return simpy.Timeout(self, self._delay_s(when_s))

    def _delay_s(self, when_s: float) -> float:
        now_s = self.now
        delay_s = when_s - now_s
        if delay_s <= 0.0:
            return 0.0
        # the sum may be rounded to the digit below
        return delay_s if now_s + delay_s >= when_s else delay_s + ulp(when_s)
