"""How well posed training is in fixed and in moving coordinates: singular values of the residual's Jacobian, and the loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.benchmarks.common import RESULTS

SPEEDS = (0.0, 30.0, 50.0)
EULERIAN, LAGRANGIAN = "Eulerian", "Lagrangian"
_POINTS = 600
_REACH, _SIDE = 0.02, 25  # how far the weights move along a unit direction; much further, characteristics cross


def conditioning(steps: int, write: bool) -> list[dict[str, Any]]:
    """Convection-diffusion after ``steps`` of least squares from the same kind of network, by speed and formulation.

    For each the loss, the error, the largest singular value (its square is the largest curvature of the loss), how many
    are above a thousandth of it, and all of them. The picture goes to ``results/lagrangian.png`` with ``write``.
    """
    measured, slices = [], {}
    for beta in SPEEDS:
        for formulation in (EULERIAN, LAGRANGIAN):
            solver, objective = _trained(beta, formulation, steps)
            _, jacobian = objective.jacobian()
            _, singular, directions = np.linalg.svd(jacobian.numpy(), full_matrices=False)
            measured.append({
                "beta": beta, "formulation": formulation, "loss": float(objective.residual_vector().square().sum()),
                "error": solver.errors()["u"], "largest": float(singular[0]),
                "above_a_thousandth": int((singular > 1e-3 * singular[0]).sum()),
                "singular_values": [float(f"{s:.3g}") for s in singular],
            })  # fmt: skip
            if beta == SPEEDS[-1]:
                slices[formulation] = _slice(objective, directions[:2])
    if write:
        _draw(measured, slices)
    return measured


def _trained(beta: float, formulation: str, steps: int) -> tuple[Any, Any]:
    """The solver, and its objective on fresh points."""
    import torch

    from problems import ConvectionDiffusion
    from sciml import PINN, Fixed, Phase, Trainer
    from sciml.optim import LevenbergMarquardt
    from sciml.solvers import Lagrangian
    from sciml.training.objective import ResidualObjective

    problem, generator = ConvectionDiffusion(beta=beta), torch.Generator().manual_seed(0)
    solver: Any
    if formulation == EULERIAN:
        options = {"width": 20, "depth": 2}
        solver = PINN(problem, points=_POINTS, condition_points=100, network_options=options, generator=generator)
    else:
        solver = Lagrangian(problem, points=_POINTS, width=20, depth=2, generator=generator)
    weights = {name: 100.0 for name, kind in solver.term_kinds.items() if kind == "condition"}
    Trainer([Phase(LevenbergMarquardt(), steps=steps, weighting=Fixed(weights))], progress=False).fit(solver)
    objective = ResidualObjective(solver)
    objective.set_points(solver.sample(torch.Generator().manual_seed(1)))
    objective.set_weights({name: torch.tensor(weights.get(name, 1.0)) for name in solver.term_kinds})
    return solver, objective


def _slice(objective: Any, directions: np.ndarray) -> np.ndarray:
    """The loss (side, side) over the two directions of largest curvature, about the trained weights."""
    import torch

    from sciml.optim.optimiser import assign, flatten

    origin = flatten(objective.parameters)
    first, second = torch.from_numpy(directions).to(origin)
    along = np.linspace(-_REACH, _REACH, _SIDE)
    loss = np.empty((_SIDE, _SIDE))
    for i, a in enumerate(along):
        for j, b in enumerate(along):
            assign(objective.parameters, origin + a * first + b * second)
            loss[j, i] = float(objective.residual_vector().detach().square().sum())
    assign(objective.parameters, origin)
    return loss


def _draw(measured: list[dict[str, Any]], slices: dict[str, np.ndarray]) -> None:
    from sciml.viz.figure import new_figure

    figure, ((spectrum, *panels),) = new_figure(1, 1 + len(slices), panel=(4.4, 3.6))
    for case in measured:
        values = np.array(case["singular_values"])
        style = "-" if case["formulation"] == EULERIAN else "--"
        shade = 0.25 + 0.75 * SPEEDS.index(case["beta"]) / (len(SPEEDS) - 1)
        colour = (shade, 0.2, 0.2) if style == "-" else (0.2, 0.2, shade)
        label = f"{case['formulation']}, speed {case['beta']:g}"
        spectrum.semilogy(np.arange(1, len(values) + 1), values, style, color=colour, label=label)
    spectrum.set(xlabel="number", ylabel="singular value of the residual's Jacobian", ylim=(1e-9, None), xlim=(0, 400))
    spectrum.legend(fontsize="x-small", frameon=False)
    for panel, (formulation, loss) in zip(panels, slices.items(), strict=True):
        extent = (-_REACH, _REACH, -_REACH, _REACH)
        image = panel.imshow(np.log10(loss), origin="lower", extent=extent, cmap="viridis")
        panel.set(title=f"{formulation}, speed {SPEEDS[-1]:g}", xlabel="steepest direction", ylabel="second steepest")
        figure.colorbar(image, ax=panel, label="log10 of the loss")
    figure.savefig(RESULTS / "lagrangian.png")
