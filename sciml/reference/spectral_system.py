"""A declared evolution equation on a periodic box as ordinary differential equations for Fourier coefficients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.problem import Problem
from sciml.reference.fourier import FourierGrid
from sciml.reference.linear_part import Key, LinearPart, evaluate_equations, linear_part

_JUMP = 0.01  # of the root mean square
_REACTION = 10.0  # a rate without derivatives is resolved so many times better than a wave


class SpectralSystem:
    """v' = symbol v + nonlinear(v) for the coefficients v, (evolving, instances, *modes).

    Attributes:
        evolving: the unknowns with a derivative in time. The others follow from them by linear equations.
        symbol: what is linear with constant coefficients and couples no unknowns, (evolving, 1, *modes).

    Raises:
        InputError: the problem is not of this kind, and why.
    """

    def __init__(self, problem: Problem, grid: FourierGrid, device: torch.device | None) -> None:
        self._problem, self._grid, self._keep = problem, grid, grid.dealias(device=device)
        self._time = problem.coordinates.index(problem.time or "")
        linear = linear_part(problem)
        self.evolving = tuple(linear.evolution)
        self._rows = [row for row, _ in linear.evolution.values()]
        self._scales = [-1 / scale for _, scale in linear.evolution.values()]
        self._explicit = sorted({key for _, key in linear.varying})
        self._waves = {index: self._wave(index) for _, index in self._explicit}
        self._places = [axis.unsqueeze(0) for axis in grid.points(device=device)]
        self._places.insert(self._time, torch.zeros_like(self._places[0]))
        implicit = {(row, key): slope for (row, key), slope in linear.constant.items() if key not in self._explicit}
        coupling = self._operators(implicit, self._rows, problem.unknowns)
        coupling *= torch.tensor(self._scales, device=device).reshape(-1, *(1,) * (coupling.ndim - 1))
        own = [(i, problem.unknowns.index(unknown)) for i, unknown in enumerate(self.evolving)]
        self.symbol = torch.stack([coupling[place] for place in own]).unsqueeze(1)
        for place in own:
            coupling[place] = 0
        self._coupling = {(i, j): coupling[i, j] for i, j in coupling.flatten(2).ne(0).any(2).nonzero().tolist()}
        self._matrix, self._defect = self._expansion(linear)

    def unknowns(self, state: Tensor) -> Tensor:
        """Coefficients (unknowns, instances, *modes) of all unknowns, in declared order."""
        return torch.einsum("ue...,eb...->ub...", self._matrix, state)

    def nonlinear(self, state: Tensor) -> Tensor:
        """What ``symbol`` leaves, (evolving, instances, *modes)."""
        spectra = self.unknowns(state)
        rest = {i: term for i, term in enumerate(self._rest(self._fields(spectra))) if term.ndim or term != 0}
        result = torch.zeros_like(state)
        if rest:
            fields = torch.stack([term.expand(state.shape[1], *self._grid.shape) for term in rest.values()])
            result[list(rest)] = self._grid.forward(fields) * self._keep
        for (i, j), operator in self._coupling.items():
            result[i] += operator * spectra[j]
        return result

    def rate(self, state: Tensor) -> float:
        """A bound for the frequencies of ``nonlinear`` about ``state``, from its derivatives."""
        with torch.enable_grad():
            fields = {key: field.requires_grad_() for key, field in self._fields(self.unknowns(state)).items()}
            rest = self._rest(fields)
        rates = torch.zeros(len(self.evolving), len(self.evolving), dtype=torch.float64)
        for i, term in enumerate(rest):
            if term.requires_grad:
                gradients = torch.autograd.grad(term.sum(), list(fields.values()), allow_unused=True, retain_graph=True)
                for key, gradient in zip(fields, gradients, strict=True):
                    if gradient is not None:
                        rates[i] += gradient.abs().max().item() * self._frequencies(i, *key)
        for (i, j), operator in self._coupling.items():
            rates[i] += _largest(operator * self._matrix[j])
        return float(torch.linalg.eigvals(rates).abs().max())

    def consistent(self, state: Tensor) -> Tensor:
        """``state`` with means that satisfy the equations without a derivative in time, as zero mean vorticity does.

        What sampling a steep field leaves is taken out; raises InputError when that is more than a small part of it.
        """
        if not self._defect.numel():
            return state
        modes = state.flatten(2).clone()
        wrong = torch.linalg.pinv(self._defect) @ self._defect @ modes[:, :, 0]
        if (wrong.abs() > _JUMP * modes.abs().square().sum(2).sqrt()).any():
            raise InputError(
                f"the means of {', '.join(self.evolving)} in {type(self._problem).__name__} contradict the equations "
                "without a derivative in time, as a mean vorticity on a periodic box does; make them zero"
            )
        modes[:, :, 0] -= wrong
        return modes.view_as(state)

    def _fields(self, spectra: Tensor) -> dict[Key, Tensor]:
        """The derivatives (instances, *grid) that enter nonlinearly."""
        position = self._problem.unknowns.index
        derived = [self._waves[index] * spectra[position(unknown)] for unknown, index in self._explicit]
        return dict(zip(self._explicit, self._grid.inverse(torch.stack(derived)), strict=True)) if derived else {}

    def _rest(self, fields: Mapping[Key, Tensor]) -> list[Tensor]:
        """By evolving unknown, what the equations make of ``fields`` when all that is treated as linear is zero."""
        zero = self._places[0].new_zeros(())
        residuals = evaluate_equations(self._problem, lambda key: fields.get(key, zero), self._places, self._rows)
        return [scale * residual for scale, residual in zip(self._scales, residuals, strict=True)]

    def _frequencies(self, row: int, unknown: str, index: tuple[int, ...]) -> Tensor:
        """How much a derivative of an unknown exceeds each evolving unknown, (evolving,)."""
        bounds = _largest(self._waves[index] * self._matrix[self._problem.unknowns.index(unknown)])
        if not any(index):
            if unknown not in self.evolving:
                return torch.zeros_like(bounds)  # an integral of the others: slow
            bounds[row] *= _REACTION
        return bounds

    def _wave(self, index: tuple[int, ...]) -> Tensor:
        orders = [order for axis, order in enumerate(index) if axis != self._time]
        return self._grid.derivative(*orders, device=self._keep.device) * self._keep

    def _operators(self, slopes: Mapping[tuple[int, Key], float], rows: Sequence[int], unknowns: Sequence[str]) -> Tensor:
        """The linear operators (rows, unknowns, *modes) with these coefficients, derivatives in time left out."""
        result = torch.zeros(len(rows), len(unknowns), *self._keep.shape, dtype=torch.complex128, device=self._keep.device)
        for (row, (unknown, index)), slope in slopes.items():
            if row in rows and unknown in unknowns and not index[self._time]:
                result[rows.index(row), unknowns.index(unknown)] += slope * self._wave(index)
        return result

    def _expansion(self, linear: LinearPart) -> tuple[Tensor, Tensor]:
        """All unknowns from those that evolve, (unknowns, evolving, *modes), and what the means then leave to satisfy."""
        names, modes = self._problem.unknowns, self._keep.shape
        matrix = torch.zeros(len(names), len(self.evolving), *modes, dtype=torch.complex128, device=self._keep.device)
        for i, unknown in enumerate(self.evolving):
            matrix[names.index(unknown), i] = self._keep.to(matrix)
        slaved = [unknown for unknown in names if unknown not in self.evolving]
        if not linear.constraints and not slaved:
            return matrix, matrix.new_zeros(0)
        left, right = (
            self._operators(linear.constant, linear.constraints, unknowns).permute(*range(2, 2 + len(modes)), 0, 1)
            for unknowns in (slaved, self.evolving)
        )
        solution = -torch.linalg.pinv(left) @ right
        defect = left @ solution + right
        ranks = torch.linalg.matrix_rank(left)
        wrong = self._keep & ((ranks < len(slaved)) | (defect.abs().amax((-2, -1)) > 1e-9 * (1 + right.abs().amax((-2, -1)))))
        wrong.view(-1)[0] = False  # means are determined by convention
        if wrong.any():
            raise InputError(
                f"the equations of {type(self._problem).__name__} without a derivative in time do not determine "
                f"{', '.join(slaved) or 'anything'} from {', '.join(self.evolving)} alone; "
                "write an incompressible flow in terms of its vorticity"
            )
        for i, unknown in enumerate(slaved):
            matrix[names.index(unknown)] = solution[..., i, :].movedim(-1, 0)
        return matrix, defect[(0,) * len(modes)]


def _largest(operators: Tensor) -> Tensor:
    return operators.flatten(1).abs().amax(1).cpu()
