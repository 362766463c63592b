from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from scipy.linalg import expm, logm
from scipy.stats import multivariate_normal

from poise.control.filter_state import (
    ACCELEROMETER,
    FEET,
    FILTER_SIZE,
    GYRO,
    POSITION,
    SIZE,
    TILT,
    VELOCITY,
    FilterConfig,
    FilterState,
    deviations,
    retract,
    start,
    state_of,
)
from poise.control.invariant_filter import correct_feet, correct_orientation, propagate, slip_after
from poise.control.lie import compose, exp_quat
from poise.control.lip import GRAVITY
from poise.control.rotation import matrix_from_quat
from poise.robots.types import LEFT, RIGHT, Array

DT, BOTH, CONFIG = 0.002, np.ones(2), FilterConfig()
UP = np.array([0.0, 0.0, GRAVITY])
# A world whose noise is white and as large as the filter thinks, and in which all of it matters within half a second.
WHITE = FilterConfig(gyro_std=0.1, accelerometer_std=1.0, kinematics_std=0.001, foot_walk_std=0.01, slip_rate=0.0)


def blank() -> FilterState:
    """A state with room of its own."""
    return state_of(np.zeros(FILTER_SIZE))


def copy_of(s: FilterState) -> FilterState:
    """The same state in other memory."""
    return FilterState(*(part.copy() for part in s))


def some_state(rng: np.random.Generator) -> FilterState:
    """A state in motion, with biases and a covariance."""
    s, root = blank(), rng.normal(size=(SIZE, SIZE))
    s.quat[:], s.vectors[:] = exp_quat(rng.normal(size=3)), rng.normal(size=(4, 3))
    s.gyro_bias[:], s.accelerometer_bias[:], s.tilt_bias[:] = rng.normal(0.0, 0.05, 3), rng.normal(0.0, 0.1, 3), rng.normal(0.0, 0.05, 2)
    s.cov[:] = 1e-4 * root @ root.T
    s.cov[:] = 0.5 * (s.cov + s.cov.T)  # to the last bit
    return s


def element(s: FilterState) -> Array:
    """X as a matrix (7, 7): [[R, v p d d], [0, 1]]."""
    out = np.eye(7)
    out[:3, :3], out[:3, 3:] = matrix_from_quat(s.quat), s.vectors.T
    return out


def error_of(truth: FilterState, s: FilterState) -> Array:
    """e (SIZE,) of X = Exp(e) X̂, and of the biases, from the matrix logarithm."""
    xi = np.real(logm(element(truth) @ np.linalg.inv(element(s))))
    biases = [a - b for a, b in zip(truth[2:5], s[2:5], strict=True)]
    return np.concatenate(([xi[2, 1], xi[0, 2], xi[1, 0]], xi[:3, 3:].T.ravel(), *biases))


def derivative(step: Callable[[FilterState], None], s: FilterState) -> Array:
    """How an error e of s grows into one after `step`, (SIZE, SIZE), by central differences."""
    columns, small = [], 1e-4
    reference = copy_of(s)
    step(reference)
    for i in range(SIZE):
        errors = []
        for sign in (small, -small):
            moved = copy_of(s)
            retract(moved, sign * np.eye(SIZE)[i])
            step(moved)
            errors.append(error_of(moved, reference))
        columns.append((errors[0] - errors[1]) / (2.0 * small))
    return np.array(columns).T


def test_retraction_is_the_exponential_on_the_left() -> None:
    rng = np.random.default_rng(0)
    s, e = some_state(rng), rng.normal(0.0, 0.3, SIZE)
    algebra = np.zeros((7, 7))
    algebra[:3, :3], algebra[:3, 3:] = np.cross(np.eye(3), e[:3]), e[3:15].reshape(4, 3).T
    moved = copy_of(s)
    retract(moved, e)
    np.testing.assert_allclose(element(moved), expm(algebra) @ element(s), atol=1e-12)
    np.testing.assert_allclose(error_of(moved, s), e, atol=1e-9)


def test_propagation_moves_the_covariance_as_it_moves_errors() -> None:
    """Φ and the noise's way in, both from finite differences of the motion itself."""
    rng = np.random.default_rng(1)
    config = CONFIG._replace(foot_walk_std=0.3, gyro_bias_walk=0.2, accelerometer_bias_walk=0.3, tilt_bias_walk=0.1)
    for _ in range(3):
        s, gyro, force = some_state(rng), rng.normal(size=3), UP + rng.normal(size=3)
        move = partial(propagate, gyro=gyro, specific_force=force, stands=BOTH, dt=DT, config=config)
        transition, after, noise = derivative(move, s), copy_of(s), np.zeros((SIZE, SIZE))
        move(after)
        for axis in np.eye(3):
            for std, dg, df in ((config.gyro_std, axis, 0.0 * axis), (config.accelerometer_std, 0.0 * axis, axis)):
                moved = copy_of(s)
                propagate(moved, gyro + 1e-3 * dg, force + 1e-3 * df, BOTH, DT, config)
                way = 1e3 * std * error_of(moved, after)
                noise += np.outer(way, way)
        walks = np.zeros(SIZE)
        walks[FEET:GYRO], walks[GYRO:ACCELEROMETER] = config.foot_walk_std, config.gyro_bias_walk
        walks[ACCELEROMETER:TILT], walks[TILT:] = config.accelerometer_bias_walk, config.tilt_bias_walk
        noise += DT * np.diag(walks**2)
        expected = transition @ s.cov @ transition.T + noise
        change = np.abs(expected - s.cov).max()  # what is left out is of second order in dt
        np.testing.assert_allclose(after.cov, expected, atol=4.0 * DT * change)
        np.testing.assert_array_equal(after.cov, after.cov.T)


def dense_correction(s: FilterState, predicted: Callable[[FilterState], Array], measured: Array, noise: Array) -> tuple[Array, Array]:
    """Correction e (SIZE,) and covariance of the textbook's Kalman filter, with H from finite differences."""
    small = 1e-5
    h = np.empty((measured.size, SIZE))
    for i in range(SIZE):
        ends = []
        for sign in (small, -small):
            moved = copy_of(s)
            retract(moved, sign * np.eye(SIZE)[i])
            ends.append(predicted(moved))
        h[:, i] = (ends[0] - ends[1]) / (2.0 * small)
    gain = s.cov @ h.T @ np.linalg.inv(h @ s.cov @ h.T + noise)
    rest = np.eye(SIZE) - gain @ h
    return gain @ (measured - predicted(s)), rest @ s.cov @ rest.T + gain @ noise @ gain.T


def test_the_feet_correct_as_the_dense_kalman_filter() -> None:
    """What the encoders give is Rᵀ(d − p), in the IMU's axes."""
    rng = np.random.default_rng(2)
    s = some_state(rng)

    def seen(x: FilterState) -> Array:
        return ((x.vectors[2:] - x.vectors[1]) @ matrix_from_quat(x.quat)).ravel()

    measured = seen(s) + rng.normal(0.0, 1e-3, 6)
    e, cov = dense_correction(s, seen, measured, CONFIG.kinematics_std**2 * np.eye(6))
    corrected = copy_of(s)
    correct_feet(corrected, measured.reshape(2, 3) @ matrix_from_quat(s.quat).T, np.zeros((2, 3)), BOTH, DT, CONFIG)
    np.testing.assert_allclose(error_of(corrected, s), e, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(corrected.cov, cov, atol=1e-9)
    np.testing.assert_array_equal(corrected.cov, corrected.cov.T)


def test_the_fused_orientation_corrects_as_the_dense_kalman_filter() -> None:
    rng = np.random.default_rng(3)
    s, size = some_state(rng), 1e-3

    def fused(x: FilterState) -> Array:
        return np.array(compose(x.quat, exp_quat((x.tilt_bias[0], x.tilt_bias[1], 0.0))))

    reference = fused(s)

    def seen(x: FilterState) -> Array:
        turn = np.array(compose(fused(x), reference * [1.0, -1.0, -1.0, -1.0]))
        return 2.0 * turn[1:]  # a small rotation vector, world axes

    offset = size * rng.normal(size=3)
    e, cov = dense_correction(s, seen, offset, CONFIG.orientation_std**2 * np.eye(3))
    corrected = copy_of(s)
    correct_orientation(corrected, np.array(compose(exp_quat(offset), reference)), CONFIG)
    # The tilt turns about axes that it tilts itself: H is that of a tilt of 0, wrong by a share of half the tilt.
    np.testing.assert_allclose(error_of(corrected, s), e, atol=0.1 * np.abs(e).max())
    np.testing.assert_allclose(corrected.cov, cov, atol=0.1 * np.abs(s.cov).max())


def test_deviations_are_those_of_errors_drawn() -> None:
    rng = np.random.default_rng(4)
    s = some_state(rng)
    drawn = rng.multivariate_normal(np.zeros(SIZE), 1e-4 * s.cov, 20000)  # small: the retraction bends
    turn, velocity, position = drawn[:, :3], drawn[:, VELOCITY : VELOCITY + 3], drawn[:, POSITION : POSITION + 3]
    stds = deviations(s)
    for std, x, shift in ((stds[0], s.vectors[1], position), (stds[1], s.vectors[0], velocity)):
        np.testing.assert_allclose(1e-2 * std, (shift + np.cross(turn, x)).std(axis=0), rtol=0.03)
    s.cov[:] = -1e-12 * np.eye(SIZE)  # by rounding: no NaN comes of it
    np.testing.assert_array_equal(np.concatenate(deviations(s)), 0.0)


class World:
    """A body over two feet with the noise of `config`, `factor` times as large, which the filter is told to be that of `told`."""

    def __init__(self, rng: np.random.Generator, config: FilterConfig, factor: float = 1.0, told: FilterConfig | None = None) -> None:
        self.rng, self.config, self.factor, self.told, self.time = rng, config, factor, told or config, 0.0
        self.truth, self.filter, self.slide = blank(), blank(), np.zeros((2, 3))
        upright = np.array(exp_quat(rng.normal(0.0, [0.1, 0.1, 1.0])))
        start(self.filter, upright, config)
        self.filter.vectors[1:] = [[0.0, 0.0, 0.7], [0.0, 0.1, 0.0], [0.0, -0.1, 0.0]]
        for mine, its in zip(self.truth, self.filter, strict=True):
            mine[:] = its
        retract(self.truth, rng.multivariate_normal(np.zeros(SIZE), self.filter.cov))

    def step(self, stands: Array = BOTH) -> None:
        """One sample: the truth moves, the filter is told of it."""
        rng, config, t, s = self.rng, self.config, self.truth, self.filter
        self.time += DT
        omega = 0.5 * np.sin(self.time * np.array([9.0, 7.0, 5.0]))
        acceleration = 2.0 * np.sin(self.time * np.array([6.0, 11.0, 8.0]) + [0.0, 1.0, 2.0])
        rotation = matrix_from_quat(t.quat)
        force = rotation.T @ (acceleration + UP)
        t.vectors[1] += DT * t.vectors[0] + 0.5 * DT**2 * acceleration
        t.vectors[0] += DT * acceleration
        t.quat[:] = compose(t.quat, exp_quat(DT * omega))
        t.vectors[2:] += np.sqrt(DT) * config.foot_walk_std * rng.normal(size=(2, 3)) + DT * self.slide
        walks = (config.gyro_bias_walk, config.accelerometer_bias_walk, config.tilt_bias_walk)
        for bias, walk in zip((t.gyro_bias, t.accelerometer_bias, t.tilt_bias), walks, strict=True):
            bias += np.sqrt(DT) * walk * rng.normal(size=bias.size)
        gyro = omega + t.gyro_bias + self.noise(config.gyro_std)
        propagate(s, gyro, force + t.accelerometer_bias + self.noise(config.accelerometer_std), stands, DT, self.told)
        fused = np.array(compose(t.quat, exp_quat((t.tilt_bias[0], t.tilt_bias[1], 0.0))))
        correct_orientation(s, np.array(compose(fused, exp_quat(self.noise(config.orientation_std)))), self.told)
        seen = (t.vectors[2:] - t.vectors[1]) @ matrix_from_quat(t.quat)
        seen += np.stack((self.noise(config.kinematics_std), self.noise(config.kinematics_std)))
        motion = self.slide - t.vectors[0] + self.noise(0.5 * config.foot_speed_std)
        correct_feet(s, seen @ matrix_from_quat(s.quat).T, motion, stands, DT, self.told)

    def noise(self, std: float) -> Array:
        """White noise (3,)."""
        return self.factor * std * self.rng.normal(size=3)

    def run(self, seconds: float) -> World:
        """Many steps."""
        for _ in range(round(seconds / DT)):
            self.step()
        return self

    @property
    def nees(self) -> float:
        """Normalised squared error, SIZE degrees of freedom."""
        e = error_of(self.truth, self.filter)
        return float(e @ np.linalg.solve(self.filter.cov, e))


@pytest.mark.parametrize("factor", [1.0, 2.0, 0.5])
def test_the_covariance_says_how_wrong_the_estimate_is(factor: float) -> None:
    """Mean NEES and NIS of fifty runs lie in their χ² bands (4 σ), and outside where noise is twice or half what is stated."""
    runs, nees, nis = 50, [], []
    for seed in range(runs):
        world = World(np.random.default_rng(seed), WHITE, factor).run(0.12)
        nees.append(world.nees)
        nis.append(world.filter.nis.sum())
    for values, freedom in ((nees, SIZE), (nis, 6)):
        band = 4.0 * np.sqrt(2.0 * freedom / runs)
        inside = abs(np.mean(values) - freedom) < band
        assert inside == (factor == 1.0), (np.mean(values), freedom, band)


def test_biases_are_found_where_they_show() -> None:
    """The gyro's bias against the fused orientation at once; its tilt against gravity, as far as the accelerometer has no bias."""
    config = WHITE._replace(accelerometer_bias_std=1e-3, accelerometer_bias_walk=0.0)
    world = World(np.random.default_rng(5), config)
    before = np.sqrt(np.diag(world.filter.cov))
    world.truth.gyro_bias[:], world.truth.tilt_bias[:] = (0.02, -0.03, 0.01), (0.03, -0.02)
    world.truth.quat[:] = compose(world.filter.quat, exp_quat((-0.03, 0.02, 0.0)))
    world.run(6.0)
    after = np.sqrt(np.diag(world.filter.cov))
    for part, true, found, limit in (
        (GYRO, world.truth.gyro_bias, world.filter.gyro_bias, 0.006),
        (TILT, world.truth.tilt_bias, world.filter.tilt_bias, 0.005),
    ):
        rows = slice(part, part + true.size)
        assert (after[rows] < 0.25 * before[rows]).all()
        np.testing.assert_allclose(found, true, atol=limit)
        assert (np.abs(found - true) < 4.0 * after[rows]).all()


def test_standing_level_a_tilt_looks_like_a_bias_of_the_accelerometer() -> None:
    """What cannot be told apart is not claimed: the tilt stays as uncertain as the accelerometer's horizontal bias makes it."""
    s, config = blank(), CONFIG
    start(s, np.array([1.0, 0.0, 0.0, 0.0]), config)
    s.vectors[1:] = [[0.0, 0.0, 0.7], [0.0, 0.1, 0.0], [0.0, -0.1, 0.0]]
    for _ in range(15000):
        propagate(s, np.zeros(3), UP, BOTH, DT, config)
        correct_orientation(s, np.array([1.0, 0.0, 0.0, 0.0]), config)
        correct_feet(s, s.vectors[2:] - s.vectors[1], np.zeros((2, 3)), BOTH, DT, config)
    least = config.accelerometer_bias_std / GRAVITY
    tilt, bias = np.sqrt(s.cov[TILT, TILT]), np.sqrt(s.cov[ACCELEROMETER + 1, ACCELEROMETER + 1])
    assert 0.9 * least < tilt < 1.5 * least
    assert bias > 0.9 * config.accelerometer_bias_std
    assert s.cov[POSITION, POSITION] > 1e-6 and np.linalg.eigvalsh(s.cov).min() > 0.0


@pytest.mark.parametrize("foot", [LEFT, RIGHT])
def test_a_foot_that_slips_is_noticed(foot: int) -> None:
    """At 0.3 m/s within 20 ms, and not the other one; without that hypothesis the velocity goes along with half of the slip."""
    worst = {}
    for told in (CONFIG, CONFIG._replace(slip_rate=0.0)):
        world = World(np.random.default_rng(6), CONFIG._replace(accelerometer_std=0.2), told=told).run(0.5)
        assert world.filter.slip.max() < 0.01
        world.slide[foot, 0] = 0.3
        slips, errors = [], []
        for _ in range(100):
            world.step()
            slips.append(world.filter.slip.copy())
            errors.append(np.abs(world.filter.vectors[0] - world.truth.vectors[0]).max())
        worst[told.slip_rate] = max(errors)
        if told.slip_rate:
            this, other = np.array(slips)[:, foot], np.array(slips)[:, 1 - foot]
            assert (this[:10] > 0.5).any() and this[10:].mean() > 0.8 and other.max() < 0.1
            world.slide[foot, 0] = 0.0
            assert world.run(0.1).filter.slip.max() < 0.1  # and that it stands again
    assert worst[CONFIG.slip_rate] < 0.08 < 0.12 < worst[0.0]


def test_a_velocity_that_is_wrong_is_found_out() -> None:
    """Half a metre a second looks like two slipping feet; the doubt that grows meanwhile ends it. At the start it is not known at all."""
    errors = {}
    for told in (CONFIG, CONFIG._replace(doubt_std=0.0)):
        world = World(np.random.default_rng(8), CONFIG._replace(accelerometer_std=0.2), told=told).run(0.3)
        world.filter.vectors[0, 0] += 0.5
        world.run(0.7)
        errors[told.doubt_std] = abs(world.filter.vectors[0, 0] - world.truth.vectors[0, 0])
    assert errors[CONFIG.doubt_std] < 0.05 < 0.2 < errors[0.0]
    moving = World(np.random.default_rng(9), CONFIG)
    moving.truth.vectors[0] = (0.4, -0.3, -0.2)
    moving.run(0.1)
    assert np.abs(moving.filter.vectors[0] - moving.truth.vectors[0]).max() < 0.1


def slip_after_one(config: FilterConfig, slip: float, speed: float, dt: float) -> float:
    """Likelihood after one sample in which the foot seems to move at `speed` along x, the filter's velocity being known."""
    s = blank()
    s.slip[:] = slip
    return float(slip_after(s, LEFT, np.array([speed, 0.0, 0.0]), dt, config))


def test_slip_follows_bayes() -> None:
    """Odds times the ratio of two Gaussians' densities, and how often a slip begins and ends."""
    config = CONFIG._replace(slip_speed=0.3, foot_speed_std=0.1)
    stands, slips = np.diag(np.full(3, 0.01)), np.diag(np.full(3, 0.1))
    for speed in (0.0, 0.2, 0.5):
        at = [speed, 0.0, 0.0]
        ratio = multivariate_normal.pdf(at, cov=slips) / multivariate_normal.pdf(at, cov=stands)
        assert slip_after_one(config, 0.4, speed, 0.0) == pytest.approx(0.4 * ratio / (0.4 * ratio + 0.6))
    even = config._replace(slip_speed=1e-9)  # nothing to tell them apart by
    assert slip_after_one(even, 0.0, 0.3, DT) == pytest.approx(DT * config.slip_rate)
    assert slip_after_one(even, 1.0, 0.3, DT) == pytest.approx(1.0 - DT * config.grip_rate)
    assert slip_after_one(config, 0.1, 1e6, DT) == pytest.approx(1.0)  # beyond all measure: finite


def test_a_foot_that_swings_says_nothing_of_the_velocity() -> None:
    """Moved by a metre a second it leaves the estimate alone when it is known not to stand."""
    world = World(np.random.default_rng(7), CONFIG)
    world.run(0.2)
    world.slide[LEFT] = (1.0, 0.0, 0.3)
    for _ in range(200):
        world.step(np.array([0.0, 1.0]))
    rows = slice(VELOCITY, VELOCITY + 3)
    error = error_of(world.truth, world.filter)[rows]
    assert (np.abs(error) < 4.0 * np.sqrt(np.diag(world.filter.cov))[rows]).all()
    assert np.abs(world.filter.vectors[2 + LEFT] - world.truth.vectors[2 + LEFT]).max() < 0.05
