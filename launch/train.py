"""`poise train`: a proposer from demonstrations, an adversary from the certifier."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg, subcommand

from .arguments import File, Folder

if TYPE_CHECKING:
    from poise.sim.adversary_file import TrainedFile
    from poise.sim.adversary_training import Evolution

    from .output import Exit

LEARNING = ("torch", "onnx", "onnxscript")


@dataclass(frozen=True)
class TrainProposer:
    """Train the proposer on demonstrations; reports its log-likelihood on held-out episodes, beside that of a Gaussian."""

    demos: Folder = "demos/g1"
    """Folder of the demonstrations."""
    out: Annotated[str, arg(metavar="FILE")] = "runs/proposer.onnx"
    """Where the weights are written; a checkpoint beside it takes up an interrupted training."""
    seed: int = 0
    """Of the split, the start and the order."""
    robot: str = "g1"
    """Name of a robot."""
    json: File = None
    """Write the result there; - is standard output."""

    def __call__(self) -> Exit:
        """Train and evaluate."""
        from poise.robots import PoiseError, load_robot

        from .options import check_count, check_json, console_for
        from .output import Exit, print_result
        from .progress import progress_bar

        check_count("--seed", self.seed, 0)
        check_json(self.json)
        try:
            from poise.learning.training import Progress, TrainingConfig, train
        except ImportError as error:
            if error.name in LEARNING:
                raise PoiseError(f'training needs {error.name}: pip install -e ".[learn]" in the checkout') from error
            raise
        robot = load_robot(self.robot)
        with progress_bar("epoch {task.completed:.0f} of at most {task.total:.0f} {task.fields[note]}") as bar:
            task = bar.add_task("proposer", total=TrainingConfig().epochs, note="")

            def show(p: Progress) -> None:
                note = f"log-likelihood {p.validation_log_likelihood:.1f}, Gaussian {p.gaussian_log_likelihood:.1f}"
                bar.update(task, completed=p.epoch, total=p.epochs, note=note)

            command = f"poise train proposer --demos {self.demos} --out {self.out} --seed {self.seed}"
            report = train(Path(self.demos), Path(self.out), robot, self.seed, show, command=command)
        print_result("proposer", {**report.__dict__, "held_out": report.held_out.__dict__}, self.json, console_for(self.json))
        return Exit.HELD


@dataclass(frozen=True)
class TrainAdversary:
    """Train one of bench safety's adversaries against the certifier on the model, to bring joints as near to their limits as it can."""

    out: Annotated[str, arg(metavar="FILE")] = "runs/adversary.json"
    """Where its gains are written after every round; an interrupted training goes on from there."""
    rounds: int = 40
    """Of evolution, in all."""
    seed: int = 0
    """Of starts and tries."""
    robot: str = "g1"
    """Name of a robot."""
    json: File = None
    """Write the result there; - is standard output."""

    def __call__(self) -> Exit:
        """Train what is missing."""
        from poise.control import StackConfig
        from poise.robots import load_robot
        from poise.sim.adversary_file import TrainedFile
        from poise.sim.adversary_training import Evolution, Round, Trial, evolve

        from .options import check_count, check_json, console_for
        from .output import Exit, print_result
        from .progress import progress_bar

        check_count("--rounds", self.rounds)
        check_count("--seed", self.seed, 0)
        check_json(self.json)
        robot, config, stack = load_robot(self.robot), Evolution(), StackConfig()
        found = self._begun(robot.joint_names, config)
        begun = Round(found.done, found.score, found.of(robot.joint_names))
        trial = Trial(robot, stack.safety, stack.period_s, config.steps)
        with progress_bar("round {task.completed:.0f} of {task.total:.0f} {task.fields[note]}") as bar:
            task = bar.add_task("adversary", total=max(self.rounds, begun.done), completed=begun.done, note="")
            for now in evolve(trial, config, self.seed, self.rounds, begun):
                gains = {joint: column.tolist() for joint, column in zip(robot.joint_names, now.gains.T, strict=True)}
                found = TrainedFile(self.seed, asdict(config), now.done, now.score, gains)
                self._write(found)
                bar.update(task, completed=now.done, note=f"score {now.score:.3f}")
        print_result("adversary", {"rounds": found.done, "score": found.score, "path": self.out}, self.json, console_for(self.json))
        return Exit.HELD

    def _begun(self, joints: tuple[str, ...], config: Evolution) -> TrainedFile:
        """Where the training is; what cannot be written is said before the work begins.

        Raises:
            PoiseError: the file is of another training, or none, or cannot be written.
        """
        from poise.robots import PoiseError
        from poise.sim.adversary_file import INPUTS, TrainedFile, read_trained

        path = Path(self.out)
        if self.json is not None and Path(self.json).resolve() == path.resolve():
            raise PoiseError(f"--json {self.json} is what --out is; give another file")
        if not path.exists():
            with suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
            nothing = TrainedFile(self.seed, asdict(config), 0, 0.0, {joint: [0.0] * INPUTS for joint in joints})
            self._write(nothing)
            return nothing
        try:
            found = read_trained(path)
        except ValueError as error:
            raise PoiseError(f"--out {self.out}: {error}; give another file, or delete it") from error
        if (found.seed, found.evolution, tuple(found.gains)) != (self.seed, asdict(config), joints):
            raise PoiseError(f"--out {self.out}: is of another training; give another file, or delete it")
        return found

    def _write(self, found: TrainedFile) -> None:
        """Keep what is found.

        Raises:
            PoiseError: it cannot be written.
        """
        from poise.robots import PoiseError
        from poise.sim.adversary_file import write_trained

        try:
            write_trained(Path(self.out), found)
        except OSError as error:
            raise PoiseError(f"--out {self.out}: cannot be written ({error.strerror}); give a file in a folder that exists") from error


@dataclass(frozen=True)
class Train:
    """Train a proposer on demonstrations, or an adversary of bench safety."""

    action: Annotated[TrainProposer, subcommand("proposer")] | Annotated[TrainAdversary, subcommand("adversary")]

    def __call__(self) -> Exit:
        """Do it."""
        return self.action()
