"""The three replays of a recorded run: what each needs of the recording, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from poise.control import StackConfig
from poise.control.reestimate import WALKERS, beliefs
from poise.robots import Decision, Intent, PoiseError, RecordError, RobotModel
from poise.robots.log_differences import Differences, Table, common, differences
from poise.robots.log_vectors import TICK_FIELDS, TickTable
from poise.robots.plain import from_plain
from poise.robots.record import Log
from poise.sim import MujocoBackend, Push
from poise.sim.replay import Show, apart, closed_loop, held, open_loop, poses, poses_known, with_truth
from poise.sim.scenarios import Scenario, Segment

from .closed_loop import RunPlan
from .live import Live
from .progress import progress_bar
from .run_folder import RunFolder
from .scenario_of import plan_of, scenario_of

if TYPE_CHECKING:
    from .replay import Replay

END_M = 0.05  # how far a closed loop may end from where the recorded one did
GAPS = "the recording lacks ticks, or its beginning: there the estimator was told less than in the run, and believes something else"
PLOTS = (".svg", ".png", ".pdf")


@dataclass(frozen=True)
class Replayed:
    """A replay beside its recording, over the ticks that are compared."""

    recorded: Table
    replayed: Table
    differences: Differences
    fell: bool = False


def log_in(recording: str) -> Path:
    """The file of a recording, or that in its folder."""
    path = Path(recording)
    return RunFolder.open(path).log if path.is_dir() else path


def check_plot(path: str | None) -> None:
    """Refuse what is no picture, or cannot be written after the work was done.

    Raises:
        PoiseError: it is such a one.
    """
    if path is not None and (Path(path).suffix not in PLOTS or not Path(path).parent.is_dir()):
        raise PoiseError(f"--plot {path}: give a file ending in {', '.join(PLOTS)} in a folder that exists")


def replay_run(log: Log, options: Replay) -> dict[str, Any]:
    """Replay a recorded run as the command line says.

    Raises:
        PoiseError: the recording, or an option, does not fit that kind of replay.
    """
    ticks = _ticks(log, options)
    how = {"closed-loop": _closed, "open-loop": _open, "estimator": _estimated}[options.how]
    done = how(log, options, ticks)
    if options.plot is not None:
        from .replay_plot import write_replay_plot

        write_replay_plot(done.recorded, done.replayed, options.how, Path(options.plot))
    found = done.differences
    result: dict[str, Any] = {"how": options.how, "identical": found.identical, "ticks": found.ticks, "difference": _first(found, done)}
    result |= {"fields": [asdict(field) for field in found.fields], "missing": found.missing}
    more = _closed_figures(done) if options.how == "closed-loop" else _against_truth(done) if options.how == "estimator" else {}
    remarks = [*more.get("remarks", ()), *([GAPS] if options.how == "estimator" and not log.whole else ())]
    return result | more | {"remarks": remarks}


def _ticks(log: Log, options: Replay) -> int:
    """How many ticks are replayed.

    Raises:
        PoiseError: there are none, or none of them is compared.
    """
    if not log.tick:
        raise RecordError(f"{options.recording}: holds no tick; the run ended before the first chunk was written")
    time_s = log.tick["time_s"] - log.tick["time_s"][0]
    end_s = np.inf if options.end is None else options.end
    if not 0.0 <= options.start < min(end_s, time_s[-1] + 1e-9):
        raise PoiseError(f"--from {options.start:g} --to {end_s:g}: give a part of the recording, which lasts {time_s[-1]:.2f} s")
    return int(log.tick["tick"][time_s < end_s][-1])


def _plan(log: Log, options: Replay) -> tuple[RunPlan, Scenario | None, int]:
    """How the run is run again, what was done in it, and its seed; on a robot nobody knows the plant, and it is the default one."""
    scenario = scenario_of(log)
    if scenario is not None:
        scenario = replace(scenario, pushes=(*scenario.pushes, *_pushes(log)))
    stand = Scenario("replay", (Segment(1.0, Intent()),), (), 1.0)
    plan = plan_of(log.meta, scenario) if scenario and "config" in log.meta else RunPlan("replay", lambda seed: stand, robot=log.robot)
    known = log.meta.get("seed")
    recorded = known if type(known) is int and known >= 0 else 0
    return plan, scenario, recorded if options.seed is None else options.seed


def _pushes(log: Log) -> list[Push]:
    """Those of the page."""
    return [from_plain(Push, note["push"]) for note in log.notes if isinstance(note, Mapping) and "push" in note]


def _load(plan: RunPlan, log: Log) -> RobotModel:
    robot = plan.load()
    if robot.joint_names != log.joint_names:
        raise RecordError(f"the recording is of a {log.robot} with other joints than that of this version; give another one")
    return robot


def _open(log: Log, options: Replay, ticks: int) -> Replayed:
    if not log.whole:
        raise RecordError(f"{options.recording}: does not hold every tick from the first on in float64; record with --record full")
    plan, scenario, seed = _plan(log, options)
    if scenario is None or options.plant is not None or options.seed is not None:
        raise PoiseError("open-loop: commands go to the plant and from the start that were simulated; for others use --how closed-loop")
    robot = _load(plan, log)
    backend = plan.backend(robot, StackConfig().period_s, scenario, seed)
    with _watched(robot, backend, options, ticks) as show:
        table = open_loop(backend, log, ticks, show)
    return _compared(log, options, table, ("state",))


def _closed(log: Log, options: Replay, ticks: int) -> Replayed:
    plan, scenario, seed = _plan(log, options)
    plan = plan if options.plant is None else replace(plan, plant=options.plant)
    robot = _load(plan, log)
    stack = plan.stack(robot, seed)
    backend = plan.backend(robot, stack.period_s, plan.scenario(seed), seed)
    with _watched(robot, backend, options, ticks) as show:
        table, fell = closed_loop(stack, backend, _intents(log, scenario, stack.period_s), ticks, show)
    compared = _compared(log, options, table, ("state", "intent", "belief", "plan", "command", "decision"))
    return replace(compared, fell=fell)


def _intents(log: Log, scenario: Scenario | None, period_s: float) -> Callable[[int], Intent]:
    """The recorded ones; where not every tick was recorded those of the scenario, unless the page steered."""
    if scenario is not None and not log.whole and not log.meta["config"]["steered"]:
        return lambda tick: scenario.intent((tick - 1) * period_s)
    try:
        return held(log)
    except ValueError as error:
        raise RecordError(f"the recording holds an intent that is none ({error}); give another one") from error


def _estimated(log: Log, options: Replay, ticks: int) -> Replayed:
    if "belief_updates" not in log.tick:
        raise RecordError(f"{options.recording}: does not say what the estimator was told; another version made it")
    gaps = np.diff(log.tick["tick"])
    if log.dtype != "float64" or (len(gaps) and np.median(gaps) != 1.0):
        raise RecordError(f"{options.recording}: does not hold the states of every tick in float64; record with --record full")
    if options.view:
        raise PoiseError("--view shows a plant; give it with --how closed-loop or open-loop")
    robot = _load(_plan(log, options)[0], log)
    table = TickTable(robot.n, len(robot.arms))
    told = beliefs(robot, log.states(), log.tick["belief_planned_contact"], log.tick["belief_updates"])
    for tick, belief in zip(log.tick["tick"][log.tick["tick"] <= ticks].astype(int), told, strict=False):
        table.add(int(tick), {"belief": belief})
    return _compared(log, options, table.fields(), ("belief",))


@contextmanager
def _watched(robot: RobotModel, backend: MujocoBackend, options: Replay, ticks: int) -> Iterator[Show]:
    """What is told each tick: the bar, and the page where there is one."""
    if not 0.0 < options.speed < np.inf:
        raise PoiseError(f"--speed {options.speed:g}: give a number above 0, times real time")
    with ExitStack() as opened:
        live = opened.enter_context(Live(robot, backend, options.port, 0, options.speed)) if options.view else None
        bar = opened.enter_context(progress_bar("{task.completed:.0f} of {task.total:.0f} ticks"))
        task = bar.add_task(options.how, total=ticks)

        def show(decision: Decision | None) -> None:
            """Count the tick, and draw it."""
            bar.advance(task)
            if live is not None:
                live.show(decision)

        yield show


def _compared(log: Log, options: Replay, replayed: Table, sources: tuple[str, ...]) -> Replayed:
    """Both over the part that is asked for, and what they differ in."""
    recorded: Table = with_truth(log)
    time_s = recorded["time_s"] - recorded["time_s"][0]
    part = (time_s >= options.start - 1e-9) & (time_s < (np.inf if options.end is None else options.end))
    if not part.any():
        raise RecordError(f"{options.recording}: its times do not rise, so that no tick of it is compared; give another recording")
    recorded = _rows(recorded, part)
    before = replayed["tick"] < recorded["tick"][0]
    between = np.isin(replayed["tick"], recorded["tick"], invert=True) if not log.whole else before  # those were not recorded
    replayed = _rows(replayed, ~(before | between))
    walkers = {f"belief_{name}" for name in WALKERS} if sources == ("belief",) else set()
    names = [field.key for field in TICK_FIELDS if field.source in sources and field.key not in walkers]
    names += [name for name in replayed if name.startswith("truth_")]
    return Replayed(recorded, replayed, differences(recorded, replayed, log.dtype, names))


def _rows(table: Table, wanted: NDArray[np.bool_]) -> Table:
    return table if wanted.all() else {name: values[wanted] for name, values in table.items()}


def _first(found: Differences, done: Replayed) -> dict[str, Any] | None:
    """The first tick and field that differ; field "end" where one goes on and the other does not."""
    if found.identical:
        return None
    if found.fields:
        first = found.fields[0]
        return {"tick": first.first_tick, "field": first.field, "recorded": first.recorded, "replayed": first.replayed}
    both = done.recorded["tick"], done.replayed["tick"]
    return {"tick": int(np.setxor1d(*both)[0]), "field": "end", "recorded": None, "replayed": None}


def _closed_figures(done: Replayed) -> dict[str, Any]:
    """How far from the recorded end it ended, and whether that is near enough."""
    mine, others = common(done.recorded, done.replayed)
    source = poses_known(done.recorded)[0]
    way = apart(poses(done.recorded, source)[mine], poses(done.replayed, source)[others])
    known = way[np.isfinite(way).all(axis=1)]
    if done.fell and len(others) < len(done.recorded["tick"]):
        return {"held": False, "fell": True, "end": None, "remarks": ["the robot fell, which the recorded one did not then"]}
    if not len(known):
        return {"held": False, "fell": done.fell, "end": None, "remarks": ["where the base ended is not known"]}
    distance_m, yaw = known[-1].tolist()
    said = f"it ends {100.0 * distance_m:.1f} cm from the recorded end; {100.0 * END_M:.0f} cm are allowed"
    end = {"distance_m": distance_m, "yaw": yaw, "bound_m": END_M}
    return {"held": distance_m <= END_M, "fell": done.fell, "end": end, "remarks": [said]}


def _against_truth(done: Replayed) -> dict[str, Any]:
    """For the estimator, how far recorded and new beliefs are from what was true."""
    if "truth" not in poses_known(done.recorded):
        return {}
    mine, others = common(done.recorded, done.replayed)
    true = poses(done.recorded, "truth")[mine]
    figures = {}
    for name, table, rows in (("recorded", done.recorded, mine), ("replayed", done.replayed, others)):
        away_m = apart(poses(table, "belief")[rows], true)[:, 0]
        known = away_m[np.isfinite(away_m)]
        if not len(known):
            return {"truth": None, "remarks": ["nothing was believed of where the base is"]}
        figures[name] = {"largest_m": float(known.max()), "end_m": float(known[-1])}
    words = ", ".join(f"{name} {100.0 * of['end_m']:.1f} cm" for name, of in figures.items())
    return {"truth": figures, "remarks": [f"drift against the truth at the end: {words}"]}
