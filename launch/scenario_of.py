"""What was done in a recorded run, as a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from poise.robots import Intent, RecordError, load_robot
from poise.robots.plain import from_plain
from poise.robots.record import Log
from poise.sim.pushing import AFTER_S, case_push
from poise.sim.scenarios import Scenario, Segment

from .closed_loop import OPTIONS, RunPlan


def scenario_of(log: Log) -> Scenario | None:
    """The scenario of a run of `demo` or `walk`, or of a fall of `bench locomotion` under a push; None where the recording does not say.

    Raises:
        RecordError: it says so in the words of another version.
    """
    config, case = log.meta.get("config"), log.meta.get("case")
    if isinstance(config, Mapping) and "scenario" in config:
        return from_plain(Scenario, config["scenario"])
    if isinstance(case, Mapping) and case.get("case") == "push" and "first_ns" in case:
        begin_s = float(log.tick["state_stamp_s"][0])  # the recording begins with the push; its own times are whole nanoseconds
        push = case_push(case, load_robot(log.robot).overlay.torso, begin_s)
        vx, vy, wz = case["command"]
        end_s = push.start_s + push.duration_s + AFTER_S
        return Scenario("push", (Segment(end_s, Intent(velocity=(vx, vy, wz))),), (push,), end_s)
    return None


def plan_of(meta: Mapping[str, Any], scenario: Scenario) -> RunPlan:
    """How a run of `demo` or `walk` was run, with a scenario in place of its own, and nothing recorded.

    Raises:
        RecordError: the recording does not say so.
    """
    config = meta["config"]
    if not {"command", "steered", *OPTIONS} <= config.keys():
        raise RecordError("the recording does not say how it was run: another version made it; only runs of this one are made again")
    return RunPlan(config["command"], lambda seed: scenario, **{name: config[name] for name in OPTIONS}, record="none")


def policy_proposes(log: Log) -> bool:
    """Whether a learned policy proposed in a recorded run."""
    return log.meta.get("config", log.meta).get("mode") == "hybrid"
