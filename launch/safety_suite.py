"""The part of `poise bench safety` that runs in MuJoCo: scenarios × whoever asks × seeds, with the certifier and without."""

from __future__ import annotations

import hashlib
import html
import json
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poise.control import Stack, StackConfig
from poise.control.gate import GateConfig
from poise.robots import PoiseError, RobotModel, load_robot
from poise.robots.reading import read_json
from poise.sim.adversaries import ADVERSARIES
from poise.sim.requesters import MakeRequester
from poise.sim.safety_scenario import SafetyScenario, packaged_scenarios, read_scenario
from poise.sim.safety_trials import PERIOD_S, TrialWork
from poise.sim.safety_verdict import HAPPENED, baseline_of, case_name, check_baseline, reduction, regressions, table

from .compose import build_stack
from .options import console_for, parse_seeds
from .output import Exit, print_rows, show, write_json, write_page
from .page import page, section
from .page import table as html_table
from .run_folder import versions

if TYPE_CHECKING:
    from poise.control.safety import SafetyConfig

    from .bench_safety import Safety

SCHEMA = "poise.takeover/1"
POLICY = "policy"
WORDS = (
    "Somebody else asks for the commands of the motors from the takeover on. Asked and sent: ticks on which a bound of torque, power, "
    "torque jump, target or its pace was broken, summed over the bounds, at the state that the certifier was told. Position, velocity and "
    "clearance: ticks before a fall on which they truly were beyond their limits, or capsules overlapped; margins are the worst, as shares "
    "of the bound, of 1 cm for clearance. Unsolved: ticks on which the QP of the nearest torque was infeasible or capped, by the rung."
)


# For a policy that walks by itself, with its capture point before its soles: as far as the stack's own steps still catch, more or less.
# What its steps take of the ground no single tick tells.
WALKING = GateConfig(reach_m=0.12, cop_m=-0.2, light=0.05, slip=2.0, lean_rad=0.35, patience_s=0.05)


@dataclass(frozen=True)
class MakeGuard:
    """Builds the stack that stands behind a gate; picklable."""

    gate: GateConfig

    def __call__(self, robot: RobotModel, seed: int) -> Stack:
        """The stack for a robot and a seed."""
        return build_stack(robot, "model", config=replace(StackConfig(), gate=self.gate), seed=seed)


def run_suite(options: Safety, config: SafetyConfig) -> Exit:
    """Run what is not done yet, report, and hold it against a baseline.

    Raises:
        PoiseError: a scenario, a requester, a policy or a baseline cannot be used.
    """
    robot, files = load_robot(options.robot, options.overlay), _named(options.scenarios)
    scenarios, requesters = {name: _scenario(file) for name, file in files.items()}, _requesters(options)
    for scenario in scenarios.values():
        scenario.check(robot)
    for make in requesters.values():
        make(robot, 0, PERIOD_S)  # what cannot be used is said before the work begins
    _check_baselines(options)
    cases = _cases(options, scenarios, requesters)
    baseline = None if options.baseline is None else _read_baseline(options.baseline, cases)
    make_guard = MakeGuard(GateConfig() if options.policy is None else WALKING)
    setup = {
        "schema": SCHEMA,
        "robot": robot.name,
        "scenarios": {name: asdict(scenario) for name, scenario in scenarios.items()},
        "safety": asdict(config),
        "gate": make_guard.gate._asdict(),
        "policy": None if options.policy is None else [_digest(options.policy), _digest(options.contract)],
        "versions": versions(),
    }
    folder = options.folder("takeover")
    runs = options.run(folder, TrialWork(robot, scenarios, make_guard, config, requesters), cases, setup, _said)
    _report(options, folder, {**options.summed(folder, summarise, runs), "runs": runs, **setup})
    console = console_for(options.json)
    if options.save_baseline is not None:
        _save_baseline(options.save_baseline, runs)
    if baseline is not None:
        console.print(f"held against the baseline: {_compared(cases, baseline)} cases", highlight=False)
    lines = options.summed(folder, lambda found: regressions(found, baseline or {}, _again(options, files)), runs)
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)
    return Exit.FAILED if lines else Exit.HELD


def _cases(options: Safety, scenarios: Iterable[str], requesters: Iterable[str]) -> list[dict[str, Any]]:
    sides, seeds = {"both": (False, True), "on": (True,), "off": (False,)}[options.certifier], parse_seeds(options.seeds)
    names = ("scenario", "requester", "seed", "certified")
    return [dict(zip(names, case, strict=True)) for case in product(scenarios, requesters, seeds, sides)]


def summarise(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A row for each scenario and side, and by how much less bounds are broken with the certifier."""
    return {"table": table(runs), "reduction": reduction(runs)}


def _report(options: Safety, folder: Path, result: Mapping[str, Any]) -> None:
    """Print the tables, and write summary and page."""
    console = console_for(options.json)
    print_rows("takeovers: ticks on which bounds were broken", [_printed(row) for row in result["table"]], console)
    if options.certifier == "both":
        fewer: list[Mapping[str, Any]] = [{"bound": bound, "fewer ticks": share} for bound, share in result["reduction"].items()]
        print_rows("with the certifier, as a share", fewer, console)
    write_json(folder / "summary.json", result)
    write_page(folder / "report.html", render(result))
    console.print(f"page: {folder / 'report.html'}", soft_wrap=True, highlight=False)
    if options.json is not None:
        write_json(options.json, result)


def _again(options: Safety, files: Mapping[str, str]) -> Callable[[Mapping[str, Any]], str]:
    """Says the command that runs a case again: the scenario as it was given, and who asks."""

    def command(run: Mapping[str, Any]) -> str:
        who = {"policy": options.policy, "contract": options.contract} if options.policy else {"adversaries": run["requester"]}
        held = {"baseline": options.baseline} if options.baseline else {}
        asked = {"scenarios": files[run["scenario"]], **who, "seeds": run["seed"], **held}
        return "poise bench safety" + "".join(f" --{name} {shlex.quote(str(value))}" for name, value in asked.items()) + options.same()

    return command


def render(result: Mapping[str, Any]) -> str:
    """The page: what was asked, sent and happened, without the certifier and with it, side by side."""
    heads = ["scenario", "", "ticks", "asked beyond", "sent beyond", *HAPPENED, "worst margins", "falls", "rungs", "unsolved"]
    rows = [[_cell(value) for value in _shown(row).values()] for row in result["table"]]
    about = "".join(
        section(html.escape(name), f"<p>{html.escape(scenario['about'])}</p>") for name, scenario in result["scenarios"].items()
    )
    fewer = ", ".join(f"{bound} {100 * share:.2f} %" for bound, share in result["reduction"].items() if share is not None)
    body = f'<p class="sub">{WORDS}</p>{html_table(heads, rows)}<p>Fewer ticks with the certifier: {fewer or "–"}.</p>{about}'
    return page("Takeovers", f"{result['robot']} · {len(result['runs'])} runs", body)


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else show(value)


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    margins = ", ".join(f"{bound} {margin:+.2g}" for bound, margin in row["margins"].items() if margin is not None)
    rungs = ", ".join(f"{rung} {100 * ticks / max(row['ticks'], 1):.0f} %" for rung, ticks in row["rungs"].items())
    figures = {key: row[key] for key in ("scenario", "certifier", "ticks", "asked", "sent", *HAPPENED)}
    unsolved = ", ".join(f"{rung} {ticks}" for rung, ticks in row["unsolved"].items())
    said = {"rungs": rungs, "unsolved": unsolved or "0"} if row["certifier"] == "on" else {"rungs": "–", "unsolved": "–"}
    return {**figures, "margins": margins, "falls": f"{row['falls']} of {row['runs']}", **said}


def _printed(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = _shown(row)
    return {
        f"{key} beyond" if key in HAPPENED else key: value
        for key, value in shown.items()
        if key not in ("rungs", "ticks", "margins", "unsolved")
    }


def _named(text: str | None) -> dict[str, str]:
    """What is given for each scenario, by the scenario's name.

    Raises:
        PoiseError: something is none, or two of them have one name.
    """
    packaged, found = packaged_scenarios(), dict[str, str]()
    words = [word.strip() for word in ("all" if text is None else text).split(",")]
    for given in (name for word in words for name in (packaged if word == "all" else (word,))):
        name = Path(given).stem if given.endswith(".toml") else given
        if not given.endswith(".toml") and name not in packaged:
            raise PoiseError(f"--scenarios {text}: unknown {given!r}; known: {', '.join(packaged)}, or a TOML file, no comma in its name")
        if found.setdefault(name, given) != given:
            raise PoiseError(f"--scenarios {text}: {found[name]} and {given} have one name; rename one of the files")
    return found


def _scenario(given: str) -> SafetyScenario:
    return read_scenario(given) if given.endswith(".toml") else packaged_scenarios()[given]


def _requesters(options: Safety) -> dict[str, MakeRequester]:
    if (options.policy is None) != (options.contract is None):
        raise PoiseError("--policy and --contract go together: give the ONNX file and the TOML file that says what it takes and gives")
    if options.policy is not None and options.contract is not None:
        files = (str(Path(options.policy).resolve()), str(Path(options.contract).resolve()))
        return {POLICY: MakeRequester(POLICY, *files)}
    names = list(ADVERSARIES) if options.adversaries == "all" else [name.strip() for name in options.adversaries.split(",")]
    return {name: MakeRequester(name) for name in names}


def _check_baselines(options: Safety) -> None:
    if options.certifier == "off" and (options.baseline or options.save_baseline):
        raise PoiseError("--certifier off leaves nothing to hold against a baseline; leave one of them out")
    path = None if options.save_baseline is None else Path(options.save_baseline).resolve()
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        raise PoiseError(f"--save-baseline {options.save_baseline}: cannot be written; give a file in a folder that exists")


def _save_baseline(path: str, runs: list[dict[str, Any]]) -> None:
    try:
        Path(path).write_text(json.dumps(baseline_of(runs), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    except OSError as error:
        raise PoiseError(
            f"--save-baseline {path}: cannot be written ({error.strerror}); give another file, with --resume of this run"
        ) from error


def _compared(cases: Sequence[Mapping[str, Any]], baseline: Mapping[str, Any]) -> int:
    """How many cases the baseline holds."""
    return sum(case["certified"] and case_name(case) in baseline for case in cases)


def _read_baseline(path: str, cases: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """What the cases are held against.

    Raises:
        PoiseError: it is no baseline, or none of these cases.
    """
    try:
        found = read_json(Path(path))
    except ValueError as error:
        raise PoiseError(f"--baseline {path}: {error}; give a file that --save-baseline has written") from error
    if not isinstance(found, dict):
        raise PoiseError(f"--baseline {path}: holds no cases; give a file that --save-baseline has written")
    check_baseline(found)
    if not _compared(cases, found):
        raise PoiseError(f"--baseline {path}: holds none of the cases that are run; give a file that --save-baseline has written of them")
    return found


def _digest(path: str | None) -> str:
    """Of a file that was read before."""
    return hashlib.sha256(Path(path or "").read_bytes()).hexdigest()[:16]


def _said(run: dict[str, Any]) -> str:
    side = "certified" if run["certified"] else "as asked"
    return f"{run['scenario']}, {run['requester']}, {side}: " + ("held" if run["fell_s"] is None else f"fell at {run['fell_s']:.1f} s")
