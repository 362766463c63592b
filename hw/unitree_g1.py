"""Which motor of a Unitree G1 moves which joint, and what its messages say in the stack's own types.

The IMU in the message is the one in the pelvis, its axes parallel to the pelvis's. Ankles and waist are driven by two motors each; in mode
PR, the only one used here, the robot itself turns them into pitch and roll.

Source: the joint order and the motors that a G1 with 23 joints lacks, Unitree's developer guide of the G1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poise.robots import JointCommand, PoiseError, RobotModel, RobotState
from poise.robots.types import Array

from .unitree_hg import IMU_STATE, LOW_CMD, LOW_STATE, Record, new, sealed

_LEG = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
_ARM = ("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow", "wrist_roll", "wrist_pitch", "wrist_yaw")
MOTOR_JOINTS = (
    *(f"{side}_{part}_joint" for side in ("left", "right") for part in _LEG),
    *(f"waist_{part}_joint" for part in ("yaw", "roll", "pitch")),
    *(f"{side}_{part}_joint" for side in ("left", "right") for part in _ARM),
)  # of motors 0 to 28; a G1 with 23 joints has the same numbers, without those of WITHOUT_23
WITHOUT_23 = (13, 14, 20, 21, 27, 28)
PR = 0  # mode_pr: ankles and waist by pitch and roll, not by their two motors
ON = 1  # a motor's mode
TICK_S = 1e-3


class Wiring:
    """A robot's joints and the motors that move them."""

    def __init__(self, robot: RobotModel) -> None:
        """Find each joint's motor.

        Raises:
            PoiseError: a joint of the robot is none of a G1's.
        """
        unknown = [name for name in robot.joint_names if name not in MOTOR_JOINTS]
        if unknown:
            raise PoiseError(f"a G1 has no motor for {', '.join(unknown)}; give a description of a G1 with Unitree's joint names")
        self.motors: NDArray[np.intp] = np.array([MOTOR_JOINTS.index(name) for name in robot.joint_names])
        self._torque_limit = robot.torque_limit

    def state(self, record: Record) -> RobotState:
        """What a LowState says, stamped with its own tick; a motor in error has a fault."""
        imu, motor = record["imu_state"], record["motor_state"][self.motors]
        return RobotState(
            stamp_s=TICK_S * int(record["tick"]),
            joint_position=motor["q"].astype(float),
            joint_velocity=motor["dq"].astype(float),
            joint_torque=motor["tau_est"].astype(float),
            base_orientation_wxyz=imu["quaternion"].astype(float),
            gyro_imu=imu["gyroscope"].astype(float),
            accelerometer_imu=imu["accelerometer"].astype(float),
            motor_fault=motor["motorstate"].astype(float),
        )

    def low_cmd(self, command: JointCommand, mode_machine: int) -> Record:
        """The sealed LowCmd of a command, for the machine that its LowState names; motors of no joint are off."""
        record = new(LOW_CMD)
        record["mode_pr"], record["mode_machine"] = PR, mode_machine
        motors = record["motor_cmd"]
        torque = np.clip(command.tau, -command.torque_limit, command.torque_limit)  # the message has no place for a limit
        motors["mode"][self.motors] = ON
        for field, value in (("q", command.q), ("dq", command.v), ("tau", torque), ("kp", command.kp), ("kd", command.kd)):
            motors[field][self.motors] = value
        return sealed(record)

    def command(self, record: Record) -> JointCommand:
        """What a LowCmd asks of the joints; a motor that is off is asked for nothing."""
        motor = record["motor_cmd"][self.motors]
        on = motor["mode"] == ON
        q, v, kp, kd, tau = (np.where(on, motor[field], 0.0).astype(float) for field in ("q", "dq", "kp", "kd", "tau"))
        return JointCommand(q, v, kp, kd, tau, self._torque_limit)

    def low_state(self, state: RobotState, mode_machine: int) -> Record:
        """The LowState of a state, not sealed yet: what else a robot says of itself may be put in first.

        Raises:
            PoiseError: the state lacks something that a robot always says.
        """
        record = new(LOW_STATE)
        record["mode_pr"], record["mode_machine"] = PR, mode_machine
        record["tick"] = round(state.stamp_s / TICK_S) % (1 << 32)
        imu, motor = record["imu_state"], record["motor_state"]
        said = (
            (imu, "quaternion", state.base_orientation_wxyz),
            (imu, "gyroscope", state.gyro_imu),
            (imu, "accelerometer", state.accelerometer_imu),
            (motor, "tau_est", state.joint_torque),
            (motor, "q", state.joint_position),
            (motor, "dq", state.joint_velocity),
        )
        for part, field, value in said:
            if value is None:
                raise PoiseError(f"a state on the wire needs {field}; give a plant that has it")
            if part is motor:
                part[field][self.motors] = value
            else:
                part[field] = value
        imu["rpy"] = _rpy(imu["quaternion"].astype(float))
        motor["mode"][self.motors] = ON
        if state.motor_fault is not None:
            motor["motorstate"][self.motors] = state.motor_fault
        return record


def imu_record(orientation_wxyz: Array, gyro: Array, accelerometer: Array) -> Record:
    """The IMUState of what an IMU reads: world from IMU, rad/s and m/s² in its axes."""
    record = new(IMU_STATE)
    record["quaternion"], record["gyroscope"], record["accelerometer"] = orientation_wxyz, gyro, accelerometer
    record["rpy"] = _rpy(orientation_wxyz)
    return record


def _rpy(wxyz: NDArray[np.float64]) -> tuple[float, float, float]:
    """Roll, pitch, yaw (rad) of a unit quaternion, turned about x, then y, then z of the world."""
    w, x, y, z = wxyz
    roll = np.arctan2(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y))
    pitch = np.arcsin(np.clip(2.0 * (w * y - z * x), -1.0, 1.0))
    yaw = np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
    return float(roll), float(pitch), float(yaw)
