"""No step of training creates a tensor without naming the device of the data at hand.

PyTorch's default device is set to "meta" meanwhile: a tensor made there meets one of the CPU and raises. (The whole
computation cannot run on "meta" as in tests/solvers/test_device.py, because a least-squares iteration reads numbers.)
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from problems import DiffusionSorption, NavierStokesVorticity
from sciml import MLP, HardConstraintMoE, Pointwise, SoftConstraint

FLOW = NavierStokesVorticity()
SHAPES = {"DiffusionSorption": (12, 8), "NavierStokesVorticity": (8, 8, 8)}


def train(problem, kind, **options):
    """Residuals and gradients of one step, all points drawn before the default device changes."""
    network = Pointwise(MLP(kind.input_channels(problem), 3 if kind is HardConstraintMoE else 1, width=6, depth=1))
    shape = SHAPES[NavierStokesVorticity.__name__ if problem is FLOW else DiffusionSorption.__name__]
    solver = kind(problem, network, shape=shape, exact_initial=problem is FLOW, condition_points=6, **options)
    batch = solver.sample(torch.Generator().manual_seed(0))
    with torch.device("meta"):
        residuals = solver.residuals(batch)
        loss = torch.stack([residual.square().mean() for residual in residuals.values()]).sum()
        gradients = torch.autograd.grad(loss, list(solver.parameters()))
    assert all(gradient.device.type == "cpu" and gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("problem", [DiffusionSorption(), FLOW], ids=lambda problem: type(problem).__name__)
@pytest.mark.parametrize("interface", [None, False, True])
def test_a_step_stays_on_the_device(problem, interface):
    if interface is None:
        return train(problem, SoftConstraint)
    experts = (2, 2, 1) if problem is FLOW else (2, 1)
    return train(problem, HardConstraintMoE, bases=3, experts=experts, interface=interface, rows=20)


def test_the_check_notices_a_forgotten_device():
    @dataclass(frozen=True)
    class Forgetful(DiffusionSorption):
        def equations(self, u, x, t):
            return {"diffusion_sorption": u.t - self.diffusion * u.xx + torch.zeros(len(x.value))}

    with pytest.raises(RuntimeError, match="meta"):
        train(Forgetful(), HardConstraintMoE, bases=3, experts=(2, 1))


@pytest.mark.skipif(not torch.accelerator.is_available(), reason="no accelerator")
def test_an_accelerator_solves_like_the_cpu():
    fields = []
    for device in ("cpu", torch.accelerator.current_accelerator()):
        generator = torch.Generator().manual_seed(0)
        network = Pointwise(MLP(3, 3, width=6, depth=1, generator=generator))
        solver = HardConstraintMoE(DiffusionSorption(), network, shape=(12, 8), bases=3, experts=(2, 1), device=device)
        fields.append(solver.predict([DiffusionSorption()])["u"].cpu())
    torch.testing.assert_close(*fields, rtol=1e-6, atol=1e-8)
