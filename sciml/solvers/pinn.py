"""Physics-informed neural network: the unknowns are one network of the coordinates (Raissi et al. 2019)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from sciml.errors import InputError, SciMLError
from sciml.jets import Field, Jet, JetTensor, MultiIndexSet, UnsupportedFunction, autograd, taylor
from sciml.nn import MLP, ModifiedMLP, coordinate_embedding
from sciml.problem import INTERIOR, Condition, Observations, Periodic, Points, Problem
from sciml.solvers.row_jacobian import row_jacobian
from sciml.solvers.solver import Batch, Solver

NETWORKS: dict[str, Callable[..., nn.Module]] = {"mlp": MLP, "modified_mlp": ModifiedMLP}


class PINN(Solver):
    """A network trained on the residuals of the equations and conditions.

    The coordinates are normalised by the domain before they enter the network, and periodic coordinates enter through
    their sine and cosine, so that ``Periodic`` conditions hold exactly.

    Args:
        problem: what to solve.
        network: maps (N, ``input_features(problem)``) to (N, unknowns). None builds one of ``NETWORKS`` from
            ``network_options``: ``kind`` ("mlp" or "modified_mlp"), ``width``, ``depth``.
        points: collocation points of the equations, or a mapping that also sets those of conditions by name.
        condition_points: points of every other condition.
        periodic: make ``Periodic`` conditions exact by an embedding; False leaves them to the loss.
        generator: draws the default network's weights.
        derivatives: "taylor" or "autograd"; None takes Taylor mode whenever the network allows it.

    Raises:
        InputError: the problem's declaration or the network's size does not fit.
    """

    name = "pinn"

    def __init__(
        self,
        problem: Problem,
        network: nn.Module | None = None,
        *,
        points: int | dict[str, int] = 1024,
        condition_points: int = 256,
        periodic: bool = True,
        network_options: dict[str, Any] | None = None,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
        derivatives: str | None = None,
    ) -> None:
        problem.validate()
        conditions = problem.named_conditions()
        exact = [c for c in conditions.values() if periodic and isinstance(c, Periodic)]
        wanted = {INTERIOR: points} if isinstance(points, int) else points
        sizes = {INTERIOR: 1024} | {name: condition_points for name, c in conditions.items() if c not in exact} | wanted
        super().__init__(problem, sizes)
        self._configuration: dict[str, Any] = {}
        if network is None:
            options: dict[str, Any] = {"kind": "mlp", "width": 50, "depth": 4} | (network_options or {})
            self._configuration = {"points": sizes, "periodic": periodic, "network_options": dict(options)}
            network = NETWORKS[options.pop("kind")](
                self.input_features(problem, periodic), len(problem.unknowns), generator=generator, **options
            )
        low, high = problem.domain.bounds
        sides = dict(zip(problem.coordinates, (high - low).tolist(), strict=True))
        periods = {c.coordinate: sides[c.coordinate] for c in exact}
        self.embedding = coordinate_embedding(problem.coordinates, low, high, periods)
        self.network = network
        self._coefficients = problem.parameters()
        self.raw_coefficients = nn.ParameterDict(
            {name: nn.Parameter(p.to_raw(torch.tensor(p.start))) for name, p in self._coefficients.items()}
        )
        self.to(device=device, dtype=dtype)
        self._fixed = None if self._coefficients else self.conditions(problem)
        self._taylor = derivatives == "taylor"
        self._check_network(try_taylor=derivatives is None)
        self._derivatives = problem.collapsed_derivatives if self._taylor else problem.derivatives
        # Conditions that need the same derivatives share one pass through the network.
        self._groups: dict[MultiIndexSet, list[str]] = {}
        for name in self.conditions(problem):
            self._groups.setdefault(self._derivatives[name], []).append(name)
        self._name_terms()

    @staticmethod
    def input_features(problem: Problem, periodic: bool = True) -> int:
        """Number of features that the network sees: a periodic coordinate counts twice, as sine and cosine."""
        conditions = problem.named_conditions().values() if periodic else ()
        return len(problem.coordinates) + sum(isinstance(c, Periodic) for c in conditions)

    def conditions(self, problem: Problem) -> dict[str, Condition]:
        cached = getattr(self, "_fixed", None)
        return super().conditions(problem) if cached is None else cached

    def forward(self, points: Any) -> Any:
        """The unknowns (N, unknowns) at ``points`` (N, d), a tensor or a ``JetTensor``."""
        return self.network(self.embedding(points))

    def residuals(self, batch: Batch) -> dict[str, Tensor]:
        problem = self._bound()
        interior = batch[INTERIOR].coordinates
        residuals = problem.residuals(self.jets(interior, self._derivatives[INTERIOR]), interior)
        return residuals | self._condition_residuals(problem, batch)

    def row_jacobian(self, batch: Batch, parameters: Sequence[Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Residuals (N,) by term and their Jacobians (N, P) with respect to the flattened ``parameters``.

        Raises:
            UnsupportedNetwork: a parameter is no weight or bias of a linear layer.
        """
        problem = self._bound()
        conditions = self.conditions(problem)
        residuals: dict[str, Tensor] = {}
        jacobians: dict[str, Tensor] = {}
        for key, points in batch.items():
            sets = [points.coordinates] if points.images is None else [points.coordinates, points.images]

            def terms(key: str = key, points: Points = points, sets: list[Tensor] = sets) -> dict[str, Tensor]:
                jets = self.jets(torch.cat(sets), self._derivatives[key], expand=True)
                fields, *images = _split(jets, [len(points)] * len(sets))
                if key == INTERIOR:
                    return problem.residuals(fields, points.coordinates)
                return conditions[key].residuals(problem, fields, points, *images)

            values, rows = row_jacobian(terms, parameters, len(points), len(sets))
            residuals |= values
            jacobians |= rows
        return residuals, jacobians

    def jets(self, points: Tensor, indices: MultiIndexSet, expand: bool = False) -> dict[str, Jet]:
        """Jets of the unknowns at ``points`` (N, d), with the derivatives ``indices``."""
        names = self.problem.coordinates
        if self._taylor or len(indices) == 1:
            jets = taylor(self, points, names, indices, expand)
        else:
            jets = autograd(self, points, names)
        return dict(zip(self.problem.unknowns, jets, strict=True))

    def fields(self, points: Tensor) -> dict[str, Tensor]:
        problem = self._bound()
        indices = problem.derivatives.get("derived", MultiIndexSet((), len(problem.coordinates)))
        with torch.no_grad():
            jets = self.jets(points, indices)
            values = {name: jet.value for name, jet in jets.items()} | problem.derived_fields(jets, points)
        return {name: value.detach() for name, value in values.items()}

    def coefficients(self) -> dict[str, Tensor]:
        return {name: p.from_raw(self.raw_coefficients[name]) for name, p in self._coefficients.items()}

    def error_estimate(self) -> dict[str, float] | None:
        """Relative L2 error of every unknown, from the linearised equation for the error.

        None in more than two dimensions, in time alone, for problems with measurements (whose noise no solution fits),
        and where the equation for the error could not be solved.
        """
        from sciml.solvers.experts.error import estimate_error

        measured = any(isinstance(c, Observations) for c in self.problem.named_conditions().values())
        if measured or len(self.problem.coordinates) > 2 or not self.problem.space:
            return None
        try:
            return estimate_error(self.problem, copy.deepcopy(self).to(torch.float64), device=self.device)
        except SciMLError:
            return None

    def configuration(self) -> dict[str, Any]:
        return self._configuration

    @classmethod
    def from_configuration(cls, problem: Problem, configuration: dict[str, Any]) -> PINN:
        """The untrained solver that ``configuration`` describes.

        Raises:
            InputError: the solver was built around the caller's own network, which is not recorded.
        """
        if not configuration:
            raise InputError("this solution has a network of your own: build the PINN and load its weights into it")
        return cls(problem, **configuration)

    # ------------------------------------------------------------------------------------------------------------
    def _bound(self) -> Problem:
        return self.problem.bind(self.coefficients()) if self._coefficients else self.problem

    def _condition_residuals(self, problem: Problem, batch: Batch) -> dict[str, Tensor]:
        conditions = self.conditions(problem)
        residuals: dict[str, Tensor] = {}
        for indices, names in self._groups.items():
            sets = [batch[name].coordinates for name in names]
            sets += [partner for name in names if (partner := batch[name].images) is not None]
            jets = iter(_split(self.jets(torch.cat(sets), indices), [len(part) for part in sets]))
            fields = {name: next(jets) for name in names}
            images = {name: next(jets) for name in names if batch[name].images is not None}
            for name in names:
                residuals |= conditions[name].residuals(problem, fields[name], batch[name], images.get(name))
        return residuals

    def _check_network(self, try_taylor: bool) -> None:
        """Run the network once: a wrong size is told early, and a missing Taylor rule means autograd."""
        points = self.problem.domain.sample(2, torch.Generator().manual_seed(0)).to(self.device, self.dtype)
        features, unknowns = self.embedding(points).shape[-1], self.problem.unknowns
        try:
            shape = tuple(self(points).shape)
        except RuntimeError as error:
            raise InputError(
                f"network must take {features} features for this problem, see PINN.input_features: {error}"
            ) from error
        if shape != (2, len(unknowns)):
            raise InputError(
                f"network maps (2, {features}) to {shape}, expected (2, {len(unknowns)}): one output for each of {unknowns}"
            )
        if try_taylor:
            try:
                self(JetTensor.coordinates(points, self.problem.derivatives[INTERIOR]))
                self._taylor = True
            except (UnsupportedFunction, TypeError, AttributeError):
                self._taylor = False

    def _name_terms(self) -> None:
        problem, generator = self._bound(), torch.Generator().manual_seed(0)
        points = {name: c.sample(problem, 2, generator) for name, c in self.conditions(problem).items()}
        self.term_points = {}
        interior = problem.domain.sample(2, generator).to(self.device, self.dtype)
        for term in problem.residuals(self.jets(interior, self._derivatives[INTERIOR]), interior):
            self.term_points[term] = INTERIOR
        for name, condition in self.conditions(problem).items():
            drawn = points[name].to(self.device, self.dtype)
            fields = self.jets(drawn.coordinates, self._derivatives[name])
            self.term_points |= dict.fromkeys(condition.residuals(problem, fields, drawn, fields), name)
        self.term_kinds = {t: "equation" if key == INTERIOR else "condition" for t, key in self.term_points.items()}


def _split(fields: dict[str, Jet], sizes: list[int]) -> list[dict[str, Jet]]:
    """Jets at concatenated points as jets at each of the parts."""

    def part(jet: Jet, start: int, stop: int) -> Jet:
        return Field(
            jet.names, lambda index: jet.partial(index)[start:stop], lambda group: jet.partial_sum(group)[start:stop]
        )

    if len(sizes) == 1:
        return [fields]
    ends = accumulate(sizes)
    return [
        {name: part(jet, end - size, end) for name, jet in fields.items()} for size, end in zip(sizes, ends, strict=True)
    ]
