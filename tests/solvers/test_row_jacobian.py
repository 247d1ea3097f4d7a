"""The fast Jacobian of a PINN's residuals equals automatic differentiation row by row."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from sciml import (
    MLP,
    PINN,
    Dirichlet,
    Initial,
    Integral,
    Interval,
    ModifiedMLP,
    Neumann,
    Observations,
    Parameter,
    Periodic,
    Problem,
    Rectangle,
    Time,
)  # fmt: skip
from sciml.solvers.row_jacobian import UnsupportedNetwork


class Everything(Problem):
    """A system with most kinds of conditions and an unknown coefficient."""

    viscosity = Parameter(0.3, positive=True)
    coordinates, unknowns = ("x", "t"), ("u", "p")
    domain = Interval("x", 0, 1) * Time("t", 0, 1)

    def equations(self, u, p, x, t):
        return {"momentum": u.t + u * u.x + p.x - self.viscosity * u.xx, "pressure": p.xx + torch.sin(x) * u.x**2}

    def conditions(self):
        return [
            Initial(u=lambda x: torch.sin(math.pi * x), u_t=0.0),
            Dirichlet(p=0.0, on="left"),
            Neumann(p=lambda t: t, on="right"),
            Periodic("x"),
            Integral(p=1.0),
            Observations([[0.5, 0.5], [0.2, 0.1]], u=[1.0, 2.0]),
        ]


@pytest.mark.parametrize("network", [MLP, ModifiedMLP])
def test_row_jacobian_equals_autograd(network):
    solver = PINN(Everything(), network(2, 2, width=6, depth=2), periodic=False, points=5, condition_points=9)
    batch = solver.sample(torch.Generator().manual_seed(0))
    parameters = list(solver.parameters())
    residuals, jacobians = solver.row_jacobian(batch, parameters)
    direct = solver.residuals(batch)
    assert residuals.keys() == direct.keys() == jacobians.keys()
    for name, residual in direct.items():
        torch.testing.assert_close(residuals[name], residual.detach(), rtol=1e-12, atol=1e-13)
        rows = [
            torch.cat([g.flatten() for g in torch.autograd.grad(r, parameters, retain_graph=True, materialize_grads=True)])
            for r in residual
        ]
        torch.testing.assert_close(jacobians[name], torch.stack(rows), rtol=1e-10, atol=1e-11, msg=name)


def test_other_parameters_are_refused():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.scale = nn.Linear(2, 1), nn.Parameter(torch.ones(2))

        def forward(self, x):
            return torch.tanh(self.layer(x * self.scale))

    class Laplace(Problem):
        coordinates, unknowns, domain = ("x", "y"), ("u",), Rectangle(("x", "y"), (0, 0), (1, 1))

        def equations(self, u, x, y):
            return {"laplace": u.xx + u.yy}

    solver = PINN(Laplace(), Scaled())
    with pytest.raises(UnsupportedNetwork):
        solver.row_jacobian(solver.sample(torch.Generator().manual_seed(0)), list(solver.parameters()))
