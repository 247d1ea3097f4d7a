"""Hard constraints by experts: gradients, one expert, linear problems, seams, errors."""

from __future__ import annotations

import math

import pytest
import torch

from problems import Convection, DiffusionSorption, Heat, NavierStokesVorticity
from sciml import (
    MLP,
    Adam,
    DivergenceError,
    HardConstraintMoE,
    InputError,
    Parameter,
    Phase,
    Pointwise,
    SoftConstraint,
    Trainer,
)
from sciml.solvers.hard_constraint.grid import Grid
from sciml.solvers.hard_constraint.layer import Rows, Tolerances, solve
from sciml.solvers.hard_constraint.partition import Partition

TIGHT = Tolerances(100, 1e-13, 1e-14)


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("size", [0.1, 3.0])
def test_gradient_of_the_layer(size):
    entries, offset = draw(2, 2, 1, 9, 3).requires_grad_(), (size * draw(2, 2, 1, 9)).requires_grad_()

    def optimum(entries, offset):
        rows = Rows(entries, offset, lambda v, _: v[:1] + 0.1 * v[:1] * v[1:])
        return solve([rows], torch.zeros(2, 1, 3, dtype=torch.float64), 1e-1, tolerances=TIGHT)

    assert torch.autograd.gradcheck(optimum, (entries, offset), eps=1e-6, atol=1e-5)


def test_gradient_of_coupled_experts():
    entries, offset = draw(2, 2, 2, 5, 2).requires_grad_(), draw(2, 2, 2, 5).requires_grad_()
    seams = draw(2, 3, 2, 2).requires_grad_()

    def optimum(entries, offset, seams):
        rows = Rows(entries, offset, lambda v, _: v[:1] + 0.1 * v[:1] * v[1:])
        return solve([rows], torch.zeros(2, 2, 2, dtype=torch.float64), 1e-1, seams, TIGHT)

    assert torch.autograd.gradcheck(optimum, (entries, offset, seams), eps=1e-6, atol=1e-5)
    apart = solve([Rows(entries, offset, lambda v, _: v[:1])], torch.zeros(2, 2, 2, dtype=torch.float64), 1e-1)
    assert not torch.allclose(optimum(entries, offset, 10 * seams), apart, rtol=1e-2)


def test_affine_rows_are_reduced_instance_by_instance():
    entries, offset, shift = draw(1, 2, 1, 9, 3), draw(1, 2, 1, 9), torch.tensor([0.0, 5.0], dtype=torch.float64)

    def optimum(affine):
        rows = Rows(entries, offset, lambda v, experts: v - shift[experts // 2, None], affine)
        return solve([rows], torch.zeros(2, 2, 3, dtype=torch.float64), 1e-1, tolerances=TIGHT)

    torch.testing.assert_close(optimum(affine=True), optimum(affine=False))


def build(problem, experts=(1, 1), **options):
    network = Pointwise(MLP(HardConstraintMoE.input_channels(problem), 5, width=8, depth=1))
    return HardConstraintMoE(problem, network, shape=(12, 10), bases=5, experts=experts, **options)


@pytest.mark.parametrize("interface", [False, True])
def test_gradient_of_the_loss_through_the_experts(interface):
    solver = build(DiffusionSorption(), (4, 1), interface=interface, tolerances=Tolerances(400, 1e-13, 1e-15))
    batch, parameters = solver.sample(torch.Generator().manual_seed(0)), list(solver.parameters())
    direction = [draw(*parameter.shape) for parameter in parameters]

    def loss():
        return sum(residual.square().mean() for residual in solver.residuals(batch).values())

    def moved(step):
        with torch.no_grad():
            for parameter, along in zip(parameters, direction, strict=True):
                parameter += step * along
        return float(loss().detach())

    gradient = torch.autograd.grad(loss(), parameters)
    slope = sum(float((g * along).sum()) for g, along in zip(gradient, direction, strict=True))
    difference = (moved(1e-6) - moved(-2e-6)) / 2e-6
    assert slope == pytest.approx(difference, rel=1e-5)


def test_a_coefficient_is_recovered_through_the_layer():
    """-a u'' + u^3 = f with u = 0 at both ends, u in sines: a from values of u, by gradient descent."""
    x, k = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)[:, None], torch.arange(1, 4, dtype=torch.float64)
    basis = torch.sin(math.pi * k * x)
    second = -((math.pi * k) ** 2) * basis
    offset = torch.stack([20 * x[:, 0] * (1 - x[:, 0]), torch.zeros(19, dtype=torch.float64)])[:, None, None]

    def solution(a):
        entries = torch.stack([a * second, basis])[:, None, None]
        rows = Rows(entries, offset, lambda v, _: v[:1] - v[1:] ** 3)
        return (basis @ solve([rows], torch.zeros(1, 1, 3, dtype=torch.float64), 1e-6)[0, 0, :, None])[:, 0]

    measured = solution(torch.tensor(0.5, dtype=torch.float64))
    logarithm = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([logarithm], lr=0.1)
    for _ in range(200):
        optimiser.zero_grad()
        (solution(logarithm.exp()) - measured).square().sum().backward()
        optimiser.step()
    assert float(logarithm.detach().exp()) == pytest.approx(0.5, rel=1e-3)


def test_a_coefficient_that_would_get_no_gradient_is_refused():
    a = torch.ones((), dtype=torch.float64, requires_grad=True)
    rows = Rows(draw(1, 1, 1, 9, 3), draw(1, 1, 1, 9), lambda v, _: a * v)
    start = torch.zeros(1, 1, 3, dtype=torch.float64)
    with pytest.raises(InputError, match="multiply it into the entries"):
        solve([rows], start, 1e-1)
    with torch.no_grad():
        assert torch.isfinite(solve([rows], start, 1e-1)).all()


def test_rows_that_are_not_finite_are_no_solution():
    rows = Rows(draw(1, 1, 1, 9, 3), draw(1, 1, 1, 9), lambda v, _: v.log())
    with pytest.raises(DivergenceError, match="not finite"):
        solve([rows], torch.zeros(1, 1, 3, dtype=torch.float64), 1e-1)


def test_residuals_of_the_stitched_field_are_in_the_history():
    solver = build(DiffusionSorption(), (4, 1))
    result = Trainer([Phase(Adam(1e-3), steps=2)], evaluate_every=1, progress=False).fit(solver)
    found = solver.stitched_residuals([solver.problem])["diffusion_sorption"]
    assert result.history["stitched/diffusion_sorption"][-1] == pytest.approx(float(found.square().mean().sqrt()))


def test_a_linear_problem_takes_one_step():
    few, many = (build(Heat(), (2, 1), tolerances=Tolerances(n, 1e-12)) for n in (1, 50))
    torch.testing.assert_close(few.predict([Heat()])["u"], many.predict([Heat()])["u"], rtol=1e-6, atol=1e-8)


def test_experts_that_answer_for_everything_are_one_expert():
    one, four = build(DiffusionSorption()), build(DiffusionSorption(), (4, 1), overlap=12)
    problem = [DiffusionSorption()]
    torch.testing.assert_close(four.predict(problem)["u"], one.predict(problem)["u"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("interface", [False, True])
def test_what_the_equations_leave_open_stays_as_the_network_proposes(interface):
    problem = DiffusionSorption()
    stiff, free = (build(problem, (4, 1), interface=interface, ridge=ridge) for ridge in (1e4, 1e-4))
    with torch.no_grad():
        proposal = stiff.network(stiff.inputs([problem], stiff.grid)).sum(1)
    torch.testing.assert_close(stiff.predict([problem])["u"], proposal, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(free.predict([problem])["u"], proposal, rtol=1e-1, atol=1e-1)


@pytest.mark.parametrize(
    ("problem", "shape", "first"), [(NavierStokesVorticity(), (8, 8, 5), 0), (DiffusionSorption(), (8, 5), 1)]
)
def test_the_equations_hold_at_the_initial_time_where_no_boundary_disagrees(problem, shape, first):
    instants = Grid.of(problem, shape).interior % shape[-1]
    assert instants.unique().tolist() == list(range(first, 5))


def test_the_equations_hold_beyond_the_training_time_as_well():
    """Coefficients are solved for on the longer interval: those of the shorter one violate the equations more there."""
    solver, longer = build(DiffusionSorption(duration=40.0)), DiffusionSorption(duration=50.0)
    grid = Grid.of(longer, (12, 13))
    batch = solver.draw([longer], grid, torch.Generator().manual_seed(0))

    @torch.no_grad()
    def squares(coefficients):
        solver._coefficients = lambda *_: coefficients
        jets = solver.solve([longer], grid, batch).jets
        return sum(float(r.square().mean()) for r in solver.residuals_of(jets, [longer], grid, batch).values())

    find = solver._coefficients
    found = []
    for problem, shape in ((longer, (12, 13)), (solver.problem, (12, 10))):
        solver._coefficients = lambda *given: found.append(find(*given)) or found[-1]
        assert solver.predict([problem], shape)["u"].shape == (1, *shape)
    best, shorter = found
    assert squares(best) < squares(shorter)


def test_the_solution_is_the_experts_side_by_side():
    solver, problem = build(DiffusionSorption(), (4, 1)), [DiffusionSorption()]
    batch = solver.sample(torch.Generator().manual_seed(0))
    jets = solver.solve(problem, solver.grid, batch)
    assert jets.further["interface"].abs().max() > 0
    assert solver.stitched_residuals(problem)["diffusion_sorption"].shape == (10 * 9,)


def test_every_expert_answers_for_its_own_points():
    partition = Partition(Grid.of(NavierStokesVorticity(), (4, 6, 3)), (2, 3, 1))
    bases, coefficients = draw(2, 5, 72), draw(2, 6, 5)
    found = partition.stitch(bases, coefficients)
    for expert, own in enumerate(partition.own):
        torch.testing.assert_close(found[:, own], torch.einsum("bng,bn->bg", bases[:, :, own], coefficients[:, expert]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"experts": (5, 1)}, "do not divide the 12 grid points along 'x'"),
        ({"experts": (2,)}, "experts="),
        ({"rows": 0}, "rows=0"),
        ({"weights": {"diffusion": 1.0}}, "weights names 'diffusion'"),
        ({"exact_initial": True, "overlap": -1}, "overlap=-1"),
    ],
)
def test_errors(options, message):
    with pytest.raises(InputError, match=message):
        build(DiffusionSorption(), **options)


def test_unknown_coefficients_are_refused():
    problem = Convection(Parameter(1.0))
    with pytest.raises(InputError, match="beta is one: use solver='pinn'"):
        SoftConstraint(problem, Pointwise(MLP(3, 1, width=4, depth=1)), shape=(12, 10))


def test_the_soft_constraint_refuses_another_number_of_channels():
    with pytest.raises(InputError, match="expected"):
        SoftConstraint(DiffusionSorption(), Pointwise(MLP(3, 2, width=4, depth=1)), shape=(12, 10))
