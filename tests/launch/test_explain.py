from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sample_run import sample_decision, sample_run

from poise.launch.blame import blame
from poise.launch.evidence import FORCE
from poise.launch.explain import RUNG_WORDS, decision_sentences, explain
from poise.launch.run_folder import RunFolder
from poise.robots import Certificate, Intent, PoiseError, RecordError, Verdict, load_robot
from poise.robots.record import LogWriter, read_log
from poise.robots.types import RUNGS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    robot, made = load_robot("g1"), RunFolder.create(tmp_path_factory.mktemp("runs"), "walk")
    with LogWriter(made.log, robot, {}) as writer:
        for sample in sample_run(robot, 2.5):
            writer.write(*sample)
    return made.path


def test_it_says_what_was_asked_chosen_rejected_planned_and_certified(folder: Path) -> None:
    said = explain(folder, at_s=0.98)
    text = " ".join(said["sentences"])
    assert said["tick"] == 490 and said["status"] == "ok"
    for words in (
        "Asked: +0.40 m/s forward, +0.00 m/s left, +0.10 rad/s turn.",
        "4 motions, 3 of them rejected",
        "Chosen: number 0, learned",
        "tightest margin 0.021 m (margins: zmp +0.021, capture +0.06, torque +14)",
        "Rejected: number 1",
        "zmp would be broken by 0.013 m",
        "Planned: step on the right foot, 0.48 of 0.50 s",
        "next footstep at x 0.39 m",
        "the DCM is 0.5 cm from where it should be at the next touchdown.",
        "changed by 12.5 N·m at most (qp: the nearest torques), because of torque left_knee_joint.",
        "of which track 300 µs",
    ):
        assert words in text, f"{words!r} not in {text}"
    json.dumps(said, allow_nan=False)


def test_on_two_feet_the_dcm_has_a_reference_of_this_moment(folder: Path) -> None:
    (said,) = [sentence for sentence in explain(folder, at_s=0.1)["sentences"] if sentence.startswith("Balance:")]
    assert said.endswith(" cm from its reference.")


def test_only_what_the_tick_includes_is_a_part_of_it() -> None:
    robot, rng = load_robot("g1"), np.random.default_rng(0)
    times = {"estimate": 60.0, "track": 300.0, "propose": 900.0, "imagine": 450.0, "tick": 360.0}
    for part, said in (
        ("", "The tick took 360 µs, of which track 300 µs; beside it propose 900 µs and imagine 450 µs."),
        ("imagine", "The tick took 360 µs, of which track 300 µs; beside it propose 900 µs."),
        ("tick", "The tick took 360 µs, of which track 300 µs; beside it propose 900 µs and imagine 450 µs."),
    ):
        spent = {name: us for name, us in times.items() if name != part}
        assert decision_sentences(replace(sample_decision(robot, 0, rng), timings_us=spent))[-1] == said
    alone = decision_sentences(replace(sample_decision(robot, 0, rng), timings_us={"tick": 360.0}))
    assert alone[-1] == "The tick took 360 µs."


def test_proposals_are_those_in_force_not_later_ones(folder: Path) -> None:
    said = explain(folder, at_s=2.04)
    assert said["proposed"]["tick"] == 1000 and "Proposed 40 ms before" in " ".join(said["sentences"])
    assert said["status"] == "degraded" and "Status degraded: the MPC did not converge" in " ".join(said["sentences"])


def test_without_a_time_it_takes_the_first_trouble(folder: Path) -> None:
    said = explain(folder)
    assert said["tick"] == 7 and said["status"] == "safe"
    assert any("the safe command was sent" in s for s in said["sentences"])
    assert any("no usable estimate" in s for s in said["sentences"])
    assert not any("as asked" in s for s in said["sentences"])


def test_between_explained_ticks_it_says_how_old_its_source_is(folder: Path) -> None:
    said = explain(folder, at_s=0.72)
    assert said["tick"] == 350 and "20 ms older" in said["sentences"][0]


def test_a_time_outside_the_run_is_refused(folder: Path) -> None:
    with pytest.raises(RecordError, match=r"lasts from 0\.000 to 2\.498 s"):
        explain(folder, at_s=9.0)


def test_a_run_without_proposals_and_other_intents() -> None:
    robot, rng = load_robot("g1"), np.random.default_rng(0)
    bare = replace(sample_decision(robot, 3, rng), intent=Intent(waypoint=(1.0, 2.0, 0.5), arms_external=True), timings_us={})
    text = " ".join(decision_sentences(bare))
    assert "go to x 1.00 m, y 2.00 m, yaw 0.50 rad; something else moves the arms" in text
    assert "the scripted motion acts" in text
    none_chosen = replace(sample_decision(robot, 0, rng), chosen=-1, intent=Intent())
    text = " ".join(decision_sentences(none_chosen, none_chosen))
    assert "Asked: stand." in text and "Chosen: none of them" in text


def test_a_strange_proposal_is_told_apart_from_an_impossible_one() -> None:
    robot, rng = load_robot("g1"), np.random.default_rng(0)
    decision = sample_decision(robot, 0, rng)
    odd = replace(decision.proposals[1], strangeness=6.7)
    verdict = Verdict(False, "demonstrated", -5.7, "", -np.inf, {"demonstrated": -5.7})
    strange = replace(decision, proposals=(decision.proposals[0], odd), verdicts=(decision.verdicts[0], verdict), chosen=0)
    text = " ".join(decision_sentences(strange, strange))
    assert "strangeness 6.70): demonstrated would be broken by 5.7: 6.7 times as far from what was demonstrated" in text


@pytest.mark.parametrize("rung", RUNGS)
def test_every_rung_above_the_nominal_has_its_sentence(rung: str) -> None:
    robot, rng = load_robot("g1"), np.random.default_rng(0)
    said = decision_sentences(replace(sample_decision(robot, 3, rng), rung=rung))
    found = [sentence for sentence in said if sentence.startswith("On the rung")]
    assert found == ([] if rung == "nominal" else [f"On the rung {rung}: {RUNG_WORDS[rung]}."])


def test_an_empty_recording_is_refused(tmp_path: Path) -> None:
    robot = load_robot("g1")
    made = RunFolder.create(tmp_path, "walk")
    LogWriter(made.log, robot, {}).close()
    with pytest.raises(RecordError, match="holds no tick"):
        explain(made)


def test_a_recording_that_is_cut_short_is_said_to_be(folder: Path, tmp_path: Path) -> None:
    whole = explain(folder, at_s=0.1)
    assert whole["complete"] and "ends in the middle" not in " ".join(whole["sentences"])
    data = (folder / "log.mcap").read_bytes()
    (tmp_path / "log.mcap").write_bytes(data[: int(0.7 * len(data))])
    said = explain(tmp_path, at_s=0.1)
    assert not said["complete"]
    assert (
        said["sentences"][-1].startswith("The recording ends in the middle, at 1.")
        and "what came after is not known" in said["sentences"][-1]
    )


def test_bounds_that_are_met_are_told_with_their_multipliers_the_dearest_first() -> None:
    decision = sample_decision(load_robot("g1"), 100, np.random.default_rng(0))
    active = {f"motor joint_{i}": (-1) ** i * 0.001 * i for i in range(1, 8)}
    changed = replace(decision, certificate=Certificate(True, ("motion left_knee_joint",), 12.5, "qp", active))
    (said,) = [sentence for sentence in decision_sentences(changed) if sentence.startswith("Certified")]
    assert "changed by 12.5 N·m at most (qp: the nearest torques), because of motion left_knee_joint. Bounds that it meets" in said
    assert "worth: motor joint_7 -0.007, motor joint_6 +0.006," in said and said.endswith(" and 2 more.")


def test_a_reading_that_stands_still_is_seen(tmp_path: Path) -> None:
    """The made-up run has one degraded stretch; a knee's position that does not change before it explains it."""
    robot, made = load_robot("g1"), RunFolder.create(tmp_path, "walk")
    knee, still = map(robot.joint_names.index, ("left_knee_joint", "left_elbow_joint"))
    with LogWriter(made.log, robot, {}) as writer:
        for state, decision, truth in sample_run(robot, 2.1):
            if 1.5 <= decision.stamp_s:
                state.joint_position[knee] = 0.3
                state.joint_velocity[knee] = 0.5
                state.joint_position[still] = 0.1  # as an encoder reads that is coarse, of a joint that rests
                state.joint_velocity[still] = 0.0
            writer.write(state, decision, truth)
    told = explain(made, at_s=2.05)
    assert told["incident"]["kind"] == "degraded" and told["cause"]["kind"] == "sensor"
    assert "the joint position of left_knee_joint stood still from 1.50 to 2.09 s while the joint moved, 0.50 s before" in " ".join(
        told["sentences"]
    )
    assert told["cause"]["done"] is None and told["candidates"] == []
    with pytest.raises(PoiseError, match="it has none: the recording does not say what was done"):
        explain(made, at_s=2.05, without="fault-1")


def test_a_recording_without_the_force_says_that_it_shows_no_push(folder: Path) -> None:
    log = read_log(folder / "log.mcap")
    older = replace(log, tick={name: rows for name, rows in log.tick.items() if name != FORCE})
    said = "A push cannot be seen: the recording is older than the force that shows one."
    assert said in blame(older, 2.05, fell=False).sentences and said not in blame(log, 2.05, fell=False).sentences
