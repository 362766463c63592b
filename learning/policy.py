"""A foreign locomotion policy as a controller: an ONNX file, from an observation to joint position targets, behind its contract.

It is the policy alone: no estimate, no plan, no certifier. Its targets go to the motors' PD with the contract's gains.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poise.control.ladder import Rung
from poise.control.safety import UNCHANGED
from poise.control.soundness import SoundnessMonitor
from poise.control.stopwatch import Stopwatch
from poise.robots import ContractError, RobotModel
from poise.robots.commands import damping_command
from poise.robots.types import Array, Certificate, Decision, Intent, JointCommand, RobotState

from .observation import Frame, Observer, Seen, clock_phase
from .onnx_session import first_line, open_session
from .policy_contract import PolicyContract, check_robot, read_policy_contract

BRIDGED_S = 0.02  # how long the last command stands in for an unusable state, as the stack does


class PolicyNetwork:
    """A policy's network in onnxruntime: one input of a contract's observation, its first output the action."""

    def __init__(self, path: Path, contract: PolicyContract) -> None:
        """Open a file and run it once.

        Raises:
            ContractError: missing, unreadable, or not what the contract says.
        """
        self._session = open_session(path, "policy", "give the ONNX file that the contract is for")
        inputs = [end.name for end in self._session.get_inputs()]
        if len(inputs) != 1:
            raise ContractError(f"policy {path}: takes {', '.join(inputs)}; only networks with one input, the observation, can be used")
        self._input = inputs[0]
        size = contract.observation_size
        try:
            action = self(np.zeros(size, dtype=np.float32))
        except Exception as error:  # onnxruntime raises its own untyped exceptions
            parts = ", ".join(f"{term.name} {contract.size(term.name)} × {term.history}" for term in contract.terms)
            said = f"its network does not take the contract's {size} numbers ({parts})"
            raise ContractError(f"policy {path}: {said}: {first_line(error)}; mend the contract's terms") from error
        if action.shape != (len(contract.action_joints),):
            wanted = f"the contract moves {len(contract.action_joints)} joints"
            raise ContractError(f"policy {path}: its network gives numbers of shape {action.shape}, {wanted}; mend action.joints")
        if not np.isfinite(action).all():
            raise ContractError(f"policy {path}: its network gives numbers that are not finite; export it again")

    def __call__(self, observation: NDArray[np.float32]) -> Array:
        """The raw action (a,) for an observation (d,)."""
        return np.asarray(self._session.run(None, {self._input: observation[None]})[0][0], dtype=float)


class PolicyController:
    """Drives a robot with a foreign policy, at the contract's rate. Nothing in `step` raises for bad states, intents or outputs."""

    def __init__(self, robot: RobotModel, policy: str | Path, contract: str | Path) -> None:
        """Load a policy and its contract.

        Raises:
            ContractError: one of the files cannot be used, or they do not fit each other or the robot.
        """
        self.robot, self.contract = robot, read_policy_contract(Path(contract))
        check_robot(self.contract, robot, str(contract))
        self._network = PolicyNetwork(Path(policy), self.contract)
        self._observer = Observer(robot, self.contract)
        c = self.contract
        order = [c.joint_names.index(name) for name in robot.joint_names]
        self._default, self._kp, self._kd = c.default_position[order], c.kp[order], c.kd[order]
        self._moved = np.array([robot.joint_names.index(name) for name in c.action_joints])
        self._monitor = SoundnessMonitor(robot, round(BRIDGED_S * c.rate_hz))
        self.reset()

    @property
    def period_s(self) -> float:
        """Control period: `step` is to be called once each."""
        return 1.0 / self.contract.rate_hz

    def reset(self, seed: int = 0) -> None:
        """Start anew. The policy draws nothing from the seed."""
        self._tick = 0
        self._monitor.reset()
        self._forget()

    def _forget(self) -> None:
        self._action = np.zeros(len(self.contract.action_joints))
        self._frames: tuple[Frame, ...] = ()
        self._walked = -1  # periods since the clocks began
        self._command = self._toward(self._default)

    def step(self, state: RobotState, intent: Intent) -> Decision:
        """Decide one period: observe → infer → record."""
        watch = Stopwatch()
        self._tick += 1
        problem, intent = self._monitor.check(state, intent)
        if problem and not self._monitor.bridged:
            self._forget()
            return self._decision("safe", f"{problem}: every joint is damped", intent, damping_command(self.robot), watch)
        if problem:
            return self._decision("degraded", f"{problem}: the last command is repeated", intent, self._command, watch)
        self._frames = self._observer.remembered(self._frames, self._observer.frame(self._seen(self._monitor.state, intent)))
        observation = self._observer.observation(self._frames)
        watch.lap("observe")
        reason = self._infer(observation) or self._monitor.remark
        watch.lap("infer")
        if intent.waypoint is not None:
            reason = reason or "a policy takes velocities: the waypoint is left out"
        self._monitor.sent(self._command)
        return self._decision("degraded" if reason else "ok", reason, intent, self._command, watch)

    def _seen(self, state: RobotState, intent: Intent) -> Seen:
        clocks, command = self.contract.clocks, np.array(intent.velocity or (0.0, 0.0, 0.0))
        still = None if clocks is None else clocks.still
        stands = still is not None and np.hypot(*command[:2]) < still.command and abs(command[2]) < still.command
        self._walked = -1 if stands else self._walked + 1
        phase = clock_phase(clocks, None if stands else self._walked * self.period_s)
        return Seen(state, command, self._action, phase)

    def _infer(self, observation: NDArray[np.float32]) -> str:
        """Take the network's action over into the command, or say why the last one is kept."""
        try:
            action = self._network(observation)
        except Exception as error:  # somebody else's network
            return f"the policy failed ({first_line(error)}): the last command is repeated"
        if not np.isfinite(action).all():
            return "the policy's output is not finite: the last command is repeated"
        c = self.contract
        self._action = np.clip(action, -c.action_clip, c.action_clip)
        target = self._default.copy()
        target[self._moved] += c.action_scale * self._action
        self._command = self._toward(target)
        return ""

    def _toward(self, target: Array) -> JointCommand:
        zero = np.zeros(self.robot.n)
        return JointCommand(target, zero, self._kp, self._kd, zero, self.robot.torque_limit)

    def _decision(self, status: str, reason: str, intent: Intent, command: JointCommand, watch: Stopwatch) -> Decision:
        watch.lap("record")
        safe = status == "safe"
        return Decision(
            tick=self._tick,
            stamp_s=self._monitor.stamp_s,
            status=status,
            reason=reason,
            intent=intent,
            belief=None,
            plan=None,
            command=command,
            certificate=Certificate(True, (reason,), 0.0, "damping") if safe else UNCHANGED,
            proposal=None,
            proposal_age_s=0.0,
            timings_us={**watch.parts, "tick": sum(watch.parts.values())},
            rung=(Rung.DAMPING if safe else Rung.NOMINAL).words,
        )

    def snapshot(self) -> object:
        """Everything that `step` changes; with the plant's own state a run continues bit for bit."""
        return self._tick, self._action, self._frames, self._walked, self._command, self._monitor.snapshot()

    def restore(self, snapshot: Any) -> None:
        """Go back to a snapshot of this controller."""
        self._tick, self._action, self._frames, self._walked, self._command, monitor = snapshot
        self._monitor.restore(monitor)
