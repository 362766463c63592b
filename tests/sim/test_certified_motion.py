from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from poise.control import StackConfig
from poise.control.backup import HELD
from poise.control.braking import TOO_NEAR
from poise.control.safety import Certifier
from poise.control.support import Support
from poise.robots import JointCommand, RobotModel
from poise.robots.commands import hold_command
from poise.sim.adversaries import ADVERSARIES
from poise.sim.certified_motion import (
    BIN_US,
    LIKELY,
    SUPPORTS,
    CertifiedWork,
    Tally,
    Watch,
    excesses,
    in_bins,
    quantile,
    start,
    state_excesses,
    summarise,
)
from poise.sim.model_motion import ModelMotion

CONFIG, DT = StackConfig().safety, StackConfig().period_s


def work(robot: RobotModel, steps: int = 150) -> CertifiedWork:
    return CertifiedWork(robot, CONFIG, DT, steps)


@pytest.mark.parametrize("support", SUPPORTS)
@pytest.mark.parametrize("adversary", ADVERSARIES)
def test_no_adversary_gets_the_model_past_a_bound(g1: RobotModel, adversary: str, support: str) -> None:
    run = work(g1)({"adversary": adversary, "support": support, "seed": 7})
    assert run["first"] is None and run["steps"] == sum(run["methods"].values()) == 150
    motors, state = {"torque", "power", "torque jump", "position target", "velocity target", "target drag"}, {"position", "velocity"}
    assert motors | state | {"clearance"} == set(run["violations"])
    promised = [figures for bound, figures in run["violations"].items() if bound not in LIKELY]
    assert all(bound["count"] == 0 and bound["worst_margin"] >= -1e-6 for bound in promised)
    assert run["violations"]["clearance"]["count"] <= 5


def test_without_the_certifier_the_same_adversary_does(g1: RobotModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail, and says first where."""
    from poise.control.safety import UNCHANGED

    monkeypatch.setattr(Certifier, "certify", lambda self, d, command, support, **_: (command, UNCHANGED))
    run = work(g1, 400)({"adversary": "saturated", "support": "base", "seed": 0})
    assert run["violations"]["position"]["count"] > 0 and run["first"]["bound"] in ("position", "velocity", "power")
    assert run["first"]["of"] in g1.joint_names and run["first"]["excess"] > 1e-6


def test_without_the_manoeuvre_bounds_on_acceleration_alone_do_not_hold(g1: RobotModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it is for: motors that cannot brake everything at once."""
    monkeypatch.setattr("poise.control.backup.Backup.open_from", lambda *_, **__: (0, 0))
    run = work(g1, 1000)({"adversary": "saturated", "support": "base", "seed": 0})
    assert run["violations"]["position"]["count"] > 0


@pytest.mark.parametrize(
    ("adversary", "support", "methods"),
    [("trained", "base", {"qp"}), ("teleoperated", "right", {"qp", "clip"}), ("trained", "both", {"qp"})],
)
def test_what_is_sent_for_a_request_leaves_the_manoeuvre_open(g1: RobotModel, adversary: str, support: str, methods: set[str]) -> None:
    """By the model's own motion under it, after each torque that is not the manoeuvre's."""
    motion, certifier, found = ModelMotion(g1, SUPPORTS[support], DT), Certifier(g1, CONFIG, DT), Counter[str]()
    for seed in range(3):
        for _, command, certificate, _ in work(g1, 200).answers(adversary, motion, certifier, np.random.default_rng(seed)):
            d = motion.dynamics
            torque = command.torque(d.joint_position, d.joint_velocity)
            motion.step(torque)
            found[certificate.method] += 1
            if certificate.method != "brake":
                broken = certifier.backup.open_from(d, SUPPORTS[support], d.joint_position, d.joint_velocity, torque)[0]
                assert broken in (HELD, TOO_NEAR), "capsules have come nearer since, as they may, and must not come as near again"
    assert methods <= {method for method, count in found.items() if count >= 5}


def test_a_run_is_a_function_of_its_case(g1: RobotModel) -> None:
    case = {"adversary": "not_finite", "support": "left", "seed": 3}
    first, second = (work(g1)(case) for _ in range(2))
    assert first["violations"] == second["violations"] and first["methods"] == second["methods"]
    assert work(g1)(case | {"seed": 4})["violations"] != first["violations"]


@pytest.mark.parametrize("support", SUPPORTS)
def test_starts_differ_and_can_be_stopped(g1: RobotModel, support: str) -> None:
    rng, certifier, found = np.random.default_rng(0), Certifier(g1, CONFIG, DT), []
    for _ in range(3):
        motion = ModelMotion(g1, SUPPORTS[support], DT)
        start(motion, certifier, rng)
        d = motion.dynamics
        assert certifier.backup.open_from(d, SUPPORTS[support], d.joint_position, d.joint_velocity)[0] == 0
        found.append(np.concatenate((d.joint_position, d.joint_velocity)))
    assert np.abs(found[0] - found[1]).max() > 0.01 and np.abs(found[1] - found[2]).max() > 0.01


def test_excesses_by_hand(g1: RobotModel) -> None:
    zero, knee = np.zeros(g1.n), g1.joint_names.index("left_knee_joint")
    command, here = hold_command(g1, g1.posture.copy()), np.arange(g1.n) == knee
    command = replace(command, kp=zero, kd=zero, tau=1.5 * 139.0 * here, v=2.0 * g1.velocity_limit)
    command.q[knee] = g1.position_max[knee] + 0.1
    found = excesses(g1, command, g1.posture, 10.0 * here)
    half = 0.5 * (g1.position_max[knee] - g1.position_min[knee])
    assert found["torque"].max() == pytest.approx(0.5)
    assert found["power"].max() == pytest.approx(1.5 * 1390.0 / 1610.0 - 1.0)
    assert found["position target"].max() == pytest.approx(0.1 / half)
    assert found["velocity target"].max() == pytest.approx(1.0)
    state = state_excesses(
        g1, np.where(np.arange(g1.n) == knee, g1.position_min - 0.1, g1.posture), 1.25 * g1.velocity_limit, np.array([0.3, -0.02])
    )
    assert state["position"].max() == pytest.approx(0.1 / half) and state["velocity"].max() == pytest.approx(0.25)
    np.testing.assert_allclose(state["clearance"], [-30.0, 2.0])


def test_a_change_since_the_command_before_counts(g1: RobotModel) -> None:
    command, still = hold_command(g1, g1.posture), np.zeros(g1.n)
    watch = Watch()
    assert watch.excesses(g1, command, g1.posture, still, CONFIG, DT)["torque jump"].max() == -1.0, "nothing before"
    second = replace(command, q=g1.posture + 1.5 * DT * g1.velocity_limit, kp=still, tau=1.25 * CONFIG.jump * g1.torque_limit)
    found = watch.excesses(g1, replace(second, torque_limit=2.0 * g1.torque_limit), g1.posture, still, CONFIG, DT)
    assert found["torque jump"].max() == pytest.approx(0.25) and found["target drag"].max() == pytest.approx(0.5)
    assert watch.excesses(g1, second, g1.posture, still, CONFIG, DT)["target drag"].max() == pytest.approx(-1.0)


def test_a_tally_counts_steps_and_keeps_the_first_and_the_worst() -> None:
    tally = Tally(("a", "b"))
    tally.note(0, {"clearance": np.array([3.0, -1.0])})
    assert tally.count == {"clearance": 1} and tally.first is None, "not promised"
    tally = Tally(("a", "b"))
    for step, over in enumerate(([-0.5, -0.1], [1e-7, -1.0], [0.2, 0.1], [0.1, 0.4], [np.nan, 0.0])):
        tally.note(step, {"torque": np.array(over)})
    assert tally.count == {"torque": 3} and tally.worst == {"torque": np.inf}
    assert tally.first == {"step": 2, "bound": "torque", "of": "a", "excess": 0.2}


def test_a_summary_adds_up() -> None:
    def run(count: int, margin: float, times_us: list[float]) -> dict[str, object]:
        violations = {"torque": {"count": count, "worst_margin": margin}}
        answered = {"methods": {"qp": 4, "unchanged": 6}, "unsolved": {"brake": count}}
        return {"steps": 10, "violations": violations, **answered, "changed_us": in_bins(times_us)}

    found = summarise([run(0, 0.5, [101.0] * 97), run(2, -0.25, [400.5, 396.0, 1999.9]), run(1, 0.0, [])])
    assert found["steps"] == 30 and found["violations"] == {"torque": {"count": 3, "worst_margin": -0.25}}
    assert found["methods"] == {"unchanged": 18, "qp": 12} and found["unsolved"] == {"in_all": 3, "brake": 3}
    assert found["changed_us"] == {"p50": 105, "p99": 405, "p99_worst_run": 2000}
    assert summarise([run(0, 0.5, [])])["changed_us"] is None


def test_times_in_bins_are_counted_by_their_upper_edge() -> None:
    rng = np.random.default_rng(0)
    times = rng.gamma(4.0, 40.0, 5000)
    for share in (0.01, 0.5, 0.99):
        assert 0.0 <= quantile(in_bins(times.tolist()), share) - np.quantile(times, share, method="inverted_cdf") < BIN_US


@pytest.mark.parametrize("support", [Support.LEFT, Support.RIGHT, Support.BOTH])
def test_the_model_keeps_its_soles_where_they_are(g1: RobotModel, support: Support) -> None:
    motion, rng = ModelMotion(g1, support, DT), np.random.default_rng(1)
    d = motion.dynamics
    where = d.sole_position.copy()
    for _ in range(100):
        motion.step(rng.normal(0.0, 0.2, g1.n) * g1.torque_limit)
    held = [0, 1] if support is Support.BOTH else [int(support)]
    np.testing.assert_allclose(d.sole_position[held], where[held], atol=1e-9)
    np.testing.assert_allclose(d.sole_velocity[held], 0.0, atol=1e-6)
    assert np.abs(d.joint_velocity).max() > 0.5


def test_the_model_moves_as_pinocchio_says_on_a_stand(g1: RobotModel) -> None:
    import pinocchio as pin

    motion, rng = ModelMotion(g1, Support.BASE, DT), np.random.default_rng(2)
    d, torque = motion.dynamics, rng.normal(0.0, 0.2, g1.n) * g1.torque_limit
    data, model = g1.pinocchio.createData(), g1.pinocchio
    mass = np.array(pin.crba(model, data, d.q))
    mass = np.triu(mass) + np.triu(mass, 1).T
    expected = np.linalg.solve(mass[6:, 6:], torque - pin.nonLinearEffects(model, data, d.q, d.v)[6:])
    motion.step(torque)
    np.testing.assert_allclose(d.joint_velocity, DT * expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ADVERSARIES)
def test_adversaries_ask_for_what_they_say_and_repeat_with_the_seed(g1: RobotModel, name: str) -> None:
    q, v = g1.posture + 0.05, np.full(g1.n, 0.5)

    def asked(seed: int) -> list[JointCommand]:
        adversary = ADVERSARIES[name](g1, np.random.default_rng(seed), DT)
        return [adversary(q, v) for _ in range(60)]

    first, second = asked(0), asked(0)
    for a, b in zip(first, second, strict=True):
        for part in ("q", "v", "kp", "kd", "tau", "torque_limit"):
            np.testing.assert_array_equal(getattr(a, part), getattr(b, part))
    torques = np.array([np.abs(c.torque(q, v)) / g1.torque_limit for c in first if np.isfinite(c.tau).all() and np.isfinite(c.q).all()])
    assert torques.max() > 0.05, "it asks for something"
    if name == "not_finite":
        assert 10 < 60 - len(torques) < 50
