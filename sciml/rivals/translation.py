"""A declared problem in DeepXDE's terms, trained by its documented recipe.

Importing DeepXDE sets a default device and needs an environment variable, so that this is a process of its own:
``python -m sciml.rivals.translation REQUEST.json`` with ``DDE_BACKEND=pytorch``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciml.jets import Field, Jet, MultiIndex, autograd
from sciml.problem import INTERIOR, Observations, Points, Problem, sample_batch
from sciml.registry import get_problem
from sciml.solution import Solution

INTERIOR_POINTS, CONDITION_POINTS = 2540, 160
WIDTH, DEPTH, LEARNING_RATE = 50, 3, 1e-3
ITERATIONS = 10  # of L-BFGS between two looks at the clock


class Translation:
    """Residuals of a problem from DeepXDE's inputs and outputs; derivatives are computed once a forward pass.

    Args:
        batch: points of every condition.
        variables: the unknown coefficients as DeepXDE trains them.
    """

    def __init__(self, problem: Problem, batch: Mapping[str, Points], variables: Mapping[str, Tensor]) -> None:
        self.problem, self.batch, self.variables = problem, batch, variables
        self._conditions = problem.named_conditions()
        self._outputs: Tensor | None = None
        self._fields: dict[str, Jet] = {}

    @property
    def bound(self) -> Problem:
        """The problem with its unknown coefficients as they stand."""
        return self.problem.bind(self.coefficients())

    def coefficients(self) -> dict[str, Tensor]:
        parameters = self.problem.parameters()
        return {name: parameters[name].from_raw(raw) for name, raw in self.variables.items()}

    def fields(self, inputs: Tensor, outputs: Tensor) -> dict[str, Jet]:
        """Jets of the unknowns from ``inputs`` (N, d) and ``outputs`` (N, U)."""
        if outputs is not self._outputs:
            jets = autograd(lambda _: outputs, inputs, self.problem.coordinates)
            self._outputs, self._fields = outputs, dict(zip(self.problem.unknowns, jets, strict=True))
        return self._fields

    def equations(self, inputs: Tensor, outputs: Tensor) -> list[Tensor]:
        """What ``dde.data.PDE`` calls for the residuals of the equations."""
        return list(self.bound.residuals(self.fields(inputs, outputs), inputs).values())

    def conditions(self) -> list[Any]:
        """The conditions as boundary conditions of DeepXDE."""
        return [self._imposed(name) for name in self._conditions]

    def _imposed(self, name: str) -> Any:
        import deepxde

        points, translation = self.batch[name], self

        class Imposed(deepxde.icbc.BC):
            def __init__(self) -> None:
                pass  # DeepXDE's own looks for points on a geometry; these are given

            def collocation_points(self, X: Any) -> np.ndarray:
                both = [points.coordinates] + ([] if points.images is None else [points.images])
                return torch.cat(both).cpu().numpy()

            def error(self, X: Any, inputs: Tensor, outputs: Tensor, beg: int, end: int, aux_var: Any = None) -> Tensor:
                fields = translation.fields(inputs, outputs)
                middle = beg + len(points)
                images = None if points.images is None else _rows(fields, slice(middle, end))
                placed = points.to(inputs.device)
                problem = translation.bound
                conditions = problem.named_conditions() if translation.variables else translation._conditions
                found = conditions[name].residuals(problem, _rows(fields, slice(beg, middle)), placed, images)
                # its mean square is then the sum of the terms' mean squares, as of one condition each
                return torch.cat(list(found.values())) * len(found) ** 0.5

        return Imposed()


def _rows(fields: Mapping[str, Jet], rows: slice) -> dict[str, Jet]:
    def part(jet: Jet) -> Jet:
        def partial(index: MultiIndex) -> Tensor:
            return jet.partial(index)[rows]

        return Field(jet.names, partial)

    return {name: part(jet) for name, jet in fields.items()}


class Trained:
    """The network that DeepXDE trained, as a solution evaluates it."""

    name = "deepxde"

    def __init__(self, problem: Problem, network: torch.nn.Module) -> None:
        self.problem, self.network = problem, network.cpu().double()

    def fields(self, points: Tensor) -> dict[str, Tensor]:
        jets = dict(zip(self.problem.unknowns, autograd(self.network, points, self.problem.coordinates), strict=True))
        return {name: jet.value for name, jet in jets.items()} | self.problem.derived_fields(jets, points)

    def configuration(self) -> dict[str, Any]:
        return {}


def train(problem: Problem, seconds: float, seed: int) -> dict[str, Any]:
    """Adam for half of ``seconds``, then L-BFGS; what ``Outcome`` holds."""
    problem.validate()
    conditions = problem.named_conditions()
    sizes = {INTERIOR: INTERIOR_POINTS} | {
        name: len(condition.points) if isinstance(condition, Observations) else CONDITION_POINTS
        for name, condition in conditions.items()
    }
    generator = torch.Generator().manual_seed(seed)
    batch = sample_batch(problem, conditions, sizes, generator, method="sobol", dtype=torch.float32)

    import deepxde  # after all points are drawn, as it sets another default device where there is an accelerator

    deepxde.config.set_random_seed(seed)
    parameters = problem.parameters()
    variables = {name: deepxde.Variable(float(p.to_raw(p.start))) for name, p in parameters.items()}
    translation = Translation(problem, batch, variables)
    low, high = (bound.tolist() for bound in problem.domain.bounds)
    data = deepxde.data.PDE(
        deepxde.geometry.Hypercube(low, high), translation.equations, translation.conditions(),
        anchors=batch[INTERIOR].coordinates.numpy(),
    )  # fmt: skip
    layers = [len(problem.coordinates), *[WIDTH] * DEPTH, len(problem.unknowns)]
    network = deepxde.nn.FNN(layers, "tanh", "Glorot normal")
    model = deepxde.Model(data, network)
    trainable = list(variables.values()) or None

    model.compile("adam", lr=LEARNING_RATE, external_trainable_variables=trainable, verbose=0)
    model.train(iterations=1, verbose=0)  # takes seconds, as PyTorch then loads much; not counted
    began = time.perf_counter()
    _train(model, seconds / 2, began)
    adam = int(model.train_state.step)
    options = deepxde.optimizers.config.LBFGS_options
    options["iter_per_step"], options["fun_per_step"] = ITERATIONS, 2 * ITERATIONS
    model.compile("L-BFGS", external_trainable_variables=trainable, verbose=0)
    _train(model, seconds, began)
    spent = time.perf_counter() - began
    note = f"Adam {adam}, L-BFGS {int(model.train_state.step) - adam} iterations"
    if spent < seconds:
        note += ", stopped by itself"
    torch.set_default_device("cpu")
    fitted = problem.bind({name: value.detach().cpu() for name, value in translation.coefficients().items()})
    errors = Solution(problem, Trained(fitted, network)).relative_l2
    return {"relative_l2": errors, "seconds": spent, "note": note}


def _train(model: Any, until: float, began: float) -> None:
    """Train until ``until`` seconds have passed since ``began``, or the optimiser stops by itself."""
    import deepxde

    left = max(until - (time.perf_counter() - began), 0.0)
    timer = deepxde.callbacks.Timer(left / 60)
    model.train(iterations=10**9, display_every=10**9, callbacks=[timer], verbose=0)


def main(request: Path) -> None:
    """Read {problem: {name, settings}, seconds, seed, threads} from ``request`` and put the outcome in its place."""
    asked = json.loads(request.read_text(encoding="utf-8"))
    torch.set_num_threads(asked["threads"])
    problem = get_problem(asked["problem"]["name"], asked["problem"]["settings"])
    outcome = train(problem, asked["seconds"], asked["seed"])
    request.write_text(json.dumps(outcome), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
