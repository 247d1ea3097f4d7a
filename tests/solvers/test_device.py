"""Nothing on the way from points to gradients creates a tensor on the CPU or waits for a number.

The device is PyTorch's "meta", which carries shapes alone: mixing it with a CPU tensor raises, and so does reading a value.
A real accelerator, when there is one, is held against the CPU.
"""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import problems
from sciml import MLP, PINN, Adam, GradientAnnealing, ModifiedMLP, Phase, Trainer
from sciml.losses import Terms

PROBLEMS = [problems.Helmholtz(), problems.KleinGordon(), problems.KdV(), problems.TaylorGreen(), problems.Convection()]


class NoCPU(TorchDispatchMode):
    """Raises whenever an operation returns a CPU tensor."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.device.type == "cpu":
                raise AssertionError(f"{function} made a tensor on the CPU")
        return result


def build(problem, network, device):
    size = PINN.input_features(problem), len(problem.unknowns)
    return PINN(problem, network(*size, width=6, depth=2), points=8, condition_points=4, device=device)


@pytest.mark.parametrize("network", [MLP, ModifiedMLP])
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: type(p).__name__)
def test_residuals_and_gradients_stay_on_the_device(problem, network):
    solver = build(problem, network, "meta")
    batch = solver.sample(torch.Generator().manual_seed(0))
    with NoCPU():
        residuals = solver.residuals(batch)
        loss = torch.stack([residual.square().mean() for residual in residuals.values()]).sum()
        gradients = torch.autograd.grad(loss, list(solver.parameters()))
    assert all(gradient.device.type == "meta" for gradient in gradients)


def test_the_check_notices_a_forgotten_device():
    class Forgetful(problems.Helmholtz):
        def equations(self, u, x, y):
            return {"helmholtz": u.xx + u.yy + torch.ones(len(x))}

    solver = build(problems.Helmholtz(), MLP, "meta")
    solver.problem = Forgetful()
    with pytest.raises((AssertionError, RuntimeError)), NoCPU():
        solver.residuals(solver.sample(torch.Generator().manual_seed(0)))


def test_weights_of_annealing_stay_on_the_device():
    solver = build(problems.Helmholtz(), MLP, "meta")
    batch = solver.sample(torch.Generator().manual_seed(0))
    residuals = solver.residuals(batch)
    points = {name: batch[key].coordinates for name, key in solver.term_points.items()}
    generator = torch.Generator()
    terms = Terms(residuals, points, solver.term_kinds, list(solver.parameters()), generator)
    assert all(weight.device.type == "meta" for weight in GradientAnnealing()(terms).values())


@pytest.mark.skipif(not torch.accelerator.is_available(), reason="no accelerator")
def test_an_accelerator_trains_like_the_cpu():
    losses = {}
    for device in ("cpu", torch.accelerator.current_accelerator()):
        solver = build(problems.KleinGordon(), ModifiedMLP, device)
        history = Trainer([Phase(Adam(1e-3), steps=50)], progress=False, seed=0).fit(solver).history
        losses[str(device)] = history["loss"][-1]
    first, second = losses.values()
    assert first == pytest.approx(second, rel=1e-6)
