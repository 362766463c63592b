"""`poise train`: learn from demonstrations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from .arguments import File, Folder

if TYPE_CHECKING:
    from .output import Exit

LEARNING = ("torch", "onnx", "onnxscript")


@dataclass(frozen=True)
class Train:
    """Train the proposer on demonstrations; reports its log-likelihood on held-out episodes, beside that of a Gaussian."""

    what: Positional[Literal["proposer"]]
    """What is trained."""
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
