from __future__ import annotations

import base64
import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from sample_run import SPEED, sample_run

from poise.launch.labels import LABELS, label
from poise.launch.output import Exit, flatten, print_result, print_rows, run_command, show, write_json, write_page
from poise.launch.plots import heading_velocity, rejections, standing_places, tick_total_us
from poise.launch.report import events, key_figures, velocity_error, write_report
from poise.launch.run_folder import RunFolder
from poise.robots import PoiseError, RecordError, load_robot
from poise.robots.record import Log, LogWriter, read_log
from poise.robots.types import LEFT, RIGHT
from poise.sim.metrics import RunResult

SECONDS = 4.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    robot, made = load_robot("g1"), RunFolder.create(tmp_path_factory.mktemp("runs"), "walk")
    with LogWriter(made.log, robot, made.write_config({"mode": "hybrid"}, seed=5)) as writer:
        for sample in sample_run(robot, SECONDS):
            writer.write(*sample)
    made.write_summary({"fell": False, "tick_us": {"p50": 700.0}, "bad": np.nan, "runs": [{"seed": 0}]})
    return made


@pytest.fixture(scope="module")
def log(folder: RunFolder) -> Log:
    return read_log(folder.log)


def test_the_page_needs_nothing_but_itself(folder: RunFolder) -> None:
    page = write_report(folder).read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(?!data:)', page) and "<script" not in page
    pictures = re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", page)
    assert len(pictures) == 6
    for picture in pictures:
        assert ElementTree.fromstring(base64.b64decode(picture)).tag.endswith("svg")
    for words in ("stayed up", "the MPC did not converge", "torque left_knee_joint", "seed 5", "CPU time of a tick, µs: median"):
        assert words in page


def test_figures_agree_with_the_run(log: Log) -> None:
    assert np.nanmean(heading_velocity(log), axis=0) == pytest.approx([SPEED, 0.0, 0.1], abs=0.005)
    assert velocity_error(log) == pytest.approx([0.0, 0.0, 0.0], abs=0.005)
    assert sum(rejections(log).values()) == 3 * SECONDS / 0.05
    assert rejections(log)["zmp"] == SECONDS / 0.05
    assert len(tick_total_us(log)) == 500 * SECONDS and tick_total_us(log).min() >= 700.0
    cards = {name: value for name, value, _ in key_figures(log, {"fell": True})}
    assert cards["robot"] == "fell" and cards["ticks changed by the certifier"] == "4.00 %"
    assert cards["ticks degraded or safe"] == f"{100 * 101 / 2000:.2f} %"


def test_feet_stand_where_they_were_put_down(log: Log) -> None:
    left, right = standing_places(log, LEFT), standing_places(log, RIGHT)
    assert len(left) == len(right) == SECONDS / 1.0
    assert np.allclose(left[:, 1], 0.1) and np.allclose(right[:, 1], -0.1)
    assert np.allclose(np.diff(left[:, 0]), 2 * SPEED * 0.5)


def test_events_are_stretches_of_the_same_trouble(log: Log) -> None:
    found = events(log)
    assert [e[2] for e in found].count("degraded") == 1 and [e[2] for e in found].count("safe") == 1
    first, last, _, why = next(e for e in found if e[2] == "degraded")
    assert first == pytest.approx(2.0) and last == pytest.approx(2.19, abs=0.011) and "MPC" in why
    assert sum("left_knee" in e[3] for e in found) == SECONDS


def test_a_cut_recording_still_gives_a_report(folder: RunFolder, tmp_path: Path) -> None:
    cut = RunFolder.create(tmp_path, "cut")
    data = folder.log.read_bytes()
    cut.log.write_bytes(data[: len(data) // 2])
    assert "ends in the middle" in write_report(cut).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["report.html", "summary.json", "config.json"])
def test_what_cannot_be_written_is_said_in_one_line(tmp_path: Path, name: str) -> None:
    """A folder stands where the file is to be."""
    made = RunFolder(tmp_path)
    (tmp_path / name).mkdir()
    with pytest.raises(PoiseError, match=f"{name}: cannot be written") as caught:
        made.write_config({}, 0)
        made.write_summary({})
        write_page(made.report, "a page")
    assert "\n" not in str(caught.value)


def test_folders_never_overwrite_each_other(tmp_path: Path) -> None:
    folders = [RunFolder.create(tmp_path / "runs", "walk") for _ in range(3)]
    assert len({f.path for f in folders}) == 3
    with pytest.raises(RecordError, match=r"log\.mcap"):
        RunFolder.open(folders[0].path)
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="cannot be made"):
        RunFolder.create(tmp_path / "file", "walk")
    assert folders[0].read_summary() == {}
    (folders[0].path / "summary.json").write_text("{")
    with pytest.raises(RecordError, match="not readable"):
        folders[0].read_summary()


def test_the_folder_keeps_configuration_and_versions(folder: RunFolder, log: Log) -> None:
    config = json.loads((folder.path / "config.json").read_text(encoding="utf-8"))
    assert config["seed"] == 5 and config["config"] == {"mode": "hybrid"} and "mujoco" in config["versions"]
    assert log.meta == config
    assert folder.read_summary()["bad"] == "nan"


def test_results_are_printed_and_written(tmp_path: Path) -> None:
    console = Console(record=True, width=100)
    result = {"fell": False, "tick_us": {"p50": 712.345}, "runs": [{"seed": 0}]}
    print_result("walk", result, tmp_path / "out.json", console)
    print_rows("runs", [{"seed": 0, "fell": True}, {"seed": 1, "x": 1.5}], console)
    text = console.export_text()
    assert "CPU time of a tick, µs: median" in text and "712" in text and "no" in text and "yes" in text and "1.5" in text
    assert json.loads((tmp_path / "out.json").read_text()) == result
    assert list(flatten(result)) == [("fell", False), ("tick_us.p50", 712.345)]
    assert [show(v) for v in (None, True, 0.012345, 12345.6, [1.0, 2.5], [])] == ["–", "yes", "0.0123", "12346", "1, 2.5", "none"]
    with pytest.raises(PoiseError, match="cannot be written"):
        write_json(tmp_path / "none" / "out.json", result)


def test_every_figure_of_a_run_has_a_label_and_a_unit_where_it_needs_one() -> None:
    run = dict.fromkeys(("mean_velocity", "energy_j", "distance_m", "position_drift_m", "yaw_drift", "seconds"), 0.0)
    nested = {"tick_us": {"p50": 1.0, "p99": 2.0}, "interventions": {"max_torque_change_nm": 3.0, "reasons": {"torque": 4}}}
    labels = [label(name) for name, _ in flatten({**run, **nested, "proposals": {"reasons": {"joint_limit": 1}}})]
    units = ("m/s, m/s, rad/s)", ", J", ", m", ", m", ", rad", ", s", "µs: median", "µs: 99 %", ", N·m")
    assert all(text.endswith(unit) for text, unit in zip(labels, units, strict=False))
    assert {field.name for field in fields(RunResult)} - LABELS.keys() == {"fell", "proposals"}  # words already
    assert labels[len(units) :] == ["certifier: reason: torque", "proposals: reason: joint_limit"]


def test_a_name_has_the_words_of_where_it_stands() -> None:
    assert label("interventions.count") == "certifier: ticks changed"
    assert label("pushed.interventions.rate") == "with pushes: certifier: share of ticks changed"
    assert [label(name) for name in ("count", "robots.count", "rate")] == ["count", "robots: count", "rate"]


def test_the_tours_figures_have_units() -> None:
    units = {"mean_survival_s": ", s", "survival_s": ", s", "pos_err_cm": ", cm", "yaw_err_deg": ", °", "energy_kj": ", kJ"}
    assert all(label(f"own.{name}").endswith(unit) for name, unit in units.items())


def test_unusable_input_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> Exit:
        raise PoiseError("robot file x.xml: no such file; give the path of an MJCF or URDF")

    assert [run_command(lambda: Exit.HELD), run_command(lambda: Exit.FAILED), run_command(fail)] == [0, 1, 2]
    assert capsys.readouterr().err.splitlines()[0] == "poise: robot file x.xml: no such file; give the path of an MJCF or URDF"
