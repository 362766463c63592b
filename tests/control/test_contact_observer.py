from __future__ import annotations

import numpy as np

from poise.control.contact_observer import ObserverConfig, observe_contact
from poise.control.dynamics import Dynamics
from poise.robots import RobotModel
from poise.robots.types import RIGHT

DT, CONFIG = 0.002, ObserverConfig()
WRENCH = np.array([[10.0, -5.0, 200.0, 1.0, -3.0, 0.5], [-4.0, 3.0, 90.0, 0.5, 1.0, 0.1]])
PUSH = np.array([60.0, -30.0, 20.0, 5.0, -8.0, 3.0])  # on the base, in its frame


class Observed:
    """A robot in some motion under known sole wrenches and a push, and an observer that starts with nothing."""

    def __init__(self, robot: RobotModel) -> None:
        rng = np.random.default_rng(0)
        self.d, self.legs = Dynamics(robot), robot.legs.reshape(2, 6) + 6
        q = robot.standing_configuration()
        q[3:7] = np.array([0.1, -0.05, 0.4, 0.9]) / np.linalg.norm([0.1, -0.05, 0.4, 0.9])
        self.d.update(q, rng.normal(0.0, 0.2, 35))
        d = self.d
        free = np.linalg.inv(d.mass_matrix)
        forces = np.einsum("fij,fi->j", d.sole_jacobian, WRENCH)
        forces[:6] += PUSH
        torque = rng.normal(0.0, 3.0, robot.n)
        self.torque, self.acceleration = torque, free @ (np.concatenate((np.zeros(6), torque)) + forces - d.bias)
        self.residual, self.wrench, self.contact = np.zeros(18), np.zeros((3, 6)), np.zeros(2)

    def observe(self, ticks: int) -> None:
        """Observe the same moment for a while."""
        d = self.d
        inputs = (d.mass_matrix, d.bias, self.acceleration, self.torque, self.legs, d.sole_jacobian, DT, CONFIG)
        for _ in range(ticks):
            observe_contact(*inputs, self.residual, self.wrench, self.contact)


def test_forces_of_the_ground_and_of_a_push_are_told_apart(g1: RobotModel) -> None:
    """From joint torques and accelerations alone, with the time constant of the low-pass."""
    for ticks in (1, 3, 100):
        observed, taken = Observed(g1), 1.0 - (1.0 - CONFIG.observer_rate * DT) ** ticks
        observed.observe(ticks)
        lost = 0.02 * taken * WRENCH[:, 2].max()  # to the damping of the legs' Gram matrix
        np.testing.assert_allclose(observed.wrench, taken * np.vstack((WRENCH, PUSH)), atol=lost)


def test_a_foot_that_hangs_is_no_contact(g1: RobotModel) -> None:
    observed = Observed(g1)
    observed.observe(100)
    np.testing.assert_array_equal(observed.contact, [1.0, 1.0])
    d, legs = observed.d, observed.legs[RIGHT]
    observed.torque[legs - 6] = d.mass_matrix[legs] @ observed.acceleration + d.bias[legs]
    observed.observe(60)
    np.testing.assert_array_equal(observed.contact, [1.0, 0.0])


def test_what_is_not_finite_leaves_the_contact_as_it_was(g1: RobotModel) -> None:
    observed = Observed(g1)
    observed.observe(100)
    observed.d.sole_jacobian[RIGHT] = np.nan
    observed.observe(1)
    np.testing.assert_array_equal(observed.contact, [1.0, 1.0])
