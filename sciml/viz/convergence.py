"""Errors against steps: of a run, and of a rollout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sciml.viz.figure import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_convergence(history: Mapping[str, Sequence[float]]) -> Figure:
    """The columns that start with ``loss`` on one logarithmic panel, those that start with ``error`` on another."""
    columns = {name: np.asarray(values, dtype=float) for name, values in history.items()}
    steps = columns.get("step", np.arange(max(map(len, columns.values()), default=0)))
    panels = [[name for name in columns if name.startswith(kind)] for kind in ("loss", "error")]
    panels = [names for names in panels if names] or [[]]
    figure, axes = new_figure(1, len(panels), panel=(6.4, 4.0))
    for panel, names in zip(axes[0], panels, strict=True):
        for name in names:
            shown = np.isfinite(columns[name]) & (columns[name] > 0)
            style = {"color": "black", "lw": 1.8, "zorder": 3} if name == "loss" else {"lw": 1.0}
            panel.plot(steps[shown], columns[name][shown], label=name, **style)
        panel.set(yscale="log", xlabel="step", ylabel=names[0].split("/")[0].split("_")[0] if names else "")
        panel.grid(alpha=0.3)
        if names:
            panel.legend(fontsize="small", frameon=False)
    return figure


def plot_errors(rollout: Mapping[str, Sequence[float]]) -> Figure:
    """Relative errors by step of a rollout, medians and means, and the error of the spectrum by wave number if known."""
    kinds = [name for name in ("relative_l1", "relative_l1_mean", "relative_l2", "relative_l2_mean") if name in rollout]
    spectrum = rollout.get("spectrum_error")
    figure, axes = new_figure(1, 1 if spectrum is None else 2, panel=(6.4, 4.0))
    for name in kinds:
        steps = np.arange(1, len(rollout[name]) + 1)
        axes[0, 0].plot(steps, rollout[name], marker=".", label=name.replace("_", " ").replace("l1", "L1").replace("l2", "L2"))
    axes[0, 0].set(yscale="log", xlabel="step", ylabel="relative error")
    axes[0, 0].legend(fontsize="small", frameon=False)
    if spectrum is not None:
        axes[0, 1].plot(np.arange(1, len(spectrum)), spectrum[1:], marker=".")
        axes[0, 1].set(yscale="log", xlabel="wave number", ylabel="relative error of the energy, last step")
    for panel in axes[0]:
        panel.grid(alpha=0.3)
    return figure
