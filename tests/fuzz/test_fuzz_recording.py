"""Any recording is refused in one line, or its report and its explanation can be written; the same of the summary beside it."""

from __future__ import annotations

import json
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mcap.stream_reader import StreamReader
from mcap.writer import CompressionType, Writer
from mutation import DEEP, ODD_VALUES, damaged, fuzzed, read_or_refused, spoilt
from sample_run import sample_run

from poise.launch.explain import explain
from poise.launch.report import write_report
from poise.launch.run_folder import RunFolder
from poise.robots import RobotModel
from poise.robots.record import LogWriter, read_log
from poise.sim.falls import read_fall

SUMMARY = {"seed": 0, "fell": False, "seconds": 0.2, "proposals": {"made": 4, "reasons": {"zmp": 2}}, "mean_velocity": [0.1, 0.0, 0.0]}
Records = list[tuple[str, Any]]


@pytest.fixture(scope="module")
def recording(folder: Path, g1: RobotModel) -> bytes:
    """A sound file."""
    path = folder / "sound.mcap"
    with LogWriter(path, g1, {"seed": 0, "case": {"seed": 0}}) as writer:
        for state, decision, truth in sample_run(g1, 0.12):
            writer.write(state, decision, truth)
    return path.read_bytes()


def look_at(folder: Path, content: bytes, summary: bytes | None = None) -> None:
    """Everything that is made of a run's folder; its report, which takes longest, where there is a summary."""
    run = folder / "run"
    run.mkdir(exist_ok=True)
    (run / "log.mcap").write_bytes(content)
    log = read_or_refused(lambda: read_log(run / "log.mcap"), run)
    for at_s in (None, 0.05):
        read_or_refused(lambda at_s=at_s: explain(run, at_s))  # type: ignore[misc]
    read_or_refused(lambda: read_fall(run), run)
    if log is not None:
        assert all(np.shape(values)[0] == len(log.tick["tick"]) for values in log.tick.values())
        assert all(np.shape(values)[0] == len(log.pulse["tick"]) for values in log.pulse.values())
        for state in list(log.states())[:1]:
            assert state.joint_position is None or state.joint_position.shape == (len(log.joint_names),)
    if summary is not None:
        (run / "summary.json").write_bytes(summary)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read_or_refused(lambda: write_report(run), run)


def summarised(folder: Path, summary: bytes) -> None:
    """The summary is read, or refused by its name."""
    path = folder / "run" / "summary.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(summary)
    read_or_refused(RunFolder(path.parent).read_summary, path)


def records_of(recording: bytes, folder: Path) -> Records:
    """What a recording says: metadata, schemas, channels, messages."""
    path = folder / "records.mcap"
    path.write_bytes(recording)
    with path.open("rb") as file:
        return [(type(record).__name__, record) for record in StreamReader(file).records]


@st.composite
def rewritten(draw: st.DrawFn, records: Records) -> dict[str, Any]:
    """How to write a recording anew: which of its parts are changed, and to what."""
    part = draw(st.sampled_from(("metadata", "schema", "channel", "message", "decision", "time")))
    return {
        "part": part,
        "at": draw(st.integers(0, 60)),
        "number": draw(st.integers(0, 2)),
        "text": draw(
            st.sampled_from(
                (
                    "",
                    "x",
                    "3",
                    "nan",
                    "[]",
                    '["x"]',
                    "[1]",
                    "{}",
                    "null",
                    "NaN",
                    DEEP,
                    "\ud83d".encode("utf-16", "surrogatepass").decode("latin1"),
                )
            )
        ),
        "bytes": draw(
            st.sampled_from(
                (
                    b"",
                    b"\xff\xfe",
                    b"float32 x  # ()",
                    b"float32[3] x  # (4)",
                    b"float64 tick  # ()",
                    b"float32[99999999999] x  # (99999999999)",
                    b"float32[0] x  # (0)",
                )
            )
        ),
        "topic": draw(st.sampled_from(("/tick", "/pulse", "/truth", "/decision_explained", "/x"))),
        "fill": draw(st.sampled_from((np.nan, np.inf, -1.0, 0.0, 3e38))),
        "stamp": draw(st.sampled_from((0, 2**63, 2**64 - 1))),
    }


def write_again(records: Records, path: Path, how: dict[str, Any]) -> bytes:
    """A recording whose framing is right, and one part of which is not."""
    with path.open("wb") as file:
        writer = Writer(file, compression=CompressionType.NONE)
        writer.start(profile="ros2", library="poise")
        seen = dict.fromkeys(("Metadata", "Schema", "Channel", "Message"), 0)
        for kind, record in records:
            if kind in seen:
                hit = seen[kind] == how["at"] % (3 if kind != "Message" else 60)
                seen[kind] += 1
                _write(writer, kind, record, how, hit)
        writer.finish()  # type: ignore[no-untyped-call]
    return path.read_bytes()


def _write(writer: Any, kind: str, record: Any, how: dict[str, Any], hit: bool) -> None:
    part = how["part"] if hit else ""
    if kind == "Metadata":
        entries = dict(record.metadata)
        if part == "metadata":
            keys = sorted(entries)
            entries[keys[how["number"] % len(keys)]] = how["text"]
        writer.add_metadata(record.name, entries)
    elif kind == "Schema":
        writer.register_schema(record.name, record.encoding, how["bytes"] if part == "schema" else record.data)
    elif kind == "Channel":
        topic = how["topic"] if part == "channel" else record.topic
        writer.register_channel(topic, record.message_encoding, record.schema_id)
    else:
        data, stamp = record.data, how["stamp"] if part == "time" else record.log_time
        if part == "message":
            data = data[:4] + struct.pack("<f", how["fill"]) * ((len(data) - 4) // 4)
        elif part == "decision" and data[:1] == b"{":
            data = orjson.dumps(how["decision"]) if "decision" in how else how["text"].encode(errors="replace")
        writer.add_message(record.channel_id, stamp, data, stamp, record.sequence)


def test_a_sound_recording_is_read(folder: Path, recording: bytes) -> None:
    look_at(folder, recording, json.dumps(SUMMARY).encode())
    assert (folder / "run" / "report.html").is_file()


@fuzzed(15)
@given(data=st.data())
def test_a_damaged_recording(folder: Path, recording: bytes, data: st.DataObject) -> None:
    look_at(folder, data.draw(damaged(recording)))


@fuzzed(4)
@given(data=st.data())
def test_the_report_of_a_recording_with_one_part_that_is_odd(folder: Path, recording: bytes, data: st.DataObject) -> None:
    records = records_of(recording, folder)
    look_at(folder, write_again(records, folder / "again.mcap", data.draw(rewritten(records))), b"{}")


@fuzzed(25)
@given(data=st.data())
def test_a_recording_with_one_part_that_is_odd(folder: Path, recording: bytes, data: st.DataObject) -> None:
    records = records_of(recording, folder)
    look_at(folder, write_again(records, folder / "again.mcap", data.draw(rewritten(records))))


@pytest.mark.parametrize("text", ["", "3", "[1]", "null", DEEP], ids=range(5))
def test_metadata_that_is_none(folder: Path, recording: bytes, text: str) -> None:
    records = records_of(recording, folder)
    for at, number in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1)):
        look_at(folder, write_again(records, folder / "again.mcap", {"part": "metadata", "at": at, "number": number, "text": text}))


def test_a_recording_that_ends_at_any_byte_of_its_head(folder: Path, recording: bytes) -> None:
    for end in range(0, 600, 7):
        look_at(folder, recording[:end])


@fuzzed(12)
@given(data=st.data())
def test_a_recording_with_an_odd_decision(folder: Path, recording: bytes, data: st.DataObject) -> None:
    records = records_of(recording, folder)
    messages = [i for i, (kind, _) in enumerate(records) if kind == "Message"]
    place = next(k for k, i in enumerate(messages) if records[i][1].data[:1] == b"{")
    decision = json.loads(records[messages[place]][1].data)
    odd = data.draw(spoilt(decision, (*(v for v in ODD_VALUES if v == v and abs_ok(v)), None)))
    look_at(folder, write_again(records, folder / "again.mcap", {"part": "decision", "at": place, "decision": odd}))


def abs_ok(value: Any) -> bool:
    """Whether orjson writes it."""
    return not isinstance(value, int) or abs(value) < 2**53


@fuzzed(60)
@given(summary=st.one_of(spoilt(SUMMARY).map(lambda table: json.dumps(table).encode()), damaged(json.dumps(SUMMARY).encode())))
@example(summary=DEEP.encode())
def test_an_odd_summary(folder: Path, summary: bytes) -> None:
    summarised(folder, summary)


@fuzzed(4)
@given(summary=spoilt(SUMMARY).map(lambda table: json.dumps(table).encode()))
def test_a_report_of_an_odd_summary(folder: Path, recording: bytes, summary: bytes) -> None:
    look_at(folder, recording, summary)
