"""After the warm-up nothing is compiled in a tick, whatever comes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
from loop import make_loop

from poise.control.protocols import Situation
from poise.control.scripted import ScriptedProposer
from poise.control.warmup import warm_up
from poise.control.wholebody import WholeBody
from poise.robots import Intent, MotionProposal, RobotModel


def kernels() -> dict[str, int]:
    """How many signatures each kernel of control has been compiled for."""
    compiled: dict[str, int] = {}
    for name, module in list(sys.modules.items()):
        if name.startswith("poise.control."):
            found = {f"{name}.{key}": value for key, value in vars(module).items() if hasattr(value, "signatures")}
            compiled |= {key: len(kernel.signatures) for key, kernel in found.items()}
    return compiled


class OtherNumbers:
    """Hands over what the scripted proposer does, in other number types and memory layouts."""

    def __init__(self, robot: RobotModel, kind: str) -> None:
        self.scripted, self.kind = ScriptedProposer(robot), kind

    def reset(self, seed: int) -> None:
        pass

    def propose(self, situation: Situation) -> tuple[MotionProposal, ...]:
        (p,) = self.scripted.propose(situation)
        names = ("twist", "height_m", "torso_rpy", "arm_position", "footstep_offset")
        arrays: dict[str, Any] = {name: np.array(getattr(p, name)) for name in names}
        if self.kind == "float32":
            single: dict[str, Any] = {name: a.astype(np.float32) for name, a in arrays.items()}
            return (replace(p, **single, step_duration_s=np.float32(0.42)),)  # type: ignore[arg-type]
        if self.kind == "fortran":
            other: dict[str, Any] = {name: np.asfortranarray(a) for name, a in arrays.items()}
            return (replace(p, **other),)
        for array in arrays.values():
            array.flags.writeable = False
        return (replace(p, **arrays),)


@pytest.mark.parametrize("kind", ["float32", "fortran", "read-only", "whole QP"])
def test_nothing_compiles_in_a_tick_of_a_warm_stack(g1: RobotModel, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make_loop(proposer=None if kind == "whole QP" else OtherNumbers(g1, kind))
    warm_up(loop.stack)
    if kind == "whole QP":
        monkeypatch.setattr(WholeBody, "_solve_condensed", lambda *_: None)
    before = kernels()
    assert len(before) > 50
    loop.run(0.8)
    loop.run(0.01, Intent(velocity=(0.4, 0.0, 0.0), height_m=0.6, torso_rpy=(0.0, 0.1, 0.0), arms=g1.posture[g1.arms]))
    assert loop.decisions[-1].plan is not None and loop.decisions[-1].plan.phase == "step"
    assert kernels() == before


def test_nothing_compiles_when_a_warm_stack_rests_or_takes_requests() -> None:
    """In a process of its own: here other tests have compiled everything."""
    lines = f"""
        import sys
        sys.path += {[str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}
        from loop import STAND, make_loop
        from poise.control.warmup import warm_up
        from test_warmup import kernels
        loop = make_loop(seed=1)
        warm_up(loop.stack)
        before = kernels()
        rested = loop.run(0.8, STAND)
        decision = loop.stack.step(loop.backend.read(), STAND, rested[-1].command)
        loop.backend.write(decision.command)
        assert decision.plan is None, "the request passed"
        loop.stack.step(loop.backend.read(), STAND, rested[0].command)
        print(sorted(name for name, count in kernels().items() if count != before[name]))
    """
    said = subprocess.run([sys.executable, "-c", dedent(lines)], capture_output=True, text=True, check=False)
    assert said.stdout.strip() == "[]", said.stdout + said.stderr
