"""The function that an optimiser sees: a solver's weighted residuals on the current points."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from sciml.errors import InputError
from sciml.losses import raised
from sciml.solvers.row_jacobian import UnsupportedNetwork
from sciml.solvers.solver import Batch, Trainable
from sciml.training import distributed


class ResidualObjective:
    """``sum over terms of mean(weight * |residual|**power)``, an ``Objective`` of the solver's trainable parameters.

    Residuals that were evaluated for a weighting serve the first loss of the step, too.

    Args:
        compile: evaluate the residuals through ``torch.compile``.
        autocast: type that the operations of the residuals are cast to where that is safe; None for none.
    """

    def __init__(self, solver: Trainable, compile: bool = False, autocast: torch.dtype | None = None) -> None:
        named = {name: parameter for name, parameter in solver.named_parameters() if parameter.requires_grad}
        if not named:
            raise InputError("the solver has no parameter that requires a gradient; there is nothing to train")
        self.names: list[str] = list(named)
        self.parameters: list[Tensor] = list(named.values())
        self.version = 0
        self.batch: Batch = {}
        self.weights: Mapping[str, Tensor] = {}
        self._caller = _Caller(solver)
        self._powers = solver.term_powers
        self._evaluate = _compiled(solver.residuals) if compile else solver.residuals
        if autocast is not None:
            self._evaluate = torch.autocast(solver.device.type, autocast)(self._evaluate)
        self._fresh: dict[str, Tensor] | None = None
        self._latest: dict[str, Tensor] = {}

    def set_points(self, batch: Batch) -> None:
        if batch is not self.batch:
            self.batch, self._fresh = batch, None
            self.version += 1

    def set_weights(self, weights: Mapping[str, Tensor]) -> None:
        self.weights = weights
        self.version += 1

    def restore(self, batch: Batch, weights: Mapping[str, Tensor], version: int) -> None:
        """Continue where ``version`` counted the changes of points and weights."""
        self.batch, self.weights, self.version = batch, weights, version

    def residuals(self) -> dict[str, Tensor]:
        """Residual vector (N_i,) of every term at the current parameters, with its graph; kept for the next loss."""
        self._fresh = self._latest = self._evaluate(self.batch)
        return self._fresh

    def loss(self) -> Tensor:
        terms = [self._weighted(name, self._raised(name, residual)).mean() for name, residual in self._take().items()]
        return distributed.with_average_value(torch.stack(terms).sum())

    def residual_vector(self, parameters: dict[str, Tensor] | None = None) -> Tensor:
        if distributed.world_size() > 1:
            raise InputError("least squares run in one process; under torchrun use Adam, SOAP, LBFGS or SSBroyden")
        for name, power in self._powers.items():
            if power != 2:
                raise InputError(f"the loss of {name!r} is no mean square (power {power:g}); use Adam, AdamW or SOAP")
        with torch.enable_grad():  # the caller may want no graph, but the solver may differentiate by its points
            residuals = self._take() if parameters is None else self._caller.at(parameters, self.batch)
        return torch.cat([self._weighted(name, r, root=True) / len(r) ** 0.5 for name, r in residuals.items()])

    def jacobian(self) -> tuple[Tensor, Tensor] | None:
        """``residual_vector()`` (M,) and its Jacobian (M, P); None where the solver has no short cut to it."""
        rows = getattr(self._caller.solver, "row_jacobian", None)
        if rows is None or distributed.world_size() > 1:
            return None
        try:
            residuals, jacobians = rows(self.batch, self.parameters)
        except UnsupportedNetwork:
            return None
        self._fresh, self._latest = None, residuals
        weight = {name: self._weighted(name, torch.ones_like(r), root=True) / len(r) ** 0.5 for name, r in residuals.items()}
        r = torch.cat([weight[name] * residual for name, residual in residuals.items()])
        return r, torch.cat([weight[name].unsqueeze(1) * jacobian for name, jacobian in jacobians.items()])

    def mean_squares(self) -> dict[str, float]:
        """Mean square (or other power) of every term, unweighted, as last evaluated."""
        means = torch.stack([self._raised(name, residual.detach()).mean() for name, residual in self._latest.items()])
        return dict(zip(self._latest, distributed.average(means).tolist(), strict=True))

    def mean_weights(self) -> dict[str, float]:
        """Mean weight of every term."""
        weights = [self.weights[name].mean() if name in self.weights else r.new_ones(()) for name, r in self._latest.items()]
        return dict(zip(self._latest, torch.stack(weights).tolist(), strict=True)) if weights else {}

    def _take(self) -> dict[str, Tensor]:
        residuals = self._evaluate(self.batch) if self._fresh is None else self._fresh
        self._fresh, self._latest = None, residuals
        return residuals

    def _raised(self, name: str, residual: Tensor) -> Tensor:
        return raised(residual, self._powers.get(name, 2))

    def _weighted(self, name: str, value: Tensor, root: bool = False) -> Tensor:
        weight = self.weights.get(name)
        if weight is None:
            return value
        return value * (weight.sqrt() if root else weight)


def _compiled(evaluate: Callable[[Batch], dict[str, Tensor]]) -> Callable[[Batch], dict[str, Tensor]]:
    """``evaluate`` through ``torch.compile``."""
    from torch._functorch import config

    config.donated_buffer = False  # weightings go backward through one graph several times
    return torch.compile(evaluate)


class _Caller(nn.Module):
    """Evaluates the solver's residuals at parameters other than its own."""

    def __init__(self, solver: Trainable) -> None:
        super().__init__()
        self.solver = solver

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return self.solver.residuals(batch)

    def at(self, parameters: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        named = {f"solver.{name}": value for name, value in parameters.items()}
        return torch.func.functional_call(self, named, (batch,))
