"""The time of a run: SimPy's, with events at a given second."""

from __future__ import annotations

from collections.abc import Callable, Generator
from heapq import heappush
from typing import Any

import simpy
from simpy.events import NORMAL

Event = simpy.Event
Steps = Generator[Event, Any, None]
"""What a process yields."""


class Clock(simpy.Environment):
    """Seconds of the run. Events of one second happen in the order in which they were asked for.

    SimPy's own timeouts take the seconds from now, and the sum may be rounded to a digit before the second that is
    meant; here an event stands in SimPy's queue at that very second.
    """

    def at(self, when_s: float, do: Callable[[Any], None], value: Any) -> None:
        """Do something at a second, now if it has passed; it is given the event, whose `value` this is."""
        self.until(when_s, value).callbacks.append(do)

    def until(self, when_s: float, value: Any = None) -> Event:
        """What a process waits for."""
        event = Event(self)
        event._ok, event._value = True, value
        heappush(self._queue, (when_s if when_s > self._now else self._now, NORMAL, next(self._eid), event))
        return event
