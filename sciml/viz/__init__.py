"""Pictures of fields and of training, drawn without any of matplotlib's global state."""

from sciml.viz.comparison import plot_comparison as plot_comparison
from sciml.viz.convergence import plot_convergence as plot_convergence
from sciml.viz.fields import plot_fields as plot_fields
from sciml.viz.figure import to_png as to_png

__all__ = ["plot_comparison", "plot_convergence", "plot_fields", "to_png"]
