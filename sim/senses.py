"""Read and drive any MuJoCo plant of a robot, with joints matched by name: what real sensors give, what motors take."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import mujoco
import numpy as np

from poise.robots import JointCommand, RobotDescriptionError, RobotModel, RobotState
from poise.robots.types import Array


@dataclass(frozen=True, eq=False)
class PlantMap:
    """Where one plant keeps what one robot model names; actuator force = gain·ctrl + bias (b0 + b1·length + b2·rate)."""

    qpos: Array  # (n,) indices
    dof: Array  # (n,) indices
    actuator: Array  # (n,) indices
    gear: Array  # (n,)
    gain: Array  # (n,)
    bias: Array  # (3, n)
    torque_limit: Array  # (n,) N·m, the smaller of the robot's and the plant's
    base: int
    orientation: int  # address of the base quaternion in qpos
    gyro: int | None  # address in sensordata
    accelerometer: int | None


_maps: WeakKeyDictionary[mujoco.MjModel, dict[RobotModel, PlantMap]] = WeakKeyDictionary()  # a model may take 80 MB


def plant_map(model: mujoco.MjModel, robot: RobotModel) -> PlantMap:
    """Match a plant to a robot by joint name; kept for as long as the model is.

    Raises:
        RobotDescriptionError: the base or a joint of the robot is missing, or a joint has no actuator of its own in the plant.
    """
    maps = _maps.setdefault(model, {})
    if robot not in maps:
        maps[robot] = _matched(model, robot)
    return maps[robot]


def _matched(model: mujoco.MjModel, robot: RobotModel) -> PlantMap:
    names = {model.joint(j).name: j for j in range(model.njnt)}
    missing = [name for name in robot.joint_names if name not in names]
    if missing:
        raise RobotDescriptionError(f"plant has no joint {', '.join(missing)}; give an MJCF of the robot {robot.name!r}")
    joints = np.array([names[name] for name in robot.joint_names])
    drives = {int(model.actuator_trnid[a, 0]): a for a in range(model.nu) if model.actuator_trntype[a] == mujoco.mjtTrn.mjTRN_JOINT}
    unmoved = [name for name, j in zip(robot.joint_names, joints, strict=True) if int(j) not in drives]
    if unmoved:
        raise RobotDescriptionError(f"plant has no actuator on {', '.join(unmoved)}; add a motor or position actuator for each")
    actuator = np.array([drives[int(j)] for j in joints])
    bias = np.where(model.actuator_biastype[actuator] == mujoco.mjtBias.mjBIAS_AFFINE, model.actuator_biasprm[actuator, :3].T, 0.0)
    base = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, robot.overlay.base)
    if base < 0:
        raise RobotDescriptionError(
            f"plant has no body {robot.overlay.base}; give an MJCF of the robot {robot.name!r}, or name its base in the overlay"
        )
    root = model.body_jntadr[base]
    if root < 0 or model.jnt_type[root] != mujoco.mjtJoint.mjJNT_FREE:
        raise RobotDescriptionError(f"plant's body {robot.overlay.base} has no free joint; give an MJCF of a robot that can move")
    if (model.actuator_gear[actuator, 0] * model.actuator_gainprm[actuator, 0] == 0.0).any():
        raise RobotDescriptionError("plant has an actuator without gear or gain; give each one a gear and a gain that are not 0")
    return PlantMap(
        qpos=model.jnt_qposadr[joints],
        dof=model.jnt_dofadr[joints],
        actuator=actuator,
        gear=model.actuator_gear[actuator, 0].copy(),
        gain=model.actuator_gainprm[actuator, 0].copy(),
        bias=bias,
        torque_limit=np.minimum(robot.torque_limit, _plant_limit(model, joints, actuator)),
        base=base,
        orientation=int(model.jnt_qposadr[model.body_jntadr[base]]) + 3,
        gyro=_imu_sensor(model, robot, base, mujoco.mjtSensor.mjSENS_GYRO),
        accelerometer=_imu_sensor(model, robot, base, mujoco.mjtSensor.mjSENS_ACCELEROMETER),
    )


def _plant_limit(model: mujoco.MjModel, joints: Array, actuator: Array) -> Array:
    joint = np.where(model.jnt_actfrclimited[joints], np.abs(model.jnt_actfrcrange[joints]).min(axis=1), np.inf)
    force = np.where(model.actuator_forcelimited[actuator], np.abs(model.actuator_forcerange[actuator]).min(axis=1), np.inf)
    return np.minimum(joint, force * np.abs(model.actuator_gear[actuator, 0]))


def _imu_sensor(model: mujoco.MjModel, robot: RobotModel, base: int, kind: mujoco.mjtSensor) -> int | None:
    """Address of the plant's sensor of that kind at the overlay's IMU frame, or None."""
    for s in range(model.nsensor):
        site = model.sensor_objid[s]
        if model.sensor_type[s] == kind and model.site_bodyid[site] == base:
            there = np.allclose(model.site_pos[site], robot.overlay.imu_position_base, atol=1e-3)
            if there and np.allclose(np.abs(model.site_quat[site][0]), 1.0, atol=1e-6):
                return int(model.sensor_adr[s])
    return None


def sense(model: mujoco.MjModel, data: mujoco.MjData, robot: RobotModel) -> RobotState:
    """What the robot's real sensors would read on this plant, without noise; nothing of the base's position or velocity.

    Raises:
        RobotDescriptionError: the plant is not one of that robot.
    """
    plant = plant_map(model, robot)
    gyro, accelerometer = _imu(model, data, robot, plant)
    return RobotState(
        stamp_s=float(data.time),
        joint_position=data.qpos[plant.qpos],
        joint_velocity=data.qvel[plant.dof],
        joint_torque=data.qfrc_actuator[plant.dof],
        base_orientation_wxyz=data.qpos[plant.orientation : plant.orientation + 4].copy(),
        gyro_imu=gyro,
        accelerometer_imu=accelerometer,
    )


def _imu(model: mujoco.MjModel, data: mujoco.MjData, robot: RobotModel, plant: PlantMap) -> tuple[Array, Array]:
    if plant.gyro is not None and plant.accelerometer is not None:
        return data.sensordata[plant.gyro : plant.gyro + 3].copy(), data.sensordata[plant.accelerometer : plant.accelerometer + 3].copy()
    mujoco.mj_rnePostConstraint(model, data)
    velocity, acceleration = np.zeros(6), np.zeros(6)
    mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, plant.base, velocity, 1)
    mujoco.mj_objectAcceleration(model, data, mujoco.mjtObj.mjOBJ_XBODY, plant.base, acceleration, 1)
    omega, lever = velocity[:3], np.array(robot.overlay.imu_position_base)
    at_imu = acceleration[3:] + np.cross(acceleration[:3], lever) + np.cross(omega, np.cross(omega, lever))
    return omega.copy(), at_imu


def imu_at(model: mujoco.MjModel, data: mujoco.MjData, site: str) -> tuple[Array, Array, Array]:
    """What an IMU at a site reads, without noise: orientation (4,) wxyz, world from site, rate (3,) rad/s, specific force (3,) m/s²."""
    quaternion, velocity, acceleration, at = np.zeros(4), np.zeros(6), np.zeros(6), model.site(site).id
    mujoco.mj_rnePostConstraint(model, data)
    mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_SITE, at, velocity, 1)
    mujoco.mj_objectAcceleration(model, data, mujoco.mjtObj.mjOBJ_SITE, at, acceleration, 1)
    mujoco.mju_mat2Quat(quaternion, data.site_xmat[at])
    return quaternion, velocity[:3], acceleration[3:]


def actuate(model: mujoco.MjModel, data: mujoco.MjData, robot: RobotModel, command: JointCommand, strength: float = 1.0) -> Array:
    """Drive the plant's actuators with a command, on fresh joint positions and velocities; call before each mj_step.

    The motor torque is clipped to the smaller of the command's, the robot's and the plant's limits, of which motors give the share
    `strength`, and turned into the plant's own control: a torque for motors, the equivalent set point for position servos.

    Returns:
        The motor torque asked of the plant, (n,) N·m.
    """
    plant = plant_map(model, robot)
    q, v = data.qpos[plant.qpos], data.qvel[plant.dof]
    torque = strength * np.minimum(np.maximum(command.torque(q, v), -plant.torque_limit), plant.torque_limit)
    b0, b1, b2 = plant.bias
    data.ctrl[plant.actuator] = (torque / plant.gear - b0 - b1 * q * plant.gear - b2 * v * plant.gear) / plant.gain
    return torque
