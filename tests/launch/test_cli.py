from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command import made_up, run_main

from poise.launch.batch import summarise
from poise.launch.closed_loop import RunPlan
from poise.launch.command_line import one_line, parse
from poise.launch.demo import Demo
from poise.launch.options import parse_seeds
from poise.launch.train import Train
from poise.launch.walk import Walk
from poise.robots import PoiseError, RobotModel
from poise.robots.record import read_log

POISE = Path(sys.executable).with_name("poise")
STABLE = {"fell", "seconds", "mean_velocity", "velocity_error", "tick_us", "interventions", "proposals"}
HOLLOW = '<mujoco><worldbody><body name="pelvis"><freejoint/><geom size="0.1"/></body></worldbody></mujoco>'

ONE_LINERS = {
    "walk --velocity nan 0 0": "--velocity nan 0 0: not finite",
    "walk --velocity 1e300 0 0": "out of all proportion",
    "walk --velocity 0 inf 0": "not finite",
    "walk --velocity 0.5 0": "Error parsing --velocity",
    "walk --velocity fast 0 0": "Error parsing --velocity",
    "walk --velocity 0.1 0 0 --waypoint 1 0 0": "exclude each other",
    "walk --waypoint nan 0 0": "not finite",
    "walk --seconds 0": "--seconds 0",
    "walk --seconds -3": "--seconds -3",
    "walk --seconds nan": "--seconds nan",
    "walk --seconds inf": "--seconds inf",
    "walk --seconds 0.001": "--seconds 0.001: give a number of at least 0.002 (s), which is one tick",
    "bench realtime --seconds 0.001": "--seconds 0.001",
    "bench tour --seconds 0": "give a multiple of 5",
    "walk --seed -1": "--seed -1",
    "walk --seeds 4-0": "--seeds 4-0",
    "walk --seeds x": "--seeds x",
    "walk --seeds 0-1 --view": "single seed",
    "walk --port 0": "--port 0",
    "walk --mode magic": "'hybrid', 'model'",
    "walk --noise loud": "'nominal', 'none', 'hard'",
    "walk --robot r2d2": "unknown robot 'r2d2'",
    "walk --robot missing.xml": "needs an overlay",
    "walk --plant missing.xml --mode model": "no such file",
    "walk --plant README.md --mode model": "give an MJCF",
    "walk --policy weights.onnx --mode model": "takes no policy",
    "walk --policy missing.onnx": "no such file",
    "walk --json missing/folder/x.json": "--json missing/folder/x.json",
    "robots list --json missing/folder/x.json": "--json missing/folder/x.json",
    "demos list . --json missing/folder/x.json": "--json missing/folder/x.json",
    "demos show missing --json missing/folder/x.json": "--json missing/folder/x.json",
    "walk --spead 1": "--spead",
    "wlak": "deploy, record, simulate, robots, demos, train, bench; For full helptext, run poise --help",
    "wlak --velocity 0.5 0 0": "unknown command 'wlak'; known: demo, walk, teleop, explain, replay, deploy, record, simulate, robots, ",
    "demos lst demos": "unknown command 'lst'; known: generate, list, show, export; For full helptext, run poise demos --help",
    "walk dance": "Unrecognized options: dance",
    "": "Expected one of",
    "demo --seeds 1,": "--seeds 1,",
    "explain missing": "no log.mcap",
    "explain missing --at nan": "not finite",
    "robots check r2d2": "unknown robot",
    "robots pairs g1 --postures 0": "--postures 0",
    "robots check missing.xml": "needs an overlay",
    "robots check empty.xml": "needs an overlay; give --overlay FILE",
    "robots check missing.xml --overlay README.md": "overlay README.md",
    "robots check empty.xml --overlay missing.toml": "overlay missing.toml: cannot be read",
    "demos list missing": "no such folder",
    "demos show missing": "no episodes",
    "demos generate --episodes 0": "--episodes 0",
    "demos generate --seconds nan": "--seconds nan",
    "demos generate --seconds 0.001": "--seconds 0.001",
    "train proposer --demos missing --out missing/x.onnx": "usable episodes",
    "bench tour --policy x.onnx --contract x.toml --mode model": "--mode model and --policy exclude each other",
    "bench locomotion --policy x.onnx --contract x.toml --mode model": "--mode model and --policy exclude each other",
    "bench locomotion --friction inf --mode model": "friction inf: must be above 0, and at most 10",
    "bench safety --steps 99999999999999999999": "give a whole number of at most 1000000000",
    "bench falls --plant missing.xml": "missing.xml: no such file",
    "bench falls --plant README.md": "does not end in .xml, .mjcf, .urdf",
    f"walk --mode model --seeds {'9' * 5000}": "not a list of seeds",
    "train everything": "unknown command 'everything'; known: proposer, adversary",
    "train": "Expected one of {proposer, adversary}",
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").touch()
    (tmp_path / "empty.xml").touch()
    return tmp_path


@pytest.mark.parametrize(("line", "named"), ONE_LINERS.items())
def test_unusable_input_is_one_line_and_status_2(line: str, named: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_main(*line.split()) == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1 and said.err.startswith("poise: ") and named in said.err and len(said.err) < 250
    assert not Path("runs").exists()


def test_a_plant_that_does_not_compile_or_is_another_robot(in_an_empty_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name, text, named in (("broken.xml", "<mujoco><worldbody>", "does not compile"), ("hollow.xml", HOLLOW, "plant has no joint")):
        Path(name).write_text(text, encoding="utf-8")
        assert run_main("walk", "--mode", "model", "--plant", name) == 2
        said = capfd.readouterr().err
        assert said.count("\n") == 1 and named in said


def test_help_names_every_command_and_its_units(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_main("--help") == 0
    commands = capfd.readouterr().out
    assert all(f"• {name}" in commands for name in ("demo", "walk", "explain", "robots", "demos", "train", "bench"))
    assert run_main("walk", "--help") == 0
    options = capfd.readouterr().out
    assert all(part in options for part in ("VX VY WZ", "m/s", "rad/s", "0.5 0 0", "--waypoint X Y YAW", "127.0.0.1", "(default: g1)"))


def test_options_reach_the_command() -> None:
    given = parse("walk --velocity -0.3 0 0.1 --seeds 0-4 --record none --noise hard --view".split())
    assert given == Walk(velocity=(-0.3, 0.0, 0.1), seeds="0-4", record="none", noise="hard", view=True)
    assert parse(["demo", "--quick"]) == Demo(quick=True)


def test_pairs_that_touch_are_listed_those_that_no_capsules_see_first(tmp_path: Path) -> None:
    file = tmp_path / "pairs.json"
    assert run_main("robots", "pairs", "g1", "--postures", "60", "--json", str(file)) == 0
    pairs = json.loads(file.read_text())["pairs"]
    unseen = [pair["unseen"] for pair in pairs]
    assert unseen == sorted(unseen, reverse=True) and unseen[0] > 0.0 == unseen[-1]
    assert all(pair["unseen"] <= pair["touch"] <= 1.0 for pair in pairs)


def test_training_does_not_overwrite_the_weights_that_come_with_it() -> None:
    command = parse(["train", "proposer"])
    assert isinstance(command, Train) and Path(command.action.out) == Path("runs/proposer.onnx")


def test_seeds() -> None:
    assert parse_seeds("0-4") == (0, 1, 2, 3, 4)
    assert parse_seeds("7") == (7,)
    assert parse_seeds("5, 0-2,1") == (5, 0, 1, 2)
    for odd in ("", "-1", "1-", "a-b", "3-1", "1.5", "1--2"):
        with pytest.raises(PoiseError, match="0-4"):
            parse_seeds(odd)


def test_the_sentence_of_a_box() -> None:
    box = "╭─ Bad ───╮\n│ it is   │\n│ wrong.  │\n│ ─────── │\n│ See it. │\n╰─────────╯\n"
    assert one_line(box) == "it is wrong; See it"


def test_a_short_walk_leaves_everything(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_main(*"walk --seconds 1 --mode model --json walk.json".split()) == 0
    said = capfd.readouterr()
    result: dict[str, Any] = json.loads(Path("walk.json").read_text(encoding="utf-8"))
    folder = Path(result["folder"])
    assert result.keys() >= STABLE | {"learned_share", "energy_j", "seed", "folder", "report"}
    assert (result["fell"], result["seconds"], result["seed"]) == (False, 1.0, 0)
    assert said.out.splitlines()[-1] == f"report: {folder.resolve() / 'report.html'}"
    assert {path.name for path in folder.iterdir()} == {"summary.json", "log.mcap", "config.json", "report.html"}
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert summary == {name: value for name, value in result.items() if name not in ("folder", "report")}
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["config"]["scenario"]["segments"][0]["intent"]["velocity"] == [0.5, 0.0, 0.0]
    assert config["config"]["mode"] == "model" and config["seed"] == 0
    log = read_log(folder / "log.mcap")
    assert log.complete and len(log.pulse["tick"]) == 500
    assert abs(log.truth["base_position_world"] - log.tick["belief_base_position_world"]).max() < 0.05

    assert run_main("explain", str(folder), "--at", "0.5", "--json", "-") == 0
    told = capfd.readouterr()
    assert json.loads(told.out)["at_s"] == 0.5
    assert "Asked: +0.50 m/s forward" in told.err
    assert run_main("explain", str(folder), "--at", "2") == 2


def test_a_list_of_seeds_has_a_summary_and_json_goes_to_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_main(*"walk --velocity 0 0 0 --seconds 0.2 --mode model --record none --seeds 3 --json -".split()) == 0
    result = json.loads(capfd.readouterr().out)
    assert [run["seed"] for run in result["runs"]] == [3]
    assert result["runs"][0].keys() >= STABLE and result["runs"][0]["report"] is None
    assert (result["summary"]["runs"], result["summary"]["falls"], result["summary"]["seconds"]) == (1, 0, 0.2)
    assert not Path("runs").exists()


def test_a_fall_is_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def fallen(plan: RunPlan, seed: int, *others: object) -> dict[str, Any]:
        return made_up(seed, fell=True)

    monkeypatch.setattr(RunPlan, "__call__", fallen)
    assert run_main(*"walk --mode model".split()) == 1
    assert run_main(*"demo --quick --mode model".split()) == 1


def test_the_summary_weighs_runs_by_their_ticks() -> None:
    summary = summarise(
        [made_up(0, False), made_up(1, True), made_up(2, False, ticks=2000, learned_share=0.5, unlearned_reasons={"x": 1000})]
    )
    assert (summary["runs"], summary["falls"], summary["seconds"]) == (3, 1, 6.0)
    assert summary["learned_share"] == pytest.approx((750 + 750 + 1000) / 4000)
    assert summary["unlearned_share"] == {"x": 0.25, "rejected: reach": 0.125}
    assert summary["proposals"] == {"made": 24, "rejected": 9, "reasons": {"reach": 9}}
    assert summary["interventions"] == {"rate": 30 / 4000, "max_torque_change_nm": 6.0, "reasons": {"torque": 30}}
    assert summary["tick_us"] == {"p50": 501.0, "p99": 902.0}
    unknown = summarise([made_up(0, False, ticks=0, tick_us={"p50": None, "p99": None})])
    assert unknown["tick_us"] == {"p50": None, "p99": None}


def test_robots(capfd: pytest.CaptureFixture[str], g1: RobotModel) -> None:
    assert run_main("robots", "list", "--json", "-") == 0
    (listed,) = json.loads(capfd.readouterr().out)["robots"]
    assert (listed["name"], listed["joints"]) == ("g1", g1.n)
    assert run_main("robots", "check", "g1", "--json", "-") == 0
    assert json.loads(capfd.readouterr().out) == {"name": "g1", "ok": True, "findings": []}
    Path("odd.toml").write_text('schema = "poise.overlay/0"\n', encoding="utf-8")
    assert run_main("robots", "check", str(g1.description), "--overlay", "odd.toml", "--json", "-") == 1
    checked = json.loads(capfd.readouterr().out)
    assert checked["ok"] is False and "poise.overlay/1" in checked["findings"][0]


def test_demonstrations_are_generated_listed_and_shown(capfd: pytest.CaptureFixture[str]) -> None:
    command = "demos generate --episodes 1 --seconds 0.5 --out demos/small --processes 1 --json -".split()
    assert run_main(*command) == 0
    first = json.loads(capfd.readouterr().out)
    assert (first["episodes"], first["kept"]) == (1, 0) and first["rows"] == 5
    assert run_main(*command) == 0
    assert json.loads(capfd.readouterr().out) == first | {"kept": 1}
    assert run_main(*[part if part != "0.5" else "0.6" for part in command]) == 2
    assert "differs from this set in seconds" in capfd.readouterr().err
    assert run_main("demos", "list", "--json", "-") == 0
    (listed,) = json.loads(capfd.readouterr().out)["sets"]
    assert listed["path"] == "demos/small" and (listed["count"], listed["rows"]) == (1, 5)
    assert run_main("demos", "show", "demos/small", "--json", "-") == 0
    shown = json.loads(capfd.readouterr().out)
    assert shown["episodes"][0]["file"] == "episode_00000.npz" and shown["seconds"] == pytest.approx(0.5)


@pytest.mark.parametrize(("module", "line"), [("torch", "train proposer"), ("viser", "walk --view --mode model --seconds 1 --port 18080")])
def test_what_is_not_installed_is_named(module: str, line: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "poise.learning.training", raising=False)
    monkeypatch.delitem(sys.modules, "poise.learning.checkpoint", raising=False)
    assert run_main(*line.split()) == 2
    said = capfd.readouterr().err
    extra = {"torch": "learn", "viser": "view"}[module]
    assert said.count("\n") == 1 and f".[{extra}]" in said


def test_the_installed_command_is_quick_to_help_and_returns_the_status(in_an_empty_folder: Path) -> None:
    program = "import sys, poise.launch.command_line; print({'mujoco', 'pinocchio', 'torch', 'numba', 'matplotlib'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "set()"
    refused = subprocess.run([POISE, "walk", "--velocity", "nan", "0", "0"], capture_output=True, text=True, cwd=in_an_empty_folder)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert "Traceback" not in refused.stderr
