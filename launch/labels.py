"""What people read instead of the names in a result: words and units."""

from __future__ import annotations

LABELS = {
    "seconds": "time, s",
    "ticks": "ticks of control",
    "mean_velocity": "mean velocity VX, VY, WZ (m/s, m/s, rad/s)",
    "velocity_error": "error of that against the command",
    "distance_m": "path of the base, m",
    "energy_j": "energy, J",
    "position_drift_m": "estimate off by, m",
    "yaw_drift": "heading estimate off by, rad",
    "learned_share": "share of ticks on learned motions",
    "unlearned_reasons": "ticks on others",
    "unlearned_share": "share of ticks on others",
    "interventions": "certifier",
    "interventions.rate": "share of ticks changed",
    "interventions.count": "ticks changed",
    "max_torque_change_nm": "largest change of a torque, N·m",
    "reasons": "reason",
    # time measurements
    "tick_us": "CPU time of a tick, µs",
    "step_us": "CPU time of a whole step, µs",
    "parts_us": "CPU time of a part, µs",
    "p50": "median",
    "p99": "99 %",
    "p99_worst_run": "99 % in the worst run",
    "p999": "99.9 %",
    "max": "most",
    "velocity": "command VX, VY, WZ (m/s, m/s, rad/s)",
    "cold_start_s": "until the first tick was done, s",
    "overruns": "ticks longer than the period",
    "real_time_factor": "simulated time over real time",
    "cpu_s_per_s": "CPU time per simulated time, s/s",
    "pushed": "with pushes",
    # the tour
    "survival_s": "survived, s",
    "mean_survival_s": "survived on average, s",
    "complete_interval": "share complete, 95 %",
    "targets": "waypoints whose time was up",
    "reached": "waypoints reached",
    "pos_err_cm": "position off by, cm",
    "yaw_err_deg": "heading off by, °",
    "energy_kj": "energy, kJ",
    "mu": "friction of the feet",
    "throw_from_m": "from, m",
    "throw_to_m": "to, m",
    # locomotion
    "command": "command VX, VY, WZ",
    "cost_of_transport": "cost of transport",
    "positive_cost_of_transport": "positive work alone",
    "power_w": "power, W",
    "min_newton_second": "least, N·s",
    "median_newton_second": "median, N·s",
    "tracking_runs": "tracking runs",
    "tracking_falls": "of these fell",
    "tracking_falls_interval": "share of falls, 95 %",
    # training
    "held_out": "held out",
    "log_likelihood": "log-likelihood, nats a chunk",
    "gaussian": "that of a Gaussian, nats a chunk",
    "gain": "gain over it, nats a chunk",
    "gain_std_error": "standard error of the gain, nats a chunk",
    "first_knot_error_rad": "error of the arms 0.2 s ahead, rad",
    "hold_error_rad": "the same for arms that stay, rad",
    "validation_log_likelihood": "validation: log-likelihood, nats a chunk",
    # replays
    "differing": "ticks",
    "first_tick": "first at",
    # robots
    "mass_kg": "mass, kg",
}


def label(name: str) -> str:
    """Words for a name as `output.flatten` gives it, part by part; a part without words of its own stays.

    A key with dots names a part below certain others only: of the keys that end a path to a part, the longest counts.
    """
    parts = name.split(".")
    return ": ".join(_words(parts[: end + 1]) for end in range(len(parts)))


def _words(path: list[str]) -> str:
    suffixes = (".".join(path[start:]) for start in range(len(path)))
    return next((LABELS[suffix] for suffix in suffixes if suffix in LABELS), path[-1])
