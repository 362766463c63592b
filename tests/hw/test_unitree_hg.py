from __future__ import annotations

import struct

import numpy as np
import pytest

from poise.hw.unitree_hg import LOW_CMD, LOW_STATE, MOTORS, Record, checksum, decode, encode, new, sealed

# The C structs that Unitree's checksum is taken over, by struct's letters.
COMMAND = "<2B2x" + "B3x5fI" * MOTORS + "5I"
STATE = "<2I2B2xI13fh2x" + "B3x4f2hf7I" * MOTORS + "40B5I"
TYPES = [pytest.param(LOW_CMD, COMMAND, id="command"), pytest.param(LOW_STATE, STATE, id="state")]
FUZZED = 1_000_000


def bitwise_crc(data: bytes) -> int:
    """CRC-32/MPEG-2, a bit at a time."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x04C11DB7 if crc & 0x80000000 else 0)
            crc &= 0xFFFFFFFF
    return crc


def values(letters: str, rng: np.random.Generator) -> list[float]:
    """A random value for each field of a struct, in its order."""
    small = {"B": 255, "h": 30_000, "I": 2**32 - 1}
    flat = "".join(letter * int(count or 1) for count, letter in tokens(letters) if letter != "x")
    return [float(np.float32(rng.normal())) if letter == "f" else int(rng.integers(small[letter])) for letter in flat]


def tokens(letters: str) -> list[tuple[str, str]]:
    out, count = [], ""
    for character in letters.removeprefix("<"):
        if character.isdigit():
            count += character
        else:
            out.append((count, character))
            count = ""
    return out


def message_of(data: bytes, dtype: np.dtype) -> Record:
    return np.frombuffer(data, dtype).reshape(())


def a_message(dtype: np.dtype, letters: str, seed: int = 0) -> Record:
    return sealed(message_of(struct.pack(letters, *values(letters, np.random.default_rng(seed))), dtype).copy())


def fields_of(message: Record) -> bytes:
    """All that it says, and no padding."""
    letters = COMMAND if message.dtype == LOW_CMD else STATE
    return struct.pack(letters, *struct.unpack(letters, message.tobytes()))


@pytest.mark.parametrize(("dtype", "letters"), TYPES)
def test_a_message_lies_in_memory_as_the_c_struct_does(dtype: np.dtype, letters: str) -> None:
    assert dtype.itemsize == struct.calcsize(letters) == {LOW_CMD: 1004, LOW_STATE: 2092}[dtype]


def test_fields_are_where_the_struct_has_them() -> None:
    command = new(LOW_CMD)
    command["mode_machine"], command["motor_cmd"]["kd"][34], command["crc"] = 5, 1.5, 7
    fields = struct.unpack(COMMAND, command.tobytes())
    assert (fields[1], fields[2 + 34 * 7 + 5], fields[-1]) == (5, 1.5, 7)
    state = new(LOW_STATE)
    state["tick"], state["imu_state"]["rpy"][2], state["imu_state"]["temperature"] = 12, 0.25, 40
    state["motor_state"]["temperature"][3] = [51, 52]
    state["motor_state"]["motorstate"][34], state["wireless_remote"][39] = 9, 200
    fields = struct.unpack(STATE, state.tobytes())
    assert fields[4] == 12 and fields[17:19] == (0.25, 40)
    assert fields[19 + 3 * 15 + 5 : 19 + 3 * 15 + 7] == (51, 52)
    assert fields[19 + 34 * 15 + 10] == 9 and fields[19 + 35 * 15 + 39] == 200


def test_the_checksum_is_mpeg_2s_over_words() -> None:
    assert bitwise_crc(b"123456789") == 0x0376E6E7  # the check value of the catalogue of parametrised CRCs
    for dtype, letters in ((LOW_CMD, COMMAND), (LOW_STATE, STATE)):
        data = struct.pack(letters, *values(letters, np.random.default_rng(1)))
        words = struct.unpack(f"<{len(data) // 4}I", data)[:-1]
        assert checksum(message_of(data, dtype)) == bitwise_crc(struct.pack(f">{len(words)}I", *words))


def test_a_command_of_zeros_by_hand() -> None:
    """Golden bytes: 250 words of zero, of which the checksum is the register run on from all ones."""
    expected = bitwise_crc(bytes(1000))
    wire = encode(sealed(new(LOW_CMD)))
    assert wire == b"\x00\x01\x00\x00" + bytes(996) + struct.pack("<I", expected)


@pytest.mark.parametrize(("dtype", "letters"), TYPES)
def test_on_the_wire_the_first_motor_follows_without_the_structs_padding(dtype: np.dtype, letters: str) -> None:
    message = a_message(dtype, letters)
    fields = struct.unpack(letters, message.tobytes())
    # CDR aligns a number to its own size from the end of the header, and a struct to nothing of its own.
    wire, flat = bytearray(), "".join(letter * int(count or 1) for count, letter in tokens(letters) if letter != "x")
    for letter, value in zip(flat, fields, strict=True):
        wire += bytes(-len(wire) % struct.calcsize(letter)) + struct.pack("<" + letter, value)
    assert encode(message) == b"\x00\x01\x00\x00" + bytes(wire)


@pytest.mark.parametrize(("dtype", "letters"), TYPES)
def test_what_was_encoded_comes_back(dtype: np.dtype, letters: str) -> None:
    message = a_message(dtype, letters, seed=2)
    back = decode(encode(message), dtype)
    assert back is not None
    assert struct.unpack(letters, back.tobytes()) == struct.unpack(letters, message.tobytes())


@pytest.mark.parametrize("dtype", [LOW_CMD, LOW_STATE])
def test_padding_counts_for_nothing(dtype: np.dtype) -> None:
    message = sealed(new(dtype))
    dirty = np.full(dtype.itemsize, 0xAB, np.uint8).view(dtype).reshape(())
    for name in dtype.names or ():
        for inner in message[name].dtype.names or ():
            dirty[name][inner] = message[name][inner]
        if message[name].dtype.names is None:
            dirty[name] = message[name]
    assert 0xAB in dirty.tobytes()
    assert checksum(dirty) == int(message["crc"]) and encode(dirty) == encode(message)
    wire = bytearray(encode(message))
    wire[4 + (LOW_CMD, LOW_STATE).index(dtype) * 68 + 3] = 0xAB  # between the first motor's mode and its position
    back = decode(bytes(wire), dtype)
    assert back is not None and back.tobytes() == message.tobytes()


@pytest.mark.parametrize(("dtype", "letters"), TYPES)
def test_what_is_not_whole_is_refused(dtype: np.dtype, letters: str) -> None:
    wire = encode(a_message(dtype, letters))
    assert decode(wire, dtype) is not None
    for broken in (b"", wire[:3], wire[:-1], wire + b"\x00", b"\x00\x00" + wire[2:], wire[4:]):
        assert decode(broken, dtype) is None
    assert decode(wire, LOW_STATE if dtype == LOW_CMD else LOW_CMD) is None


def test_no_corruption_is_accepted() -> None:
    """Bits flipped, bytes lost, doubled, exchanged or drawn anew: a message is refused, or none of its fields has changed."""
    rng, accepted = np.random.default_rng(0), 0
    messages = [(dtype, a_message(dtype, letters)) for dtype, letters in ((LOW_CMD, COMMAND), (LOW_STATE, STATE))]
    wires = [(dtype, fields_of(message), np.frombuffer(encode(message), np.uint8)) for dtype, message in messages]
    for kind, at, much in zip(*rng.integers((0, 0, 1), (5, 1 << 30, 40), (FUZZED, 3)).T.tolist(), strict=True):
        dtype, whole, wire = wires[at & 1]
        place = at % (wire.size - 1)
        if kind == 0:
            data = wire.copy()
            data[place] ^= 1 << (much % 8)
        elif kind == 1:
            data = np.concatenate((wire[:place], wire[place + much :]))
        elif kind == 2:
            data = np.concatenate((wire[: place + 1], wire[place:]))
        elif kind == 3:
            data = wire.copy()
            data[place], data[place - much] = wire[place - much], wire[place]
        else:
            data = wire.copy()
            data[place : place + much] = at & 0xFF
        message = decode(data.tobytes(), dtype)
        if message is not None:
            assert fields_of(message) == whole
            accepted += 1
    assert 0 < accepted < FUZZED // 5  # those that met padding, or put in place what was there
