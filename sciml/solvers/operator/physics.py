"""The equations of a declared problem on predicted fields: the jets of an operator come from its grid and its lead time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from sciml.data import Trajectories
from sciml.errors import InputError
from sciml.jets import Field, Jet, MultiIndex
from sciml.jets.grid import finite_difference, fourier
from sciml.problem import Problem
from sciml.solvers.operator.signature import Signature


class GridEquations:
    """Residuals of ``problem`` on fields of a grid, over the size of each equation's own terms.

    Derivatives in space are spectral on a periodic grid, otherwise finite differences. A coefficient that ``data`` hold a
    number a sample of takes that.

    Raises:
        InputError: the fields are not the unknowns and coordinates of the problem, or it needs more than one derivative in
            time.
    """

    def __init__(self, problem: Problem, data: Trajectories, signature: Signature) -> None:
        name = type(problem).__name__
        missing = [unknown for unknown in problem.unknowns if unknown not in signature.channels]
        if missing:
            raise InputError(
                f"physics needs every unknown of {name}, but the data have no channel {missing[0]!r}; leave physics out"
            )
        if problem.time is None or set(problem.space) != set(signature.axes):
            raise InputError(
                f"physics needs the coordinates of {name} ({', '.join(problem.coordinates)}) as the axes of the data "
                f"({', '.join(signature.axes)}) and time; leave physics out"
            )
        if any(problem.order(unknown, problem.time) > 1 for unknown in problem.unknowns):
            raise InputError(f"physics needs equations of first order in time, but those of {name} are of higher; leave it out")
        self.problem, self.signature = problem, signature
        self.axes = {axis: torch.from_numpy(np.asarray(values, dtype=np.float64)) for axis, values in data.grid.items()}
        numbers = {key for key in data.parameters if isinstance(getattr(problem, key, None), float)}
        self.parameters = {key: data.parameters[key] for key in numbers}
        developed = data.read(slice(0, 1), slice(-1, None))[0]
        coefficients = self.coefficients(torch.zeros(1, dtype=torch.long), developed)
        sizes = self.terms(developed, torch.as_tensor(data.times[-1:]), coefficients)
        self.sizes = {key: float(size) for key, size in sizes.items()}

    def coefficients(self, samples: Tensor, like: Tensor) -> dict[str, Tensor]:
        """The numbers of the ``samples`` (B,) by name."""
        return {name: values[samples].to(like) for name, values in self.parameters.items()}

    def __call__(self, fields: Tensor, slopes: Tensor, times: Tensor, coefficients: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Residual (B * points,) of every equation, 1 where it is as large as the terms that should cancel.

        Args:
            fields, slopes: the channels (B, channels, *grid) and their derivative in time.
            times: of the fields (B,).
            coefficients: numbers (B,) of the samples by name.
        """
        jets = {unknown: self._jet(fields[:, i], slopes[:, i]) for unknown, i in self._channels()}
        return {name: r / self.sizes[name] for name, r in self._evaluate(jets, fields, times, coefficients).items()}

    def terms(self, fields: Tensor, times: Tensor, coefficients: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Root mean square of d residual / d jet times the jet, summed over the derivatives, where nothing changes in time."""
        entries: list[Tensor] = []

        def leaf(jet: Jet) -> Jet:
            def partial(index: MultiIndex) -> Tensor:
                entries.append(jet.partial(index).detach().requires_grad_())
                return entries[-1]

            return Field(jet.names, partial)

        jets = {unknown: leaf(self._jet(fields[:, i], torch.zeros_like(fields[:, i]))) for unknown, i in self._channels()}
        with torch.enable_grad():
            residuals = self._evaluate(jets, fields, times, coefficients)
        sizes = {}
        for name, residual in residuals.items():
            slopes = torch.autograd.grad(residual.sum(), entries, retain_graph=True, materialize_grads=True)
            squares = torch.stack([(g * e.detach()).square() for g, e in zip(slopes, entries, strict=True)]).sum(0)
            sizes[name] = squares.mean().sqrt().clamp(min=torch.finfo(squares.dtype).tiny)
        return sizes

    def _channels(self) -> list[tuple[str, int]]:
        return [(unknown, self.signature.channels.index(unknown)) for unknown in self.problem.unknowns]

    def _evaluate(
        self, jets: Mapping[str, Jet], fields: Tensor, times: Tensor, coefficients: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        grid = fields.shape[2:]
        columns = dict(zip(self.axes, torch.meshgrid(*(a.to(fields) for a in self.axes.values()), indexing="ij"), strict=True))
        whole = (len(fields), *grid)
        spread = [-1, *[1] * len(grid)]
        assert self.problem.time is not None
        columns[self.problem.time] = times.to(fields).reshape(spread)
        points = torch.stack([columns[name].expand(whole).reshape(-1) for name in self.problem.coordinates], -1)
        bound = {name: value.reshape(spread).expand(whole).reshape(-1) for name, value in coefficients.items()}
        return self.problem.bind(bound).residuals(jets, points)

    def _jet(self, field: Tensor, slope: Tensor) -> Jet:
        """Of one unknown, from its values and derivatives in time (B, *grid)."""
        by_order = [self._in_space(field), self._in_space(slope)]
        names = self.problem.coordinates
        time = names.index(self.problem.time or "")

        def partial(index: MultiIndex) -> Tensor:
            orders = dict(zip(names, index, strict=True))
            return by_order[index[time]].partial(tuple(orders[axis] for axis in self.axes)).flatten()

        return Field(names, partial)

    def _in_space(self, values: Tensor) -> Jet:
        spacings = [float(axis[1] - axis[0]) for axis in self.axes.values()]
        if all(self.signature.periodic):
            return fourier(values, [h * len(a) for h, a in zip(spacings, self.axes.values(), strict=True)], list(self.axes))
        return finite_difference(values, spacings, list(self.axes))
