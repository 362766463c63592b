"""How fast a joint may move towards its limit so that it can still stop before it, and the accelerations which keep to that.

A joint that brakes as `braking.py` says, by min(b, λ v), stops from v within v/λ, or (v² + s²)/2b where v > s = b/λ. Its speed
towards a limit is bounded to what stops in the distance (Del Prete, RA-L 2018, there for λ = ∞). That speed shrinks with the distance
just as the braking makes the joint slower: a state inside stays inside for ever, as long as the motors can brake so.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from poise.robots.types import Array

RETURN = 10.0  # 1/s, at which a joint comes back from beyond a limit


@njit(cache=True)
def fastest(distance: float, decay: float, rate: float, dt: float) -> float:
    """Greatest speed towards a limit at the end of a period that begins at a distance from it."""
    room, slow = max(0.0, distance), rate / decay
    if room * decay * decay > rate:
        # With V = √(2 b·distance − s²) now, a speed V − b·dt after this period leaves room to stop in whole periods.
        return max(np.sqrt(2.0 * rate * room - slow * slow) - rate * dt, 0.0)
    return decay * room / (1.0 + decay * dt)  # what is left when the period has used up v·dt of it


@njit(cache=True)
def viable_acceleration(
    q: Array, v: Array, q_min: Array, q_max: Array, v_max: Array, decay: Array, rate: Array, dt: float, lower: Array, upper: Array
) -> None:
    """Acceleration bounds (n,), rad/s², after which every joint can still stop before its limits.

    decay: λ, 1/s; rate: b, rad/s². A joint that is too fast already, or beyond a limit, is to brake as hard as it is said to be able
    to, not harder; beyond a limit it is to come back.
    """
    for i in range(q.size):
        above, below = q_max[i] - q[i], q[i] - q_min[i]
        up = min(v_max[i], fastest(above, decay[i], rate[i], dt)) if above >= 0.0 else RETURN * above
        down = min(v_max[i], fastest(below, decay[i], rate[i], dt)) if below >= 0.0 else RETURN * below
        upper[i] = max((up - v[i]) / dt, -rate[i])
        lower[i] = min((-down - v[i]) / dt, rate[i])
