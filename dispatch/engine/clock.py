"""The time of a run: SimPy's, with events at a given second."""

from __future__ import annotations

from collections.abc import Callable, Generator
from heapq import heappush
from itertools import count
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

    beside: Callable[[float, int], bool] | None = None
    """What keeps events of its own beside the queue: told the second and the number of the queue's next event, it does
    what comes before, and tells whether something else may come next now."""

    def step(self) -> None:
        if self.beside is not None:
            when_s, urgency, number, _ = self._queue[0]
            if self.beside(when_s, number if urgency == NORMAL else -1):
                return
        super().step()

    def advance(self, now_s: float) -> None:
        """It is later now; nothing in the queue comes before."""
        self._now = now_s

    def number(self) -> int:
        """The number of a new event; of events at the same second that with the smaller number happens first."""
        return next(self._eid)

    def number_from(self, number: int) -> None:
        """New events are numbered from here on."""
        self._eid = count(number)

    def at(self, when_s: float, do: Callable[[Any], None], value: Any) -> None:
        """Do something at a second, now if it has passed; it is given the event, whose `value` this is."""
        self.until(when_s, value).callbacks.append(do)

    def until(self, when_s: float, value: Any = None) -> Event:
        """What a process waits for."""
        event = Event(self)
        event._ok, event._value = True, value
        heappush(self._queue, (when_s if when_s > self._now else self._now, NORMAL, next(self._eid), event))
        return event
