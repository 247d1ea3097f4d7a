"""Errors of several solvers side by side."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sciml.viz.figure import COMPUTED, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_comparison(errors: Mapping[str, Sequence[float | None]], title: str = "") -> Figure:
    """A bar at the median of every solver's relative L2 errors, a dot for every run; None is a run without a solution."""
    figure, ((panel,),) = new_figure(1, 1, panel=(1.6 + 1.2 * len(errors), 4.0))
    for place, found in enumerate(errors.values()):
        known = [error for error in found if error is not None and error > 0]
        if known:
            panel.bar(place, statistics.median(known), width=0.6, color=COMPUTED, alpha=0.5)
            panel.plot([place] * len(known), known, "o", color="black", ms=4)
        else:
            panel.annotate("none", (place, 0.02), xycoords=("data", "axes fraction"), ha="center")
    panel.set(yscale="log", ylabel="relative L2 error", title=title)
    panel.set_xticks(range(len(errors)), list(errors))
    panel.set_xlim(-0.6, len(errors) - 0.4)
    panel.grid(axis="y", alpha=0.3)
    return figure
