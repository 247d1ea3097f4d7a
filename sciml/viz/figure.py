"""Figures, axes and colours that every picture shares."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIELD, ERROR = "viridis", "RdBu_r"
COMPUTED, REFERENCE = "tab:blue", "black"
RESOLUTION = 150  # dots per inch


def new_figure(rows: int, columns: int, panel: tuple[float, float] = (4.2, 3.4)) -> tuple[Figure, np.ndarray]:
    """A figure and its axes, an array (rows, columns); it belongs to no window and to no global list."""
    from matplotlib.figure import Figure

    size = (panel[0] * columns, panel[1] * rows)
    figure = Figure(figsize=size, dpi=RESOLUTION, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def to_png(figure: Figure) -> bytes:
    """The picture as the content of a PNG file."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def limits(values: np.ndarray) -> tuple[float, float]:
    """Smallest and largest finite value, apart from each other."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def symmetric(values: np.ndarray) -> tuple[float, float]:
    """Limits that put zero at the neutral colour."""
    reach = float(np.abs(values[np.isfinite(values)]).max(initial=0)) or 1.0
    return -reach, reach
