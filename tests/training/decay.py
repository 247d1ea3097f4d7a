"""The smallest solver that trains: a network for u' = -u, u(0) = 1 on [0, 1]."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sciml.problem import Points
from sciml.solvers import Batch, Solver


class Problem:
    coordinates, unknowns, time = ("t",), ("u",), "t"


class Decay(Solver):
    """``spoil_after``: number of evaluations after which the equation's residual is not a number."""

    name = "decay"
    term_kinds = {"decay": "equation", "initial_u": "condition"}  # noqa: RUF012
    term_points = {"decay": "interior", "initial_u": "initial_u"}  # noqa: RUF012

    def __init__(self, width: int = 8, dtype: torch.dtype = torch.float64, spoil_after: float = torch.inf) -> None:
        super().__init__(Problem(), {"interior": 16, "initial_u": 4})  # type: ignore[arg-type]
        self.network = nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Linear(width, 1)).to(dtype)
        generator = torch.Generator().manual_seed(0)
        for parameter in self.network.parameters():
            nn.init.normal_(parameter, std=0.5, generator=generator)
        self.evaluations, self.spoil_after = 0, spoil_after

    @property
    def device(self) -> torch.device:
        return self.network[0].weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.network[0].weight.dtype

    def sample(self, generator: torch.Generator, method: str = "uniform", scale: int = 1) -> Batch:
        drawn = torch.rand(scale * 16, 1, generator=generator, dtype=self.dtype, device=self.device)
        return {"interior": Points(drawn), "initial_u": Points(torch.zeros(4, 1, dtype=self.dtype, device=self.device))}

    def residuals(self, batch: Batch) -> dict[str, Tensor]:
        self.evaluations += 1
        t = batch["interior"].coordinates.detach().requires_grad_()
        u = self.network(t)
        (u_t,) = torch.autograd.grad(u.sum(), t, create_graph=True)
        decay = (u_t + u).squeeze(1)
        if self.evaluations > self.spoil_after:
            decay = decay * torch.nan
        return {"decay": decay, "initial_u": self.network(batch["initial_u"].coordinates).squeeze(1) - 1}

    def fields(self, points: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            return {"u": self.network(points).squeeze(1)}

    def configuration(self) -> dict[str, Any]:
        return {}

    def errors(self) -> dict[str, float]:
        t = torch.linspace(0, 1, 33, dtype=self.dtype, device=self.device)
        true = torch.exp(-t)
        return {"u": float((self.fields(t.unsqueeze(1))["u"] - true).norm() / true.norm())}


def weights(solver: Decay) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in solver.parameters()])


def trainer(phases: Any, **settings: Any) -> Any:
    from sciml.training import Every, Trainer

    standard = {"progress": False, "log_every": 10, "evaluate_every": Every(steps=20), "checkpoint_every": 10}
    return Trainer(phases, **(standard | settings))
