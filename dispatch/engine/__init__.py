"""The engine: carries incidents from the call to clearing, and writes down all that happened.

Everything random was drawn before; the engine decides nothing (the policies do) and computes no statistics (the metrics
do). SimPy keeps the time. What happens to incidents and units are callbacks of single events, as these cost a fraction
of a process; a unit's roster is a process.

    clock      the time (SimPy)
    desk       when each call is ready, worked out before the run
    fleet      where the units are, worked out when somebody asks
    journal    what is written down
    luck       how long a journey really takes
    state      what a run knows at a moment, and what its parts ask of one another
    calls      incidents that wait, and the policy that is asked for them
    responses  units and the incidents that they are with
    standby    free units: back to the post, on patrol, to another post
    duties     rosters: shifts, meals, outages, standby
    closures   roads that close while units are on them
    ordinary   when what most incidents go through is done at once, in compiled code
    dealing    that code: the steps from the order to the way back, once more
    lookout    and who is nearest, without looking where everybody is
"""

from dispatch.engine.dealing import is_compiled
from dispatch.engine.run import FOLLOW_UP_S, no_progress, simulate

__all__ = ["FOLLOW_UP_S", "is_compiled", "no_progress", "simulate"]
