"""The dispatcher desks: when each call is answered and when a unit can be ordered.

Who is sent has no effect on the desks, so they are worked out before the run.
"""

from __future__ import annotations

from heapq import heapreplace

import numpy as np

from dispatch.incidents import Floats


def answered_s(received_s: Floats, desk_s: Floats, desks: int) -> Floats:
    """(n,) when each of n calls, in the order received, is answered: at the first free of some desks, first come first
    served. 0 desks: as many as are wanted. A call is at its desk for `desk_s`."""
    if not desks or not len(received_s):
        return received_s.copy()
    free_s = [0.0] * desks
    begin_s = np.empty(len(received_s))
    for i, (received, lasts) in enumerate(zip(received_s.tolist(), desk_s.tolist(), strict=True)):
        begin_s[i] = begin = max(received, free_s[0])
        heapreplace(free_s, begin + lasts)
    return begin_s
