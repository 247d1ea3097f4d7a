"""Pictures of fields and of training, drawn without any of matplotlib's global state."""

from sciml.viz.animation import animate_fields as animate_fields
from sciml.viz.comparison import plot_comparison as plot_comparison
from sciml.viz.convergence import plot_convergence as plot_convergence
from sciml.viz.convergence import plot_errors as plot_errors
from sciml.viz.fields import plot_fields as plot_fields
from sciml.viz.figure import to_png as to_png

__all__ = ["animate_fields", "plot_comparison", "plot_convergence", "plot_errors", "plot_fields", "to_png"]
