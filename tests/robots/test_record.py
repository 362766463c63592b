from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from mcap.reader import make_reader
from mcap.writer import Writer
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from sample_run import sample_decision, sample_run, sample_state

from poise.robots import Certificate, Decision, Intent, RecordError, RobotModel, RobotState, load_robot
from poise.robots.log_vectors import TICK_FIELDS, VectorLayout, parse_definition
from poise.robots.plain import from_plain, json_schema, to_plain
from poise.robots.record import CHUNK_BYTES, LogWriter, read_log

SECONDS = 3.0


@pytest.fixture(scope="module")
def robot() -> RobotModel:
    return load_robot("g1")


@pytest.fixture(scope="module")
def recorded(robot: RobotModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "log.mcap"
    with LogWriter(path, robot, {"seed": 3, "config": {"mode": "hybrid"}}) as writer:
        for sample in sample_run(robot, SECONDS):
            writer.write(*sample)
    return path


def same(a: Any, b: Any) -> bool:
    """Equal in every leaf, NaN equal to NaN; dataclasses here have no equality of their own."""
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.shape == b.shape and np.array_equal(a, b, equal_nan=True)
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return bool(a == b)


def test_a_decision_survives_json_bit_for_bit(robot: RobotModel) -> None:
    decision = sample_decision(robot, 0, np.random.default_rng(0))
    assert decision.verdicts[1].score == -np.inf
    assert decision.plan is not None and decision.plan.footsteps.shape == (0, 4)
    again = from_plain(Decision, orjson.loads(orjson.dumps(to_plain(decision))))
    assert same(decision, again)
    assert not same(decision, dataclasses.replace(again, tick=1))


def test_not_finite_numbers_and_unknowns_survive(robot: RobotModel) -> None:
    state = sample_state(robot, 0, np.random.default_rng(0))
    velocity = state.joint_velocity.copy()
    velocity[:3] = np.nan, np.inf, -np.inf
    state = dataclasses.replace(state, joint_velocity=velocity)
    text = json.dumps(to_plain(state), allow_nan=False)
    again = from_plain(RobotState, json.loads(text))
    assert same(state, again) and again.accelerometer_imu is None


def test_damaged_data_is_refused_in_one_line(robot: RobotModel) -> None:
    plain = to_plain(Certificate(False, (), 0.0, "unchanged"))
    short = {name: value for name, value in plain.items() if name != "method"}
    cases: list[Any] = [{**plain, "extra": 1}, short, {**plain, "changed": "no"}, [], None]
    for broken in cases:
        with pytest.raises(RecordError, match="Certificate") as caught:
            from_plain(Certificate, broken)
        assert "\n" not in str(caught.value)
    with pytest.raises(RecordError, match="not both"):
        from_plain(Intent, to_plain(Intent(velocity=(0, 0, 0))) | {"waypoint": [0, 0, 0]})


def test_a_decision_from_before_a_field_with_a_default_was_there_can_be_read(robot: RobotModel) -> None:
    plain = to_plain(dataclasses.replace(sample_decision(robot, 0, np.random.default_rng(0)), rung="damping"))
    assert from_plain(Decision, plain).rung == "damping"
    assert from_plain(Decision, {name: value for name, value in plain.items() if name != "rung"}).rung == "nominal"


def test_rungs_are_recorded_and_a_change_is_explained_at_once(robot: RobotModel, tmp_path: Path) -> None:
    rng, rungs = np.random.default_rng(0), ("nominal", "nominal", "recovery step", "recovery step", "nominal")
    with LogWriter(tmp_path / "log.mcap", robot, {}) as writer:
        for tick, rung in enumerate(rungs, start=1):
            writer.write(sample_state(robot, tick, rng), dataclasses.replace(sample_decision(robot, tick, rng), rung=rung))
    log = read_log(tmp_path / "log.mcap")
    assert np.array_equal(log.pulse["rung"], [0, 0, 2, 2, 0])
    assert [(d.tick, d.rung) for d in log.decisions] == [(1, "nominal"), (3, "recovery step"), (5, "nominal")]


def test_what_a_message_has_got_since_may_be_missing() -> None:
    plain = to_plain(Certificate(True, ("torque",), 1.0, "qp", {"motor left_knee_joint": 0.1}))
    del plain["active"]
    assert to_plain(from_plain(Certificate, plain)) == {**plain, "active": {}}


def test_the_schema_names_every_field_of_a_decision() -> None:
    schema = json_schema(Decision)
    assert set(schema["properties"]) == {f.name for f in dataclasses.fields(Decision)}
    assert schema["properties"]["verdicts"]["items"]["properties"]["score"]["type"] == ["number", "string"]


def test_layout_is_what_numpy_would_lay_out() -> None:
    layout = VectorLayout((("a", (), "m"), ("b", (2, 3), "s"), ("c", (2,), "")), "float64")
    matrix = np.arange(6.0).reshape(2, 3)
    message = layout.pack((7.0, matrix, None))
    assert message[:4] == b"\x00\x01\x00\x00"
    assert np.array_equal(np.frombuffer(message[4:], "<f8"), [7, 0, 1, 2, 3, 4, 5, np.nan, np.nan], equal_nan=True)
    again = parse_definition(layout.definition)
    assert again.entries == layout.entries and again.dtype == layout.dtype
    assert np.array_equal(again.unpack([message, message])["b"], [matrix, matrix])


def test_reading_gives_what_was_written(robot: RobotModel, recorded: Path) -> None:
    samples, log = list(sample_run(robot, SECONDS)), read_log(recorded)
    kept = samples[::5]
    assert log.complete and log.robot == "g1" and log.joint_names == robot.joint_names and log.meta["seed"] == 3
    assert np.array_equal(log.tick["tick"], [d.tick for _, d, _ in kept])
    assert np.allclose(log.tick["time_s"], [s.stamp_s for s, _, _ in kept], atol=1e-9)
    assert np.allclose(log.tick["state_joint_position"], [s.joint_position for s, _, _ in kept], atol=1e-6)
    assert np.allclose(log.tick["belief_sole_position_world"], [d.belief.sole_position_world for _, d, _ in kept if d.belief], atol=1e-6)
    assert np.isnan(log.tick["state_accelerometer_imu"]).all()
    assert log.tick["plan_phase"][0] == 0.0 and log.tick["plan_phase"][-1] == 2.0
    assert len(log.pulse["time_s"]) == len(samples)
    assert np.allclose(log.pulse["tick_us"], [d.timings_us["tick"] for _, d, _ in samples], rtol=1e-6)
    assert np.allclose(log.truth["com_position_world"], [t["com_position_world"] for _, _, t in kept], atol=1e-6)


def test_every_proposal_tick_and_every_trouble_is_explained(robot: RobotModel, recorded: Path) -> None:
    samples, log = list(sample_run(robot, SECONDS)), read_log(recorded)
    explained = {d.tick: d for d in log.decisions}
    assert all(same(d, explained[d.tick]) for _, d, _ in samples if d.proposals or d.status == "safe")
    assert {1000, 480, 980} <= set(explained), "the first tick of each trouble"
    assert len(explained) < 0.2 * len(samples)
    at = log.decision_at(0.0255)
    assert at is not None and at.tick == 7 and log.decision_at(-1.0) is None


def test_float64_at_every_tick_replays_states_bit_for_bit(robot: RobotModel, tmp_path: Path) -> None:
    samples = list(sample_run(robot, 0.1))
    with LogWriter(tmp_path / "log.mcap", robot, {}, every=1, dtype="float64") as writer:
        for sample in samples:
            writer.write(*sample)
    states = list(read_log(tmp_path / "log.mcap").states())
    assert len(states) == 50 and all(same(a, b) for a, (b, _, _) in zip(states, samples, strict=True))


def test_parts_that_come_later_are_kept(robot: RobotModel, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with LogWriter(tmp_path / "log.mcap", robot, {}) as writer:
        for tick, times in enumerate(({"a": 1.0}, {"a": 2.0, "b": 3.0}, {"a": 4.0})):
            writer.write(sample_state(robot, tick, rng), dataclasses.replace(sample_decision(robot, tick, rng), timings_us=times))
    pulse = read_log(tmp_path / "log.mcap").pulse
    assert np.array_equal(pulse["a_us"], [1, 2, 4]) and np.array_equal(pulse["b_us"], [np.nan, 3, np.nan], equal_nan=True)


def test_a_run_that_is_cut_off_can_be_read_up_to_its_last_chunk(recorded: Path, tmp_path: Path) -> None:
    whole, cut = read_log(recorded), tmp_path / "cut.mcap"
    data = recorded.read_bytes()
    cut.write_bytes(data[: len(data) * 2 // 3])
    part = read_log(cut)
    assert not part.complete
    assert 0.4 * SECONDS < part.pulse["time_s"][-1] < SECONDS
    assert np.array_equal(part.tick["command_q"], whole.tick["command_q"][: len(part.tick["tick"])])


def test_a_writer_that_dies_leaves_all_but_the_chunk_in_progress(robot: RobotModel, tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    writer = LogWriter(path, robot, {})
    for sample in sample_run(robot, SECONDS):
        writer.write(*sample)
    copy = tmp_path / "copy.mcap"
    copy.write_bytes(path.read_bytes())  # what is on the disk while the writer still lives
    part = read_log(copy)
    writer.close()
    writer.close()
    lost = SECONDS - part.pulse["time_s"][-1]
    assert not part.complete and 0 < lost < 1.0
    assert CHUNK_BYTES < path.stat().st_size


def test_what_is_no_recording_of_ours_is_refused_in_one_line(robot: RobotModel, recorded: Path, tmp_path: Path) -> None:
    text, foreign, later = tmp_path / "a.txt", tmp_path / "foreign.mcap", tmp_path / "later.mcap"
    text.write_text("not a recording")
    for path, head in ((foreign, {}), (later, {"schema": "poise.log/9"})):
        with path.open("wb") as file:
            writer = Writer(file)
            writer.start()
            writer.add_metadata("poise", head)
            writer.finish()  # type: ignore[no-untyped-call]
    cases = {text: "not an MCAP file", foreign: "not a poise recording", later: "poise.log/9", tmp_path / "none": "cannot be read"}
    for path, words in cases.items():
        with pytest.raises(RecordError, match=words) as caught:
            read_log(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(RecordError, match="cannot be made"):
        LogWriter(recorded, robot, {})


def test_outside_readers_see_the_same_numbers(recorded: Path) -> None:
    log = read_log(recorded)
    with recorded.open("rb") as file:
        summary = make_reader(file).get_summary()
        assert summary is not None and summary.statistics is not None
        assert {c.topic for c in summary.channels.values()} == {"/tick", "/pulse", "/truth", "/decision_explained", "/note"}
        first = next(message for _, channel, message in make_reader(file).iter_messages("/decision_explained"))
        assert json.loads(first.data)["intent"]["velocity"] == [0.4, 0.0, 0.1]
    with AnyReader([recorded], default_typestore=get_typestore(Stores.EMPTY)) as bag:
        connection = next(c for c in bag.connections if c.topic == "/tick")
        store = get_typestore(Stores.EMPTY)
        store.register(get_types_from_msg(connection.msgdef.data, connection.msgtype))
        messages: list[Any] = [store.deserialize_cdr(raw, connection.msgtype) for _, _, raw in bag.messages([connection])]
    assert np.array_equal([m.command_q for m in messages], log.tick["command_q"])
    assert np.array_equal([m.plan_height_m for m in messages], log.tick["plan_height_m"])
    assert len({field.key for field in TICK_FIELDS}) == len(TICK_FIELDS)


def test_writing_costs_little(robot: RobotModel, tmp_path: Path) -> None:
    samples = list(sample_run(robot, 4.0))
    with LogWriter(tmp_path / "log.mcap", robot, {}) as writer:
        start = time.thread_time()
        for sample in samples:
            writer.write(*sample)
        each = (time.thread_time() - start) / len(samples)
    assert each < 200e-6, f"{each * 1e6:.0f} µs a tick; 60 µs on a quiet machine"
