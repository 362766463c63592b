"""`poise bench safety`."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from .arguments import File
from .bench_runs import BatchFolder

if TYPE_CHECKING:
    from .output import Exit

BLOCK = 2000  # steps of one run
MOST_STEPS = 10**9  # days of work
STEPS_ONLY = ("steps", "seed", "supports")
TAKEOVERS_ONLY = ("seeds", "certifier", "contract", "baseline", "save_baseline")


@dataclass(frozen=True)
class Safety(BatchFolder):
    """The certifier against adversaries: steps on the model, or with --scenarios or --policy takeovers in MuJoCo, on plants with errors.

    Status 1 where a promised bound was broken, or something is worse than in a baseline.
    """

    steps: Annotated[int, tyro.conf.arg(metavar="N")] = 1_000_000
    """Certified steps in all; rounded up to whole rounds, each of a run of 2000 steps of every adversary on every support."""
    seed: int = 0
    """Of start states and adversaries, in the first round of runs; each further round takes the next."""
    supports: Annotated[str, tyro.conf.arg(metavar="NAME,…")] = "base,left,right,both"
    """What is held: the base on a stand, a sole, or both."""
    adversaries: Annotated[str, tyro.conf.arg(metavar="NAME,…")] = "all"
    """Which, or all, or FILE.json of `poise train adversary`; in scenarios also module:Class, called with robot, generator and period."""
    solver: Literal["daqp", "osqp", "osqp tight"] = "daqp"
    """Of the nearest torque inside the bounds."""
    scenarios: Annotated[str | None, tyro.conf.arg(metavar="NAME,…")] = None
    """Run these in MuJoCo instead: packaged ones, all of them, or TOML files."""
    seeds: Annotated[str, tyro.conf.arg(metavar="0-4")] = "0"
    """Of scenarios: start postures, noises and adversaries."""
    certifier: Literal["both", "on", "off"] = "both"
    """In scenarios: with it, without, or one after the other."""
    policy: File = None
    """In scenarios a locomotion policy asks, ONNX."""
    contract: File = None
    """What that policy takes and gives, TOML."""
    baseline: File = None
    """In scenarios: what nothing may be worse than, JSON."""
    save_baseline: File = None
    """Write such a file of what is found."""
    robot: str = "g1"
    """Name of a robot, or its MJCF or URDF (with --overlay)."""
    overlay: File = None
    """Overlay of a robot that is given by a file."""

    def __call__(self) -> Exit:
        """Run what is not done yet, and report."""
        from poise.control import StackConfig
        from poise.robots import load_robot
        from poise.sim.adversaries import trained_gains
        from poise.sim.certified_motion import LIKELY, CertifiedWork, summarise

        from .options import check_count, console_for
        from .output import Exit, print_result, print_rows, write_json
        from .run_folder import versions

        self.check()
        takeovers = self.scenarios is not None or self.policy is not None
        self._check_mode(takeovers)
        if takeovers:
            from poise.control.safety import SafetyConfig

            from .safety_suite import run_suite

            return run_suite(self, replace(SafetyConfig(), solver=self.solver))
        check_count("--steps", self.steps, most=MOST_STEPS)
        check_count("--seed", self.seed, least=0)
        cases, config = self._cases(), StackConfig()
        robot = load_robot(self.robot, self.overlay)
        for name in {case["adversary"] for case in cases if case["adversary"].endswith(".json")}:
            trained_gains(Path(name), robot.joint_names)  # what cannot be used is said before the work begins
        safety = replace(config.safety, solver=self.solver)
        work = CertifiedWork(robot, safety, config.period_s, BLOCK)
        setup = {"schema": "poise.safety/1", "robot": robot.name, "block": BLOCK, "safety": asdict(safety), "versions": versions()}
        folder = self.folder("safety")
        runs = self.run(folder, work, cases, setup, _said)
        result = {**self.summed(folder, summarise, runs), "cases": runs, **setup}
        console = console_for(self.json)
        promise = {bound: "likely" if bound in LIKELY else "promised" for bound in result["violations"]}
        rows: list[Mapping[str, Any]] = [
            {"bound": bound, "is": promise[bound], **figures} for bound, figures in result["violations"].items()
        ]
        print_rows("bounds, over all steps: margins as shares of the bound", rows, console)
        print_result("safety", {name: result[name] for name in ("steps", "methods", "unsolved", "changed_us")}, None, console)
        lines = self.summed(folder, broken, runs)
        for line in lines:
            console.print(line + self.same(), soft_wrap=True, highlight=False)
        write_json(folder / "summary.json", result)
        if self.json is not None:
            write_json(self.json, result)
        return Exit.FAILED if lines else Exit.HELD

    def _check_mode(self, takeovers: bool) -> None:
        """Refuse options that would be ignored.

        Raises:
            PoiseError: one of them was given.
        """
        from poise.robots import PoiseError

        if self.policy is not None and self.adversaries != "all":
            raise PoiseError("--policy and --adversaries exclude each other: the policy asks; leave one of them out")
        ignored = STEPS_ONLY if takeovers else TAKEOVERS_ONLY
        for entry in (entry for entry in fields(self) if entry.name in ignored and getattr(self, entry.name) != entry.default):
            option = "--" + entry.name.replace("_", "-")
            raise PoiseError(
                f"{option} is for steps on the model; leave it out, or --scenarios and --policy"
                if takeovers
                else f"{option} is for takeovers; leave it out, or give --scenarios or --policy too"
            )

    def same(self) -> str:
        """The options that any single run of these has too, to add to its command."""
        given = [(name, getattr(self, name)) for name in ("robot", "overlay", "solver")]
        return "".join(
            f" --{name} {shlex.quote(value)}" for name, value in given if value is not None and value != getattr(type(self), name, None)
        )

    def _cases(self) -> list[dict[str, Any]]:
        """Runs in turn over adversaries and supports, so that any number of them is spread over all."""
        from poise.sim.adversaries import ADVERSARIES
        from poise.sim.certified_motion import SUPPORTS

        names = list(ADVERSARIES) if self.adversaries == "all" else [name.strip() for name in self.adversaries.split(",")]
        files = [name for name in names if name.endswith(".json")]
        adversaries = _known("--adversaries", ",".join(names), [*ADVERSARIES, *files])
        kinds = [(name, support) for support in _known("--supports", self.supports, SUPPORTS) for name in adversaries]
        rounds = math.ceil(self.steps / (BLOCK * len(kinds)))
        seeds = range(self.seed, self.seed + rounds)
        return [{"adversary": name, "support": support, "seed": seed} for seed in seeds for name, support in kinds]


def _known(option: str, text: str, known: Iterable[str]) -> list[str]:
    """Names from a list of them.

    Raises:
        PoiseError: one of them is not known.
    """
    from poise.robots import PoiseError

    names = [name.strip() for name in text.split(",")]
    if odd := [name for name in names if name not in known]:
        raise PoiseError(f"{option} {text}: unknown {odd[0]!r}; known: {', '.join(known)}")
    return list(dict.fromkeys(names))


def broken(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each run in which a promised bound was broken, with the command that shows it again."""
    lines = []
    for run in (run for run in runs if run["first"] is not None):
        first, who = run["first"], run["adversary"]
        what = f"{first['bound']} of {first['of']} broken by {first['excess']:.2g} of the bound at step {first['step']}"
        again = f"--adversaries {shlex.quote(who)} --supports {run['support']} --seed {run['seed']} --steps {run['steps']}"
        lines.append(f"{who} on {run['support']}: {what}; again: poise bench safety {again}")
    return lines


def _said(run: dict[str, Any]) -> str:
    return f"{run['adversary']} on {run['support']}: " + ("kept" if run["first"] is None else "broken")
