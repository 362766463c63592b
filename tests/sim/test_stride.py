"""Strides of a controller without a plan are seen in the plant's contacts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import mujoco
import pytest

from poise.robots import RobotModel
from poise.robots.types import LEFT, RIGHT
from poise.sim import MujocoBackend
from poise.sim.stride import StrideWatch


def decision(plan: Any = None) -> Any:
    return SimpleNamespace(plan=plan)


def hop(backend: MujocoBackend, watch: StrideWatch, lifted: bool, seconds: float) -> None:
    """Hold the robot 5 cm over the ground or 2 mm in it, as time goes by."""
    height = backend.data.qpos[2]
    for _ in range(round(seconds / backend.period_s)):
        backend.data.qpos[2] = height + (0.05 if lifted else -0.002)
        mujoco.mj_forward(backend.model, backend.data)
        watch(decision(), backend.read())
        backend.data.time += backend.period_s
    backend.data.qpos[2] = height


def test_touchdowns_begin_strides(g1: RobotModel) -> None:
    backend = MujocoBackend(g1, period_s=0.02)
    watch = StrideWatch(backend)
    hop(backend, watch, False, 0.2)
    hop(backend, watch, True, 0.3)
    hop(backend, watch, False, 0.1)
    assert not watch.begun()  # one touchdown tells no time between two
    hop(backend, watch, True, 0.06)  # no swing
    hop(backend, watch, False, 0.2)
    assert not watch.begun()
    hop(backend, watch, True, 0.4)
    hop(backend, watch, False, 0.02)
    assert watch.stride_s == pytest.approx(0.76)


def test_a_plan_comes_first(g1: RobotModel) -> None:
    backend = MujocoBackend(g1)
    watch = StrideWatch(backend)
    for stance in (LEFT, LEFT, RIGHT):
        watch(decision(SimpleNamespace(stance=stance, step_duration_s=0.4)), backend.read())
    assert not watch.begun()
    watch(decision(SimpleNamespace(stance=LEFT, step_duration_s=0.35)), backend.read())
    assert watch.stride_s == pytest.approx(0.7)
