"""The learned proposer: samples motions from a mixture over chunks; onnxruntime only, no torch."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np

from poise.control.protocols import Situation
from poise.robots import ContractError, MotionProposal, RobotModel
from poise.robots.types import Array

from .contract import METADATA_KEY, Contract, check, check_shapes, from_json
from .features import Features, features
from .likelihood import sample_mixture
from .onnx_session import first_line, open_session

TEMPERATURE = 0.6
NO_FILE = 'train one with `poise train proposer` for --policy, or use mode "model"'


class ProposerNetwork:
    """An exported network in onnxruntime, on one thread, with the contract it was exported with."""

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            ContractError: missing, unreadable, without a sound contract, not shaped as its contract says, or damaged.
        """
        self.session = open_session(path, "proposer", NO_FILE)
        metadata = self.session.get_modelmeta().custom_metadata_map
        if METADATA_KEY not in metadata:
            raise ContractError(f"proposer {path}: has no contract in its metadata; give a file that `poise train proposer` wrote")
        self.contract: Contract = from_json(metadata[METADATA_KEY], str(path))
        ends = [*self.session.get_inputs(), *self.session.get_outputs()]
        check_shapes(self.contract, {end.name: end.shape for end in ends}, str(path))
        self._probe(path)

    def mixture(self, seen: Features) -> tuple[Array, Array, Array]:
        """Mixture for features (d,): logits (M,), mean and log_std (M, r)."""
        return self._run(self.contract.normalise(seen))

    def _run(self, normalised: Features) -> tuple[Array, Array, Array]:
        logits, mean, log_std = self.session.run(["logits", "mean", "log_std"], {"features": normalised[None]})
        return np.asarray(logits[0], dtype=float), np.asarray(mean[0], dtype=float), np.asarray(log_std[0], dtype=float)

    def _probe(self, path: Path) -> None:
        """Run the network once, in the mean situation: what comes out of broken weights is not finite."""
        try:
            mixture = self._run(np.zeros(len(self.contract.feature_names), dtype=np.float32))
        except Exception as error:  # onnxruntime raises its own untyped exceptions
            raise ContractError(f"proposer {path}: its network does not run ({first_line(error)}); export it again") from error
        if not all(np.isfinite(part).all() for part in mixture):
            raise ContractError(f"proposer {path}: its network gives numbers that are not finite; train it again")


class LearnedProposer:
    """Proposes `candidates` motions, the likeliest first. What it proposes depends on the seed and the situation alone."""

    def __init__(self, robot: RobotModel, path: str | Path | None = None, candidates: int = 8, temperature: float = TEMPERATURE) -> None:
        """Load weights (None: those packaged for the robot) and check them against the robot.

        Raises:
            ContractError: the file cannot be used for this robot.
        """
        path = Path(path) if path is not None else packaged_weights(robot.name)
        self.robot, self.candidates, self.temperature = robot, candidates, temperature
        self.network = ProposerNetwork(path)
        self.contract = self.network.contract
        check(self.contract, robot, str(path))
        self.note = ""  # why the last call gave no proposals
        self._seed = 0

    def reset(self, seed: int) -> None:
        """Start a run."""
        self._seed = seed
        self.note = ""

    def propose(self, situation: Situation) -> tuple[MotionProposal, ...]:
        """Motions over the next second; none, and `note` says why, where the situation or the network holds NaN."""
        seen = features(situation, self.robot)
        if not np.isfinite(seen).all():
            odd = self.contract.feature_names[int(np.argmin(np.isfinite(seen)))]
            self.note = f"no proposals: feature {odd} is not finite"
            return ()
        logits, mean, log_std = self.network.mixture(seen)
        if not (np.isfinite(logits).all() and np.isfinite(mean).all() and np.isfinite(log_std).all()):
            self.note = "no proposals: the network's output is not finite"
            return ()
        self.note = ""
        # Seeded by the tick, so that a run can be taken up again at any tick without a state of its own.
        rng = np.random.default_rng((self._seed, situation.tick))
        drawn = sample_mixture(rng, self.candidates - 1, self.temperature, logits, mean, log_std)
        c, z = self.contract, np.vstack([mean[np.argmax(logits)], drawn])
        chunks, strangeness = c.whitening.chunk(z), c.familiarity.distance(c.normalise(seen), z)
        log_likelihood = c.whitening.mixture_log_density(chunks, logits, mean, log_std)
        order = np.argsort(-log_likelihood, kind="stable")
        return tuple(c.layout.decode(chunks[i], situation, "learned", float(log_likelihood[i]), float(strangeness[i])) for i in order)


def packaged_weights(robot_name: str) -> Path:
    """Where the weights packaged for a robot are (or would be)."""
    return Path(str(files("poise.learning").joinpath("weights"))) / f"{robot_name}_proposer.onnx"
