"""Every solver on a real accelerator, held against the CPU; nothing here runs without one.

What can be checked of device code without an accelerator is in tests/solvers/test_device.py.
"""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist

import problems
import sciml
from sciml import (
    LBFGS,
    MLP,
    PINN,
    SOAP,
    Adam,
    Causal,
    GradientAnnealing,
    GradientNorm,
    HardConstraintMoE,
    LevenbergMarquardt,
    NeuralTangentKernel,
    Phase,
    Pointwise,
    ReLoBRaLo,
    ResidualAdaptive,
    RetainResampleRelease,
    SoftConstraint,
    SSBroyden,
    Trainer,
)
from sciml.optim import least_squares, linear_least_squares
from sciml.recipes.neural_field import Preset
from sciml.training import Callback, Every, distributed
from tests.neural_operator.waves import write_waves
from tests.shapes.solids import torus

pytestmark = [
    pytest.mark.skipif(not torch.accelerator.is_available(), reason="no accelerator"),
    pytest.mark.filterwarnings("ignore"),
]
DEVICE = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
PLACES = torch.device("cpu"), DEVICE


def train(device, phases, folder=None, resume=None, callbacks=()):
    """A small network trained on ``device``: its last loss, and its weights."""
    problem = problems.Burgers()
    size = PINN.input_features(problem), len(problem.unknowns)
    network = MLP(*size, width=8, depth=2, generator=torch.Generator().manual_seed(0))
    solver = PINN(problem, network, points=64, condition_points=16, device=device)
    trainer = Trainer(phases, callbacks, progress=False, seed=0, folder=folder, checkpoint_every=Every(steps=5))
    result = trainer.fit(solver, resume=resume)
    assert all(parameter.device.type == device.type for parameter in solver.parameters())
    return result.history["loss"][-1], torch.cat([p.detach().cpu().flatten() for p in solver.parameters()])


@pytest.mark.parametrize(
    "optimiser",
    [Adam(1e-3), SOAP(3e-3), LBFGS(), SSBroyden(), LevenbergMarquardt()],
    ids=lambda optimiser: type(optimiser).__name__,
)
def test_optimisers(optimiser):
    (expected, _), (found, _) = (train(device, [Phase(optimiser, steps=20)]) for device in PLACES)
    # SOAP turns its axes with those of matrices that are singular at first, in which rounding has a say.
    assert found == pytest.approx(expected, rel=0.05 if isinstance(optimiser, SOAP) else 1e-3)


@pytest.mark.parametrize(
    "weighting",
    [GradientAnnealing(), GradientNorm(), NeuralTangentKernel(), ReLoBRaLo(), Causal()],
    ids=lambda weighting: type(weighting).__name__,
)
def test_weightings(weighting):
    phases = [Phase(Adam(1e-3), steps=30, weighting=weighting)]
    (expected, _), (found, _) = (train(device, phases) for device in PLACES)
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("sampler", [ResidualAdaptive(), RetainResampleRelease()], ids=lambda s: type(s).__name__)
def test_samplers(sampler):
    phases = [Phase(Adam(1e-3), steps=30, sampler=sampler)]
    (expected, _), (found, _) = (train(device, phases) for device in PLACES)
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("optimiser", [Adam(1e-3), LevenbergMarquardt()], ids=lambda o: type(o).__name__)
def test_a_killed_run_goes_on_as_if_it_had_not_been(optimiser, tmp_path):
    class Kill(Callback):
        def on_step(self, run):
            if run.step == 12:
                raise RuntimeError("killed")

    def phases():
        return [Phase(optimiser, steps=20, weighting=GradientAnnealing(), sampler=ResidualAdaptive())]

    _, whole = train(DEVICE, phases())
    with pytest.raises(RuntimeError, match="killed"):
        train(DEVICE, phases(), folder=tmp_path, callbacks=[Kill()])
    _, parts = train(DEVICE, phases(), folder=tmp_path, resume=tmp_path)
    torch.testing.assert_close(parts, whole, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("problem", "solver", "budget", "bound"),
    [
        (problems.Helmholtz(), "pinn", {"steps": 220}, 1e-2),
        (problems.Helmholtz(), "experts", {"seconds": 10}, 1e-9),
        (problems.Burgers(), "experts", {"seconds": 20}, 1e-5),
        (problems.PoissonLShape(), "experts", {"seconds": 20}, 1e-6),
        (problems.InverseDiffusion(), "experts", {"seconds": 15}, 1e-2),
        (problems.InverseDiffusion(), "pinn", {"steps": 60}, 1.0),
        (problems.Convection(30.0), "lagrangian", {"steps": 20}, 1e-6),
        (problems.VariableConvection(), "lagrangian", {"steps": 40}, 1.0),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_problems_are_solved(problem, solver, budget, bound, tmp_path):
    solution = sciml.solve(problem, solver, device=DEVICE, folder=tmp_path / "run", progress=False, **budget)
    assert max(solution.relative_l2.values()) < bound
    points = problem.domain.sample(5, torch.Generator().manual_seed(0))
    loaded = sciml.load(tmp_path / "run", problem)(points)  # on the CPU
    for name, values in solution(points).items():
        torch.testing.assert_close(torch.as_tensor(loaded[name]).cpu(), torch.as_tensor(values).cpu(), rtol=1e-7, atol=1e-9)


def test_linear_least_squares():
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(4, 30, 7, generator=generator, dtype=torch.float64)
    matrix[2, :, 3] = matrix[2, :, 4]  # a singular one
    rhs = torch.randn(4, 30, generator=generator, dtype=torch.float64)
    for method in ("auto", "qr", "svd", "cholesky"):
        found = []
        for device in PLACES:
            a, b = matrix.to(device).requires_grad_(), rhs.to(device).requires_grad_()
            solution = linear_least_squares(a, b, method=method)
            fitted = (a @ solution.x[..., None]).squeeze(-1)
            (gradient,) = torch.autograd.grad(fitted[:2].square().sum(), b)
            found.append((fitted.detach().cpu(), gradient.cpu()))
        for expected, value in zip(*found, strict=True):
            torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6, msg=method)


def test_nonlinear_least_squares_and_its_gradient():
    t = torch.linspace(0, 1, 20, dtype=torch.float64)

    def fit(device, rates):
        place, rate = t.to(device), rates.to(device).requires_grad_()

        def residual(x, data):
            return x[..., :1] * torch.exp(-x[..., 1:] * place) - data

        data = torch.exp(-rate[:, None] * place) + 0.3 * place
        result = least_squares(residual, torch.ones(len(rates), 2, dtype=torch.float64, device=device), data)
        (gradient,) = torch.autograd.grad(result.x.square().sum(), rate)
        return result.x.detach().cpu(), gradient.cpu()

    rates = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
    for expected, value in zip(*(fit(device, rates) for device in PLACES), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", [SoftConstraint, HardConstraintMoE])
@pytest.mark.parametrize(
    "problem", [problems.DiffusionSorption(), problems.NavierStokesVorticity()], ids=lambda p: type(p).__name__
)
def test_hard_constraints_train(problem, kind):
    shape, experts = ((8, 8, 6), (2, 2, 1)) if len(problem.coordinates) == 3 else ((12, 8), (2, 1))
    hard = {"experts": experts, "bases": 3, "interface": True} if kind is HardConstraintMoE else {}
    losses = []
    for device in PLACES:
        generator = torch.Generator().manual_seed(0)
        network = Pointwise(MLP(kind.input_channels(problem), hard.get("bases", 1), width=6, depth=1, generator=generator))
        exact = isinstance(problem, problems.NavierStokesVorticity)
        solver = kind(
            problem, network, shape=shape, exact_initial=exact, condition_points=6, generator=generator, device=device, **hard
        )
        losses.append(Trainer([Phase(Adam(1e-3), steps=5)], progress=False, seed=0).fit(solver).history["loss"][-1])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


@pytest.mark.parametrize("target", ["distance", "indicator"])
def test_shapes(target):
    slices = sciml.slice_mesh(torus(), 9)
    tiny = {"centres": 300 if target == "distance" else 0, "points": 256, "grids": (4, 8)}
    preset = Preset((20, 20), 1500, (0.1, 0.05), target=target, solver=tiny)
    shape = sciml.reconstruct(slices, "orex", preset=preset, device=DEVICE, progress=False)
    inside, outside = shape.occupancy(torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])).tolist()
    assert not outside and (inside or target == "indicator")
    if target == "distance":
        assert shape.mesh(48).is_watertight


@pytest.fixture(scope="module")
def waves(tmp_path_factory):
    return write_waves(tmp_path_factory.mktemp("data") / "waves.h5")


OPERATORS = {
    "fno": {"n_modes": (4, 4), "hidden_channels": 8, "n_layers": 2},
    "drift_net": {"size": "tiny", "patch_size": 2},
    "scot": {"size": "tiny", "patch_size": 2},
    "unet": {},
    "deeponet": {},
}


@pytest.mark.parametrize("operator", OPERATORS)
def test_operators_train_predict_and_load(operator, waves, tmp_path):
    found = []
    for name, device in zip(("cpu", "accelerator"), PLACES, strict=True):
        options = OPERATORS[operator] | {"epochs": 2, "batch": 10, "device": device, "progress": False}
        trained = sciml.train(operator, waves, folder=tmp_path / name, **options)
        found.append(trained.history["loss"][-1])
    assert found[1] == pytest.approx(found[0], rel=2e-2)  # float32
    loaded = sciml.load_operator(tmp_path / "accelerator")
    fields, lead = torch.randn(2, 2, 16, 8), torch.full((2,), 0.25)
    predicted = trained.operator(fields.to(DEVICE), lead.to(DEVICE))
    assert predicted.device.type == DEVICE.type
    torch.testing.assert_close(loaded.to("cpu")(fields, lead), predicted.cpu(), rtol=1e-3, atol=1e-3)


def test_operators_train_in_lower_precision(waves):
    common = OPERATORS["drift_net"] | {"epochs": 2, "batch": 10, "progress": False, "device": DEVICE}
    plain, low = (sciml.train("drift_net", waves, **common, **o).history["loss"] for o in ({}, {"precision": "bfloat16-mixed"}))
    assert low[-1] == pytest.approx(plain[-1], rel=0.1)


def test_hooks_average_in_the_background_of_a_collective_of_one(tmp_path):
    backend = dist.get_default_backend_for_device(DEVICE)
    dist.init_process_group(backend, init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    try:
        network = MLP(2, 1, width=64, depth=3).to(DEVICE)
        averaging = distributed._Averaging()
        x = torch.randn(4096, 2, device=DEVICE)
        expected = torch.autograd.grad(network(x).square().mean(), list(network.parameters()))
        for parameter in network.parameters():
            parameter.register_hook(averaging)
        found = torch.autograd.grad(network(x).square().mean(), list(network.parameters()))
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other)
    finally:
        dist.destroy_process_group()
