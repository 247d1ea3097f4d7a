"""Terms from their definitions, and what is drawn: on waves that travel, whose solution operator is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from operators import FNO, DRIFTNet, ScOT, Size
from sciml.data import Trajectories
from sciml.errors import InputError
from sciml.problem import Points
from sciml.solvers import GridOperator, NeuralOperator
from sciml.solvers.operator import Signature
from sciml.solvers.operator.pairs import Pairs, Snapshots
from sciml.solvers.operator.solver import PAIRS
from tests.neural_operator.waves import SPEED, STEP, Transport, Waves, write_squares, write_waves
from tests.solvers.test_device import NoCPU

SMALL = Size(4, depths=(1, 1), skips=(1, 0), heads=(2, 2), window=2)
ROWS = torch.tensor([3, 11, 40, 79])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return Trajectories(write_waves(tmp_path_factory.mktemp("data") / "waves.h5"))


def build(data, network=None, **options):
    """Eight trajectories of five snapshots to learn from, ten pairs each."""
    network = Transport() if network is None else network
    return NeuralOperator(GridOperator(network, Signature.of(data)), data, training=8, **options)


def batch(solver, rows=ROWS):
    return solver.batch_of(rows, torch.linspace(0, 0.99, len(rows)))


# Pairs ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("lead_steps", "count"), [(None, 10), (1, 4), (2, 7)])
def test_every_pair_is_numbered_once(lead_steps, count):
    pairs = Pairs(3, 5, lead_steps)
    found = {tuple(int(part[i]) for part in pairs[torch.arange(len(pairs))]) for i in range(len(pairs))}
    furthest = lead_steps or 4
    assert len(pairs) == len(found) == 3 * count
    assert all(0 <= s < 3 and 0 <= i < j < 5 and j - i <= furthest for s, i, j in found)
    assert len(Pairs(3, 1)) == 3


def test_snapshots_from_memory_and_from_the_file(data):
    samples, times = torch.tensor([4, 1, 4, 0]), torch.tensor([2, 0, 2, 4])
    expected = data.read()[samples, times]
    for memory in (2**20, 0):
        assert torch.equal(Snapshots(data, 8, memory)(samples, times), expected)


def test_normalisation_is_that_of_the_training_trajectories(data):
    operator = build(data).operator
    fields = data.read(slice(0, 8)).double()
    torch.testing.assert_close(operator.mean_out.flatten().double(), fields.mean((0, 1, 3, 4)), rtol=1e-5, atol=1e-6)
    deviation = fields.std((0, 1, 3, 4), correction=0)
    torch.testing.assert_close(operator.deviation_in.flatten().double(), deviation, rtol=1e-5, atol=0)


# Terms ----------------------------------------------------------------------------------------------------------
class Half(nn.Module):
    """A network that returns half of the normalised fields, to whatever time."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.5))

    def forward(self, x, time):
        return self.factor * x


def test_relative_l1_is_the_error_over_the_mean_modulus_in_the_data(data):
    solver = build(data, Half())
    (residual,) = solver.residuals(batch(solver)).values()
    assert solver.term_powers == {"relative_l1_velocity": 1}
    deviation, mean = (getattr(solver.operator, f"{name}_out") for name in ("deviation", "mean"))
    normalised = (data.read(slice(0, 8)) - mean) / deviation
    samples, first, last = solver.pairs[ROWS]
    error = (0.5 * normalised[samples, first] - normalised[samples, last]).abs().mean()
    torch.testing.assert_close(residual.abs().mean(), error / normalised.abs().mean())


def test_relative_l2_is_a_ratio_of_norms_by_sample(data):
    solver = build(data, Half(), loss="relative_l2")
    residual = solver.residuals(batch(solver))["relative_l2"]
    samples, first, last = solver.pairs[ROWS]
    fields = data.read()
    mean = solver.operator.mean_out
    error = mean + 0.5 * (fields[samples, first] - mean) - fields[samples, last]
    true = fields[samples, last]
    torch.testing.assert_close(residual, error.flatten(1).norm(dim=1) / true.flatten(1).norm(dim=1))


def test_the_spectrum_of_one_wave_weighs_by_its_number(data, monkeypatch):
    solver = build(data, high_frequency=True)
    rows, columns = (torch.arange(n) * 2 * math.pi / n for n in (16, 8))
    losses = {}
    for k, m in [(0, 0), (2, 0), (-2, 0), (0, 2), (3, 2), (-3, 2)]:
        wave = torch.cos(k * rows[:, None] + m * columns)[None, None] * solver.operator.deviation_out
        residual = solver._errors(wave, torch.zeros_like(wave))["high_frequency"]
        losses[k, m] = float(residual.square().mean())
        half = (16 * 8 / 2) * (0.5 if m else 1.0)  # of |E|^2 in the half plane
        radius = math.sqrt(((k / 8) ** 2 + (m / 4) ** 2) / 2)
        assert losses[k, m] == pytest.approx(radius**1.5 * half / (16 * 5), rel=1e-4, abs=1e-6)
    assert losses[2, 0] == pytest.approx(losses[-2, 0]) and losses[3, 2] == pytest.approx(losses[-3, 2])


# Equations ------------------------------------------------------------------------------------------------------
def test_equations_hold_for_the_exact_operator_only(data):
    exact = build(data, problem=Waves())
    residuals = exact.residuals(batch(exact))
    assert set(residuals) == {"relative_l1_velocity", "transport_u", "transport_v"}
    assert all(residual.abs().mean() < 1e-4 for residual in residuals.values())
    wrong = build(data, Transport((0.8, 0.25)), problem=Waves()).residuals(batch(exact))
    assert all(0.1 < wrong[f"transport_{n}"].square().mean().sqrt() < 10 for n in "uv")
    assert exact.term_kinds["transport_u"] == "equation"


def test_equations_alone_teach_the_speed(data):
    solver = build(data, Transport((0.6, 0.1)), problem=Waves())
    speed = solver.operator.network.speed
    for _ in range(20):
        residuals = solver.residuals(batch(solver))
        loss = residuals["transport_u"].square().mean() + residuals["transport_v"].square().mean()
        (gradient,) = torch.autograd.grad(loss, speed)
        speed.data -= 0.05 * gradient
    torch.testing.assert_close(speed.detach(), torch.tensor(SPEED), rtol=0, atol=0.02)


@pytest.mark.parametrize(
    "network", [FNO((4, 4), 2, 2, 4), DRIFTNet(2, 2, SMALL, patch_size=2), ScOT(2, 2, SMALL, patch_size=2)]
)
def test_equations_of_real_networks_have_gradients(data, network):
    solver = build(data, network, problem=Waves())
    loss = solver.residuals(batch(solver))["transport_u"].square().mean()
    gradients = torch.autograd.grad(loss, list(network.parameters()), materialize_grads=True)
    assert loss.isfinite() and all(gradient.isfinite().all() for gradient in gradients)
    assert sum(bool(gradient.any()) for gradient in gradients) > 0.9 * len(gradients)


def test_equations_on_a_grid_that_ends(tmp_path):
    """Finite differences, where the fields do not repeat: those of the waves are then coarse at the ends."""
    from dataclasses import replace

    from sciml.solvers.operator.physics import GridEquations

    fine = Trajectories(write_waves(tmp_path / "fine.h5", samples=2, grid=(64, 32)))
    signature = replace(Signature.of(fine), periodic=(False, False))
    fields = fine.read()
    slope = (fields[:, 2] - fields[:, 0]) / (2 * STEP)  # of second order in the step
    found = {}
    for name, kind in (("ends", signature), ("repeats", Signature.of(fine))):
        residuals = GridEquations(Waves(), fine, kind)(fields[:, 1], slope, torch.tensor([STEP, STEP]), {})
        found[name] = residuals["transport_u"]
    torch.testing.assert_close(found["ends"], found["repeats"], rtol=0, atol=0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unknowns": ("u", "p")}, "no channel 'p'"),
        ({"coordinates": ("x", "z", "t")}, "coordinates of Other"),
    ],
)
def test_a_problem_of_other_fields_is_refused(data, change, message):
    from sciml.geometry import Rectangle, Time

    class Other(Waves):
        pass

    for name, value in change.items():
        setattr(Other, name, value)
    if "coordinates" in change:
        Other.domain = Rectangle(("x", "z"), (0, 0), (2, 1)) * Time("t", 0, 1)
    with pytest.raises(InputError, match=message):
        build(data, problem=Other())


# What is random -------------------------------------------------------------------------------------------------
def test_noise_belongs_to_the_pair_and_not_to_the_batch(data):
    solver = build(data, Half(), noise=0.1)
    clean = build(data, Half())
    draws = torch.tensor([0.1, 0.2, 0.3, 0.4])

    def start(which, rows, draws):
        samples, first, _ = which.pairs[rows]
        return which._start(samples, first, draws)

    noisy = start(solver, ROWS, draws)
    noise = (noisy - start(clean, ROWS, draws)) / solver.operator.deviation_in
    assert noise.std() == pytest.approx(0.1, rel=0.1) and abs(noise.mean()) < 0.01
    assert torch.equal(start(solver, ROWS[2:], draws[2:]), noisy[2:])
    assert not torch.equal(start(solver, ROWS[2:], draws[:2]), noisy[2:])


def test_pushed_pairs_start_from_a_prediction_without_a_gradient(data):
    wrong = Transport((1.0, 0.25))
    solver, direct = build(data, wrong, pushforward=0.5), build(data, wrong)
    rows = torch.arange(80)[torch.randperm(80, generator=torch.Generator().manual_seed(1))][:16]
    points = batch(solver, rows)
    found, expected = (s.residuals(points)["relative_l1_velocity"].reshape(16, -1) for s in (solver, direct))
    _, first, _ = solver.pairs[rows]
    changed = (found - expected).abs().amax(1) > 1e-3
    assert changed.tolist() == [i < 8 and first[i] > 0 for i in range(16)] and changed.sum() > 4
    exact = build(data, pushforward=1.0)
    assert exact.residuals(batch(exact))["relative_l1_velocity"].abs().max() < 1e-4
    samples, first, _ = solver.pairs[rows]
    assert not solver._start(samples, first, points[PAIRS].coordinates[:, 1]).requires_grad


def test_a_sample_is_a_batch(data):
    solver = build(data, batch=6)
    drawn = solver.sample(torch.Generator().manual_seed(0), scale=2)
    assert isinstance(drawn[PAIRS], Points) and len(drawn[PAIRS]) == 12 and drawn[PAIRS].rows.max() < len(solver)
    assert solver.residuals(drawn)["relative_l1_velocity"].abs().max() < 1e-4


# Average, errors, rollouts --------------------------------------------------------------------------------------
def test_the_average_follows_the_weights(data):
    solver = build(data, Half(), average=0.9)
    for step in range(1, 200):
        with torch.no_grad():
            solver.operator.network.factor.fill_(1.0)
        solver.update_average(step)
        if step == 1:
            assert solver.average.network.factor == pytest.approx(1 - 0.5 * 2 / 11)
    assert solver.average.network.factor == pytest.approx(1, abs=1e-6) and solver.trained is solver.average
    assert not any(p.requires_grad for p in solver.average.parameters())
    solver.operator.network.factor.data.fill_(0.25)
    solver.average.network.factor.fill_(torch.nan)
    solver.restart_average()
    assert solver.average.network.factor == 0.25


def test_errors_are_those_of_one_step_on_trajectories_held_out(data):
    assert build(data).errors()["velocity"] < 1e-5
    found = build(data, Half()).errors()["velocity"]
    fields, mean = data.read(slice(8, 10)), build(data).operator.mean_out
    error = (mean + (fields[:, :-1] - mean) / 2 - fields[:, 1:]).abs().sum((2, 3, 4)) / fields[:, 1:].abs().sum((2, 3, 4))
    assert found == pytest.approx(float(error.quantile(0.5)), rel=1e-4)


def test_a_rollout_of_the_exact_operator_is_the_trajectory(data):
    operator, fields = build(data).operator, data.read(slice(8, 10))
    called = []
    path = operator.rollout(fields[:, 0], 4, each=lambda: called.append(1))
    torch.testing.assert_close(path, fields[:, 1:], rtol=0, atol=1e-4)
    torch.testing.assert_close(operator.rollout(fields[:, 0], 2, lead=2 * STEP), fields[:, 2::2], rtol=0, atol=1e-4)
    assert len(called) == 4
    with pytest.raises(InputError, match="steps must be at least 1"):
        operator.rollout(fields[:, 0], 0)


def test_shifted_trajectories_roll_out_shifted(data):
    operator = GridOperator(DRIFTNet(2, 2, SMALL, patch_size=2).double(), Signature.of(data)).double()
    operator.learn_normalisation(data, 8)
    x = data.read(slice(0, 2), [0])[:, 0].double()
    path, shifted = operator.rollout(x, 3), operator.rollout(x.roll((8, -4), (2, 3)), 3)
    assert not torch.allclose(path, shifted)
    torch.testing.assert_close(shifted, path.roll((8, -4), (3, 4)), rtol=1e-9, atol=1e-9)


def test_steady_fields_follow_from_inputs(tmp_path):
    squares = Trajectories(write_squares(tmp_path / "squares.h5"))
    signature = Signature.of(squares)
    assert signature.steady and signature.in_channels == ("a",)
    solver = NeuralOperator(GridOperator(Half(), signature), squares, training=8, loss="relative_l2")
    assert len(solver) == 8
    residual = solver.residuals(batch(solver, torch.arange(4)))["relative_l2"]
    operator = solver.operator
    inputs = (squares.inputs([0, 1, 2, 3]) - operator.mean_in) / operator.deviation_in
    true = squares.read([0, 1, 2, 3])[:, 0]
    error = operator.mean_out + 0.5 * operator.deviation_out * inputs - true
    torch.testing.assert_close(residual, error.flatten(1).norm(dim=1) / true.flatten(1).norm(dim=1))
    with pytest.raises(InputError, match="no next step"):
        operator.rollout(squares.inputs([0]), 2)


def test_the_operator_computes_where_its_fields_are(data):
    operator = GridOperator(FNO((4, 4), 2, 2, 4), Signature.of(data)).to("meta")
    x = torch.empty(2, 2, 16, 8, device="meta")
    with NoCPU():
        assert operator(x).device.type == operator.rollout(x, 2).device.type == "meta"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lead_steps": 5}, "lead_steps must be between 1 and 4"),
        ({"pushforward": 1.5}, "pushforward=1.5 is out of range"),
        ({"noise": -1.0}, "noise=-1.0 is out of range"),
        ({"average": 1.0}, "average=1.0 is out of range"),
    ],
)
def test_values_out_of_range(data, options, message):
    with pytest.raises(InputError, match=message):
        build(data, **options)


def test_other_data_are_refused(data, tmp_path):
    signature = Signature.of(data)
    with pytest.raises(InputError, match="axes x, but the operator was trained on x, y"):
        signature.check(Trajectories(write_waves(tmp_path / "line.h5", grid=(16,))))
    with pytest.raises(InputError, match="channels u, but the operator was trained on u, v"):
        signature.check(Trajectories(write_squares(tmp_path / "squares.h5")))
    assert Signature(**signature.configuration()) == signature
